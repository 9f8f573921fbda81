//! Makes wire types of a tree, and notes every problem on the way.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::problem::{Position, Problems};
use super::tree::{Entry, Key, Node, Value};
use crate::unknown::{list, stranger, suggest};

/// A type that can be read from a node. `None`: the problem was noted.
pub(super) trait Decode: Sized {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self>;
}

/// A type that is written as a text.
pub(super) trait Text: Sized {
    /// Says how the type is written; `None`: any text in quotes would do.
    fn like() -> Option<String> {
        None
    }

    /// Reads the text, or gives the problem and the cure.
    fn read(text: &str) -> Result<Self, (String, String)>;
}

impl<T: Text> Decode for T {
    fn decode(Node { position, value }: Node, problems: &mut Problems) -> Option<Self> {
        let (what, cure) = match value {
            Value::Text(text) => match T::read(&text) {
                Ok(read) => return Some(read),
                Err(wrong) => wrong,
            },
            // Quotes help only if every text is right.
            other => {
                let cure = match other {
                    Value::Bool(_) | Value::Number => {
                        T::like().unwrap_or("put it in quotes".into())
                    }
                    _ => "write it on the field's own line".into(),
                };
                return wrong_kind("a text", position, &other, &cure, problems);
            }
        };
        problems.add(position, what, cure);
        None
    }
}

/// A value and its position in the text.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) position: Position,
    /// Whether the value is the entry's own, and not a default.
    pub(super) own: bool,
    /// The value; `None`: the value was wrong or missing, and the problem was noted.
    pub(super) value: Option<T>,
}

impl<T> At<T> {
    pub(super) fn new(position: Position, value: Option<T>) -> Self {
        Self { position, own: true, value }
    }

    /// Returns the value of an optional field, or the built-in value. `None`: the value was wrong.
    pub(super) fn given(at: Option<Self>, built_in: T) -> Option<T> {
        at.map_or(Some(built_in), |at| at.value)
    }

    /// Returns the value as one that may be absent.
    pub(super) fn some(self) -> At<Option<T>> {
        At { position: self.position, own: self.own, value: self.value.map(Some) }
    }
}

impl<T: Clone> At<T> {
    /// Returns the entry's own value, or the default.
    pub(super) fn or(own: Option<&Self>, defaults: Option<&Self>) -> Option<Self> {
        own.cloned().or_else(|| Some(Self { own: false, ..defaults?.clone() }))
    }
}

impl<T: Decode> At<T> {
    fn decode(node: Node, problems: &mut Problems) -> Self {
        Self::new(node.position, T::decode(node, problems))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A group of fields of a mapping.
pub(super) trait Group: Sized {
    /// Gives the names of the fields.
    fn names() -> Vec<&'static str>;

    /// Takes the group's fields out of a mapping.
    fn take(fields: &mut Fields, problems: &mut Problems) -> Self;

    /// Fills in the defaults of optional fields that are absent.
    fn or(&self, defaults: Option<&Self>) -> Self;
}

/// Reads a mapping that has the fields of the group and no others.
pub(super) fn decode_group<G: Group>(node: Node, problems: &mut Problems) -> Option<G> {
    let mut fields = Fields::open(node, problems)?;
    let group = G::take(&mut fields, problems);
    fields.close(&G::names(), problems);
    Some(group)
}

/// A mapping whose fields are taken out one after another.
pub(super) struct Fields {
    position: Position,
    entries: Vec<Entry>,
}

impl Fields {
    fn open(node: Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Map(entries) => Some(Self { position: node.position, entries }),
            other => {
                let cure = "write `field: value` lines, indented";
                wrong_kind("a mapping", node.position, &other, cure, problems)
            }
        }
    }

    /// Takes an optional field.
    pub(super) fn optional<T: Decode>(
        &mut self,
        name: &str,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        let index = self.entries.iter().position(|entry| entry.key.is(name))?;
        let entry = self.entries.swap_remove(index);
        Some(problems.within([name], |problems| match entry.node.value {
            Value::Nothing => {
                problems.add(entry.position, "there is no value", "give one, or remove the line");
                At::new(entry.position, None)
            }
            _ => At::decode(entry.node, problems),
        }))
    }

    /// Takes a required field.
    pub(super) fn required<T: Decode>(&mut self, name: &str, problems: &mut Problems) -> At<T> {
        self.optional(name, problems).unwrap_or_else(|| {
            problems.add(self.position, format!("`{name}` is missing"), "add it");
            At::new(self.position, None)
        })
    }

    /// Notes the fields that are left as unknown.
    fn close(mut self, known: &[&str], problems: &mut Problems) {
        self.entries.sort_by_key(|entry| entry.position);
        for Entry { key, position, .. } in self.entries {
            let Key::Text(key) = key else {
                let what = format!("a field has a name, and this is {}", key.kind());
                problems.add(position, what, cure_of_field(&key, known));
                continue;
            };
            match not_here(&key) {
                Some(why) => problems.add(position, format!("`{key}` is not possible here"), why),
                None => problems.add(
                    position,
                    format!("unknown field {}", stranger(&key)),
                    suggest(&key, known),
                ),
            }
        }
    }
}

/// Gives the cure of a field whose key is no text. YAML 1.1 reads `on`, `yes` and `y` as `true`, so a tool that wrote
/// the file may have replaced the word.
fn cure_of_field(key: &Key, known: &[&str]) -> String {
    let words: &[&str] = match key {
        Key::Bool(true) => &["on", "yes", "y"],
        Key::Bool(false) => &["off", "no", "n"],
        Key::Text(_) | Key::Other(_) => &[],
    };
    match words.iter().find(|word| known.contains(*word)) {
        Some(word) => {
            format!("write `{word}:`, which tools that read YAML 1.1 replace by {}", key.kind())
        }
        None => format!("remove it, or write one of {}", list(known)),
    }
}

/// Gives the cure of a known field that is not possible at this place or in this version.
fn not_here(field: &str) -> Option<&'static str> {
    match field {
        "consumers" => Some(
            "consumers are not supported by this version yet: remove it, and let them read the secret",
        ),
        "adopt" | "retire_keys" => Some("it is a decision on one credential: say it there"),
        "application" | "secret" => Some("it belongs to a credential or, as a pattern, to a rule"),
        "defaults" | "credentials" | "rules" | "tenant" | "notifications" => {
            Some("it belongs at the top, not indented")
        }
        _ => None,
    }
}

/// Gives the cure of a name that is no text.
fn cure_of_name(key: &Key) -> &'static str {
    match key {
        Key::Bool(_) => {
            "put the word that was meant in quotes: tools that read YAML 1.1 replace `on`, `off`, `yes` and `no`"
        }
        _ => "put it in quotes",
    }
}

/// Notes that another kind of value was expected.
fn wrong_kind<T>(
    expected: &str,
    position: Position,
    found: &Value,
    cure: &str,
    problems: &mut Problems,
) -> Option<T> {
    problems.add(position, format!("expected {expected}, found {}", found.kind()), cure);
    None
}

impl Decode for bool {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Bool(value) => Some(value),
            other => {
                let cure = "write one of them, without quotes";
                wrong_kind("`true` or `false`", node.position, &other, cure, problems)
            }
        }
    }
}

impl<T: Decode> Decode for Vec<At<T>> {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::List(nodes) => Some(
                nodes
                    .into_iter()
                    .enumerate()
                    .map(|(index, node)| {
                        problems.within([&index.to_string()], |p| At::decode(node, p))
                    })
                    .collect(),
            ),
            other => {
                wrong_kind("a list", node.position, &other, "begin each entry with `- `", problems)
            }
        }
    }
}

/// The step of a path in place of a name that is no text.
pub(super) const NAMELESS: &str = "…";

/// A mapping from names to values of one type, in the file's order.
#[derive(Clone, Debug)]
pub(super) struct Named<T>(pub(super) Vec<(At<String>, At<T>)>);

impl<T: Decode> Decode for Named<T> {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
        let Fields { entries, .. } = Fields::open(node, problems)?;
        let read = |Entry { key, position, node }: Entry| {
            let name = match key {
                Key::Text(name) => Some(name),
                other => {
                    let what = format!("a name is a text, and this is {}", other.kind());
                    problems.add(position, what, cure_of_name(&other));
                    None
                }
            };
            // The value under a name that is no text is read too, so that its problems are reported.
            let step = name.as_deref().unwrap_or(NAMELESS);
            let value = problems.within([step], |problems| At::decode(node, problems));
            (At::new(position, name), value)
        };
        Some(Self(entries.into_iter().map(read).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}
