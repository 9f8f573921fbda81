//! Every secret text that ever was, and keeping them out of what is shown.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

const HIDDEN: &str = "[secret]";

/// Every secret text the emulator made or was seeded with, removed ones too.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    texts: HashSet<String>,
    lengths: BTreeSet<usize>,
}

impl Secrets {
    pub(crate) fn insert(&mut self, text: &str) {
        if !text.is_empty() {
            self.lengths.insert(text.len());
            self.texts.insert(text.to_owned());
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Replaces every known secret in free text, wherever a client put it.
    ///
    /// Secrets come in few lengths, so a look-up per place and length is enough, however many secrets there are.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(length) = self.starts(rest) {
                shown.push_str(HIDDEN);
                rest = &rest[length..];
            } else {
                shown.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        shown
    }

    fn starts(&self, text: &str) -> Option<usize> {
        self.lengths
            .iter()
            .rev()
            .copied()
            .find(|&length| text.get(..length).is_some_and(|head| self.texts.contains(head)))
    }

    /// A body as the request log shows it: secrets, tokens and assertions are taken out by name, then known secrets by value.
    pub(crate) fn redact(&self, body: &[u8]) -> Value {
        const SHOWN: usize = 8 * 1024;
        if body.is_empty() {
            return Value::Null;
        }
        if body.len() > SHOWN {
            return Value::String(format!("[{} bytes]", body.len()));
        }
        if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
            self.redact_value(&mut value);
            return value;
        }
        Value::Object(
            form_urlencoded::parse(body)
                .map(|(name, value)| {
                    let value =
                        if is_secret_name(&name) { HIDDEN.to_owned() } else { self.hide(&value) };
                    (self.hide(&name), Value::String(value))
                })
                .collect(),
        )
    }

    fn redact_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item)),
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    if is_secret_name(name) && field.is_string() {
                        *field = Value::String(HIDDEN.to_owned());
                    } else {
                        self.redact_value(field);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn is_secret_name(name: &str) -> bool {
    ["secretText", "client_secret", "client_assertion", "access_token", "Authorization", "key"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_secrets_anywhere() {
        let mut secrets = Secrets::default();
        secrets.insert("abc8Q~1234567890");
        assert_eq!(secrets.hide("x=abc8Q~1234567890&y"), "x=[secret]&y");
        let shown =
            secrets.redact(br#"{"displayName":"it is abc8Q~1234567890!","secretText":"other"}"#);
        assert_eq!(shown["displayName"], "it is [secret]!");
        assert_eq!(shown["secretText"], "[secret]");
        let form = secrets.redact(b"client_secret=q&scope=abc8Q%7E1234567890");
        assert_eq!(form["client_secret"], "[secret]");
        assert_eq!(form["scope"], "[secret]");
    }
}
