//! A batch of the queue of events, answered message by message.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::Utc;
use futures::future::join_all;
use keywheel_core::http::Retry;
use keywheel_core::lambda::Failure;
use keywheel_core::notify::{Notice, Notifier, NotifyError, Outcome};
use keywheel_core::queue::{Queue, QueueError};
use tracing::{error, warn};

/// When a message comes back whose target gave no time, by how often it was received: in seconds.
/// infra/template.yaml hands one out ten times, which is most of a day.
const PAUSES: [u64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 36_000];
/// No target that says when to come back keeps the others waiting for longer than this.
const LONGEST: Duration = Duration::from_hours(1);

/// An event and the messages that say it: told twice, it is still one.
struct Read {
    notice: Notice,
    messages: Vec<SqsMessage>,
}

/// Tells all messages' events; those that somebody does not know of yet stay in the queue.
pub(crate) async fn handle(
    notifier: &Notifier,
    batch: SqsEvent,
) -> Result<SqsBatchResponse, Failure> {
    let queue = &notifier.queue()?;
    let (events, refused) = read(batch.records);
    let refused = refused.into_iter().map(async |(message, refused)| {
        error!(%refused, "a message that is no event");
        settled(message.message_id.clone(), bury(queue, &message, &refused.to_string()).await)
    });
    let mut left = join_all(refused).await;
    let manifest = notifier.manifest().await.map_err(Arc::new);
    let notices: Vec<&Notice> = events.iter().map(|read| &read.notice).collect();
    let outcomes =
        &notifier.tell(manifest.as_ref().map_err(Arc::clone), &notices, Utc::now()).await;
    let messages = events.iter().flat_map(|read| {
        read.messages.iter().map(|message| (message, outcomes.get(&read.notice.id)))
    });
    let told = messages.map(async |(message, outcome)| {
        settled(message.message_id.clone(), settle(queue, message, outcome).await)
    });
    left.extend(join_all(told).await);
    let mut answer = SqsBatchResponse::default();
    for id in left.into_iter().flatten() {
        answer.add_failure(id);
    }
    Ok(answer)
}

/// What the messages say, and those that say nothing.
fn read(messages: Vec<SqsMessage>) -> (Vec<Read>, Vec<(SqsMessage, NotifyError)>) {
    let (mut events, mut refused): (Vec<Read>, Vec<_>) = (Vec::new(), Vec::new());
    for message in messages {
        match Notice::parse(message.body.as_deref().unwrap_or_default()) {
            Err(error) => refused.push((message, error)),
            Ok(notice) => match events.iter_mut().find(|read| read.notice.id == notice.id) {
                Some(known) => known.messages.push(message),
                None => events.push(Read { notice, messages: vec![message] }),
            },
        }
    }
    (events, refused)
}

/// Does with a message what became of its event, and whether it is done with.
async fn settle(
    queue: &Queue,
    message: &SqsMessage,
    outcome: Option<&Outcome>,
) -> Result<bool, QueueError> {
    match outcome {
        Some(Outcome::Told) => Ok(true),
        Some(Outcome::Again(retry, _)) => come_back(queue, message, *retry).await,
        Some(Outcome::Failed(failure)) => {
            error!(%failure, "cannot be told");
            bury(queue, message, &failure.to_string()).await
        }
        None => Ok(false),
    }
}

/// The message's id, where it is not done with.
fn settled(id: Option<String>, result: Result<bool, QueueError>) -> Option<String> {
    let done = result.unwrap_or_else(|failure| {
        warn!(%failure, "the message stays as it is, until it is visible again");
        false
    });
    (!done).then(|| id.unwrap_or_default())
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
    fn an_event_that_came_twice_is_one() {
        let [failure, digest] = <[SqsMessage; 2]>::try_from(sample().records).unwrap();
        let mut strange = failure.clone();
        strange.body = Some("no event".to_owned());
        let (events, refused) = read(vec![failure.clone(), digest, strange, failure]);
        assert_eq!(events.iter().map(|read| read.messages.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(refused.len(), 1);
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
