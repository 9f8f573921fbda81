//! The fields of a JSON value that are not Keywheel's. Every rotation keeps them as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::secret::SecretText;

use super::text::Buffer;

/// The fields of a value that are not Keywheel's, as they stand in the value. They may be secrets of others.
#[derive(Debug, Default)]
pub struct Foreign(Option<SecretText>);

impl Foreign {
    /// Takes the fields of an object, without the fields of these names. A text that is no JSON object has none.
    pub(super) fn of(value: &str, own: &[&str]) -> Self {
        let mut buffer = Buffer::with_room(value.len());
        for (name, text) in fields(value).unwrap_or_default() {
            if own.iter().any(|own| is_named(name, own)) {
                continue;
            }
            let separator = if buffer.len() == 0 { "" } else { "," };
            for part in [separator, name.get(), ":", text.get()] {
                buffer.push(part);
            }
        }
        Self((buffer.len() > 0).then(|| buffer.into_secret()))
    }

    /// Gives the fields, as they stand between an object's braces.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_ref().map(SecretText::expose)
    }
}

/// Reads the text of the one field of this name. `None`: no field has the name, or two fields have it.
pub(super) fn text_of(value: &str, name: &str) -> Option<Buffer> {
    let fields = fields(value)?;
    let mut named = fields.iter().filter(|(found, _)| is_named(found, name));
    let (Some((_, text)), None) = (named.next(), named.next()) else { return None };
    match serde_json::from_str::<Text<'_>>(text.get()).ok()?.0 {
        Cow::Borrowed(text) => Some(Buffer::of(text)),
        Cow::Owned(text) => Some(Buffer::from(text)),
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Says whether a field's name, written in JSON, is this name.
fn is_named(written: &RawValue, name: &str) -> bool {
    serde_json::from_str::<Text<'_>>(written.get()).is_ok_and(|text| text.0 == name)
}

/// A field of an object as it is written: its name and its value.
type Field<'a> = (&'a RawValue, &'a RawValue);

/// Reads the fields of an object in their order. `None`: the text is no JSON object.
fn fields(value: &str) -> Option<Vec<Field<'_>>> {
    let value = value.trim_start_matches('\u{feff}');
    let mut json = serde_json::Deserializer::from_str(value);
    let fields = json.deserialize_map(Fields).ok()?;
    json.end().ok()?;
    Some(fields)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<Field<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const OWN: [&str; 2] = ["client_secret", "key_id"];

    fn kept(value: &str) -> Option<String> {
        Foreign::of(value, &OWN).text().map(ToOwned::to_owned)
    }

    #[test]
    fn what_is_not_ours_is_kept_as_it_was_written() {
        let value = "\u{feff} {\"a\" : 1.10,\n \"client_secret\":\"x\", \"b{,\\\"\": {\"key_id\": [\"}\", \"\\\\\"]} , \"key\\u005fid\":null,\"c\":\"\u{e9},\"}\n";
        let expected = "\"a\":1.10,\"b{,\\\"\":{\"key_id\": [\"}\", \"\\\\\"]},\"c\":\"\u{e9},\"";
        assert_eq!(kept(value).as_deref(), Some(expected));
        for none in
            ["{}", "{ }", "{\"client_secret\":\"x\"}", "[1]", "x", "", "{\"a\":1,}", "{", "\"a\""]
        {
            assert_eq!(kept(none), None, "{none}");
        }
    }

    #[test]
    fn a_field_is_read_by_its_name() {
        let of = |value: &str| {
            text_of(value, "pass\"word").map(|text| text.into_secret().expose().to_owned())
        };
        assert_eq!(of(r#"{"a":"b","pass\"word":"s\u0041"}"#).as_deref(), Some("sA"));
        for none in
            [r#"{"password":"s"}"#, r#"{"pass\"word":7}"#, r#"{"pass\"word":"a","pass\"word":"b"}"#]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            r#"["\\{}\[\],: a\u{e9}]{0,6}"#.prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(r#"["\\{},: a]{0,3}"#, inner, 0..4)
                    .prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_is_kept_whole(fields in proptest::collection::btree_map(r#"["\\{},: a]{0,5}"#, values(), 0..6), pretty in any::<bool>()) {
            let value = json!(fields);
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let kept = kept(&text.expect("JSON")).unwrap_or_default();
            prop_assert_eq!(serde_json::from_str::<Value>(&format!("{{{kept}}}")).expect("JSON"), value);
        }

        #[test]
        fn any_text_is_borne(value in any::<String>()) {
            let _ = kept(&value);
        }
    }
}
