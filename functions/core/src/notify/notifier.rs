//! Tells events to all whom they concern.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{join, join_all};
use uuid::Uuid;

use super::secret::HeldSecret;
use super::send::Sender;
use super::{Notice, NotifyError, Outcome};
use crate::http::{self, Http};
use crate::manifest::{Manifest, ManifestSource};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::rotation::CLOCK_SLACK;
use crate::settings::{self, required};
use crate::store::Store;

/// What a process builds once, at its start.
#[derive(Debug)]
pub struct Notifier {
    aws: aws_config::SdkConfig,
    source: ManifestSource,
    pub(super) secret: Option<HeldSecret>,
    pub(super) state: Store,
    pub(super) topics: aws_sdk_sns::Client,
    pub(super) sender: Sender,
    pub(super) metrics: Metrics,
}

impl Notifier {
    /// Reads the environment: `KEYWHEEL_MANIFEST`, `KEYWHEEL_BUS` (its name is the deployment's),
    /// `KEYWHEEL_STATE_BUCKET`, `KEYWHEEL_NOTIFY_SECRET` and, for tests, `KEYWHEEL_ALLOW_LOOPBACK_HTTP`.
    pub async fn connect() -> Result<Self, NotifyError> {
        let source = ManifestSource::parse(&required("KEYWHEEL_MANIFEST")?)?;
        let bus = required("KEYWHEEL_BUS")?;
        let bucket = required("KEYWHEEL_STATE_BUCKET")?;
        let http = Http::from_env()?;
        let aws = http::aws::config(&http).await;
        let secret =
            settings::optional("KEYWHEEL_NOTIFY_SECRET").map(|name| HeldSecret::new(&aws, name));
        Ok(Self {
            source,
            secret,
            state: Store::new(&aws, bucket),
            topics: aws_sdk_sns::Client::new(&aws),
            sender: Sender { http, loopback: settings::allow_loopback() },
            metrics: Metrics::of(&bus),
            aws,
        })
    }

    /// The queue that events come from, and its dead letters.
    pub fn queue(&self) -> Result<Queue, NotifyError> {
        let url = required("KEYWHEEL_NOTIFY_QUEUE_URL")?;
        Ok(Queue::new(&self.aws, url, settings::optional("KEYWHEEL_DEAD_LETTER_URL")))
    }

    /// The manifest of this moment.
    pub async fn manifest(&self) -> Result<Manifest, NotifyError> {
        Ok(self.source.load(&self.aws).await?)
    }

    /// Measures events, notes requests' progress, and tells all targets; each of these again only where it has not
    /// succeeded before. Gives what became of each event, by its id.
    ///
    /// A manifest that cannot be read holds up neither metrics nor progress.
    pub async fn tell(
        &self,
        manifest: Result<&Manifest, Arc<NotifyError>>,
        notices: &[&Notice],
        now: DateTime<Utc>,
    ) -> BTreeMap<Uuid, Outcome> {
        let measured = join_all(notices.iter().map(|notice| self.measure(notice)));
        let known = manifest.as_ref().ok().copied();
        let (measured, mut progressed) =
            join(measured, Box::pin(self.progress(known, notices, now))).await;
        let mut told = match manifest {
            Ok(manifest) => self.tell_targets(manifest, notices, now).await,
            Err(error) => {
                notices.iter().map(|notice| (notice.id, Outcome::of(Arc::clone(&error)))).collect()
            }
        };
        let mut of = |id| {
            let progressed = progressed.remove(id).unwrap_or(Outcome::Told);
            progressed.and(told.remove(id).unwrap_or(Outcome::Told))
        };
        let each = notices.iter().zip(measured);
        each.map(|(notice, measured)| (notice.id, Outcome::from(measured).and(of(&notice.id))))
            .collect()
    }

    /// Does something unless it is marked as done, and marks it.
    pub(super) async fn once(
        &self,
        marker: &str,
        doing: impl Future<Output = Result<(), NotifyError>>,
    ) -> Result<(), NotifyError> {
        if self.state.has(marker).await? {
            return Ok(());
        }
        doing.await?;
        Ok(self.state.write(marker, &()).await?)
    }
}

/// That this event, or occasion, was told there.
pub(super) fn marker(of: Uuid, to: &str) -> String {
    format!("notified/{of}/{to}")
}

/// How long a replaced key works on.
pub(super) fn overlap(manifest: &Manifest, notice: &Notice) -> Option<TimeDelta> {
    let data = notice.data()?;
    let credential = manifest.by_name_of(&data.credential, data.application)?.credential;
    Some(credential.settings.policy.overlap + CLOCK_SLACK)
}
