//! Brings a rotation that somebody asked for to the queue: noted, recorded, queued, marked.
//!
//! The order lets a request that is cut off anywhere be sent again. The note fixes the ids, and the version that the
//! rotation replaces. The record comes before the job. Only a request with a mark counts as done.

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
use crate::manifest::{Credential, LoadError, Managed, Manifest, ManifestSource};
use crate::queue::{Job, Queue, QueueError, Work};
use crate::request::delivery::Requested;
use crate::request::replaces;
use crate::rotation::Stop;
use crate::rotation::plan::Reason;
use crate::secrets::{Secrets, SecretsError};
use crate::settings::{SettingError, required};
use crate::store::{Store, StoreError};

/// The longest time of sending an event to the bus.
const PATIENCE: Duration = Duration::from_secs(25);

/// The mark of a request whose job is queued (`requests/{request}.queued`).
#[derive(Serialize, Deserialize)]
struct Queued {
    at: DateTime<Utc>,
}

/// A request did not reach the queue. The same request, sent again, goes on where this one ended.
#[derive(Debug, thiserror::Error)]
pub enum AskingError {
    /// The state bucket failed.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The job queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The event bus failed.
    #[error(transparent)]
    Event(#[from] AuditError),
    /// Secrets Manager failed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// The region has more secrets than a comparison lists.
    #[error("the region has more secrets than Keywheel lists; narrow the manifest's rules")]
    TooManySecrets,
    /// An object of the state bucket was written and is gone.
    #[error("the object {0} was written and is gone")]
    Gone(String),
    /// The secret's state forbids a rotation.
    #[error("{}", .0.explanation())]
    Stopped(Stop),
}

/// Brings requests to the queue. Clones share their clients.
#[derive(Clone, Debug)]
pub struct Requests {
    manifest: ManifestSource,
    aws: SdkConfig,
    secrets: Secrets,
    queue: Queue,
    bus: Bus,
    state: Store,
}

/// The parts of a deployment that requests need.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The manifest's place (`KEYWHEEL_MANIFEST`).
    pub manifest: ManifestSource,
    /// The URL of the job queue (`KEYWHEEL_QUEUE_URL`).
    pub queue_url: String,
    /// The name of the event bus (`KEYWHEEL_BUS`).
    pub bus: String,
    /// The name of the state bucket (`KEYWHEEL_STATE_BUCKET`).
    pub state_bucket: String,
}

impl Deployment {
    /// Reads the deployment from the environment.
    pub fn from_env() -> Result<Self, SettingError> {
        Ok(Self {
            manifest: ManifestSource::parse(&required("KEYWHEEL_MANIFEST")?)?,
            queue_url: required("KEYWHEEL_QUEUE_URL")?,
            bus: required("KEYWHEEL_BUS")?,
            state_bucket: required("KEYWHEEL_STATE_BUCKET")?,
        })
    }
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

    /// Loads the manifest as it is now: permissions can have changed a minute ago.
    pub async fn manifest(&self) -> Result<Manifest, AskingError> {
        Ok(self.manifest.load(&self.aws).await?)
    }

    /// Reads a request that was noted before.
    pub async fn noted(&self, request: RotationId) -> Result<Option<Requested>, AskingError> {
        Ok(self.state.read(&Requested::key(request)).await?)
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

    /// Queues a rotation, unless it was queued before. Gives the request that was noted first, which may differ from
    /// `asked`.
    pub async fn begin(
        &self,
        credential: &Credential,
        asked: Requested,
        now: DateTime<Utc>,
    ) -> Result<Requested, AskingError> {
        let key = Requested::key(asked.request);
        let asked = if self.state.write_new(&key, &asked).await? {
            asked
        } else {
            self.noted(asked.request).await?.ok_or(AskingError::Gone(key))?
        };
        if self.is_queued(asked.request).await? {
            return Ok(asked);
        }
        self.put_request_event(EventType::RotationRequested, &asked, now).await?;
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

    /// Puts an event of a request on the bus.
    pub(super) async fn put_request_event(
        &self,
        kind: EventType,
        asked: &Requested,
        now: DateTime<Utc>,
    ) -> Result<(), AskingError> {
        self.put_event(event_of(kind, asked, now)).await
    }

    /// Puts a finding on the bus. Findings with the same `once` count once.
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

    /// Puts an event on the bus, within 25 seconds.
    pub async fn put_event(&self, event: CloudEvent) -> Result<(), AskingError> {
        Ok(self.bus.put(&[event], Instant::now() + PATIENCE).await?)
    }
}

/// Makes an event of a request. The event's id follows from the request's.
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
