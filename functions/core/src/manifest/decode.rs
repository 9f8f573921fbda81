//! From tree to wire types, noting every problem on the way instead of stopping at the first.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::problem::{Position, Problems};
use super::tree::{Entry, Key, Node, Value};
use crate::unknown::{list, stranger, suggest};

/// A type that a node can be read as. `None` means that the problem has been noted.
pub(super) trait Decode: Sized {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self>;
}

/// A type that is written as a text.
pub(super) trait Text: Sized {
    /// Says how it is written, where no number in quotes would do.
    fn like() -> Option<String> {
        None
    }

    /// Reads the text, or says what is wrong with it and what to do about it.
    fn read(text: &str) -> Result<Self, (String, String)>;
}

impl<T: Text> Decode for T {
    fn decode(Node { position, value }: Node, problems: &mut Problems) -> Option<Self> {
        let (what, cure) = match value {
            Value::Text(text) => match T::read(&text) {
                Ok(read) => return Some(read),
                Err(wrong) => wrong,
            },
            // Quotes help only where every text would do.
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
    /// Whether it stands where it holds, and not in the defaults.
    pub(super) own: bool,
    /// `None` where the value was wrong, or missing: that has been noted, and nothing more is said of it.
    pub(super) value: Option<T>,
}

impl<T> At<T> {
    pub(super) fn new(position: Position, value: Option<T>) -> Self {
        Self { position, own: true, value }
    }

    /// Returns the value of what may be left out, else the one that is built in. `None`: it was wrong.
    pub(super) fn given(at: Option<Self>, built_in: T) -> Option<T> {
        at.map_or(Some(built_in), |at| at.value)
    }

    /// Returns the same of what may be nothing.
    pub(super) fn some(self) -> At<Option<T>> {
        At { position: self.position, own: self.own, value: self.value.map(Some) }
    }
}

impl<T: Clone> At<T> {
    /// Returns what is said here, else what the defaults say.
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

/// A group of fields of one mapping.
pub(super) trait Group: Sized {
    /// The names of the fields.
    fn names() -> Vec<&'static str>;

    /// Takes the group's fields out of a mapping.
    fn take(fields: &mut Fields, problems: &mut Problems) -> Self;

    /// Fills in from the defaults what may be left out and is.
    fn or(&self, defaults: Option<&Self>) -> Self;
}

/// Reads a mapping that has the fields of the group and no others.
pub(super) fn decode_group<G: Group>(node: Node, problems: &mut Problems) -> Option<G> {
    let mut fields = Fields::open(node, problems)?;
    let group = G::take(&mut fields, problems);
    fields.close(&G::names(), problems);
    Some(group)
}

/// A mapping whose fields are taken out one by one.
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

    /// A field that may be left out.
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

    /// A field that must be there.
    pub(super) fn required<T: Decode>(&mut self, name: &str, problems: &mut Problems) -> At<T> {
        self.optional(name, problems).unwrap_or_else(|| {
            problems.add(self.position, format!("`{name}` is missing"), "add it");
            At::new(self.position, None)
        })
    }

    /// Whatever nobody took is unknown.
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

/// What a key that is no text was probably meant to be. YAML 1.1 reads `on`, `yes` and `y` as `true`: whatever wrote
/// the file anew may have replaced the word.
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

/// Fields that are known, but not at this place or not in this version.
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

/// How a key that is no text becomes a name.
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

/// What stands in a path for a name that is none.
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
            // What stands under a name that is none is read all the same: its problems are told too.
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
