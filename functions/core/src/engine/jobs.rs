//! A queued job, from the manifest's entry to what becomes of its message.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::executor::{Executor, Requester};
use super::sweep::Seen;
use super::{Engine, EngineError};
use crate::events::{CloudEvent, EventData, EventType, event_id};
use crate::http::Retry;
use crate::ids::{KeyId, RotationId, Token, VersionId};
use crate::manifest::Credential;
use crate::queue::{Job, RevokeOld, Work};
use crate::rotation::finding::Finding;
use crate::rotation::plan;
use crate::rotation::retire::Target;
use crate::rotation::room::{Room, make_room};
use crate::rotation::{
    Replaces, Resolve, Retire, Rotate, SecretState, Stop, Terms, Until, resolve, retire, rotate,
};

/// How often a job is handed on before it has failed for good; each hand-off is most of five minutes.
/// Lambda stops what looks like a loop through SQS after about sixteen.
const MAX_CONTINUATIONS: u32 = 12;
/// When a job is tried again that nobody gave a time for.
const TRY_AGAIN: Duration = Duration::from_secs(20);

/// What is recorded where a key that somebody wanted gone at once could not go.
const UNREVOKED: &str = "the key is still there, for a rotation is under way on its version, or was given up just now; \
                         it goes once the rules of its removal allow it: remove it in Entra by hand if that is too late";

/// The reason on the record where a key was removed to make room and Entra does not take the new key yet.
const MADE_ROOM: &str = "the object held as many keys as it may; one was to be removed first, and Entra takes no new one yet";

/// What is recorded where a rule's pattern fits, and nobody tagged the application for it.
const UNTAGGED: &str = "no rule's tag is on the application, and the manifest does not list the credential: \
                        tag the application, or list the credential";

/// What becomes of a job's message.
#[derive(Debug)]
pub enum Ended {
    /// It is done, or not needed any more.
    Done,
    /// What is left goes to a fresh message.
    HandOn(Job),
    /// The message becomes visible again.
    Again {
        /// After this long.
        after: Duration,
        /// Why it is not done.
        why: String,
    },
    /// It failed for good: a dead letter, for this reason.
    Failed(String),
}

/// How one piece of work came out, before anything is made of it.
enum Came {
    Out(&'static str),
    Stopped(Stop),
    /// Somebody wants the key gone at once, and it may not go yet.
    Unrevoked,
    /// The rotation was given up: what was asked for wants another one.
    Again,
    /// A key was removed to make room for another.
    Room,
}

impl Engine {
    /// Carries out a job, and says what becomes of its message. Failures are on the bus by then.
    pub async fn work(&self, job: &Job, deadline: Instant) -> Ended {
        let Some(managed) = self.manifest.by_name_of(&job.credential, job.application) else {
            return self
                .failed(job, "the manifest has no such credential any more".into(), deadline)
                .await;
        };
        let credential = &managed.credential;
        if credential.application != job.application {
            let why = format!("the manifest says application {} by now", credential.application);
            return self.failed(job, why, deadline).await;
        }
        // A key is minted only where somebody with the right to tag the application wants one; what was minted is
        // removed wherever it is.
        let entitled = match job.work {
            Work::Rotate { .. } => self.is_managed(&managed, deadline).await,
            Work::Retire { .. } | Work::Resolve { .. } => Ok(true),
        };
        let came = match entitled {
            Ok(true) => self.carry_out(job, credential, deadline).await,
            Ok(false) => {
                return self.give_up_after(job, UNTAGGED.into(), untagged(job), deadline).await;
            }
            Err(failure) => Err(failure),
        };
        match came {
            Ok(Came::Out(outcome)) => {
                info!(credential = %job.credential, outcome, "done");
                Ended::Done
            }
            Ok(Came::Again) => self.hand_on(&afresh(job), deadline).await,
            Ok(Came::Room) => {
                info!(credential = %job.credential, "a key was removed to make room; the rotation goes on soon");
                self.give_up_after(job, MADE_ROOM.into(), Some(TRY_AGAIN), deadline).await
            }
            Ok(Came::Unrevoked) => {
                warn!(credential = %job.credential, "not revoked yet");
                self.give_up_after(job, UNREVOKED.into(), Some(TRY_AGAIN), deadline).await
            }
            Ok(Came::Stopped(stop)) if stop.retry_helps() || not_known_yet(job, stop) => {
                warn!(credential = %job.credential, stop = stop.name(), "tried again later");
                self.give_up_after(job, stop.explanation().into(), Some(TRY_AGAIN), deadline).await
            }
            Ok(Came::Stopped(stop)) => {
                let why = self.explain(stop, job, deadline).await;
                self.failed(job, why, deadline).await
            }
            Err(EngineError::OutOfTime) => self.hand_on(job, deadline).await,
            Err(failure) => {
                warn!(credential = %job.credential, %failure, "a step failed");
                let after = match failure.retry() {
                    Retry::Never => None,
                    Retry::After(wait) => Some(wait.max(Duration::from_secs(1))),
                    Retry::Soon => Some(TRY_AGAIN),
                };
                self.give_up_after(job, failure.to_string(), after, deadline).await
            }
        }
    }

    /// Why a try stopped; of an application that is not there also whether its object's id was given.
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

    async fn give_up_after(
        &self,
        job: &Job,
        why: String,
        after: Option<Duration>,
        deadline: Instant,
    ) -> Ended {
        match after {
            // The queue counts receives, and makes a dead letter of a message received too often.
            Some(wait) => Ended::Again { after: wait.min(Duration::from_hours(1)), why },
            None => self.failed(job, why, deadline).await,
        }
    }

    async fn hand_on(&self, job: &Job, deadline: Instant) -> Ended {
        if job.continuation >= MAX_CONTINUATIONS {
            let why = format!("it did not come to an end in {MAX_CONTINUATIONS} functions");
            return self.failed(job, why, deadline).await;
        }
        Ended::HandOn(job.continued())
    }

    /// Records that a job failed for good: also one that was received as often as its queue allows.
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
            // The dead letter must not be without its record.
            Err(failure) => {
                warn!(credential = %job.credential, %failure, "the failure is not recorded yet");
                Ended::Again { after: TRY_AGAIN, why }
            }
        }
    }

    async fn carry_out(
        &self,
        job: &Job,
        credential: &Credential,
        deadline: Instant,
    ) -> Result<Came, EngineError> {
        let by = Requester { by: &job.requested_by, request: job.request };
        match &job.work {
            Work::Rotate { rotation, replaces, revoke_old, .. } => {
                let terms = self.terms(credential, None);
                let replaces_version = Replaces::Version(replaces.clone());
                let this =
                    Rotate::new(terms.clone(), rotation.clone(), replaces_version, Until::Promoted);
                let hands = Executor::new(self, credential, &terms, by, deadline);
                let outcome = hands.carry_out(this).await?;
                match outcome {
                    // Superseded: another rotation replaced the key that somebody wants gone.
                    rotate::Outcome::Promoted(_) | rotate::Outcome::Superseded
                        if *revoke_old == RevokeOld::Now =>
                    {
                        return self.revoke(job, credential, replaces.as_ref(), deadline).await;
                    }
                    rotate::Outcome::Abandoned(_) => return Ok(Came::Again),
                    rotate::Outcome::Stopped(Stop::NoRoomForKey) => {
                        let urgent = *revoke_old == RevokeOld::Now;
                        return self.make_room(job, credential, urgent, deadline).await;
                    }
                    _ => {}
                }
                Ok(rotated(&outcome))
            }
            Work::Retire { version, key, revoke_old } => {
                let target = Target { version: version.clone(), key: *key };
                let now = *revoke_old == RevokeOld::Now;
                self.retire(job, credential, target, now, deadline).await
            }
            Work::Resolve { rotation, key } => {
                self.resolve(job, credential, (rotation, *key), deadline).await
            }
        }
    }

    /// Whoever removes a key must know which one Keywheel itself is signed in with.
    async fn removal_terms(&self, credential: &Credential) -> Result<Terms, EngineError> {
        let own = self.identity.signed_in_as().await?;
        Ok(self.terms(credential, Some(own)))
    }

    async fn retire(
        &self,
        job: &Job,
        credential: &Credential,
        target: Target,
        now: bool,
        deadline: Instant,
    ) -> Result<Came, EngineError> {
        let terms = self.removal_terms(credential).await?;
        let key = target.key;
        let this = Retire::new(terms.clone(), target, now);
        let asked = Requester { by: &job.requested_by, request: job.request };
        let hands = Executor::new(self, credential, &terms, asked, deadline);
        Ok(match hands.carry_out(this).await? {
            retire::Outcome::Removed => Came::Out("removed"),
            retire::Outcome::ClockStarted | retire::Outcome::NotYet if now => Came::Unrevoked,
            retire::Outcome::ClockStarted => Came::Out("the clock of its overlap runs from now"),
            retire::Outcome::NotYet => Came::Out("not yet"),
            retire::Outcome::InUse(last) => {
                self.found(job, Finding::KeyInUse(key, last), deadline).await?;
                Came::Out("still in use")
            }
            retire::Outcome::UseUnknown(why) => {
                self.found(job, Finding::LastUseUnknown(key, why), deadline).await?;
                Came::Out("it cannot be told whether it is still in use")
            }
            // Its record is part of the try: it comes before the labels go.
            retire::Outcome::NotFound => Came::Out("not found"),
            retire::Outcome::Nothing => Came::Out("nothing left to do"),
            retire::Outcome::Stopped(stop) => Came::Stopped(stop),
        })
    }

    /// Another key does not fit: one that may go is removed first.
    async fn make_room(
        &self,
        job: &Job,
        credential: &Credential,
        urgent: bool,
        deadline: Instant,
    ) -> Result<Came, EngineError> {
        let terms = self.removal_terms(credential).await?;
        let inspection = self.inspect(credential, deadline).await?;
        let (SecretState::Present(view), Some(principal)) =
            (&inspection.secret, &inspection.principal)
        else {
            return Ok(Came::Stopped(Stop::NoRoomForKey));
        };
        let room = make_room(&terms, view, principal, urgent, inspection.now);
        let came = match room {
            Some(Room::Early(target)) => {
                self.retire(job, credential, target, true, deadline).await?
            }
            Some(Room::Due(plan::Work::Retire(target))) => {
                self.retire(job, credential, target, false, deadline).await?
            }
            Some(Room::Due(plan::Work::Resolve { rotation, key })) => {
                self.resolve(job, credential, (&rotation, key), deadline).await?
            }
            Some(Room::Due(plan::Work::Rotate { .. })) | None => Came::Stopped(Stop::NoRoomForKey),
        };
        Ok(match came {
            // Beside a dead key no other is removed.
            Came::Stopped(Stop::CurrentKeyAbsent) => Came::Stopped(Stop::NoRoomForKey),
            Came::Stopped(stop) => Came::Stopped(stop),
            Came::Out(_) | Came::Unrevoked | Came::Again | Came::Room => Came::Room,
        })
    }

    async fn resolve(
        &self,
        job: &Job,
        credential: &Credential,
        (rotation, key): (&Token, KeyId),
        deadline: Instant,
    ) -> Result<Came, EngineError> {
        let terms = self.removal_terms(credential).await?;
        let this = Resolve::new(terms.clone(), rotation.clone(), key);
        let by = Requester { by: &job.requested_by, request: job.request };
        let outcome = Executor::new(self, credential, &terms, by, deadline).carry_out(this).await?;
        Ok(match outcome {
            resolve::Outcome::Removed => Came::Out("removed"),
            resolve::Outcome::Gone => Came::Out("gone already, by another hand"),
            resolve::Outcome::Named => Came::Out("a version names it"),
            resolve::Outcome::NotYet => Came::Out("too young, or the last valid key"),
            resolve::Outcome::Stopped(stop) => Came::Stopped(stop),
        })
    }

    /// Reports what a job found and leaves to people.
    async fn found(
        &self,
        job: &Job,
        finding: Finding,
        deadline: Instant,
    ) -> Result<(), EngineError> {
        let (credential, application) = (Some(job.credential.clone()), job.application);
        let seen = Seen { credential, application, display_name: None, finding };
        let mut event = seen.event(self.graph.now());
        event.data.requested_by = Some(job.requested_by.clone());
        event.data.request = job.request;
        Ok(self.bus.put(&[event], deadline).await?)
    }

    /// `revoke_old: now`: the replaced version's key goes at once, because somebody asked for it.
    async fn revoke(
        &self,
        job: &Job,
        credential: &Credential,
        replaced: Option<&VersionId>,
        deadline: Instant,
    ) -> Result<Came, EngineError> {
        let Some(version) = replaced.cloned() else {
            return Ok(Came::Out("promoted; there was no old key"));
        };
        let described = self.secrets.describe(credential.secret.as_str()).await?;
        let SecretState::Present(view) = &described.state else {
            return Ok(Came::Out("the secret is gone"));
        };
        if let Some(key) = view.key_of(&version) {
            let target = Target { version: Some(version), key };
            return self.retire(job, credential, target, true, deadline).await;
        }
        // Only of one that was stored by hand was the key never known.
        if credential.settings.policy.adopt && view.versions.contains_key(&version) {
            self.found(job, Finding::ReplacedKeyUnknown, deadline).await?;
        }
        Ok(Came::Out("the replaced version's key is unknown, or gone already"))
    }
}

/// An application that somebody has just made, or seen for the first time, is unknown to some of Graph's replicas.
fn not_known_yet(job: &Job, stop: Stop) -> bool {
    let first = matches!(job.work, Work::Rotate { replaces: None, .. });
    first && matches!(stop, Stop::ApplicationGone | Stop::NoServicePrincipal)
}

/// When to look again for a rule's tag: one that was just put on is unknown to some of Graph's replicas as well.
fn untagged(job: &Job) -> Option<Duration> {
    matches!(job.work, Work::Rotate { replaces: None, .. }).then_some(TRY_AGAIN)
}

/// The same request, for a rotation of its own.
fn afresh(job: &Job) -> Job {
    let mut afresh = job.clone();
    if let Work::Rotate { rotation, .. } = &mut afresh.work {
        *rotation = RotationId(Uuid::new_v4()).into();
    }
    afresh
}

fn rotated(outcome: &rotate::Outcome) -> Came {
    match outcome {
        rotate::Outcome::Promoted(_) => Came::Out("promoted"),
        rotate::Outcome::Stored(_) => Came::Out("stored"),
        rotate::Outcome::Proved(_) => Came::Out("proved"),
        rotate::Outcome::Superseded => Came::Out("superseded"),
        rotate::Outcome::Abandoned(_) => Came::Out("abandoned"),
        rotate::Outcome::Stopped(stop) => Came::Stopped(*stop),
    }
}
