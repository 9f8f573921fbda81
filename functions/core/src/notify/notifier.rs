//! Tells one event to all whom it concerns.

use std::io;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::progress::STEPS;
use super::secret::HeldSecret;
use super::send::{Sender, publish};
use super::{Notice, NotifyError, NotifySecret, Progress, Request, slack, sns};
use crate::http::{self, Http, Retry};
use crate::ids::RotationId;
use crate::manifest::{Manifest, ManifestSource, Target};
use crate::metrics::{self, Document, Metric, Metrics};
use crate::queue::Queue;
use crate::rotation::CLOCK_SLACK;
use crate::secret::SecretText;
use crate::state::State;

/// What a process builds once, at its start.
#[derive(Debug)]
pub struct Notifier {
    aws: aws_config::SdkConfig,
    source: ManifestSource,
    secret: Option<HeldSecret>,
    state: State,
    topics: aws_sdk_sns::Client,
    sender: Sender,
    metrics: Metrics,
}

/// What became of an event.
#[derive(Debug)]
pub enum Outcome {
    /// Everybody whom it concerns knows.
    Told,
    /// Somebody does not know yet, but may be told later.
    Again(Retry, Arc<NotifyError>),
    /// Somebody does not know, and trying again would not help.
    Failed(Arc<NotifyError>),
}

impl From<Result<(), NotifyError>> for Outcome {
    fn from(result: Result<(), NotifyError>) -> Self {
        match result {
            Ok(()) => Self::Told,
            Err(error) => Self::of(Arc::new(error)),
        }
    }
}

impl Outcome {
    fn of(error: Arc<NotifyError>) -> Self {
        match error.retry() {
            Retry::Never => Self::Failed(error),
            retry => Self::Again(retry, error),
        }
    }

    /// What outweighs the other: what can still be told comes before what cannot, and who said when before who
    /// did not. One message stands for all targets: it waits for the last of those that said when.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Told, other) | (Self::Failed(_), other @ Self::Again(..)) => other,
            (Self::Again(one, _), Self::Again(retry @ Retry::After(_), why))
                if one == Retry::Soon || one < retry =>
            {
                Self::Again(retry, why)
            }
            (one, _) => one,
        }
    }
}

impl Notifier {
    /// Reads the environment: `KEYWHEEL_MANIFEST`, `KEYWHEEL_BUS` (its name is the deployment's),
    /// `KEYWHEEL_STATE_BUCKET`, `KEYWHEEL_NOTIFY_SECRET` and, for tests, `KEYWHEEL_ALLOW_LOOPBACK_HTTP`.
    pub async fn connect() -> Result<Self, NotifyError> {
        let required = |name, cure| http::env(name).ok_or(NotifyError::Unset { name, cure });
        let source = required("KEYWHEEL_MANIFEST", "give s3://bucket/key, ssm:/name or a path")?;
        let source = ManifestSource::parse(&source)?;
        let bus = required("KEYWHEEL_BUS", "give the name of the event bus")?;
        let bucket = required("KEYWHEEL_STATE_BUCKET", "give the name of the state bucket")?;
        let http = Http::from_env()?;
        let aws = http::aws::config(&http).await;
        let secret = http::env("KEYWHEEL_NOTIFY_SECRET").map(|name| HeldSecret::new(&aws, name));
        let loopback = http::env("KEYWHEEL_ALLOW_LOOPBACK_HTTP").as_deref() == Some("1");
        Ok(Self {
            source,
            secret,
            state: State::new(&aws, bucket),
            topics: aws_sdk_sns::Client::new(&aws),
            sender: Sender { http, loopback },
            metrics: Metrics::of(&bus),
            aws,
        })
    }

    /// The queue that events come from, and its dead letters.
    pub fn queue(&self) -> Result<Queue, NotifyError> {
        let (name, cure) = ("KEYWHEEL_NOTIFY_QUEUE_URL", "give the URL of the queue of events");
        let url = http::env(name).ok_or(NotifyError::Unset { name, cure })?;
        Ok(Queue::new(&self.aws, url, http::env("KEYWHEEL_DEAD_LETTER_URL")))
    }

    /// The manifest of this moment.
    pub async fn manifest(&self) -> Result<Manifest, NotifyError> {
        Ok(self.source.load(&self.aws).await?)
    }

    /// Measures an event, notes a request's progress, and tells all targets; each of these again only where it
    /// has not succeeded before.
    ///
    /// A manifest that cannot be read holds up neither metrics nor progress.
    pub async fn tell(
        &self,
        manifest: Result<&Manifest, Arc<NotifyError>>,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Outcome {
        let measured = Outcome::from(self.measure(notice).await);
        let known = manifest.as_ref().ok().copied();
        let progressed = Outcome::from(Box::pin(self.progress(known, notice, now)).await);
        let told = match manifest {
            Ok(manifest) => self.tell_targets(manifest, notice, now).await,
            Err(error) => Outcome::of(error),
        };
        measured.and(progressed).and(told)
    }

    async fn tell_targets(
        &self,
        manifest: &Manifest,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Outcome {
        let goes = old_key_goes(manifest, notice);
        let concerned = manifest
            .notifications()
            .iter()
            .filter_map(|target| Some((&target.target, notice.for_target(target)?)));
        let each = concerned.map(async |(target, notice)| {
            let marker = marker(&notice, &key_of(target));
            let told = Box::pin(self.once(&marker, self.tell_target(target, &notice, goes, now))).await;
            if let Err(failure) = &told {
                warn!(event = %notice.id, kind = notice.kind, target = shown(target), %failure, "not told yet");
            }
            Outcome::from(told)
        });
        join_all(each).await.into_iter().fold(Outcome::Told, Outcome::and)
    }

    /// Does something unless it is marked as done, and marks it.
    async fn once(
        &self,
        marker: &str,
        doing: impl Future<Output = Result<(), NotifyError>>,
    ) -> Result<(), NotifyError> {
        if self.state.has(marker).await? {
            return Ok(());
        }
        doing.await?;
        Ok(self.state.put(marker, &()).await?)
    }

    async fn tell_target(
        &self,
        target: &Target,
        notice: &Notice,
        goes: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let to = shown(target);
        match target {
            Target::Slack(name) => {
                let secret = self.secret_with(|secret| secret.slack(name).is_some()).await?;
                let url = secret.slack(name).ok_or_else(|| lacks("slack", name))?;
                let message = slack::render(notice, goes).to_json();
                self.sender.slack(&to, url, &message, now).await?;
            }
            Target::Sns(topic) => {
                publish(&self.topics, topic, &sns::render(notice, goes), &notice.kind).await?;
            }
            Target::Webhook { url, key } => {
                let secret = self.secret_with(|secret| secret.webhook(key).is_some()).await?;
                let keys = secret.webhook(key).ok_or_else(|| lacks("webhooks", key))?;
                let id = notice.id.to_string();
                self.sender.webhook(&to, url, keys, (&id, &notice.event), now).await?;
            }
        }
        info!(event = %notice.id, kind = notice.kind, target = to, "told");
        Ok(())
    }

    async fn secret_with(
        &self,
        has: impl Fn(&NotifySecret) -> bool,
    ) -> Result<Arc<NotifySecret>, NotifyError> {
        let (name, cure) =
            ("KEYWHEEL_NOTIFY_SECRET", "name the secret with Slack's URLs and the webhooks' keys");
        self.secret.as_ref().ok_or(NotifyError::Unset { name, cure })?.with(has).await
    }

    /// Notes a step of what somebody asked for, and shows it where they asked.
    async fn progress(
        &self,
        manifest: Option<&Manifest>,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let Some(id) = notice.data().and_then(|data| data.request) else {
            return Ok(());
        };
        let key = Request::key(id);
        let Some(request) = self.state.get::<Request>(&key).await? else {
            return Ok(());
        };
        let noted = Request::progress_key(id, &notice.kind);
        self.state.put(&noted, &notice.event).await?;
        let Some(url) = request.answer(&notice.kind, now) else {
            return Ok(());
        };
        let overlap = manifest.and_then(|manifest| overlap(manifest, notice));
        // By type and not by event: a try made afresh mints again, and the posts are numbered.
        let marker = format!("notified/{id}/{}", notice.kind);
        let answered = Box::pin(self.once(&marker, self.answer(&request, url, overlap, now))).await;
        match answered {
            // Where nobody listens any more, nobody is waiting either.
            Err(failure @ (NotifyError::Refused { .. } | NotifyError::Address { .. }))
                if failure.retry() == Retry::Never =>
            {
                warn!(request = %id, %failure, "the one who asked is not told");
                Ok(())
            }
            answered => answered,
        }
    }

    async fn answer(
        &self,
        request: &Request,
        url: &SecretText,
        overlap: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let progress = self.progress_of(request.request).await?;
        let mut message = progress.render(request, overlap).to_json();
        message["replace_original"] = true.into();
        message["response_type"] = "ephemeral".into();
        self.sender.slack("Slack, where it was asked for", url, &message, now).await
    }

    async fn progress_of(&self, request: RotationId) -> Result<Progress, NotifyError> {
        let mut progress = Progress::default();
        for kind in STEPS {
            let key = Request::progress_key(request, kind);
            if let Some(step) = self.state.get::<Step>(&key).await? {
                progress.add(kind, step.time, step.data.reason);
            }
        }
        Ok(progress)
    }

    /// Counts an event, once.
    async fn measure(&self, notice: &Notice) -> Result<(), NotifyError> {
        let metrics = &self.metrics;
        let count = |metric| metrics.whole(metric, &[1.0], notice.time);
        let documents = match (notice.kind.as_str(), notice.finding()) {
            ("keywheel.rotation.stored", _) => return self.time_to_prove(notice, "stored").await,
            ("keywheel.rotation.promoted", _) => {
                self.time_to_prove(notice, "promoted").await?;
                vec![count(Metric::Rotations)]
            }
            ("keywheel.rotation.failed", _) => vec![count(Metric::RotationFailures)],
            (_, Some(kind)) => {
                vec![metrics.by(Metric::Findings, 1.0, ("Kind", kind), notice.time)]
            }
            _ => return Ok(()),
        };
        self.once(&marker(notice, "metrics"), async {
            write(&documents);
            Ok(())
        })
        .await
    }

    /// Notes when a step was; once both are known, in whichever order they are told, the time between them is
    /// measured. The first time counts: a try that goes on stores nothing new.
    async fn time_to_prove(&self, notice: &Notice, step: &str) -> Result<(), NotifyError> {
        let Some(rotation) = notice.data().and_then(|data| data.rotation) else {
            return Ok(());
        };
        let key = |step: &str| format!("times/{rotation}/{step}.json");
        self.state.put_new(&key(step), &Noted { time: notice.time }).await?;
        let (stored, promoted) =
            (self.time(&key("stored")).await?, self.time(&key("promoted")).await?);
        let (Some(stored), Some(promoted)) = (stored, promoted) else {
            return Ok(());
        };
        let seconds = (promoted - stored).num_seconds().max(0);
        let seconds = f64::from(i32::try_from(seconds).unwrap_or(i32::MAX));
        let document = self.metrics.whole(Metric::TimeToProve, &[seconds], promoted);
        // Both steps may be told at once, each to a function of its own, and each then knows both.
        if self.state.put_new(&format!("notified/{rotation}/time-to-prove"), &()).await? {
            write(&[document]);
        }
        Ok(())
    }

    async fn time(&self, key: &str) -> Result<Option<DateTime<Utc>>, NotifyError> {
        Ok(self.state.get::<Noted>(key).await?.map(|noted| noted.time))
    }
}

/// What is read of a step that was noted.
#[derive(serde::Deserialize)]
struct Step {
    time: DateTime<Utc>,
    data: StepData,
}

#[derive(serde::Deserialize)]
struct StepData {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Noted {
    time: DateTime<Utc>,
}

fn write(documents: &[Document]) {
    if let Err(failure) = metrics::write(documents, &mut io::stdout().lock()) {
        warn!(%failure, "the metrics cannot be written");
    }
}

/// That this event was told there.
fn marker(notice: &Notice, to: &str) -> String {
    format!("notified/{}/{to}", notice.id)
}

/// A target in a marker: the same as long as it is the same target, whatever else the manifest says of it.
fn key_of(target: &Target) -> String {
    let (kind, text) = match target {
        Target::Slack(name) => ("slack", name.clone()),
        Target::Sns(topic) => ("sns", topic.clone()),
        Target::Webhook { url, key } => ("webhook", format!("{url}\n{key}")),
    };
    let hash = Sha256::digest(text.as_bytes());
    let short = hash.iter().take(8).fold(0, |short: u64, byte| short << 8 | u64::from(*byte));
    format!("{kind}-{short:016x}")
}

/// A target in the log: of a webhook no more than the host, for its path may be a capability.
fn shown(target: &Target) -> String {
    match target {
        Target::Slack(name) => format!("Slack {name}"),
        Target::Sns(topic) => topic.clone(),
        Target::Webhook { url, key } => {
            format!("webhook at {} (key {key})", url.host_str().unwrap_or_default())
        }
    }
}

fn lacks(part: &str, name: &str) -> NotifyError {
    NotifyError::SecretShape(format!("it has no {part}.{name}, which the manifest names"))
}

fn overlap(manifest: &Manifest, notice: &Notice) -> Option<TimeDelta> {
    let data = notice.data()?;
    let credential = manifest.credential(&data.credential, Some(data.application))?;
    Some(credential.policy.overlap + CLOCK_SLACK)
}

fn old_key_goes(manifest: &Manifest, notice: &Notice) -> Option<DateTime<Utc>> {
    Some(notice.time + overlap(manifest, notice)?)
}
