//! The events of a try, and the request ids by which its calls can be found at Graph.

use uuid::Uuid;

use super::Executor;
use crate::events::{CloudEvent, EventData, EventType, FindingKind, event_id};
use crate::ids::{KeyId, Token, VersionId};
use crate::rotation::Event;

impl Executor<'_> {
    /// Makes the CloudEvent of an event of this try.
    pub(super) fn cloud_event(&self, event: &Event) -> CloudEvent {
        let (kind, version, key, client_request_id) = match event {
            Event::Minted { rotation, key } => {
                let request = mint_request(rotation);
                (EventType::KeyMinted, Some(rotation.clone().into()), *key, Some(request))
            }
            Event::Stored { rotation, key } => {
                (EventType::RotationStored, Some(rotation.clone().into()), *key, None)
            }
            Event::Promoted { version, key } => {
                (EventType::RotationPromoted, Some(version.clone()), *key, None)
            }
            Event::Abandoned { rotation, key } => {
                (EventType::RotationAbandoned, Some(rotation.clone().into()), *key, None)
            }
            Event::Removed { version, key } => {
                (EventType::KeyRemoved, version.clone(), *key, Some(removal_request(*key)))
            }
            Event::NotFound { version, key } => {
                let kind = EventType::Finding(FindingKind::KeyNotFound);
                (kind, version.clone(), *key, None)
            }
        };
        let subject =
            version.as_ref().map_or_else(|| self.terms.scope.to_string(), ToString::to_string);
        let id = event_id(&subject, &kind.to_string(), Some(key));
        let mut data = EventData::of(self.credential.name.clone(), self.credential.application);
        data.tenant = Some(self.engine.manifest.tenant());
        data.rotation = version.as_ref().and_then(VersionId::token);
        data.version = version;
        data.key = Some(key);
        data.requested_by = Some(self.by.to_owned());
        data.request = self.request;
        if matches!(event, Event::NotFound { .. }) {
            data.reason = Some(FindingKind::KeyNotFound.explanation().to_owned());
        }
        data.graph_request_id =
            client_request_id.and_then(|_| self.graph_requests.get(&key).cloned());
        data.client_request_id = client_request_id;
        CloudEvent::new(id, kind, self.engine.graph.now(), data)
    }
}

/// Gives the `client-request-id` of a rotation's `addPassword`. The id follows from the rotation, so that a key whose
/// answer was lost can still be found.
pub(super) fn mint_request(rotation: &Token) -> Uuid {
    event_id(&rotation.to_string(), "addPassword", None)
}

/// Gives the `client-request-id` of the removal of a key.
pub(super) fn removal_request(key: KeyId) -> Uuid {
    event_id(&key.to_string(), "removePassword", None)
}
