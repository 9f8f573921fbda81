//! An event of the bus, as far as telling it is concerned.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::NotifyError;
use crate::audit::{Digest, DigestEvent, EventData, Expiring, SOURCE};
use crate::ids::CredentialName;
use crate::manifest::{Notification, Topic};

const FINDING: &str = "keywheel.finding.";

/// An event. Types that this version does not know are carried too: they are told to nobody, or as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The event's id: the same however often it is told.
    pub id: Uuid,
    /// Its type, such as `keywheel.rotation.promoted`.
    pub kind: String,
    /// When it was told first.
    pub time: DateTime<Utc>,
    /// What it is about.
    pub what: What,
    /// The `CloudEvent` as it was received.
    pub event: Value,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// One credential.
    Credential(Box<EventData>),
    /// All that expires.
    Expiring(Digest),
}

/// The part of an `EventBridge` event that matters.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    detail: Value,
}

#[derive(Deserialize)]
struct Head {
    id: Uuid,
    #[serde(rename = "type")]
    kind: String,
    time: DateTime<Utc>,
}

impl Notice {
    /// Reads the body of a message: an event as `EventBridge` hands it to a queue.
    ///
    /// What is wrong is told without a word of it: nobody knows what a strange message holds.
    pub fn parse(body: &str) -> Result<Self, NotifyError> {
        let envelope: Envelope = serde_json::from_str(body)
            .map_err(|_| NotifyError::Event("not as EventBridge hands events to a queue"))?;
        if envelope.source != SOURCE {
            return Err(NotifyError::Event("its source is another"));
        }
        let event = envelope.detail;
        // serde would read a list as an event too, by the order of its fields.
        let head = event.is_object().then(|| Head::deserialize(&event).ok()).flatten();
        let Some(Head { id, kind, time }) = head else {
            return Err(NotifyError::Event("its detail is no CloudEvent"));
        };
        let data = event.get("data").filter(|data| data.is_object());
        let what = match kind.as_str() {
            DigestEvent::TYPE => {
                data.and_then(|data| Digest::deserialize(data).ok()).map(What::Expiring)
            }
            _ => data
                .and_then(|data| EventData::deserialize(data).ok())
                .map(|data| What::Credential(Box::new(data))),
        };
        let what = what.ok_or(NotifyError::Event("its data is not of its type"))?;
        Ok(Self { id, kind, time, what, event })
    }

    /// Under which topic it is told; `None`: a step on the way, which only the record holds.
    pub fn topic(&self) -> Option<Topic> {
        match self.kind.as_str() {
            "keywheel.rotation.failed" => Some(Topic::Failures),
            "keywheel.rotation.requested"
            | "keywheel.rotation.promoted"
            | "keywheel.rotation.abandoned"
            | "keywheel.key.removed" => Some(Topic::Rotations),
            DigestEvent::TYPE => Some(Topic::Digest),
            kind if kind.starts_with(FINDING) => Some(Topic::Findings),
            kind if kind.starts_with("keywheel.approval.") => Some(Topic::Rotations),
            _ => None,
        }
    }

    /// The finding's name, where it is one.
    pub fn finding(&self) -> Option<&str> {
        self.kind.strip_prefix(FINDING)
    }

    /// The particulars, where it is about one credential.
    pub fn data(&self) -> Option<&EventData> {
        match &self.what {
            What::Credential(data) => Some(data),
            What::Expiring(_) => None,
        }
    }

    /// What a target is to be told of it: nothing, all, or the part of a digest that concerns it.
    pub fn for_target(&self, target: &Notification) -> Option<Self> {
        if !self.topic().is_some_and(|topic| target.on.contains(&topic)) {
            return None;
        }
        match &self.what {
            What::Credential(data) => target.concerns(&data.credential).then(|| self.clone()),
            What::Expiring(digest) if target.credentials.is_empty() => {
                (digest.total > 0).then(|| self.clone())
            }
            What::Expiring(digest) => self.narrowed(digest, |of| target.concerns(of)),
        }
    }

    fn narrowed(
        &self,
        digest: &Digest,
        concerns: impl Fn(&CredentialName) -> bool,
    ) -> Option<Self> {
        let concerned = |one: &&Expiring| one.credential.as_ref().is_some_and(&concerns);
        let expiring: Vec<Expiring> = digest.expiring.iter().filter(concerned).cloned().collect();
        if expiring.is_empty() {
            return None;
        }
        let digest = Digest { total: expiring.len(), expiring };
        let mut event = self.event.clone();
        event.as_object_mut()?.insert("data".to_owned(), serde_json::to_value(&digest).ok()?);
        Some(Self { what: What::Expiring(digest), event, ..self.clone() })
    }
}
