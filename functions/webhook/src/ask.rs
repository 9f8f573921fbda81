//! Requests on their way to the queue, and what their failures are answered with.

use chrono::{DateTime, Utc};
use keywheel_core::asking::AskingError;
use keywheel_core::events::{EventData, FindingKind};
use keywheel_core::ids::{AppId, CredentialName, RotationId};
use keywheel_core::manifest::Manifest;
use keywheel_core::request::delivery::{Delivery, Verdict};
use tracing::error;
use uuid::Uuid;

use crate::Webhook;
use crate::answer::Refused;

/// Whom findings are about that concern the webhook itself.
const SUBJECT: &str = "webhook";

/// Our own failure: into the log, and nothing of it into the answer.
#[allow(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(crate) fn ours<E: std::fmt::Display>(failure: E) -> Refused {
    error!(%failure, "a request could not be done");
    Refused::Unavailable
}

impl From<AskingError> for Refused {
    /// A secret's state that forbids a rotation is told to whoever asked; any other failure is our own.
    fn from(failure: AskingError) -> Self {
        match failure {
            AskingError::Stopped(stop) => {
                Self::Conflict { detail: stop.explanation().to_owned(), rotation: None }
            }
            failure => ours(failure),
        }
    }
}

impl Webhook {
    /// The manifest of this moment: who may do what can have changed a minute ago.
    pub(crate) async fn manifest(&self) -> Result<Manifest, Refused> {
        Ok(self.requests.manifest().await?)
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
        if self.requests.state().write_new(&key, delivery).await.map_err(ours)? {
            return Ok(Verdict::GoOn);
        }
        let first: Option<Delivery> = self.requests.state().read(&key).await.map_err(ours)?;
        let first = first.ok_or_else(|| ours("a delivery is gone that was there"))?;
        let done = self.requests.is_queued(mark).await?;
        Ok(first.verdict(delivery, done))
    }

    /// A finding about the webhook itself, and no credential. Under the same `once` it counts once.
    pub(crate) async fn settings_finding(
        &self,
        finding: FindingKind,
        once: &str,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let mut data = EventData::of(CredentialName(SUBJECT.to_owned()), AppId(Uuid::nil()));
        data.reason = Some(why.to_owned());
        Ok(self.requests.put_finding(finding, once, data, now).await?)
    }
}
