//! `POST /github`: queues an alert of secret scanning for its comparison.
//!
//! GitHub waits for ten seconds and does not send an alert again by itself. A comparison may take longer, and needs to
//! read secrets, which this function may not: another function compares.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};
use keywheel_core::asking::leak::Comparison;
use keywheel_core::request::github::Sent;
use keywheel_core::request::signature::{Unsigned, verify_github};
use tokio::time::timeout;

use crate::answer::{Refused, nothing, own_failure};
use crate::{Webhook, header};

/// How long queueing may take, and then as long again to report that queueing failed. GitHub gives up after ten seconds.
const STEP: Duration = Duration::from_secs(4);

impl Webhook {
    /// Queues the alert of a signed event. Other events are taken and left alone.
    pub(crate) async fn github_event(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let signature = header(request, "x-hub-signature-256");
        let verify = |keys: &keywheel_core::request::keys::Keys| {
            verify_github(keys.github.as_ref().ok_or(Unsigned)?, signature, request.body())
        };
        self.keys.verify(verify).await?;
        let sent = Sent::parse(header(request, "x-github-event"), request.body());
        let alert = match sent.map_err(Refused::malformed)? {
            Sent::Leak(alert) => alert,
            Sent::Other => return Ok(nothing(StatusCode::NO_CONTENT)),
        };
        // No rate limit holds: GitHub would not send the alert again, and nobody would hear of the leak.
        let comparison = Comparison::new(alert, request.body(), now);
        let queued = timeout(STEP, self.queue_comparison(&comparison)).await;
        let queued = queued.unwrap_or_else(|_| Err(own_failure("an alert was not queued in time")));
        if queued == Err(Refused::Unavailable) {
            // The finding says to send the delivery again.
            let reported = self.requests.report_not_compared(&comparison, Vec::new());
            timeout(STEP, reported).await.map_err(own_failure)??;
        }
        queued.map(|()| nothing(StatusCode::ACCEPTED))
    }

    async fn queue_comparison(&self, comparison: &Comparison) -> Result<(), Refused> {
        let Some(comparisons) = &self.comparisons else {
            return Err(own_failure(
                "KEYWHEEL_COMPARE_QUEUE_URL is not set; deploy with GitHubAlerts on",
            ));
        };
        if self.requests.is_queued(comparison.delivery()).await? {
            return Err(Refused::replayed(None));
        }
        comparisons.send_unordered(&comparison.to_json()).await.map_err(own_failure)
    }
}
