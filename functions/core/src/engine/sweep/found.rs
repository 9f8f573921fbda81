//! The results of a sweep: work to be done and findings, and the jobs and events made of them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::events::{CloudEvent, EventData, EventType, SWEEP, event_id};
use crate::graph::{DirectoryObject, Unreadable};
use crate::ids::{AppId, CredentialName, RotationId};
use crate::manifest::Credential;
use crate::queue::{Job, RevokeOld};
use crate::rotation::finding::Finding;
use crate::rotation::plan::Work;

/// A piece of work that is due on a credential.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The credential.
    pub credential: CredentialName,
    /// Its application.
    pub application: AppId,
    /// The work.
    pub work: Work,
}

/// A finding and the application that the finding is about.
#[derive(Clone, Debug)]
pub struct SweepFinding {
    /// The credential, if the finding is about a credential.
    pub credential: Option<CredentialName>,
    /// The application.
    pub application: AppId,
    /// The application's display name, if known.
    pub display_name: Option<String>,
    /// The finding.
    pub finding: Finding,
}

impl Planned {
    /// Makes the job that does the work. A new rotation gets its id here, before anything is minted.
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

impl SweepFinding {
    /// Makes the finding about a credential, with the display name of this object.
    pub(in crate::engine) fn about(
        credential: &Credential,
        object: Option<&DirectoryObject>,
        finding: Finding,
    ) -> Self {
        Self {
            credential: Some(credential.name.clone()),
            application: credential.application,
            display_name: object.and_then(|object| object.display_name.clone()),
            finding,
        }
    }

    /// Makes the finding about Keywheel's own set-up.
    pub(super) fn of_setup(own: AppId, finding: Finding) -> Self {
        Self { credential: None, application: own, display_name: None, finding }
    }

    /// Makes the finding about an object of a listing that was left out.
    pub(super) fn unreadable(object: Unreadable) -> Self {
        Self {
            credential: None,
            application: object.app_id.unwrap_or(AppId(Uuid::nil())),
            display_name: None,
            finding: object.into(),
        }
    }

    /// Makes the event of the finding. Its id is the same all day, so that hourly sweeps do not repeat the event.
    pub(in crate::engine) fn event(&self, now: DateTime<Utc>) -> CloudEvent {
        let kind = EventType::Finding(self.finding.kind());
        let subject =
            self.credential.clone().unwrap_or_else(|| CredentialName(self.application.to_string()));
        let once = match &self.finding {
            // The change happened once, however often its entry is read.
            Finding::ForeignChange(change) => change.audit.clone(),
            // Several unreadable objects may have no client id.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A later finding would count as the first one, sent again.
    #[test]
    fn findings_about_no_application_have_ids_of_their_own() {
        let day: DateTime<Utc> = "2026-11-21T09:00:00Z".parse().expect("a time");
        let id = |finding| {
            let application = AppId(Uuid::nil());
            let seen = SweepFinding { credential: None, application, display_name: None, finding };
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
