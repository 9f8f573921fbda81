//! An event of the bus, as far as telling it is concerned.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::NotifyError;
use crate::events::{Digest, EventData, EventType, Expiring, SOURCE, SWEEP, Topic, event_id};
use crate::ids::CredentialName;
use crate::manifest::Notification;

/// An event. Types that this version does not know are carried too: they are told to nobody, or as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The event's id: the same however often it is told.
    pub id: Uuid,
    /// Its type, such as `keywheel.rotation.promoted`.
    pub kind: EventType,
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
    /// What expires: all of it, or what concerns a target.
    Expiring {
        /// What is known to expire.
        digest: Digest,
        /// How many expire in the whole directory, where the event does not carry them all and was narrowed to a
        /// target: more may concern it than are known.
        cut_from: Option<usize>,
    },
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
    kind: EventType,
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
        let what = match kind {
            EventType::DigestExpiring => data
                .and_then(|data| Digest::deserialize(data).ok())
                .map(|digest| What::Expiring { digest, cut_from: None }),
            _ => data
                .and_then(|data| EventData::deserialize(data).ok())
                .map(|data| What::Credential(Box::new(data))),
        };
        let what = what.ok_or(NotifyError::Event("its data is not of its type"))?;
        Ok(Self { id, kind, time, what, event })
    }

    /// Under which topic it is told; `None`: a step on the way, which only the record holds.
    pub fn topic(&self) -> Option<Topic> {
        self.kind.topic()
    }

    /// What people are told of once: the event, or of what sweeps try again each hour the day's failures of one
    /// credential. A fault that lasts would drown all others.
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

    /// The finding's name, where it is one.
    pub fn finding(&self) -> Option<&str> {
        self.kind.finding()
    }

    /// The particulars, where it is about one credential.
    pub fn data(&self) -> Option<&EventData> {
        match &self.what {
            What::Credential(data) => Some(data),
            What::Expiring { .. } => None,
        }
    }

    /// What a target is to be told of it, by all entries about that target: nothing, all, or the part of a digest
    /// that concerns it.
    pub fn for_target(&self, entries: &[&Notification]) -> Option<Self> {
        let topic = self.topic()?;
        let wanting: Vec<&Notification> =
            entries.iter().copied().filter(|entry| entry.on.contains(&topic)).collect();
        if wanting.is_empty() {
            return None;
        }
        let concerns = |of: &CredentialName| wanting.iter().any(|entry| entry.concerns(of));
        match &self.what {
            // Of no credential, as a leak that could not be compared with any: no filter can mean it.
            What::Credential(data) if self.finding().is_some() && data.application.0.is_nil() => {
                Some(self.clone())
            }
            What::Credential(data) => concerns(&data.credential).then(|| self.clone()),
            What::Expiring { digest, .. }
                if wanting.iter().any(|entry| entry.credentials.is_empty()) =>
            {
                (digest.total > 0).then(|| self.clone())
            }
            What::Expiring { digest, .. } => self.narrowed(digest, concerns),
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
        // To a receiver, a total beyond what is listed says that not all is.
        event.as_object_mut()?.insert("data".to_owned(), serde_json::to_value(&digest).ok()?);
        digest.total = digest.expiring.len();
        Some(Self { what: What::Expiring { digest, cut_from }, event, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Manifest;

    fn notice(kind: &str, data: &Value) -> Notice {
        let event = json!({ "id": Uuid::nil(), "type": kind, "time": "2026-11-21T09:00:00Z", "data": data });
        Notice::parse(&json!({ "source": SOURCE, "detail": event }).to_string()).unwrap()
    }

    #[test]
    fn a_sweeps_failures_of_one_credential_are_one_occasion_a_day() {
        let failed = |id: u128, credential: &str, by: &str, time: &str| {
            let data =
                json!({ "credential": credential, "application": Uuid::nil(), "requested_by": by });
            let event = json!({
                "id": Uuid::from_u128(id), "type": "keywheel.rotation.failed", "time": time, "data": data,
            });
            let body = json!({ "source": SOURCE, "detail": event }).to_string();
            Notice::parse(&body).unwrap().occasion()
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
