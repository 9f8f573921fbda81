//! A batch of the queue of events, answered message by message.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use chrono::Utc;
use futures::future::join_all;
use keywheel_core::notify::{Notice, Notified, Notifier, NotifyError};
use keywheel_core::queue::{Queue, QueueError};
use keywheel_lambda::{Failure, Message, Pauses, Settled};
use tracing::error;

/// The pauses before a message's next tries. A target is granted at most an hour, because all other targets wait too.
///
/// SQS hands a message out ten times (infra/template.yaml). Keywheel's own pauses add up to most of a day.
const PAUSES: Pauses = Pauses {
    own: &[5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 36_000],
    longest: Duration::from_hours(1),
};

/// An event and its messages: SQS may hand one event out twice.
struct Event {
    notice: Notice,
    messages: Vec<Message>,
}

/// Notifies all targets of the messages' events. A message that a target does not know yet stays in the queue.
pub(crate) async fn handle(
    notifier: &Notifier,
    batch: Vec<Message>,
) -> Result<SqsBatchResponse, Failure> {
    let queue = &notifier.queue()?;
    let (events, refused) = read(batch);
    let buried = refused.iter().map(async |(message, refused)| {
        error!(%refused, "the message is no event");
        (message, Settled::or_stays(message.bury(queue, &refused.to_string()).await))
    });
    let mut settled = join_all(buried).await;
    let notices: Vec<&Notice> = events.iter().map(|event| &event.notice).collect();
    let results = &notifier.notify(&notices, Utc::now()).await;
    let messages = events.iter().flat_map(|event| {
        event.messages.iter().map(|message| (message, results.get(&event.notice.id)))
    });
    let settling = messages.map(async |(message, result)| {
        (message, Settled::or_stays(settle(queue, message, result).await))
    });
    settled.extend(join_all(settling).await);
    Ok(Settled::answer(settled))
}

/// Reads the events of the messages, and the messages that are no events.
fn read(messages: Vec<Message>) -> (Vec<Event>, Vec<(Message, NotifyError)>) {
    let (mut events, mut refused): (Vec<Event>, Vec<_>) = (Vec::new(), Vec::new());
    for message in messages {
        match Notice::parse(message.body()) {
            Err(error) => refused.push((message, error)),
            Ok(notice) => match events.iter_mut().find(|event| event.notice.id == notice.id) {
                Some(known) => known.messages.push(message),
                None => events.push(Event { notice, messages: vec![message] }),
            },
        }
    }
    (events, refused)
}

/// Deletes, delays or gives up a message, by the result of its event.
async fn settle(
    queue: &Queue,
    message: &Message,
    result: Option<&Notified>,
) -> Result<Settled, QueueError> {
    match result {
        Some(Notified::All) => Ok(Settled::Done),
        Some(Notified::TryAgain(retry, _)) => {
            message.come_back(queue, PAUSES.before(*retry, message.receives())).await
        }
        Some(Notified::Failed(failure)) => {
            error!(%failure, "a target cannot be notified");
            message.bury(queue, &failure.to_string()).await
        }
        None => Ok(Settled::Stays),
    }
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use keywheel_core::events::Topic;
    use keywheel_core::http::Retry;

    use super::{material, *};

    fn sample() -> Vec<Message> {
        let event = serde_json::from_str(&material::event("notify-queue.json")).unwrap();
        keywheel_lambda::batch(event).unwrap()
    }

    #[test]
    fn the_sample_event_holds_a_failure_and_a_digest() {
        let read = sample().into_iter();
        let topics: Vec<_> =
            read.map(|message| Notice::parse(message.body()).unwrap().kind.topic()).collect();
        assert_eq!(topics, [Some(Topic::Failures), Some(Topic::Digest)]);
    }

    #[test]
    fn an_event_that_came_twice_is_one() {
        let [failure, digest] = <[Message; 2]>::try_from(sample()).unwrap();
        let strange = serde_json::json!({ "Records": [{ "body": "no event", "attributes": {}, "messageAttributes": {} }] });
        let [strange] = <[Message; 1]>::try_from(keywheel_lambda::batch(strange).unwrap()).unwrap();
        let (events, refused) = read(vec![failure.clone(), digest, strange, failure]);
        assert_eq!(events.iter().map(|event| event.messages.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(refused.len(), 1);
    }

    #[test]
    fn pauses_grow_and_a_target_may_say_its_own() {
        let pause = |retry, receives| PAUSES.before(retry, receives);
        let soon: Vec<u64> = (0..12).map(|n| pause(Retry::Soon, n).as_secs()).collect();
        assert_eq!((soon[0], soon[1], soon[2], soon[11]), (5, 5, 30, 36_000));
        assert_eq!(pause(Retry::After(Duration::from_secs(1)), 1), Duration::from_secs(5));
        assert_eq!(pause(Retry::After(Duration::from_mins(1)), 1), Duration::from_mins(1));
        assert_eq!(pause(Retry::After(Duration::from_hours(24)), 3), Duration::from_hours(1));
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
