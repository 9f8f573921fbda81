//! Shows whoever asked for a rotation how it stands.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde::Deserialize;
use tracing::warn;
use uuid::Uuid;

use super::notifier::overlap;
use super::progress::STEPS;
use super::{Notice, Notifier, NotifyError, Outcome, Progress, Request};
use crate::events::EventType;
use crate::http::Retry;
use crate::ids::RotationId;
use crate::manifest::Manifest;
use crate::secret::SecretText;

impl Notifier {
    /// Notes the steps of what somebody asked for, and shows them where they asked: those of one request in their
    /// order, for its messages in Slack replace each other.
    pub(super) async fn progress(
        &self,
        manifest: Option<&Manifest>,
        notices: &[&Notice],
        now: DateTime<Utc>,
    ) -> BTreeMap<Uuid, Outcome> {
        let each = of_requests(notices).into_iter().map(async |(request, steps)| {
            let mut outcomes = Vec::new();
            for step in steps {
                let shown = Box::pin(self.progress_step(manifest, request, step, now)).await;
                outcomes.push((step.id, Outcome::from(shown)));
            }
            outcomes
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn progress_step(
        &self,
        manifest: Option<&Manifest>,
        id: RotationId,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let key = Request::key(id);
        let Some(request) = self.state.read::<Request>(&key).await? else {
            return Ok(());
        };
        let noted = Request::progress_key(id, &notice.kind);
        self.state.write(&noted, &notice.event).await?;
        let Some(url) = request.answer(&notice.kind, now) else {
            return Ok(());
        };
        let overlap = manifest.and_then(|manifest| overlap(manifest, notice));
        // By type and not by event: a try made afresh mints again, and the posts are numbered.
        let marker = format!("notified/{id}/{}", notice.kind);
        let answer = self.answer(&request, (url, &notice.kind), overlap, now);
        let answered = Box::pin(self.once(&marker, answer)).await;
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
        (url, kind): (&SecretText, &EventType),
        overlap: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let replaces = request.replaces();
        let message = if !replaces && *kind == EventType::KeyRemoved {
            request.render_removed()
        } else {
            self.progress_of(request.request).await?.render(request, overlap)
        };
        let mut message = message.to_json();
        message["replace_original"] = replaces.into();
        message["response_type"] = "ephemeral".into();
        self.sender.slack("Slack, where it was asked for", url, &message, now).await
    }

    async fn progress_of(&self, request: RotationId) -> Result<Progress, NotifyError> {
        let mut progress = Progress::default();
        for kind in STEPS {
            let key = Request::progress_key(request, kind);
            if let Some(step) = self.state.read::<Step>(&key).await? {
                progress.add(kind.clone(), step.time, step.data.reason);
            }
        }
        Ok(progress)
    }
}

/// The steps of each request, in their order.
fn of_requests<'a>(notices: &[&'a Notice]) -> BTreeMap<RotationId, Vec<&'a Notice>> {
    let mut of_requests: BTreeMap<RotationId, Vec<&Notice>> = BTreeMap::new();
    for notice in notices {
        if let Some(request) = notice.data().and_then(|data| data.request) {
            of_requests.entry(request).or_default().push(notice);
        }
    }
    for steps in of_requests.values_mut() {
        steps.sort_by_key(|notice| notice.time);
    }
    of_requests
}

/// What is read of a step that was noted.
#[derive(Deserialize)]
struct Step {
    time: DateTime<Utc>,
    data: StepData,
}

#[derive(Deserialize)]
struct StepData {
    #[serde(default)]
    reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_request_brought_about_is_in_order() {
        let request = "7c5a3c4e-2f56-4f0f-9a53-0d8c2a2f9b11";
        let notice = |second: u32, request: Option<&str>| {
            let mut data = serde_json::json!({ "credential": "a", "application": Uuid::nil() });
            if let Some(request) = request {
                data["request"] = request.into();
            }
            let time = format!("2026-11-21T09:00:{second:02}Z");
            let event =
                serde_json::json!({ "id": Uuid::nil(), "type": "x", "time": time, "data": data });
            let body = serde_json::json!({ "source": "keywheel", "detail": event });
            Notice::parse(&body.to_string()).unwrap()
        };
        let notices = [(5, Some(request)), (3, None), (1, Some(request)), (2, None)]
            .map(|(at, of)| notice(at, of));
        let steps = of_requests(&notices.iter().collect::<Vec<_>>());
        let seconds: Vec<Vec<i64>> = steps
            .values()
            .map(|steps| steps.iter().map(|step| step.time.timestamp() % 60).collect())
            .collect();
        assert_eq!(seconds, [[1, 5]]);
    }
}
