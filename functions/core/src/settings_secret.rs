//! A Secrets Manager secret of settings, read entry by entry, so that a mistyped entry does not spoil the others.
//!
//! An entry's value borrows from the secret's text, so that reading leaves no copies behind.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::secret::SecretText;
use crate::signing_key::SigningKey;

/// The values of entries by the entries' names.
pub(crate) type Entries<'a> = BTreeMap<String, &'a RawValue>;

/// Reads the entries of a JSON object. `None`: the text is no object.
pub(crate) fn entries(text: &str) -> Option<Entries<'_>> {
    // The error of serde would quote the text.
    serde_json::from_str(text).ok()
}

/// Reads a value that is a text. `None`: the value is of another kind.
pub(crate) fn text(value: &RawValue) -> Option<SecretText> {
    serde_json::from_str(value.get()).ok().map(SecretText::new)
}

/// Says whether a value is `null`, which counts as no entry.
pub(crate) fn is_absent(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Reads the signing keys of a text or of a list of texts. Says also whether each text was a key of webhooks.
pub(crate) fn webhook_keys(value: &RawValue) -> (Vec<SigningKey>, bool) {
    let list: Result<Vec<&RawValue>, _> = serde_json::from_str(value.get());
    let list = list.unwrap_or_else(|_| vec![value]);
    let key = |value: &&RawValue| SigningKey::of_webhook(text(value)?.expose());
    let keys: Vec<_> = list.iter().filter_map(key).collect();
    let all = !keys.is_empty() && keys.len() == list.len();
    (keys, all)
}
