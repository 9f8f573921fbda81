//! What a JSON value holds beside Keywheel's own fields: kept as it was written, at every rotation.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

use crate::secret::SecretText;

use super::text::Buffer;

/// The fields of a value that are not Keywheel's, as they stand in it. They may be secrets of others.
#[derive(Debug, Default)]
pub struct Foreign(Option<SecretText>);

impl Foreign {
    /// Those of an object, but for the names given. A text that is no JSON object has none.
    pub(super) fn of(value: &str, own: &[&str]) -> Self {
        let mut buffer = Buffer::with_room(value.len());
        for (name, text) in members(value).unwrap_or_default() {
            if own.iter().any(|own| is_named(name, own)) {
                continue;
            }
            let separator = if buffer.len() == 0 { "" } else { "," };
            for part in [separator, name, ":", text] {
                buffer.push(part);
            }
        }
        Self((buffer.len() > 0).then(|| buffer.into_secret()))
    }

    /// The fields, as they stand between an object's braces.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_ref().map(SecretText::expose)
    }
}

/// The text of the one field of this name.
pub(super) fn text_of(value: &str, name: &str) -> Option<Buffer> {
    let fields = members(value)?;
    let mut named = fields.iter().filter(|(found, _)| is_named(found, name));
    let (Some((_, text)), None) = (named.next(), named.next()) else { return None };
    match serde_json::from_str::<Text<'_>>(text).ok()?.0 {
        Cow::Borrowed(text) => Some(Buffer::of(text)),
        Cow::Owned(text) => Some(Buffer::from(text)),
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a field's name, written in JSON, is this one.
fn is_named(written: &str, name: &str) -> bool {
    serde_json::from_str::<Text<'_>>(written).is_ok_and(|text| text.0 == name)
}

/// The fields of an object, each as it is written: its name and its value. `None`: it is no JSON object.
fn members(value: &str) -> Option<Vec<(&str, &str)>> {
    let value = value.trim_start_matches('\u{feff}').trim_matches(is_space);
    // Held to be JSON from here on: only strings and nesting tell what stands where.
    serde_json::from_str::<IgnoredAny>(value).ok()?;
    let inner = value.strip_prefix('{')?.strip_suffix('}')?.trim_matches(is_space);
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut fields = Vec::new();
    let mut rest = Some(inner);
    while let Some(text) = rest {
        let (name, after) = split_outside(text, ':');
        let (field, next) = split_outside(after?, ',');
        fields.push((name.trim_matches(is_space), field.trim_matches(is_space)));
        rest = next;
    }
    Some(fields)
}

/// The text before and after the first such character that is in no string and in no nested value.
fn split_outside(text: &str, wanted: char) -> (&str, Option<&str>) {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (index, c) in text.char_indices() {
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            c if c == wanted && depth == 0 => {
                let (before, after) = text.split_at_checked(index).unwrap_or((text, ""));
                return (before, after.strip_prefix(wanted));
            }
            _ => {}
        }
    }
    (text, None)
}

/// What JSON allows between its parts.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
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
