//! What is told of a change: who asked, which keys, which of Graph's requests. Never a secret.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::ids::{AppId, CredentialName, KeyId, RotationId, TenantId, Token, VersionId};

/// Who tells: the events' `source`, and their entries' on the bus.
pub const SOURCE: &str = "keywheel";
/// Who asks for what a sweep queues: `requested_by`.
pub const SWEEP: &str = "keywheel sweep";

/// The namespace of event ids. It must never change: an event told twice would count as two.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b65_7977_6865_5c6c_a0d1_7000_6576_6e74);

/// The id of what one step did to one key: the same whenever that is told again.
pub fn event_id(subject: &str, step: &str, key: Option<KeyId>) -> Uuid {
    let key = key.map(|key| key.to_string()).unwrap_or_default();
    Uuid::new_v5(&NAMESPACE, format!("{subject}\n{step}\n{key}").as_bytes())
}

/// A `CloudEvent` 1.0 (github.com/cloudevents/spec) in its JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudEvent {
    /// `1.0`.
    specversion: SpecVersion,
    /// See [`event_id`].
    pub id: Uuid,
    /// [`SOURCE`].
    source: Source,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The credential.
    pub subject: CredentialName,
    /// When it was told.
    #[serde(serialize_with = "to_seconds")]
    pub time: DateTime<Utc>,
    /// `application/json`.
    datacontenttype: ContentType,
    /// The particulars.
    pub data: EventData,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum SpecVersion {
    #[serde(rename = "1.0")]
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Source {
    #[serde(rename = "keywheel")]
    Keywheel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum ContentType {
    #[serde(rename = "application/json")]
    Json,
}

/// The signature is serde's.
fn to_seconds<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

impl CloudEvent {
    /// An event about a credential; its subject is the one that the data names.
    pub fn new(id: Uuid, kind: EventType, time: DateTime<Utc>, data: EventData) -> Self {
        Self {
            specversion: SpecVersion::One,
            id,
            source: Source::Keywheel,
            kind,
            subject: data.credential.clone(),
            time,
            datacontenttype: ContentType::Json,
            data,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// `keywheel.rotation.requested`: by somebody outside, and allowed.
    RotationRequested,
    /// `keywheel.approval.requested`: it waits for a second person.
    ApprovalRequested,
    /// `keywheel.approval.granted`.
    ApprovalGranted,
    /// `keywheel.approval.denied`: by one who could have approved, or by the asker. It never begins.
    ApprovalDenied,
    /// `keywheel.rotation.stored`.
    RotationStored,
    /// `keywheel.rotation.promoted`.
    RotationPromoted,
    /// `keywheel.rotation.abandoned`: its key was dead, or another rotation won.
    RotationAbandoned,
    /// `keywheel.rotation.failed`: for good; the job is in the dead-letter queue.
    RotationFailed,
    /// `keywheel.key.minted`.
    KeyMinted,
    /// `keywheel.key.removed`.
    KeyRemoved,
    /// `keywheel.finding.<what>`: seen, and only reported.
    Finding(String),
}

const FINDING: &str = "keywheel.finding.";

impl EventType {
    const NAMED: [(Self, &'static str); 10] = [
        (Self::RotationRequested, "keywheel.rotation.requested"),
        (Self::ApprovalRequested, "keywheel.approval.requested"),
        (Self::ApprovalGranted, "keywheel.approval.granted"),
        (Self::ApprovalDenied, "keywheel.approval.denied"),
        (Self::RotationStored, "keywheel.rotation.stored"),
        (Self::RotationPromoted, "keywheel.rotation.promoted"),
        (Self::RotationAbandoned, "keywheel.rotation.abandoned"),
        (Self::RotationFailed, "keywheel.rotation.failed"),
        (Self::KeyMinted, "keywheel.key.minted"),
        (Self::KeyRemoved, "keywheel.key.removed"),
    ];

    /// Reads a type's name; `None` where it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(what) = text.strip_prefix(FINDING) {
            return Some(Self::Finding(what.to_owned())).filter(|_| !what.is_empty());
        }
        Self::NAMED.into_iter().find_map(|(kind, name)| (name == text).then_some(kind))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Finding(what) = self {
            return write!(f, "{FINDING}{what}");
        }
        let named = Self::NAMED.iter().find(|(kind, _)| kind == self);
        f.write_str(named.map_or("keywheel", |(_, name)| name))
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let unknown = || serde::de::Error::custom(format!("{text:?} is no type of Keywheel's"));
        Self::parse(&text).ok_or_else(unknown)
    }
}

impl JsonSchema for EventType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Self::NAMED.map(|(_, name)| name);
        schemars::json_schema!({
            "description": "What happened.",
            "type": "string",
            "anyOf": [{ "enum": names }, { "pattern": "^keywheel\\.finding\\..+" }]
        })
    }
}

/// The particulars of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventData {
    /// The credential, by its name in the manifest.
    pub credential: CredentialName,
    /// The application.
    pub application: AppId,
    /// Its tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The rotation that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Token>,
    /// The version of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The key that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The request that it answers, whichever rotation does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RotationId>,
    /// Who, or what, asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Who agreed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Who denied it; whoever asked, where they withdrew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<String>,
    /// Who did it, where that was not Keywheel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The id of the entry in Entra's directory audit that tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_audit: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Graph's `request-id`, where its answer came; of a foreign change, the directory audit's `correlationId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_request_id: Option<String>,
    /// Keywheel's `client-request-id`, which Graph's logs hold as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<Uuid>,
}

impl EventData {
    /// Of this credential, and nothing more yet.
    pub fn of(credential: CredentialName, application: AppId) -> Self {
        Self {
            credential,
            application,
            tenant: None,
            rotation: None,
            version: None,
            key: None,
            request: None,
            requested_by: None,
            approved_by: None,
            denied_by: None,
            actor: None,
            directory_audit: None,
            reason: None,
            graph_request_id: None,
            client_request_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_form_that_cloudevents_asks_for() {
        let data = EventData::of(CredentialName("monk".to_owned()), AppId(Uuid::nil()));
        let time = "2026-11-21T09:00:00.5Z".parse().unwrap();
        let event = CloudEvent::new(Uuid::from_u128(7), EventType::KeyMinted, time, data);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "specversion": "1.0",
                "id": "00000000-0000-0000-0000-000000000007",
                "source": SOURCE,
                "type": "keywheel.key.minted",
                "subject": "monk",
                "time": "2026-11-21T09:00:00Z",
                "datacontenttype": "application/json",
                "data": {
                    "credential": "monk",
                    "application": "00000000-0000-0000-0000-000000000000",
                },
            })
        );
        assert_eq!(serde_json::from_value::<CloudEvent>(json).unwrap().kind, EventType::KeyMinted);
    }

    #[test]
    fn types_are_read_as_they_are_written() {
        let finding =
            (EventType::Finding("key-unknown".to_owned()), "keywheel.finding.key-unknown");
        for (kind, name) in EventType::NAMED.into_iter().chain([finding]) {
            assert_eq!(kind.to_string(), name);
            assert_eq!(EventType::parse(name), Some(kind));
        }
        for other in ["keywheel.finding.", "keywheel.key", "com.example"] {
            assert_eq!(EventType::parse(other), None);
        }
    }

    #[test]
    fn ids_follow_from_what_was_done() {
        let key = Some(KeyId(Uuid::from_u128(1)));
        assert_eq!(event_id("r", "minted", key), event_id("r", "minted", key));
        assert_ne!(event_id("r", "minted", key), event_id("r", "minted", None));
        assert_ne!(event_id("r", "minted", key), event_id("r", "stored", key));
        // Pinned: see NAMESPACE.
        assert_eq!(
            event_id("r", "minted", None).to_string(),
            "d77c9ced-48a4-59bf-8bb2-6ef3e8c5e678"
        );
    }

    #[test]
    fn the_published_schema_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/audit-event.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(CloudEvent)).unwrap();
        let schema = schema + "\n";
        if crate::settings::optional("KEYWHEEL_UPDATE_SCHEMAS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            published == schema,
            "run with KEYWHEEL_UPDATE_SCHEMAS=1 to publish the new schema"
        );
    }
}
