//! A batch of the queue of events, answered message by message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::Utc;
use futures::future::join_all;
use keywheel_core::http::Retry;
use keywheel_core::ids::RotationId;
use keywheel_core::lambda::Failure;
use keywheel_core::manifest::Manifest;
use keywheel_core::notify::{Notice, Notifier, NotifyError, Outcome};
use keywheel_core::queue::{Queue, QueueError};
use tracing::{error, warn};

/// When a message comes back whose target gave no time, by how often it was received: in seconds.
/// infra/template.yaml hands one out ten times, which is most of a day.
const PAUSES: [u64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 36_000];
/// No target that says when to come back keeps the others waiting for longer than this.
const LONGEST: Duration = Duration::from_hours(1);

/// A message and what it says.
struct Read {
    message: SqsMessage,
    notice: Result<Notice, NotifyError>,
}

/// Tells each message's event; those that somebody does not know of yet stay in the queue.
pub(crate) async fn handle(
    notifier: &Notifier,
    batch: SqsEvent,
) -> Result<SqsBatchResponse, Failure> {
    let queue = &notifier.queue()?;
    // Once for all of them: a manifest that cannot be read is no reason to ask ten times.
    let manifest = &notifier.manifest().await.map_err(Arc::new);
    let groups = grouped(batch.records).into_iter().map(async |group| {
        let mut failed = Vec::new();
        for read in group {
            if !handle_message(notifier, queue, manifest, &read).await {
                failed.push(read.message.message_id.unwrap_or_default());
            }
        }
        failed
    });
    let mut answer = SqsBatchResponse::default();
    for id in join_all(groups).await.into_iter().flatten() {
        answer.add_failure(id);
    }
    Ok(answer)
}

/// Side by side, but what one request brought about in its order: its messages in Slack replace each other.
fn grouped(messages: Vec<SqsMessage>) -> Vec<Vec<Read>> {
    let mut of_requests: BTreeMap<RotationId, Vec<Read>> = BTreeMap::new();
    let mut groups = Vec::new();
    for message in messages {
        let notice = Notice::parse(message.body.as_deref().unwrap_or_default());
        let request = notice.as_ref().ok().and_then(|notice| notice.data()?.request);
        let read = Read { message, notice };
        match request {
            Some(request) => of_requests.entry(request).or_default().push(read),
            None => groups.push(vec![read]),
        }
    }
    for mut group in of_requests.into_values() {
        group.sort_by_key(|read| read.notice.as_ref().ok().map(|notice| notice.time));
        groups.push(group);
    }
    groups
}

/// Whether the message is done with.
async fn handle_message(
    notifier: &Notifier,
    queue: &Queue,
    manifest: &Result<Manifest, Arc<NotifyError>>,
    Read { message, notice }: &Read,
) -> bool {
    let outcome = match notice {
        Ok(notice) => {
            notifier.tell(manifest.as_ref().map_err(Arc::clone), notice, Utc::now()).await
        }
        Err(refused) => {
            error!(%refused, "a message that is no event");
            return settled(bury(queue, message, &refused.to_string()).await);
        }
    };
    settled(match outcome {
        Outcome::Told => Ok(true),
        Outcome::Again(retry, _) => come_back(queue, message, retry).await,
        Outcome::Failed(failure) => {
            error!(%failure, "cannot be told");
            bury(queue, message, &failure.to_string()).await
        }
    })
}

fn settled(result: Result<bool, QueueError>) -> bool {
    result.unwrap_or_else(|failure| {
        warn!(%failure, "the message stays as it is, until it is visible again");
        false
    })
}

async fn come_back(queue: &Queue, message: &SqsMessage, retry: Retry) -> Result<bool, QueueError> {
    if let Some(receipt) = &message.receipt_handle {
        queue.set_visibility(receipt, pause(retry, receives(message))).await?;
    }
    Ok(false)
}

fn pause(retry: Retry, receives: usize) -> Duration {
    let own = PAUSES.get(receives.saturating_sub(1)).or(PAUSES.last()).copied();
    let own = Duration::from_secs(own.unwrap_or_default());
    match retry {
        Retry::After(wanted) => wanted.min(LONGEST).max(own),
        Retry::Soon | Retry::Never => own,
    }
}

/// How often SQS has handed the message out, this time included.
fn receives(message: &SqsMessage) -> usize {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Makes a dead letter of a message at once: trying it again would not help.
async fn bury(queue: &Queue, message: &SqsMessage, why: &str) -> Result<bool, QueueError> {
    let body = message.body.as_deref().unwrap_or_default();
    match queue.send_to_unordered_dead_letter(body, why).await {
        Ok(()) => Ok(true),
        // The redrive policy buries it in the end.
        Err(QueueError::NoDeadLetters) => Ok(false),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use keywheel_core::manifest::Topic;

    use super::{material, *};

    fn sample() -> SqsEvent {
        serde_json::from_str(&material::event("notify-queue.json")).unwrap()
    }

    #[test]
    fn the_sample_event_holds_a_failure_and_a_digest() {
        let read = sample().records.into_iter();
        let topics: Vec<_> = read
            .map(|message| Notice::parse(message.body.as_deref().unwrap()).unwrap().topic())
            .collect();
        assert_eq!(topics, [Some(Topic::Failures), Some(Topic::Digest)]);
    }

    #[test]
    fn what_one_request_brought_about_stays_in_order() {
        let request = "7c5a3c4e-2f56-4f0f-9a53-0d8c2a2f9b11";
        let message = |time: &str, request: Option<&str>| {
            let mut message = sample().records.remove(0);
            let mut body: serde_json::Value =
                serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
            body["detail"]["time"] = time.into();
            if let Some(request) = request {
                body["detail"]["data"]["request"] = request.into();
            }
            message.body = Some(body.to_string());
            message
        };
        let groups = grouped(vec![
            message("2026-11-21T09:00:05Z", Some(request)),
            message("2026-11-21T09:00:03Z", None),
            message("2026-11-21T09:00:01Z", Some(request)),
            message("2026-11-21T09:00:02Z", None),
        ]);
        let seconds: Vec<Vec<String>> = groups
            .iter()
            .map(|group| {
                let second =
                    |read: &Read| read.notice.as_ref().unwrap().time.format("%S").to_string();
                group.iter().map(second).collect()
            })
            .collect();
        assert_eq!(seconds, [vec!["03"], vec!["02"], vec!["01", "05"]]);
    }

    #[test]
    fn pauses_grow_and_a_target_may_say_its_own() {
        let soon: Vec<u64> = (0..12).map(|n| pause(Retry::Soon, n).as_secs()).collect();
        assert_eq!((soon[0], soon[1], soon[2], soon[11]), (5, 5, 30, 36_000));
        assert_eq!(pause(Retry::After(Duration::from_secs(1)), 1), Duration::from_secs(5));
        assert_eq!(pause(Retry::After(Duration::from_mins(1)), 1), Duration::from_mins(1));
        assert_eq!(pause(Retry::After(Duration::from_hours(24)), 3), LONGEST);
    }

    proptest::proptest! {
        #![proptest_config(material::config())]

        #[test]
        fn fuzz_notice(body in material::text(vec![
            sample().records[0].body.clone().unwrap(),
            sample().records[1].body.clone().unwrap(),
            serde_json::json!({ "source": "keywheel", "detail": { "id": material::SECRET, "type": 1 } }).to_string(),
        ])) {
            if let Err(refused) = material::in_time(|| Notice::parse(&body)) {
                material::error_tells_nothing(&refused);
            }
        }
    }
}
