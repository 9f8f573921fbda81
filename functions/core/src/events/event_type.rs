//! The catalogue of event types: the name, the topic and the meaning of each.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FindingKind;

/// A topic that targets choose events by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Topic {
    /// A job failed for good.
    Failures,
    /// A sweep found something.
    Findings,
    /// A rotation was asked for, approved or denied, came to its end, or an old key was removed.
    Rotations,
    /// Once a day: the keys and certificates that expire within 60 days.
    Digest,
}

/// The beginning of the name of a finding's event.
const FINDING: &str = "keywheel.finding.";
/// The beginning of the name of an approval's event.
const APPROVAL: &str = "keywheel.approval.";

macro_rules! event_types {
    ($($kind:ident, $name:literal, $topic:expr, $explanation:literal;)+) => {
        /// The type of an event.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", from = "String")]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`: ", $explanation, ".")] $kind,)+
            /// `keywheel.finding.<name>`: Keywheel saw something and only reports it.
            Finding(FindingKind),
            /// A type of an older or newer version of Keywheel, by its name. Keywheel reads such a type and never
            /// makes one.
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

            /// Gives the topic that targets choose the event by; `None`: the event is only recorded.
            pub fn topic(&self) -> Option<Topic> {
                match self {
                    $(Self::$kind => $topic,)+
                    Self::Finding(_) => Some(Topic::Findings),
                    Self::Unknown(name) if name.starts_with(FINDING) => Some(Topic::Findings),
                    Self::Unknown(name) if name.starts_with(APPROVAL) => Some(Topic::Rotations),
                    Self::Unknown(_) => None,
                }
            }

            /// Says what the event means.
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
        "somebody who may rotate the credential asked for a rotation";
    ApprovalRequested, "keywheel.approval.requested", Some(Topic::Rotations),
        "a rotation waits for a second person";
    ApprovalGranted, "keywheel.approval.granted", Some(Topic::Rotations),
        "a second person approved a rotation";
    ApprovalDenied, "keywheel.approval.denied", Some(Topic::Rotations),
        "a second person denied a rotation, or the asker withdrew it; the rotation never begins";
    RotationStored, "keywheel.rotation.stored", None,
        "the new secret is stored";
    RotationPromoted, "keywheel.rotation.promoted", Some(Topic::Rotations),
        "sign-ins proved the new secret, which is now current";
    RotationAbandoned, "keywheel.rotation.abandoned", Some(Topic::Rotations),
        "a rotation was given up: its key was dead, or another rotation won";
    RotationFailed, "keywheel.rotation.failed", Some(Topic::Failures),
        "a job failed for good and is in the dead-letter queue";
    KeyMinted, "keywheel.key.minted", None,
        "a new key was minted";
    KeyRemoved, "keywheel.key.removed", Some(Topic::Rotations),
        "a key was removed";
    DigestExpiring, "keywheel.digest.expiring", Some(Topic::Digest),
        "the daily list of keys and certificates that expire; the event is not recorded";
    SweepContinued, "keywheel.sweep.continued", None,
        "a sweep ran out of time and continues; the event is not recorded";
}

impl EventType {
    /// Lists all types, those of findings last.
    pub fn all() -> impl Iterator<Item = Self> {
        let findings = FindingKind::ALL.iter().copied().map(Self::Finding);
        Self::NAMED.iter().cloned().chain(findings)
    }

    /// Gives the finding's name, if the event is a finding.
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
        schemars::json_schema!({ "description": "The type of an event.", "type": "string", "enum": names })
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
