//! A rotation that was asked for, on its way to the queue: noted, recorded, queued, marked.
//!
//! In this order, so that a cut-off anywhere leaves a request that can be sent again. The note fixes its ids and what
//! it replaces. The record comes before the job. Only the mark makes a repetition a repetition.

pub mod approval;
pub mod leak;

use std::time::Duration;

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::audit::{AuditError, Bus};
use crate::events::{CloudEvent, EventData, EventType, FindingKind, event_id};
use crate::ids::{RotationId, VersionId};
use crate::manifest::{Credential, LoadError, Managed, Manifest, ManifestSource, SourceError};
use crate::queue::{Job, Queue, QueueError, Work};
use crate::request::delivery::Requested;
use crate::request::replaces;
use crate::rotation::Stop;
use crate::rotation::plan::Reason;
use crate::secrets::{Secrets, SecretsError};
use crate::settings::{Unset, required};
use crate::store::{Store, StoreError};

/// How long telling the bus of an event may take.
const PATIENCE: Duration = Duration::from_secs(25);

/// The mark of a request whose job is queued (`requests/{request}.queued`).
#[derive(Serialize, Deserialize)]
struct Queued {
    at: DateTime<Utc>,
}

/// A request was not carried on. Sending the same request again goes on where this ended.
#[derive(Debug, thiserror::Error)]
pub enum AskingError {
    /// The state bucket.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The job queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The event bus.
    #[error(transparent)]
    Event(#[from] AuditError),
    /// Secrets Manager.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// There are more secrets than a comparison lists.
    #[error("there are more secrets than can be listed; narrow the manifest's rules")]
    TooManySecrets,
    /// An object of the state bucket was put and cannot be found.
    #[error("{0} was put and is gone")]
    Gone(String),
    /// The secret's state forbids a rotation.
    #[error("{}", .0.explanation())]
    Stopped(Stop),
}

/// Takes requests to the queue. Clones share their clients.
#[derive(Clone, Debug)]
pub struct Requests {
    manifest: ManifestSource,
    aws: SdkConfig,
    secrets: Secrets,
    queue: Queue,
    bus: Bus,
    state: Store,
}

/// Where requests leave their traces.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Where the manifest is (`KEYWHEEL_MANIFEST`).
    pub manifest: ManifestSource,
    /// The URL of the job queue (`KEYWHEEL_QUEUE_URL`).
    pub queue_url: String,
    /// The name of the event bus (`KEYWHEEL_BUS`).
    pub bus: String,
    /// The name of the state bucket (`KEYWHEEL_STATE_BUCKET`).
    pub state_bucket: String,
}

/// A deployment is not described by the environment.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A variable that must be set.
    #[error(transparent)]
    Unset(#[from] Unset),
    /// Where the manifest is.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl Deployment {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, DeploymentError> {
        Ok(Self {
            manifest: ManifestSource::parse(&required("KEYWHEEL_MANIFEST")?)?,
            queue_url: required("KEYWHEEL_QUEUE_URL")?,
            bus: required("KEYWHEEL_BUS")?,
            state_bucket: required("KEYWHEEL_STATE_BUCKET")?,
        })
    }
}

fn note_key(request: RotationId) -> String {
    format!("requests/{request}.json")
}

fn mark_key(request: RotationId) -> String {
    format!("requests/{request}.queued")
}

impl Requests {
    /// Makes the clients of a deployment.
    pub fn new(aws: &SdkConfig, deployment: Deployment) -> Self {
        Self {
            manifest: deployment.manifest,
            secrets: Secrets::new(aws),
            queue: Queue::new(aws, deployment.queue_url, None),
            bus: Bus::new(aws, deployment.bus),
            state: Store::new(aws, deployment.state_bucket),
            aws: aws.clone(),
        }
    }

    /// Gives the client of the state bucket.
    pub fn state(&self) -> &Store {
        &self.state
    }

    /// Gives the client of Secrets Manager.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Loads the manifest of this moment: who may do what can have changed a minute ago.
    pub async fn manifest(&self) -> Result<Manifest, AskingError> {
        Ok(self.manifest.load(&self.aws).await?)
    }

    /// Reads a request that was noted before.
    pub async fn noted(&self, request: RotationId) -> Result<Option<Requested>, AskingError> {
        Ok(self.state.read(&note_key(request)).await?)
    }

    /// Says whether a request is marked as done.
    pub async fn is_queued(&self, request: RotationId) -> Result<bool, AskingError> {
        let mark: Option<Queued> = self.state.read(&mark_key(request)).await?;
        Ok(mark.is_some())
    }

    /// Marks a request as done.
    pub async fn mark(&self, request: RotationId, at: DateTime<Utc>) -> Result<(), AskingError> {
        self.state.write_new(&mark_key(request), &Queued { at }).await?;
        Ok(())
    }

    /// Looks up the version that a request replaces.
    pub async fn replaced(&self, managed: &Managed) -> Result<Option<VersionId>, AskingError> {
        let described = self.secrets.describe(managed.credential.secret.as_str()).await?;
        replaces(managed, &described.state).map_err(AskingError::Stopped)
    }

    /// Queues a rotation, unless that was done before. Gives the request that was noted first, which wins over
    /// `asked`.
    pub async fn begin(
        &self,
        credential: &Credential,
        asked: Requested,
        now: DateTime<Utc>,
    ) -> Result<Requested, AskingError> {
        let key = note_key(asked.request);
        let asked = if self.state.write_new(&key, &asked).await? {
            asked
        } else {
            self.noted(asked.request).await?.ok_or(AskingError::Gone(key))?
        };
        if self.is_queued(asked.request).await? {
            return Ok(asked);
        }
        self.tell(EventType::RotationRequested, &asked, now).await?;
        let work = Work::Rotate {
            rotation: asked.request.into(),
            replaces: asked.replaces.clone(),
            reason: Reason::Requested,
            revoke_old: asked.revoke_old,
        };
        let (name, by) = (credential.name.clone(), asked.requested_by.clone());
        let job = Job::new(name, credential.application, work, by, asked.requested_at);
        self.queue_job(job.answering(asked.request)).await?;
        self.mark(asked.request, now).await?;
        Ok(asked)
    }

    /// Sends a job to the queue.
    pub async fn queue_job(&self, job: Job) -> Result<(), AskingError> {
        Ok(self.queue.send_batch(&[job]).await?)
    }

    /// Tells the bus of a request. The event's id follows from the request's.
    pub async fn tell(
        &self,
        kind: EventType,
        asked: &Requested,
        now: DateTime<Utc>,
    ) -> Result<(), AskingError> {
        self.put_event(event_of(kind, asked, now)).await
    }

    /// Tells a finding. Under the same `once` it counts once.
    pub async fn put_finding(
        &self,
        finding: FindingKind,
        once: &str,
        data: EventData,
        at: DateTime<Utc>,
    ) -> Result<(), AskingError> {
        let kind = EventType::Finding(finding);
        let id = event_id(once, &kind.to_string(), data.key);
        self.put_event(CloudEvent::new(id, kind, at, data)).await
    }

    /// Puts an event on the bus.
    pub async fn put_event(&self, event: CloudEvent) -> Result<(), AskingError> {
        Ok(self.bus.put(&[event], Instant::now() + PATIENCE).await?)
    }
}

/// The event of a request. Its id follows from the request's.
fn event_of(kind: EventType, asked: &Requested, at: DateTime<Utc>) -> CloudEvent {
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
