//! An event as a chain takes it: a few fields are read, and the rest is kept as it came.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::events::SOURCE;
use crate::ids::CredentialName;

/// The longest name that a chain may have.
const LONGEST_NAME: usize = 1024;
/// The beginning of all types of Keywheel's events.
const TYPES: &str = "keywheel.";

/// One of Keywheel's CloudEvents, also of a type that this version does not know, so that newer events are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    value: Value,
    handle: Handle,
}

/// The fields that a chain needs of an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Handle {
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: CredentialName,
    time: DateTime<Utc>,
}

/// Why a value is no event of Keywheel's. The error quotes nothing, because a strange value may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// A field that every event has is missing.
    #[error("no CloudEvent with id, source, type, subject and time")]
    Shape,
    /// The event is not Keywheel's.
    #[error("the source or the type is not Keywheel's")]
    Foreign,
    /// The subject cannot be the name of a chain.
    #[error("the subject is empty or has more than {LONGEST_NAME} bytes")]
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

    /// Gives the event's id, the same however often the event is sent.
    pub fn id(&self) -> Uuid {
        self.handle.id
    }

    /// Gives the credential in whose chain the event is recorded: the subject.
    pub fn credential(&self) -> &CredentialName {
        &self.handle.subject
    }

    /// Gives the event's type.
    pub fn kind(&self) -> &str {
        &self.handle.kind
    }

    /// Gives the time of the event.
    pub fn time(&self) -> DateTime<Utc> {
        self.handle.time
    }

    /// Gives the whole event.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Gives a text of the event's `data`, such as `requested_by`.
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
