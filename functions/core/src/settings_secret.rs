//! A Secrets Manager secret of settings, read entry by entry, so that a mistyped entry does not spoil the others.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::secret::SecretText;
use crate::signing_key::SigningKey;

/// The value of an entry. Its texts may be secret, so each goes straight from the JSON into a text that is wiped.
#[derive(Debug)]
pub(crate) enum Entry {
    Text(SecretText),
    List(Vec<Self>),
    Entries(Entries),
    /// `null`, which counts as no entry.
    Absent,
    /// A number or a truth value. No setting has such a value.
    Other,
}

/// Entries by their names.
pub(crate) type Entries = BTreeMap<String, Entry>;

impl Entry {
    /// Reads the signing keys of a text or of a list of texts. Says also whether each text was a key of webhooks.
    pub(crate) fn webhook_keys(&self) -> (Vec<SigningKey>, bool) {
        let entries = match self {
            Self::List(list) => list.as_slice(),
            other => std::slice::from_ref(other),
        };
        let key = |entry: &Self| match entry {
            Self::Text(text) => SigningKey::of_webhook(text.expose()),
            _ => None,
        };
        let keys: Vec<_> = entries.iter().filter_map(key).collect();
        let all = !keys.is_empty() && keys.len() == entries.len();
        (keys, all)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting")
    }

    fn visit_str<E>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry::Text(SecretText::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Entry, E> {
        Ok(Entry::Text(SecretText::new(text)))
    }

    fn visit_unit<E>(self) -> Result<Entry, E> {
        Ok(Entry::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Entry, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Entry::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Entry, A::Error> {
        let mut entries = Entries::new();
        while let Some((name, entry)) = fields.next_entry()? {
            entries.insert(name, entry);
        }
        Ok(Entry::Entries(entries))
    }
}
