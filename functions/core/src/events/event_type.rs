//! The catalogue of event types: the name of each, who is told of it, and what it means.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FindingKind;

/// What may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Topic {
    /// A job failed for good.
    Failures,
    /// A sweep found something.
    Findings,
    /// A rotation was asked for, approved or denied, came to its end, or an old key was removed.
    Rotations,
    /// Once a day: what expires within 60 days.
    Digest,
}

/// What the name of a finding's event begins with.
const FINDING: &str = "keywheel.finding.";
/// What the name of an approval's event begins with.
const APPROVAL: &str = "keywheel.approval.";

macro_rules! event_types {
    ($($kind:ident, $name:literal, $topic:expr, $explanation:literal;)+) => {
        /// What happened.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", from = "String")]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`: ", $explanation, ".")] $kind,)+
            /// `keywheel.finding.<name>`: something was seen and is only reported.
            Finding(FindingKind),
            /// A type of an older or newer version, by its name: it is read, and never written anew.
            Unknown(String),
        }

        impl EventType {
            /// Lists all types but the findings.
            const NAMED: &[Self] = &[$(Self::$kind),+];

            /// Gives the name.
            pub fn name(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$kind => $name.into(),)+
                    Self::Finding(finding) => format!("{FINDING}{finding}").into(),
                    Self::Unknown(name) => name.into(),
                }
            }

            /// Gives the topic under which people are told of it; `None`: it is only recorded.
            pub fn topic(&self) -> Option<Topic> {
                match self {
                    $(Self::$kind => $topic,)+
                    Self::Finding(_) => Some(Topic::Findings),
                    Self::Unknown(name) if name.starts_with(FINDING) => Some(Topic::Findings),
                    Self::Unknown(name) if name.starts_with(APPROVAL) => Some(Topic::Rotations),
                    Self::Unknown(_) => None,
                }
            }

            /// Says what it means.
            pub fn explanation(&self) -> &'static str {
                match self {
                    $(Self::$kind => $explanation,)+
                    Self::Finding(finding) => finding.explanation(),
                    Self::Unknown(_) => "a type of another version of Keywheel",
                }
            }
        }
    };
}

event_types! {
    RotationRequested, "keywheel.rotation.requested", Some(Topic::Rotations),
        "somebody asked for a rotation, and may";
    ApprovalRequested, "keywheel.approval.requested", Some(Topic::Rotations),
        "a rotation waits for a second person";
    ApprovalGranted, "keywheel.approval.granted", Some(Topic::Rotations),
        "a second person agreed to a rotation";
    ApprovalDenied, "keywheel.approval.denied", Some(Topic::Rotations),
        "somebody who could have approved denied a rotation, or the asker withdrew it; it never begins";
    RotationStored, "keywheel.rotation.stored", None,
        "the new secret is stored";
    RotationPromoted, "keywheel.rotation.promoted", Some(Topic::Rotations),
        "the new secret was proved by signing in, and is current";
    RotationAbandoned, "keywheel.rotation.abandoned", Some(Topic::Rotations),
        "a rotation was given up: its key was dead, or another rotation won";
    RotationFailed, "keywheel.rotation.failed", Some(Topic::Failures),
        "a job failed for good; it is in the dead-letter queue";
    KeyMinted, "keywheel.key.minted", None,
        "a new key was minted";
    KeyRemoved, "keywheel.key.removed", Some(Topic::Rotations),
        "a key was removed";
    DigestExpiring, "keywheel.digest.expiring", Some(Topic::Digest),
        "the daily list of what expires; it is not recorded";
    SweepContinued, "keywheel.sweep.continued", None,
        "a sweep ran out of time, and goes on; it is not recorded";
}

impl EventType {
    /// Lists all types, those of findings last.
    pub fn all() -> impl Iterator<Item = Self> {
        let findings = FindingKind::ALL.iter().copied().map(Self::Finding);
        Self::NAMED.iter().cloned().chain(findings)
    }

    /// Gives the finding's name, where it is one.
    pub fn finding(&self) -> Option<&str> {
        match self {
            Self::Finding(finding) => Some(finding.name()),
            Self::Unknown(name) => name.strip_prefix(FINDING),
            _ => None,
        }
    }

    /// Says whether the event goes into the record of its credential.
    fn is_recorded(&self) -> bool {
        !matches!(self, Self::DigestExpiring | Self::SweepContinued | Self::Unknown(_))
    }
}

impl From<&str> for EventType {
    fn from(name: &str) -> Self {
        let finding = name.strip_prefix(FINDING).and_then(FindingKind::parse);
        let named = || Self::NAMED.iter().find(|kind| kind.name() == name).cloned();
        finding.map(Self::Finding).or_else(named).unwrap_or_else(|| Self::Unknown(name.to_owned()))
    }
}

impl From<String> for EventType {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl From<EventType> for String {
    fn from(kind: EventType) -> Self {
        kind.name().into_owned()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl JsonSchema for EventType {
    fn schema_name() -> Cow<'static, str> {
        "EventType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<String> = Self::all().filter(Self::is_recorded).map(String::from).collect();
        schemars::json_schema!({ "description": "What happened.", "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        let mut names = BTreeSet::new();
        for kind in EventType::all() {
            let name = kind.to_string();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || ".-".contains(c)), "{name}");
            assert_eq!(EventType::from(name.as_str()), kind);
            assert!(!kind.explanation().is_empty() && names.insert(name));
        }
        for (other, finding, topic) in [
            ("keywheel.finding.foreign_change", Some("foreign_change"), Some(Topic::Findings)),
            ("keywheel.finding.", Some(""), Some(Topic::Findings)),
            ("keywheel.approval.new", None, Some(Topic::Rotations)),
            ("keywheel.key", None, None),
            ("com.example", None, None),
        ] {
            let kind = EventType::from(other);
            assert_eq!(kind, EventType::Unknown(other.to_owned()));
            assert_eq!(
                (kind.name().as_ref(), kind.finding(), kind.topic()),
                (other, finding, topic)
            );
        }
    }
}
