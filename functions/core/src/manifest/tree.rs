//! YAML text as a tree in which every node knows its position.
//!
//! The text does not become wire types at once, because serde stops at the first wrong value, and a manifest's problems
//! are reported all together.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, Location, MessageFormatter, Spanned, UserMessageFormatter,
};

use super::problem::{Position, Problems};
use crate::unknown::stranger;

/// The largest manifest, in bytes: some five thousand credentials without rules.
pub const MAX_BYTES: usize = 1024 * 1024;

/// A value and its position.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: Value,
}

/// A value of YAML. Numbers are no texts, because `1.10` as a text is not what the writer meant.
#[derive(Debug)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// The key before a colon. Only a text is a name. Any other key is a problem, and the rest is still read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Text(String),
    /// `true` or `false`, which a tool for YAML 1.1 often makes of `on` or `off`.
    Bool(bool),
    /// Another kind of value, in the words of an error.
    Other(&'static str),
}

/// One `key: value` of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) position: Position,
    pub(super) node: Node,
}

impl Key {
    /// Says whether the key is this name.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Text(text) if text == name)
    }

    /// Names the kind of a key that is no text.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Bool(true) => "`true`",
            Self::Bool(false) => "`false`",
            Self::Other(kind) => kind,
        }
    }
}

impl Value {
    /// Names the kind of the value in an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads the tree. Size, depth and the growth by anchors are bounded.
pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let what = format!("the manifest has {} bytes, more than {MAX_BYTES}", text.len());
        problems.add(
            Position::START,
            what,
            "describe a fleet by rules, or split it over two deployments",
        );
        return None;
    }
    match parse(text, DuplicateKeyPolicy::Error) {
        Ok(node) => Some(node),
        Err(error) => {
            report(&error, problems);
            // After a key that is given twice, the rest is read with the first of the two.
            matches!(bare(&error), Error::DuplicateMappingKey { .. })
                .then(|| parse(text, DuplicateKeyPolicy::FirstWins).ok())
                .flatten()
        }
    }
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Node, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_events: 500_000,
            max_nodes: 250_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 4 * MAX_BYTES,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 250_000,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

fn report(error: &Error, problems: &mut Problems) {
    let position = error.location().map_or(Position::START, position_of);
    let (what, cure) = match bare(error) {
        Error::Eof { .. } => {
            ("the manifest is empty".to_owned(), "begin with `tenant:` and `credentials:`")
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), stranger);
            (format!("{key} is given twice in one mapping"), "keep one of the two")
        }
        Error::MultipleDocuments { .. } => (
            "a second YAML document begins".to_owned(),
            "one file holds one manifest: remove the `---`",
        ),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "the YAML is nested too deeply or grows too large".to_owned(),
            "use fewer anchors and aliases, and no deeper nesting than a manifest needs",
        ),
        other => (
            format!("the YAML cannot be read: {}", UserMessageFormatter.format_message(other)),
            "check indentation, quotes and colons here and on the line before",
        ),
    };
    problems.add(position, what, cure);
}

/// Gives an error without the place of the alias that led to it.
fn bare(error: &Error) -> &Error {
    match error.without_snippet() {
        Error::AliasError { error, .. } => bare(error),
        other => other,
    }
}

fn position_of(location: Location) -> Position {
    // An unknown location is zero, and becomes the beginning of the text.
    Position { line: location.line().max(1), column: location.column().max(1) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        // The position is where the value is written, and not where an alias or a merge repeats the value, because the
        // value must be mended there.
        Ok(Self { position: position_of(spanned.defined), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("binary data has no place in a manifest"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Node>()? {
            let position = key.position;
            let key = match key.value {
                Value::Text(text) => Key::Text(text),
                Value::Bool(value) => Key::Bool(value),
                other => Key::Other(other.kind()),
            };
            entries.push(Entry { key, position, node: map.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}
