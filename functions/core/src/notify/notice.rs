//! An event of the bus, as far as notifications need it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::NotifyError;
use crate::events::{Digest, EventData, EventType, Expiring, SOURCE, SWEEP, event_id};
use crate::ids::CredentialName;
use crate::manifest::Notification;

/// An event that targets may be notified of, also of a type that this version of Keywheel does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The event's id, the same however often the event is sent.
    pub id: Uuid,
    /// The event's type, such as `keywheel.rotation.promoted`.
    pub kind: EventType,
    /// The time at which the event was sent first.
    pub time: DateTime<Utc>,
    /// The event's data.
    pub content: Content,
    /// The `CloudEvent` as it was received.
    pub event: Value,
}

/// The data of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The event is about one credential.
    Credential(Box<EventData>),
    /// The event is a digest, whole or narrowed to a target.
    Digest {
        /// The keys and certificates that expire.
        digest: Digest,
        /// The number that expires in the whole directory, if the digest was narrowed and the event did not list all.
        /// More may then concern the target than the digest lists.
        cut_from: Option<usize>,
    },
}

/// The fields of EventBridge's envelope that are read.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    detail: Value,
}

#[derive(Deserialize)]
struct Head {
    id: Uuid,
    #[serde(rename = "type")]
    kind: EventType,
    time: DateTime<Utc>,
}

impl Notice {
    /// Reads the body of a message: an event as EventBridge sends it to a queue.
    ///
    /// An error quotes nothing, because a strange message may hold anything.
    pub fn parse(body: &str) -> Result<Self, NotifyError> {
        let envelope: Envelope = serde_json::from_str(body)
            .map_err(|_| NotifyError::Event("EventBridge sends events in another shape"))?;
        if envelope.source != SOURCE {
            return Err(NotifyError::Event("the source is another"));
        }
        let event = envelope.detail;
        // serde reads a list as an event too, by the order of the fields.
        let head = event.is_object().then(|| Head::deserialize(&event).ok()).flatten();
        let Some(Head { id, kind, time }) = head else {
            return Err(NotifyError::Event("the detail is no CloudEvent"));
        };
        let data = event.get("data").filter(|data| data.is_object());
        let content = match kind {
            EventType::DigestExpiring => data
                .and_then(|data| Digest::deserialize(data).ok())
                .map(|digest| Content::Digest { digest, cut_from: None }),
            _ => data
                .and_then(|data| EventData::deserialize(data).ok())
                .map(|data| Content::Credential(Box::new(data))),
        };
        let content = content.ok_or(NotifyError::Event("the data does not fit the type"))?;
        Ok(Self { id, kind, time, content, event })
    }

    /// Gives the id under which people are notified once: the event's, or one for all failures of a credential's
    /// sweeps on one day.
    ///
    /// Sweeps try again each hour. A fault that lasts would hide all others.
    pub fn occasion(&self) -> Uuid {
        let Some(data) = self.data().filter(|_| self.kind == EventType::RotationFailed) else {
            return self.id;
        };
        if data.request.is_some() || data.requested_by.as_deref() != Some(SWEEP) {
            return self.id;
        }
        event_id(
            &format!("{} {}", data.credential, self.time.date_naive()),
            &self.kind.name(),
            None,
        )
    }

    /// Gives the data, if the event is about one credential.
    pub fn data(&self) -> Option<&EventData> {
        match &self.content {
            Content::Credential(data) => Some(data),
            Content::Digest { .. } => None,
        }
    }

    /// Gives the part of the event that a target is notified of, by all of the manifest's entries about the target:
    /// nothing, all, or a part of a digest.
    pub fn for_target(&self, entries: &[&Notification]) -> Option<Self> {
        let topic = self.kind.topic()?;
        let wanting: Vec<&Notification> =
            entries.iter().copied().filter(|entry| entry.on.contains(&topic)).collect();
        if wanting.is_empty() {
            return None;
        }
        let concerns = |of: &CredentialName| wanting.iter().any(|entry| entry.concerns(of));
        match &self.content {
            // A finding about no credential, such as a leak that was not compared, passes every filter of credentials.
            Content::Credential(data)
                if self.kind.finding().is_some() && data.application.0.is_nil() =>
            {
                Some(self.clone())
            }
            Content::Credential(data) => concerns(&data.credential).then(|| self.clone()),
            Content::Digest { digest, .. }
                if wanting.iter().any(|entry| entry.credentials.is_empty()) =>
            {
                (digest.total > 0).then(|| self.clone())
            }
            Content::Digest { digest, .. } => self.narrowed(digest, concerns),
        }
    }

    fn narrowed(
        &self,
        digest: &Digest,
        concerns: impl Fn(&CredentialName) -> bool,
    ) -> Option<Self> {
        let concerned = |one: &&Expiring| one.credential.as_ref().is_some_and(&concerns);
        let expiring: Vec<Expiring> = digest.expiring.iter().filter(concerned).cloned().collect();
        let cut_from = (digest.total > digest.expiring.len()).then_some(digest.total);
        if expiring.is_empty() && cut_from.is_none() {
            return None;
        }
        let mut digest = Digest { total: cut_from.unwrap_or(expiring.len()), expiring };
        let mut event = self.event.clone();
        // A total that is larger than the list says to a receiver that entries are left out.
        event.as_object_mut()?.insert("data".to_owned(), serde_json::to_value(&digest).ok()?);
        digest.total = digest.expiring.len();
        Some(Self { content: Content::Digest { digest, cut_from }, event, ..self.clone() })
    }
}

/// Events for the tests of this folder.
#[cfg(test)]
pub(super) mod samples {
    use serde_json::{Value, json};

    use super::{Notice, SOURCE, Uuid};

    pub(crate) const TIME: &str = "2026-11-21T09:00:00Z";

    pub(crate) fn notice(kind: &str, time: &str, data: &Value) -> Notice {
        let event = json!({ "id": Uuid::nil(), "type": kind, "time": time, "data": data });
        Notice::parse(&json!({ "source": SOURCE, "detail": event }).to_string()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::samples::TIME;
    use super::*;
    use crate::manifest::Manifest;

    fn notice(kind: &str, data: &Value) -> Notice {
        samples::notice(kind, TIME, data)
    }

    #[test]
    fn a_sweeps_failures_of_one_credential_are_one_occasion_a_day() {
        let failed = |id: u128, credential: &str, by: &str, time: &str| {
            let data =
                json!({ "credential": credential, "application": Uuid::nil(), "requested_by": by });
            let notice = samples::notice("keywheel.rotation.failed", time, &data);
            Notice { id: Uuid::from_u128(id), ..notice }.occasion()
        };
        let (morning, noon, next) =
            ("2026-11-21T09:00:00Z", "2026-11-21T12:00:00Z", "2026-11-22T09:00:00Z");
        let first = failed(1, "a", SWEEP, morning);
        assert_eq!(failed(2, "a", SWEEP, noon), first);
        assert_ne!(failed(2, "a", SWEEP, next), first);
        assert_ne!(failed(2, "b", SWEEP, noon), first);
        assert_eq!(
            failed(3, "a", "slack:T1/U1", noon),
            Uuid::from_u128(3),
            "somebody waits for it"
        );
    }

    #[test]
    fn what_concerns_no_credential_concerns_whoever_wants_its_topic() {
        let manifest = format!(
            "tenant: {0}\nnotifications:\n  - slack: mine\n    credentials: [\"prod-*\"]\n  - slack: other\n    on: [digest]\n",
            Uuid::nil()
        );
        let manifest = Manifest::parse(&manifest, "m.yaml").unwrap();
        let [findings, digests] = manifest.notifications() else { panic!("two entries") };
        let of = |application: Uuid| {
            let data = json!({ "credential": "github", "application": application });
            notice("keywheel.finding.leaked-secret-not-compared", &data)
        };
        let leak = of(Uuid::nil());
        assert_eq!(leak.for_target(&[findings]), Some(leak.clone()));
        assert_eq!(leak.for_target(&[digests]), None, "it wants no findings");
        assert_eq!(
            of(Uuid::from_u128(1)).for_target(&[findings]),
            None,
            "a credential of this name"
        );
    }

    #[test]
    fn a_target_that_is_listed_twice_sees_what_either_entry_asks_for() {
        let manifest = format!(
            "tenant: {0}\nnotifications:\n  - slack: mine\n    credentials: [\"prod-*\"]\n  - slack: mine\n    on: [digest]\n    credentials: [test-a]\n  - slack: mine\n    on: [rotations]\n  - slack: mine\n    on: [digest]\n",
            Uuid::nil()
        );
        let manifest = Manifest::parse(&manifest, "m.yaml").unwrap();
        let [prod, test, rotations, whole] = manifest.notifications() else {
            panic!("four entries")
        };
        let expiring = ["prod-a", "other", "test-a"].map(|name| {
            json!({ "credential": name, "application": Uuid::nil(), "expires_on": "2026-12-01T00:00:00Z", "managed": true })
        });
        let digest =
            notice("keywheel.digest.expiring", &json!({ "expiring": expiring, "total": 3 }));
        let part = digest.for_target(&[prod, test, rotations]).unwrap();
        let [prod_a, _, test_a] = expiring;
        assert_eq!(part.event["data"], json!({ "expiring": [prod_a, test_a], "total": 2 }));
        for entries in [&[prod, test, rotations, whole][..], &[whole]] {
            assert_eq!(digest.for_target(entries), Some(digest.clone()));
        }
        assert_eq!(digest.for_target(&[rotations]), None);
        let of_other = json!({ "credential": "other", "application": Uuid::nil() });
        let failed = notice("keywheel.rotation.failed", &of_other);
        assert_eq!(failed.for_target(&[prod, rotations]), None, "not of those that want failures");
        let promoted = notice("keywheel.rotation.promoted", &of_other);
        assert_eq!(promoted.for_target(&[prod, rotations]), Some(promoted.clone()));
    }
}
