//! A rotation that was asked for, on its way to the queue: noted, recorded, queued, marked.
//!
//! In this order, so that a cut-off anywhere leaves a request that can be sent again: the note fixes its ids and
//! what it replaces, the record comes before the job, and only the mark makes a repetition a repetition.

use chrono::{DateTime, Utc};
use keywheel_core::audit::{CloudEvent, EventData, EventType, event_id};
use keywheel_core::ids::{AppId, CredentialName, RotationId};
use keywheel_core::manifest::{Credential, Manifest};
use keywheel_core::queue::Job;
use keywheel_core::request::delivery::{Delivery, Requested, Verdict};
use keywheel_core::request::replaces;
use keywheel_core::rotation::Stop;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::error;
use uuid::Uuid;

use crate::answer::Refused;
use crate::{PATIENCE, Webhook};

/// Whom findings are about that concern the webhook itself.
const SUBJECT: &str = "webhook";

/// The mark of a request whose job is queued (`requests/{request}.queued`).
#[derive(Serialize, Deserialize)]
struct Queued {
    at: DateTime<Utc>,
}

pub(crate) fn request_key(request: RotationId) -> String {
    format!("requests/{request}.json")
}

fn queued_key(request: RotationId) -> String {
    format!("requests/{request}.queued")
}

/// Our own failure: into the log, and nothing of it into the answer.
#[allow(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(crate) fn ours<E: std::fmt::Display>(failure: E) -> Refused {
    error!(%failure, "a request could not be done");
    Refused::Unavailable
}

/// What a secret's state forbids, in words for whoever asked.
pub(crate) fn stopped(stop: Stop) -> Refused {
    Refused::Conflict { detail: stop.explanation().to_owned(), rotation: None }
}

impl Webhook {
    /// The manifest of this moment: who may do what can have changed a minute ago.
    pub(crate) async fn manifest(&self) -> Result<Manifest, Refused> {
        self.manifest.load(&self.aws).await.map_err(ours)
    }

    /// What to do with a request that may have come before.
    pub(crate) async fn verdict(
        &self,
        source: &str,
        request: RotationId,
        delivery: &Delivery,
    ) -> Result<Verdict, Refused> {
        self.verdict_marked(source, request, request, delivery).await
    }

    /// The same, where the mark is under another id than the note.
    pub(crate) async fn verdict_marked(
        &self,
        source: &str,
        request: RotationId,
        mark: RotationId,
        delivery: &Delivery,
    ) -> Result<Verdict, Refused> {
        let key = format!("deliveries/{source}/{request}");
        if self.state.put_new(&key, delivery).await.map_err(ours)? {
            return Ok(Verdict::GoOn);
        }
        let first: Option<Delivery> = self.state.get(&key).await.map_err(ours)?;
        let first = first.ok_or_else(|| ours("a delivery is gone that was there"))?;
        let done = self.is_queued(mark).await?;
        Ok(first.verdict(delivery, done))
    }

    pub(crate) async fn is_queued(&self, request: RotationId) -> Result<bool, Refused> {
        let mark: Option<Queued> = self.state.get(&queued_key(request)).await.map_err(ours)?;
        Ok(mark.is_some())
    }

    /// Marks a request as done.
    pub(crate) async fn mark(&self, request: RotationId, at: DateTime<Utc>) -> Result<(), Refused> {
        self.state.put_new(&queued_key(request), &Queued { at }).await.map(drop).map_err(ours)
    }

    /// What the request replaces, by a fresh look.
    pub(crate) async fn look(
        &self,
        credential: &Credential,
        ruled: bool,
    ) -> Result<Option<keywheel_core::ids::VersionId>, Refused> {
        let described = self.secrets.describe(credential.secret.as_str()).await.map_err(ours)?;
        replaces(credential, ruled, &described.state).map_err(stopped)
    }

    /// Queues a rotation, unless that was done before. `asked` may be another than the one that was noted first,
    /// which wins: gives that one.
    pub(crate) async fn begin(
        &self,
        credential: &Credential,
        asked: Requested,
        now: DateTime<Utc>,
    ) -> Result<Requested, Refused> {
        let key = request_key(asked.request);
        let asked = if self.state.put_new(&key, &asked).await.map_err(ours)? {
            asked
        } else {
            let noted: Option<Requested> = self.state.get(&key).await.map_err(ours)?;
            noted.ok_or_else(|| ours("a request is gone that was there"))?
        };
        if self.is_queued(asked.request).await? {
            return Ok(asked);
        }
        self.tell(EventType::RotationRequested, &asked, now).await?;
        let job = Job::requested(
            credential,
            asked.request.into(),
            asked.replaces.clone(),
            asked.revoke_old,
            asked.requested_by.clone(),
            asked.requested_at,
        );
        self.queue.send_batch(&[job.answering(asked.request)]).await.map_err(ours)?;
        self.mark(asked.request, now).await?;
        Ok(asked)
    }

    /// Tells the bus of a request: its id follows from the request's.
    pub(crate) async fn tell(
        &self,
        kind: EventType,
        asked: &Requested,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        self.put_event(Self::event_of(kind, asked, now)).await
    }

    /// The event of a request.
    pub(crate) fn event_of(kind: EventType, asked: &Requested, at: DateTime<Utc>) -> CloudEvent {
        let id = event_id(&asked.request.to_string(), &kind.to_string(), None);
        let mut data = EventData::of(asked.credential.clone(), asked.application);
        data.rotation = Some(asked.request.into());
        data.request = Some(asked.request);
        data.version.clone_from(&asked.replaces);
        data.requested_by = Some(asked.requested_by.clone());
        data.approved_by.clone_from(&asked.approved_by);
        data.reason.clone_from(&asked.reason);
        CloudEvent::new(id, kind, at, data)
    }

    /// A finding about the webhook itself, and no credential. Under the same `once` it counts once.
    pub(crate) async fn settings_finding(
        &self,
        what: &str,
        once: &str,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let kind = EventType::Finding(what.to_owned());
        let id = event_id(once, &kind.to_string(), None);
        let mut data = EventData::of(CredentialName(SUBJECT.to_owned()), AppId(Uuid::nil()));
        data.reason = Some(why.to_owned());
        self.put_event(CloudEvent::new(id, kind, now, data)).await
    }

    pub(crate) async fn put_event(&self, event: CloudEvent) -> Result<(), Refused> {
        self.bus.put(&[event], Instant::now() + PATIENCE).await.map_err(ours)
    }
}
