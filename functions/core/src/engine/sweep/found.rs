//! What a sweep reads and what it finds: the objects of Graph, the jobs and the events made of them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::audit::{CloudEvent, EventData, EventType, event_id};
use crate::graph::{Application, ServicePrincipal};
use crate::ids::{AppId, CredentialName, ObjectId, RotationId};
use crate::queue::{Job, RevokeOld, SCHEMA};
use crate::rotation::Key;
use crate::rotation::finding::{Certificate, Finding};
use crate::rotation::plan::Work;

/// Who asks for what a sweep queues.
pub(super) const SWEEP: &str = "keywheel sweep";

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
    pub(super) keys: Vec<Key>,
    pub(super) certificates: Vec<Certificate>,
}

impl Planned {
    /// The job that carries it out; a new rotation gets its id here, before anything is minted.
    pub fn job(&self, requested_by: &str, now: DateTime<Utc>) -> Job {
        use crate::queue::Work as Queued;
        let work = match self.work.clone() {
            Work::Rotate { rotation, replaces, reason } => Queued::Rotate {
                rotation: rotation.unwrap_or_else(|| RotationId(Uuid::new_v4())),
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
        Job {
            schema: SCHEMA,
            credential: self.credential.clone(),
            application: self.application,
            work,
            requested_by: requested_by.to_owned(),
            requested_at: Some(now),
            request: None,
            continuation: 0,
        }
    }
}

impl Seen {
    /// The finding as an event. Its id is the same all day, so that hourly sweeps do not repeat it.
    pub(in crate::engine) fn event(&self, now: DateTime<Utc>) -> CloudEvent {
        let kind = EventType::Finding(self.finding.name().to_owned());
        let subject =
            self.credential.clone().unwrap_or_else(|| CredentialName(self.application.to_string()));
        let once = match &self.finding {
            // It happened once, however often it is read of.
            Finding::ForeignChange(change) => change.audit.clone(),
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

fn certificates(listed: Option<Vec<crate::graph::Certificate>>) -> Vec<Certificate> {
    let known = |certificate: crate::graph::Certificate| {
        Some(Certificate { key_id: certificate.key_id?, end: certificate.end })
    };
    listed.unwrap_or_default().into_iter().filter_map(known).collect()
}

impl From<Application> for Object {
    fn from(application: Application) -> Self {
        Self {
            id: application.object_id,
            application: application.app_id,
            display_name: application.display_name,
            tags: application.tags,
            keys: application.keys,
            certificates: certificates(application.certificates),
        }
    }
}

impl From<ServicePrincipal> for Object {
    fn from(principal: ServicePrincipal) -> Self {
        Self {
            id: principal.object_id,
            application: principal.app_id,
            display_name: principal.display_name,
            tags: principal.tags,
            keys: principal.keys,
            certificates: certificates(principal.certificates),
        }
    }
}
