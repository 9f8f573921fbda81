//! Carries out a queued job, and says what becomes of the job's message.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::executor::Attempt;
use super::sweep::SweepFinding;
use super::{Engine, EngineError};
use crate::events::{CloudEvent, EventData, EventType, event_id};
use crate::http::Retry;
use crate::ids::{KeyId, RotationId, Token, VersionId};
use crate::queue::{Job, RevokeOld, Work};
use crate::rotation::finding::Finding;
use crate::rotation::plan;
use crate::rotation::retire::Target;
use crate::rotation::room::{Room, make_room};
use crate::rotation::{
    Replaces, Resolve, Retire, Rotate, SecretState, Stop, Terms, Until, resolve, retire, rotate,
};

/// The most times that a job is handed on before the job fails for good. Each function has the job for most of five
/// minutes, and Lambda stops a message that seems to loop through SQS after about sixteen functions.
const MAX_CONTINUATIONS: u32 = 12;
/// The pause before the next try of a job, if no service asks for a pause.
const TRY_AGAIN: Duration = Duration::from_secs(20);

/// The reason on record if a key cannot be removed at once as somebody asked.
const UNREVOKED: &str = "the key is still there, for a rotation is under way on its version, or was given up just now; \
                         it goes once the rules of its removal allow it: remove it in Entra by hand if that is too late";

/// The reason on record if a key was removed to make room and Entra does not take the new key yet.
const MADE_ROOM: &str = "the object held as many keys as it may; one was to be removed first, and Entra takes no new one yet";

/// The reason on record if a rule's pattern fits but the application lacks the rule's tag.
const UNTAGGED: &str = "no rule's tag is on the application, and the manifest does not list the credential: \
                        tag the application, or list the credential";

/// The result of a job: what becomes of its message.
#[derive(Debug)]
pub enum Ended {
    /// The job is done, or not needed any more.
    Done,
    /// A fresh message carries the rest of the work.
    HandOn(Job),
    /// The message becomes visible again.
    Again {
        /// The pause.
        after: Duration,
        /// Why the job is not done.
        why: String,
    },
    /// The job failed for good, for this reason. The message becomes a dead letter.
    Failed(String),
}

/// The result of a piece of work.
enum WorkEnd {
    Out(&'static str),
    Stopped(Stop),
    /// Somebody asked for the removal of the key at once, and the key may not go yet.
    Unrevoked,
    /// The rotation was given up. The request needs another rotation.
    Again,
    /// A key was removed to make room for a new key.
    Room,
}

impl Engine {
    /// Carries out a job, and says what becomes of its message. A failure is recorded before this returns.
    pub async fn work(&self, job: &Job, deadline: Instant) -> Ended {
        match self.ended(job, deadline).await {
            Ended::Failed(why) => self.failed(job, why, deadline).await,
            ended => ended,
        }
    }

    async fn ended(&self, job: &Job, deadline: Instant) -> Ended {
        let Some(managed) = self.manifest.by_name_of(&job.credential, job.application) else {
            return Ended::Failed("the manifest has no such credential any more".into());
        };
        let credential = &managed.credential;
        if credential.application != job.application {
            let by_now = credential.application;
            return Ended::Failed(format!("the manifest says application {by_now} by now"));
        }
        // A key is minted only if somebody with the right to tag the application asks for a key. A key that was minted
        // is removed wherever the key is.
        let entitled = match job.work {
            Work::Rotate { .. } => self.is_managed(&managed, deadline).await,
            Work::Retire { .. } | Work::Resolve { .. } => Ok(true),
        };
        let (by, request) = (job.requested_by.as_str(), job.request);
        let attempt = Attempt { engine: self, credential, by, request, deadline };
        let came = match entitled {
            Ok(true) => attempt.work(&job.work).await,
            Ok(false) => return give_up_after(UNTAGGED, untagged(job)),
            Err(failure) => Err(failure),
        };
        match came {
            Ok(WorkEnd::Out(outcome)) => {
                info!(credential = %job.credential, outcome, "done");
                Ended::Done
            }
            Ok(WorkEnd::Again) => hand_on(&afresh(job)),
            Ok(WorkEnd::Room) => {
                info!(credential = %job.credential, "a key was removed to make room; the rotation goes on soon");
                give_up_after(MADE_ROOM, Some(TRY_AGAIN))
            }
            Ok(WorkEnd::Unrevoked) => {
                warn!(credential = %job.credential, "not revoked yet");
                give_up_after(UNREVOKED, Some(TRY_AGAIN))
            }
            Ok(WorkEnd::Stopped(stop)) => {
                let again = stop.retry_helps() || not_known_yet(job, stop);
                warn!(credential = %job.credential, stop = stop.name(), again, "stopped");
                let why = self.explain(stop, job, deadline).await;
                give_up_after(why, again.then_some(TRY_AGAIN))
            }
            Err(EngineError::OutOfTime) => hand_on(job),
            Err(failure) => {
                warn!(credential = %job.credential, %failure, "a step failed");
                let after = match failure.retry() {
                    Retry::Never => None,
                    Retry::After(wait) => Some(wait.max(Duration::from_secs(1))),
                    Retry::Soon => Some(TRY_AGAIN),
                };
                give_up_after(failure.to_string(), after)
            }
        }
    }

    /// Explains why a try stopped. For an unknown application, says also if its object id was given.
    async fn explain(&self, stop: Stop, job: &Job, deadline: Instant) -> String {
        let given = match stop {
            Stop::ApplicationGone => self.object_id_given(job.application, deadline).await,
            _ => Ok(None),
        };
        match given {
            Ok(Some(finding)) => finding.explanation(),
            Ok(None) => stop.explanation().to_owned(),
            Err(failure) => {
                warn!(credential = %job.credential, %failure, "it is not known whose id it is");
                stop.explanation().to_owned()
            }
        }
    }

    /// Records that a job failed for good, or was received as often as its queue allows.
    pub async fn failed(&self, job: &Job, why: String, deadline: Instant) -> Ended {
        error!(credential = %job.credential, why, "failed for good");
        let kind = EventType::RotationFailed;
        let id = event_id(&job.id(), &kind.to_string(), None);
        let mut data = EventData::of(job.credential.clone(), job.application);
        data.requested_by = Some(job.requested_by.clone());
        data.request = job.request;
        data.reason = Some(why.clone());
        let event = CloudEvent::new(id, kind, self.graph.now(), data);
        match self.bus.put(&[event], deadline).await {
            Ok(()) => Ended::Failed(why),
            // A dead letter must have its record.
            Err(failure) => {
                warn!(credential = %job.credential, %failure, "the failure is not recorded yet");
                Ended::Again { after: TRY_AGAIN, why }
            }
        }
    }
}

impl Attempt<'_> {
    async fn work(&self, work: &Work) -> Result<WorkEnd, EngineError> {
        match work {
            Work::Rotate { rotation, replaces, revoke_old, .. } => {
                let terms = self.engine.terms(self.credential, None);
                let replaces_version = Replaces::Version(replaces.clone());
                let this =
                    Rotate::new(terms.clone(), rotation.clone(), replaces_version, Until::Promoted);
                let outcome = self.carry_out(&terms, this).await?;
                let urgent = *revoke_old == RevokeOld::Now;
                match outcome {
                    // If superseded, another rotation replaced the key that somebody wants removed.
                    rotate::Outcome::Promoted(_) | rotate::Outcome::Superseded if urgent => {
                        self.revoke(replaces.as_ref()).await
                    }
                    rotate::Outcome::Abandoned(_) => Ok(WorkEnd::Again),
                    rotate::Outcome::Stopped(Stop::NoRoomForKey) => self.make_room(urgent).await,
                    outcome => Ok(rotated(&outcome)),
                }
            }
            Work::Retire { version, key, revoke_old } => {
                let target = Target { version: version.clone(), key: *key };
                self.retire(target, *revoke_old == RevokeOld::Now).await
            }
            Work::Resolve { rotation, key } => self.resolve(rotation, *key).await,
        }
    }

    /// Makes the terms of a removal, which must name the key that Keywheel itself is signed in with.
    async fn removal_terms(&self) -> Result<Terms, EngineError> {
        let own = self.engine.identity.signed_in_as().await?;
        Ok(self.engine.terms(self.credential, Some(own)))
    }

    async fn retire(&self, target: Target, now: bool) -> Result<WorkEnd, EngineError> {
        let terms = self.removal_terms().await?;
        let key = target.key;
        let this = Retire::new(terms.clone(), target, now);
        Ok(match self.carry_out(&terms, this).await? {
            retire::Outcome::Removed => WorkEnd::Out("removed"),
            retire::Outcome::ClockStarted | retire::Outcome::NotYet if now => WorkEnd::Unrevoked,
            retire::Outcome::ClockStarted => WorkEnd::Out("the clock of its overlap runs from now"),
            retire::Outcome::NotYet => WorkEnd::Out("not yet"),
            retire::Outcome::InUse(last) => {
                self.found(Finding::KeyInUse(key, last)).await?;
                WorkEnd::Out("still in use")
            }
            retire::Outcome::UseUnknown(why) => {
                self.found(Finding::LastUseUnknown(key, why)).await?;
                WorkEnd::Out("it cannot be told whether it is still in use")
            }
            // The try has recorded this before it took the labels off.
            retire::Outcome::NotFound => WorkEnd::Out("not found"),
            retire::Outcome::Nothing => WorkEnd::Out("nothing left to do"),
            retire::Outcome::Stopped(stop) => WorkEnd::Stopped(stop),
        })
    }

    /// Removes a key that may go, because the object has no room for another key.
    async fn make_room(&self, urgent: bool) -> Result<WorkEnd, EngineError> {
        let terms = self.removal_terms().await?;
        let inspection = self.engine.inspect(self.credential, self.deadline).await?;
        let (SecretState::Present(view), Some(principal)) =
            (&inspection.secret, &inspection.principal)
        else {
            return Ok(WorkEnd::Stopped(Stop::NoRoomForKey));
        };
        let came = match make_room(&terms, view, principal, urgent, inspection.now) {
            Some(Room::Early(target)) => self.retire(target, true).await?,
            Some(Room::Due(plan::Work::Retire(target))) => self.retire(target, false).await?,
            Some(Room::Due(plan::Work::Resolve { rotation, key })) => {
                self.resolve(&rotation, key).await?
            }
            Some(Room::Due(plan::Work::Rotate { .. })) | None => {
                WorkEnd::Stopped(Stop::NoRoomForKey)
            }
        };
        Ok(match came {
            // If the current key is dead, no other key is removed.
            WorkEnd::Stopped(Stop::CurrentKeyAbsent) => WorkEnd::Stopped(Stop::NoRoomForKey),
            WorkEnd::Stopped(stop) => WorkEnd::Stopped(stop),
            WorkEnd::Out(_) | WorkEnd::Unrevoked | WorkEnd::Again | WorkEnd::Room => WorkEnd::Room,
        })
    }

    async fn resolve(&self, rotation: &Token, key: KeyId) -> Result<WorkEnd, EngineError> {
        let terms = self.removal_terms().await?;
        let this = Resolve::new(terms.clone(), rotation.clone(), key);
        Ok(match self.carry_out(&terms, this).await? {
            resolve::Outcome::Removed => WorkEnd::Out("removed"),
            resolve::Outcome::Gone => WorkEnd::Out("gone already, by another hand"),
            resolve::Outcome::Named => WorkEnd::Out("a version names it"),
            resolve::Outcome::NotYet => WorkEnd::Out("too young, or the last valid key"),
            resolve::Outcome::Stopped(stop) => WorkEnd::Stopped(stop),
        })
    }

    /// Reports a finding of the try.
    async fn found(&self, finding: Finding) -> Result<(), EngineError> {
        let found = SweepFinding::about(self.credential, None, finding);
        let mut event = found.event(self.engine.graph.now());
        event.data.requested_by = Some(self.by.to_owned());
        event.data.request = self.request;
        Ok(self.engine.bus.put(&[event], self.deadline).await?)
    }

    /// Removes the replaced version's key at once, because somebody asked for it (`revoke_old: now`).
    async fn revoke(&self, replaced: Option<&VersionId>) -> Result<WorkEnd, EngineError> {
        let Some(version) = replaced.cloned() else {
            return Ok(WorkEnd::Out("promoted; there was no old key"));
        };
        let described = self.engine.secrets.describe(self.credential.secret.as_str()).await?;
        let SecretState::Present(view) = &described.state else {
            return Ok(WorkEnd::Out("the secret is gone"));
        };
        if let Some(key) = view.key_of(&version) {
            return self.retire(Target { version: Some(version), key }, true).await;
        }
        // Only a version that somebody stored by hand never had a known key.
        if self.credential.settings.policy.adopt && view.versions.contains_key(&version) {
            self.found(Finding::ReplacedKeyUnknown).await?;
        }
        Ok(WorkEnd::Out("the replaced version's key is unknown, or gone already"))
    }
}

fn give_up_after(why: impl Into<String>, after: Option<Duration>) -> Ended {
    let why = why.into();
    match after {
        // The queue counts how often the message is received, and makes it a dead letter in the end.
        Some(wait) => Ended::Again { after: wait.min(Duration::from_hours(1)), why },
        None => Ended::Failed(why),
    }
}

fn hand_on(job: &Job) -> Ended {
    if job.continuation >= MAX_CONTINUATIONS {
        let why = format!("it did not come to an end in {MAX_CONTINUATIONS} functions");
        return Ended::Failed(why);
    }
    Ended::HandOn(job.continued())
}

/// Says whether some of Graph's replicas may not know the application yet, because somebody made it just now.
fn not_known_yet(job: &Job, stop: Stop) -> bool {
    let first = matches!(job.work, Work::Rotate { replaces: None, .. });
    first && matches!(stop, Stop::ApplicationGone | Stop::NoServicePrincipal)
}

/// Gives the pause before the next look for a rule's tag. Some of Graph's replicas may not know a new tag yet.
fn untagged(job: &Job) -> Option<Duration> {
    matches!(job.work, Work::Rotate { replaces: None, .. }).then_some(TRY_AGAIN)
}

/// Makes the job of the same request with a new rotation.
fn afresh(job: &Job) -> Job {
    let mut afresh = job.clone();
    if let Work::Rotate { rotation, .. } = &mut afresh.work {
        *rotation = RotationId(Uuid::new_v4()).into();
    }
    afresh
}

fn rotated(outcome: &rotate::Outcome) -> WorkEnd {
    match outcome {
        rotate::Outcome::Promoted(_) => WorkEnd::Out("promoted"),
        rotate::Outcome::Stored(_) => WorkEnd::Out("stored"),
        rotate::Outcome::Proved(_) => WorkEnd::Out("proved"),
        rotate::Outcome::Superseded => WorkEnd::Out("superseded"),
        rotate::Outcome::Abandoned(_) => WorkEnd::Out("abandoned"),
        rotate::Outcome::Stopped(stop) => WorkEnd::Stopped(*stop),
    }
}
