//! The metrics of events, as lines of the log.

use std::io;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::notifier::marker;
use super::{Notice, Notifier, NotifyError};
use crate::events::EventType;
use crate::metrics::{self, Document, Metric};

impl Notifier {
    /// Counts an event in its metric, once.
    pub(super) async fn measure(&self, notice: &Notice) -> Result<(), NotifyError> {
        let metrics = &self.metrics;
        let count = |metric| metrics.whole(metric, &[1.0], notice.time);
        let documents = match (&notice.kind, notice.kind.finding()) {
            (EventType::RotationStored, _) => return self.time_to_prove(notice, "stored").await,
            (EventType::RotationPromoted, _) => {
                self.time_to_prove(notice, "promoted").await?;
                vec![count(Metric::Rotations)]
            }
            (EventType::RotationFailed, _) => vec![count(Metric::RotationFailures)],
            (_, Some(kind)) => {
                vec![metrics.by(Metric::Findings, 1.0, ("Kind", kind), notice.time)]
            }
            _ => return Ok(()),
        };
        self.once(&marker(notice.id, "metrics"), async {
            write(&documents);
            Ok(())
        })
        .await
    }

    /// Notes the time of a step. Measures the time between the two steps once both are known, in whichever order
    /// their events arrive.
    ///
    /// The first time of each step counts: a try that goes on stores nothing new.
    async fn time_to_prove(&self, notice: &Notice, step: &str) -> Result<(), NotifyError> {
        let Some(rotation) = notice.data().and_then(|data| data.rotation.clone()) else {
            return Ok(());
        };
        let key = |step: &str| format!("times/{rotation}/{step}.json");
        self.state.write_new(&key(step), &StepTime { time: notice.time }).await?;
        let (stored, promoted) =
            (self.time(&key("stored")).await?, self.time(&key("promoted")).await?);
        let (Some(stored), Some(promoted)) = (stored, promoted) else {
            return Ok(());
        };
        let seconds = (promoted - stored).num_seconds().max(0);
        let seconds = f64::from(i32::try_from(seconds).unwrap_or(i32::MAX));
        let document = self.metrics.whole(Metric::TimeToProve, &[seconds], promoted);
        // The events of both steps may arrive at once, in two functions, and each function then knows both times.
        if self.state.write_new(&format!("notified/{rotation}/time-to-prove"), &()).await? {
            write(&[document]);
        }
        Ok(())
    }

    async fn time(&self, key: &str) -> Result<Option<DateTime<Utc>>, NotifyError> {
        Ok(self.state.read::<StepTime>(key).await?.map(|step| step.time))
    }
}

#[derive(Serialize, Deserialize)]
struct StepTime {
    time: DateTime<Utc>,
}

fn write(documents: &[Document]) {
    if let Err(failure) = metrics::write(documents, &mut io::stdout().lock()) {
        warn!(%failure, "the metrics cannot be written");
    }
}
