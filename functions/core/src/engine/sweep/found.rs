//! What a sweep reads and what it finds: the objects of Graph, the jobs and the events made of them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::events::{CloudEvent, EventData, EventType, SWEEP, event_id};
use crate::graph::{Application, ServicePrincipal, Unreadable};
use crate::ids::{AppId, CredentialName, KeyId, ObjectId, RotationId};
use crate::queue::{Job, RevokeOld};
use crate::rotation::Key;
use crate::rotation::finding::{Certificate, Finding};
use crate::rotation::observed::most_keys;
use crate::rotation::plan::Work;

/// A credential and what is to be done about it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The credential.
    pub credential: CredentialName,
    /// Its application.
    pub application: AppId,
    /// What to do.
    pub work: Work,
}

/// Something seen and only reported.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The credential, where one is concerned.
    pub credential: Option<CredentialName>,
    /// The application.
    pub application: AppId,
    /// Its display name, where it was read.
    pub display_name: Option<String>,
    /// What.
    pub finding: Finding,
}

/// An application or a service principal, as far as a sweep is concerned.
pub(super) struct Object {
    pub(super) id: ObjectId,
    pub(super) application: AppId,
    pub(super) display_name: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) most_keys: Option<usize>,
    /// Of an application: whether it forbids changes of its service principal's keys.
    pub(super) locks_principal: bool,
    pub(super) keys: Vec<Key>,
    pub(super) certificates: Vec<Certificate>,
}

impl Planned {
    /// The job that carries it out; a new rotation gets its id here, before anything is minted.
    pub fn job(&self, requested_by: &str, now: DateTime<Utc>) -> Job {
        use crate::queue::Work as Queued;
        let work = match self.work.clone() {
            Work::Rotate { rotation, replaces, reason } => Queued::Rotate {
                rotation: rotation.unwrap_or_else(|| RotationId(Uuid::new_v4()).into()),
                replaces,
                reason,
                revoke_old: RevokeOld::AfterOverlap,
            },
            Work::Retire(target) => Queued::Retire {
                version: target.version,
                key: target.key,
                revoke_old: RevokeOld::AfterOverlap,
            },
            Work::Resolve { rotation, key } => Queued::Resolve { rotation, key },
        };
        Job::new(self.credential.clone(), self.application, work, requested_by.to_owned(), now)
    }
}

impl Seen {
    /// An object of a listing that was left out.
    pub(super) fn unreadable(object: Unreadable) -> Self {
        Self {
            credential: None,
            application: object.app_id.unwrap_or(AppId(Uuid::nil())),
            display_name: None,
            finding: object.into(),
        }
    }

    /// The finding as an event. Its id is the same all day, so that hourly sweeps do not repeat it.
    pub(in crate::engine) fn event(&self, now: DateTime<Utc>) -> CloudEvent {
        let kind = EventType::Finding(self.finding.kind());
        let subject =
            self.credential.clone().unwrap_or_else(|| CredentialName(self.application.to_string()));
        let once = match &self.finding {
            // It happened once, however often it is read of.
            Finding::ForeignChange(change) => change.audit.clone(),
            // Several may have no client id.
            Finding::UnreadableObject { object, .. } => format!("{object} {}", now.date_naive()),
            Finding::RuleMatchesNobody(tag) => format!("{subject} {tag} {}", now.date_naive()),
            _ => format!("{subject} {} {}", self.application, now.date_naive()),
        };
        let id = event_id(&once, &kind.to_string(), self.finding.key());
        let mut data = EventData::of(subject, self.application);
        data.key = self.finding.key();
        data.requested_by = Some(SWEEP.to_owned());
        data.reason = Some(self.finding.explanation());
        if let Finding::ForeignChange(change) = &self.finding {
            data.actor = Some(change.actor.clone());
            data.directory_audit = Some(change.audit.clone());
            data.graph_request_id.clone_from(&change.correlation);
        }
        CloudEvent::new(id, kind, now, data)
    }
}

/// Of a signing certificate Graph lists the private key, the public key and the password that opens the file of both
/// (`servicePrincipal: addTokenSigningCertificate`): they are one certificate, and no client secret.
fn told_apart(
    keys: Vec<Key>,
    listed: Option<Vec<crate::graph::Certificate>>,
) -> (Vec<Key>, Vec<Certificate>) {
    let listed = listed.unwrap_or_default();
    let of_files: BTreeSet<KeyId> = listed.iter().filter_map(|it| it.key_id).collect();
    let keys = keys.into_iter().filter(|key| !of_files.contains(&key.key_id)).collect();
    let mut seen = BTreeSet::new();
    let mut certificates = Vec::new();
    for certificate in listed {
        let again = certificate.custom_key_identifier.is_some_and(|both| !seen.insert(both));
        if let (false, Some(key_id)) = (again, certificate.key_id) {
            certificates.push(Certificate { key_id, end: certificate.end });
        }
    }
    (keys, certificates)
}

impl From<Application> for Object {
    fn from(application: Application) -> Self {
        let (keys, certificates) = told_apart(application.keys, application.certificates);
        Self {
            id: application.object_id,
            application: application.app_id,
            display_name: application.display_name,
            tags: application.tags,
            most_keys: most_keys(application.sign_in_audience.as_deref()),
            locks_principal: application.locks_principal,
            keys,
            certificates,
        }
    }
}

impl From<ServicePrincipal> for Object {
    fn from(principal: ServicePrincipal) -> Self {
        let (keys, mut certificates) = told_apart(principal.keys, principal.certificates);
        // Azure renews them.
        if principal.service_principal_type.as_deref() == Some("ManagedIdentity") {
            certificates.clear();
        }
        Self {
            id: principal.object_id,
            application: principal.app_id,
            display_name: principal.display_name,
            tags: principal.tags,
            most_keys: None,
            locks_principal: false,
            keys,
            certificates,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn principal(kind: &str, more: &[Value]) -> Object {
        let id = |number: u128| Uuid::from_u128(number);
        let end = "2029-11-21T09:00:00Z";
        let entry = |number, usage: &str, both: &str| json!({ "keyId": id(number), "usage": usage, "customKeyIdentifier": both, "endDateTime": end });
        let mut certificates =
            vec![entry(1, "Sign", "QQ=="), entry(2, "Verify", "QQ=="), entry(3, "Verify", "Qg==")];
        certificates.extend_from_slice(more);
        let password = |number| json!({ "keyId": id(number), "endDateTime": end });
        let listed: ServicePrincipal = serde_json::from_value(json!({
            "id": id(8), "appId": id(9), "tags": [], "servicePrincipalType": kind,
            "keyCredentials": certificates, "passwordCredentials": [password(1), password(4)],
        }))
        .expect("as Graph lists it");
        listed.into()
    }

    fn ids(certificates: &[Certificate]) -> Vec<u128> {
        certificates.iter().map(|certificate| certificate.key_id.0.as_u128()).collect()
    }

    #[test]
    fn a_signing_certificate_is_one_and_no_client_secret() {
        let unnamed = json!({ "keyId": Uuid::from_u128(5), "customKeyIdentifier": null });
        let object = principal("Application", &[unnamed.clone(), unnamed]);
        assert_eq!(ids(&object.certificates), [1, 3, 5, 5]);
        assert_eq!(object.keys.iter().map(|key| key.key_id.0.as_u128()).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_managed_identitys_certificates_are_azures_own() {
        let object = principal("ManagedIdentity", &[]);
        assert!(object.certificates.is_empty());
        assert_eq!(object.keys.len(), 1, "a password on it is somebody's");
    }

    /// A later one would count as the first, told again.
    #[test]
    fn findings_about_no_application_have_ids_of_their_own() {
        let day: DateTime<Utc> = "2026-11-21T09:00:00Z".parse().expect("a time");
        let id = |finding| {
            let application = AppId(Uuid::nil());
            let seen = Seen { credential: None, application, display_name: None, finding };
            seen.event(day).id
        };
        let unreadable = |object: &str| Finding::UnreadableObject {
            object: object.to_owned(),
            why: "no tags".to_owned(),
        };
        assert_ne!(id(unreadable("applications 1")), id(unreadable("applications 2")));
        let in_vain = |tag: &str| Finding::RuleMatchesNobody(tag.to_owned());
        assert_ne!(id(in_vain("red")), id(in_vain("green")));
        assert_eq!(id(in_vain("red")), id(in_vain("red")));
    }
}
