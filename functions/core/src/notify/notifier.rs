//! Notifies all targets of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{join, join_all};
use uuid::Uuid;

use super::send::Sender;
use super::{Notice, Notified, NotifyError, NotifySecret};
use crate::http::{self, Http};
use crate::manifest::{Manifest, ManifestSource};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::rotation::CLOCK_SLACK;
use crate::secrets::{Cache, Secrets};
use crate::settings::{self, required};
use crate::store::Store;

/// The clients that notifications need. A process makes them once, at its start.
#[derive(Debug)]
pub struct Notifier {
    aws: aws_config::SdkConfig,
    source: ManifestSource,
    pub(super) secret: Option<Cache<NotifySecret>>,
    pub(super) state: Store,
    pub(super) topics: aws_sdk_sns::Client,
    pub(super) sender: Sender,
    pub(super) metrics: Metrics,
}

impl Notifier {
    /// Makes the clients from the environment: `KEYWHEEL_MANIFEST`, `KEYWHEEL_BUS` (the deployment's name),
    /// `KEYWHEEL_STATE_BUCKET`, `KEYWHEEL_NOTIFY_SECRET` and, for tests, `KEYWHEEL_ALLOW_LOOPBACK_HTTP`.
    pub async fn connect() -> Result<Self, NotifyError> {
        let source = ManifestSource::parse(&required("KEYWHEEL_MANIFEST")?)?;
        let bus = required("KEYWHEEL_BUS")?;
        let bucket = required("KEYWHEEL_STATE_BUCKET")?;
        let http = Http::from_env()?;
        let aws = http::aws::config(&http).await;
        let secret = settings::optional("KEYWHEEL_NOTIFY_SECRET")
            .map(|name| Cache::new(Secrets::new(&aws), name));
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

    /// Makes a client of the queue that events come from (`KEYWHEEL_NOTIFY_QUEUE_URL`, `KEYWHEEL_DEAD_LETTER_URL`).
    pub fn queue(&self) -> Result<Queue, NotifyError> {
        let url = required("KEYWHEEL_NOTIFY_QUEUE_URL")?;
        Ok(Queue::new(&self.aws, url, settings::optional("KEYWHEEL_DEAD_LETTER_URL")))
    }

    /// Measures events, notes the progress of requests, and notifies all targets. Gives the result for each event, by
    /// the event's id.
    ///
    /// Parts that succeeded before are not done again. A manifest that cannot be read holds up neither metrics nor
    /// progress.
    pub async fn notify(
        &self,
        notices: &[&Notice],
        now: DateTime<Utc>,
    ) -> BTreeMap<Uuid, Notified> {
        let manifest = self.source.load(&self.aws).await;
        let manifest = manifest.map_err(|error| Arc::new(NotifyError::from(error)));
        let measured = join_all(notices.iter().map(|notice| self.measure(notice)));
        let progressed = Box::pin(self.progress(manifest.as_ref().ok(), notices, now));
        let (measured, mut progressed) = join(measured, progressed).await;
        let mut notified = match &manifest {
            Ok(manifest) => self.notify_targets(manifest, notices, now).await,
            Err(error) => notices.iter().map(|notice| (notice.id, error.clone().into())).collect(),
        };
        let each = notices.iter().zip(measured).map(|(notice, measured)| {
            let parts = [&mut progressed, &mut notified].into_iter();
            let parts = parts.filter_map(|results| results.remove(&notice.id));
            (notice.id, parts.fold(Notified::from(measured), Notified::and))
        });
        each.collect()
    }

    /// Does something unless a marker says that it was done, and then writes the marker.
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

/// Gives the key of the marker that a target knows an event or an occasion.
pub(super) fn marker(of: Uuid, to: &str) -> String {
    format!("notified/{of}/{to}")
}

/// Looks up how long a replaced key works on.
pub(super) fn overlap(manifest: &Manifest, notice: &Notice) -> Option<TimeDelta> {
    let data = notice.data()?;
    let credential = manifest.by_name_of(&data.credential, data.application)?.credential;
    Some(credential.settings.policy.overlap + CLOCK_SLACK)
}
