//! Requests to rotate, whether Slack or a system sends them: has the request come before, and what is noted of it.

use chrono::{DateTime, Utc};
use keywheel_core::ids::RotationId;
use keywheel_core::manifest::Managed;
use keywheel_core::request::delivery::{Delivery, Requested, SCHEMA, Verdict};
use keywheel_core::request::permission::Caller;
use keywheel_core::request::webhook::Rotate;

use crate::Webhook;
use crate::answer::{Refused, own_failure};

impl Webhook {
    /// Decides what to do with a request that may have come before. The request is done once `mark` is queued.
    pub(crate) async fn verdict(
        &self,
        source: &str,
        request: RotationId,
        mark: RotationId,
        delivery: &Delivery,
    ) -> Result<Verdict, Refused> {
        let state = self.requests.state();
        let key = format!("deliveries/{source}/{request}");
        if state.write_new(&key, delivery).await.map_err(own_failure)? {
            return Ok(Verdict::GoOn);
        }
        let first: Option<Delivery> = state.read(&key).await.map_err(own_failure)?;
        let first = first.ok_or_else(|| own_failure("a delivery that was stored is gone"))?;
        let done = self.requests.is_queued(mark).await?;
        Ok(first.verdict(delivery, done))
    }

    /// Makes the note of a rotation that a caller asks for. The secret is looked at for the version that is replaced.
    pub(crate) async fn requested(
        &self,
        id: RotationId,
        managed: &Managed,
        caller: &Caller,
        wanted: Rotate,
        now: DateTime<Utc>,
    ) -> Result<Requested, Refused> {
        Ok(Requested {
            schema: SCHEMA,
            request: id,
            credential: managed.credential.name.clone(),
            application: managed.credential.application,
            requested_by: caller.to_string(),
            reason: wanted.reason,
            revoke_old: wanted.revoke_old,
            requested_at: now,
            replaces: self.requests.replaced(managed).await?,
            approved_by: None,
            approved_at: None,
            slack: None,
        })
    }
}
