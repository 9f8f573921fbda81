//! An event as the record takes it: what it needs to know of it, and the rest as it came.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::events::SOURCE;
use crate::ids::CredentialName;

/// The longest name that a chain may have.
const LONGEST_NAME: usize = 1024;
/// What all types of Keywheel's events begin with.
const TYPES: &str = "keywheel.";

/// One of Keywheel's `CloudEvents`, of a type that this version need not know: a record is never refused
/// because it is too new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    value: Value,
    handle: Handle,
}

/// What the record needs of an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Handle {
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: CredentialName,
    time: DateTime<Utc>,
}

/// Why something is no event of Keywheel's. Nothing of it is quoted: nobody knows what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// It lacks what every event has.
    #[error("no CloudEvent with id, source, type, subject and time")]
    Shape,
    /// Somebody else's.
    #[error("its source or type is not Keywheel's")]
    Foreign,
    /// A subject that can be no chain's name.
    #[error("its subject is empty or has more than {LONGEST_NAME} bytes")]
    Subject,
}

impl Event {
    /// Reads an event's JSON form.
    pub fn parse(value: Value) -> Result<Self, NotAnEvent> {
        let handle = Handle::deserialize(&value).map_err(|_| NotAnEvent::Shape)?;
        if handle.source != SOURCE || !handle.kind.starts_with(TYPES) {
            return Err(NotAnEvent::Foreign);
        }
        if !(1..=LONGEST_NAME).contains(&handle.subject.0.len()) {
            return Err(NotAnEvent::Subject);
        }
        Ok(Self { value, handle })
    }

    /// Its id: the same whenever it is told again.
    pub fn id(&self) -> Uuid {
        self.handle.id
    }

    /// Whose chain it goes into: its subject.
    pub fn credential(&self) -> &CredentialName {
        &self.handle.subject
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        &self.handle.kind
    }

    /// When it happened.
    pub fn time(&self) -> DateTime<Utc> {
        self.handle.time
    }

    /// All of it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// A text of its particulars (`data`), such as `requested_by`.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.value.get("data")?.get(name)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_keywheels_events_are_events() {
        let good = json!({ "id": "00000000-0000-0000-0000-000000000007", "source": "keywheel",
            "type": "keywheel.of.the.future", "subject": "entra/a", "time": "2026-11-21T09:00:00Z",
            "data": { "requested_by": "ada", "count": 1 }, "further": true });
        let event = Event::parse(good.clone()).unwrap();
        assert_eq!(
            (event.kind(), event.credential().0.as_str()),
            ("keywheel.of.the.future", "entra/a")
        );
        assert_eq!((event.detail("requested_by"), event.detail("count")), (Some("ada"), None));
        assert_eq!(event.value(), &good);
        for (field, bad, why) in [
            ("id", json!("x"), NotAnEvent::Shape),
            ("time", json!(null), NotAnEvent::Shape),
            ("source", json!("aws.s3"), NotAnEvent::Foreign),
            ("type", json!("Object Created"), NotAnEvent::Foreign),
            ("subject", json!(""), NotAnEvent::Subject),
            ("subject", json!("s".repeat(1025)), NotAnEvent::Subject),
        ] {
            let mut event = good.clone();
            event[field] = bad;
            assert_eq!(Event::parse(event), Err(why), "{field}");
        }
        assert_eq!(Event::parse(json!([])), Err(NotAnEvent::Shape));
    }
}
