//! `POST /github`: an alert of secret scanning is queued for its comparison.
//!
//! GitHub waits for ten seconds and sends nothing again by itself. Comparing may take longer, so that a function of its
//! own does it. This one cannot read the secrets.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};
use keywheel_core::asking::leak::Comparison;
use keywheel_core::request::github::Sent;
use keywheel_core::request::signature::{Unsigned, verify_github};
use tokio::time::timeout;

use crate::answer::{Refused, nothing};
use crate::ask::ours;
use crate::rotate::replayed;
use crate::{Webhook, header};

/// How long queueing may take, and then telling that it failed: GitHub gives up after ten seconds.
const STEP: Duration = Duration::from_secs(4);

impl Webhook {
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
        let alert = match sent.map_err(|error| Refused::Malformed(error.to_string()))? {
            Sent::Leak(alert) => alert,
            Sent::Other => return Ok(nothing(StatusCode::NO_CONTENT)),
        };
        // Counted against no rate: GitHub would not send it again, and nobody would hear of it.
        let comparison = Comparison::new(alert, request.body(), now);
        let queued = timeout(STEP, self.queue_comparison(&comparison)).await;
        let queued = queued.unwrap_or_else(|_| Err(ours("an alert was not queued in time")));
        if queued == Err(Refused::Unavailable) {
            // Whoever reads the finding sends the delivery again.
            let told = self.requests.report_not_compared(&comparison, Vec::new());
            timeout(STEP, told).await.map_err(ours)??;
        }
        queued.map(|()| nothing(StatusCode::ACCEPTED))
    }

    async fn queue_comparison(&self, comparison: &Comparison) -> Result<(), Refused> {
        let Some(comparisons) = &self.comparisons else {
            return Err(ours("KEYWHEEL_COMPARE_QUEUE_URL is not set: deploy with GitHubAlerts on"));
        };
        if self.requests.is_queued(comparison.delivery()).await? {
            return Err(replayed(None));
        }
        comparisons.send_unordered(&comparison.to_json()).await.map_err(ours)
    }
}
