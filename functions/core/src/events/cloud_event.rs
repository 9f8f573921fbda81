//! The events of the audit trail: who asked, which keys, which of Graph's requests. An event never holds a secret.

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::EventType;
use crate::ids::{AppId, CredentialName, KeyId, RotationId, TenantId, Token, VersionId};

/// The `source` of all events, in the event and on the bus.
pub const SOURCE: &str = "keywheel";
/// The `requested_by` of jobs that a sweep queues.
pub const SWEEP: &str = "keywheel sweep";

/// The namespace of event ids. A change would make an event that is sent twice count as two.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b65_7977_6865_5c6c_a0d1_7000_6576_6e74);

/// Makes the id of the event of one step with one key, the same whenever the event is sent again.
pub fn event_id(subject: &str, step: &str, key: Option<KeyId>) -> Uuid {
    let key = key.map(|key| key.to_string()).unwrap_or_default();
    Uuid::new_v5(&NAMESPACE, format!("{subject}\n{step}\n{key}").as_bytes())
}

/// A CloudEvent 1.0 (github.com/cloudevents/spec) in its JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudEvent {
    /// `1.0`.
    specversion: SpecVersion,
    /// The event's id, the same whenever the event is sent again.
    pub id: Uuid,
    /// `keywheel`.
    source: Source,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The credential.
    pub subject: CredentialName,
    /// The time at which Keywheel sent the event.
    #[serde(serialize_with = "to_seconds")]
    pub time: DateTime<Utc>,
    /// `application/json`.
    datacontenttype: ContentType,
    /// The details.
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

/// Writes a time in whole seconds.
fn to_seconds<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

impl CloudEvent {
    /// Makes an event about the credential that the data names.
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

/// The details of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventData {
    /// The credential, by its name in the manifest.
    pub credential: CredentialName,
    /// The application.
    pub application: AppId,
    /// The application's tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Token>,
    /// The version of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The request that the rotation answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RotationId>,
    /// The person or the system that asked for the rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The person who approved the rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The person who denied the rotation, or the person who asked for the rotation and withdrew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<String>,
    /// The person or system that made the change, if not Keywheel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The id of the entry in Entra's directory audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_audit: Option<String>,
    /// The reason, in a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Graph's `request-id`, if Graph answered. For a foreign change, the directory audit's `correlationId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_request_id: Option<String>,
    /// Keywheel's `client-request-id`, which Graph's logs hold too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<Uuid>,
}

impl EventData {
    /// Makes the details of a credential and its application. All other fields are empty.
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
}
