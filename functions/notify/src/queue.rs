//! A batch of the queue of events, answered message by message.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use chrono::Utc;
use futures::future::join_all;
use keywheel_core::http::Retry;
use keywheel_core::notify::{Notice, Notifier, NotifyError, Outcome};
use keywheel_core::queue::{Queue, QueueError};
use keywheel_lambda::{Failure, Message, Settled};
use tracing::error;

/// When a message comes back whose target gave no time, by how often it was received: in seconds.
/// infra/template.yaml hands one out ten times, which is most of a day.
const PAUSES: [u64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 36_000];
/// No target that says when to come back keeps the others waiting for longer than this.
const LONGEST: Duration = Duration::from_hours(1);

/// An event and the messages that say it: told twice, it is still one.
struct Read {
    notice: Notice,
    messages: Vec<Message>,
}

/// Tells all messages' events; those that somebody does not know of yet stay in the queue.
pub(crate) async fn handle(
    notifier: &Notifier,
    batch: Vec<Message>,
) -> Result<SqsBatchResponse, Failure> {
    let queue = &notifier.queue()?;
    let (events, refused) = read(batch);
    let buried = refused.iter().map(async |(message, refused)| {
        error!(%refused, "a message that is no event");
        (message, Settled::or_stays(message.bury(queue, &refused.to_string()).await))
    });
    let mut settled = join_all(buried).await;
    let manifest = notifier.manifest().await.map_err(Arc::new);
    let notices: Vec<&Notice> = events.iter().map(|read| &read.notice).collect();
    let outcomes =
        &notifier.tell(manifest.as_ref().map_err(Arc::clone), &notices, Utc::now()).await;
    let messages = events.iter().flat_map(|read| {
        read.messages.iter().map(|message| (message, outcomes.get(&read.notice.id)))
    });
    let told = messages.map(async |(message, outcome)| {
        (message, Settled::or_stays(settle(queue, message, outcome).await))
    });
    settled.extend(join_all(told).await);
    Ok(Settled::answer(settled))
}

/// What the messages say, and those that say nothing.
fn read(messages: Vec<Message>) -> (Vec<Read>, Vec<(Message, NotifyError)>) {
    let (mut events, mut refused): (Vec<Read>, Vec<_>) = (Vec::new(), Vec::new());
    for message in messages {
        match Notice::parse(message.body()) {
            Err(error) => refused.push((message, error)),
            Ok(notice) => match events.iter_mut().find(|read| read.notice.id == notice.id) {
                Some(known) => known.messages.push(message),
                None => events.push(Read { notice, messages: vec![message] }),
            },
        }
    }
    (events, refused)
}

/// Does with a message what became of its event.
async fn settle(
    queue: &Queue,
    message: &Message,
    outcome: Option<&Outcome>,
) -> Result<Settled, QueueError> {
    match outcome {
        Some(Outcome::Told) => Ok(Settled::Done),
        Some(Outcome::Again(retry, _)) => {
            message.come_back(queue, pause(*retry, message.receives())).await
        }
        Some(Outcome::Failed(failure)) => {
            error!(%failure, "cannot be told");
            message.bury(queue, &failure.to_string()).await
        }
        None => Ok(Settled::Stays),
    }
}

fn pause(retry: Retry, receives: usize) -> Duration {
    keywheel_lambda::pause(&PAUSES, LONGEST, retry, receives)
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use keywheel_core::events::Topic;

    use super::{material, *};

    fn sample() -> Vec<Message> {
        let event = serde_json::from_str(&material::event("notify-queue.json")).unwrap();
        keywheel_lambda::batch(event).unwrap()
    }

    #[test]
    fn the_sample_event_holds_a_failure_and_a_digest() {
        let read = sample().into_iter();
        let topics: Vec<_> =
            read.map(|message| Notice::parse(message.body()).unwrap().topic()).collect();
        assert_eq!(topics, [Some(Topic::Failures), Some(Topic::Digest)]);
    }

    #[test]
    fn an_event_that_came_twice_is_one() {
        let [failure, digest] = <[Message; 2]>::try_from(sample()).unwrap();
        let strange = serde_json::json!({ "Records": [{ "body": "no event", "attributes": {}, "messageAttributes": {} }] });
        let [strange] = <[Message; 1]>::try_from(keywheel_lambda::batch(strange).unwrap()).unwrap();
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
            sample()[0].body().to_owned(),
            sample()[1].body().to_owned(),
            serde_json::json!({ "source": "keywheel", "detail": { "id": material::SECRET, "type": 1 } }).to_string(),
        ])) {
            if let Err(refused) = material::in_time(|| Notice::parse(&body)) {
                material::error_tells_nothing(&refused);
            }
        }
    }
}
