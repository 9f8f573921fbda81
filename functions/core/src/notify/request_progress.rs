//! Shows the person who asked for a rotation how the rotation goes on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde::Deserialize;
use tracing::warn;
use uuid::Uuid;

use super::notifier::overlap;
use super::progress::{progress_key, steps};
use super::{Notice, Notified, Notifier, NotifyError, Progress};
use crate::events::EventType;
use crate::http::Retry;
use crate::ids::RotationId;
use crate::manifest::Manifest;
use crate::request::delivery::Requested;

impl Notifier {
    /// Notes the steps of rotations that somebody asked for, and shows each step where they asked.
    ///
    /// The steps of one request are shown in their order, because its messages in Slack replace each other.
    pub(super) async fn progress(
        &self,
        manifest: Option<&Manifest>,
        notices: &[&Notice],
        now: DateTime<Utc>,
    ) -> BTreeMap<Uuid, Notified> {
        let each = of_requests(notices).into_iter().map(async |(request, steps)| {
            let mut results = Vec::new();
            for step in steps {
                let shown = Box::pin(self.progress_step(manifest, request, step, now)).await;
                results.push((step.id, Notified::from(shown)));
            }
            results
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
        let Some(request) = self.state.read::<Requested>(&Requested::key(id)).await? else {
            return Ok(());
        };
        self.state.write(&progress_key(id, &notice.kind), &notice.event).await?;
        let Some(url) = request.answer_url(&notice.kind, now) else {
            return Ok(());
        };
        let answer = async {
            let replaces = request.replaces_messages();
            let message = if !replaces && notice.kind == EventType::KeyRemoved {
                request.render_removed()
            } else {
                let overlap = manifest.and_then(|manifest| overlap(manifest, notice));
                self.progress_of(id).await?.render(&request, overlap)
            };
            let mut message = message.to_json();
            message["replace_original"] = replaces.into();
            message["response_type"] = "ephemeral".into();
            self.sender.slack("Slack, where the rotation was asked for", &url, &message, now).await
        };
        // The marker names the type and not the event: a second try mints again, and a `response_url` takes few posts.
        let marker = format!("notified/{id}/{}", notice.kind);
        let answered = Box::pin(self.once(&marker, answer)).await;
        match answered {
            // Nobody listens at the address any more, so nobody waits for the message.
            Err(failure @ (NotifyError::Refused { .. } | NotifyError::Address { .. }))
                if failure.retry() == Retry::Never =>
            {
                warn!(request = %id, %failure, "the progress cannot be shown to the person who asked");
                Ok(())
            }
            answered => answered,
        }
    }

    async fn progress_of(&self, request: RotationId) -> Result<Progress, NotifyError> {
        let mut progress = Progress::default();
        for kind in steps() {
            if let Some(step) = self.state.read::<NotedStep>(&progress_key(request, kind)).await? {
                progress.add(kind.clone(), step.time, step.data.reason);
            }
        }
        Ok(progress)
    }
}

/// Groups the steps by their request, each group in the order of time.
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

/// The fields of a noted step that its message needs.
#[derive(Deserialize)]
struct NotedStep {
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
    use super::super::notice::samples::notice;
    use super::*;

    #[test]
    fn what_one_request_brought_about_is_in_order() {
        let request = "7c5a3c4e-2f56-4f0f-9a53-0d8c2a2f9b11";
        let notice = |second: u32, request: Option<&str>| {
            let data = serde_json::json!({ "credential": "a", "application": Uuid::nil(), "request": request });
            notice("x", &format!("2026-11-21T09:00:{second:02}Z"), &data)
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
