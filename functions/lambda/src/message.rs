//! Batches of SQS messages, answered message by message (`ReportBatchItemFailures`).

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use keywheel_core::http::Retry;
use keywheel_core::queue::{Queue, QueueError};
use serde_json::Value;
use tracing::warn;

use crate::Failure;

/// The pauses of a queue's messages between two tries.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// Keywheel's own pauses, in seconds, by how often a message was received.
    pub own: &'static [u64],
    /// The longest pause that a service is granted.
    pub longest: Duration,
}

impl Pauses {
    /// Gives the pause before a message's next try: the longer of Keywheel's own and the pause that a service asks for.
    pub fn before(&self, retry: Retry, receives: usize) -> Duration {
        let own = self.own.get(receives.saturating_sub(1)).or(self.own.last()).copied();
        let own = Duration::from_secs(own.unwrap_or_default());
        match retry {
            Retry::After(asked) => asked.min(self.longest).max(own),
            Retry::Soon | Retry::Never => own,
        }
    }
}

/// Whether SQS deletes a message, or keeps the message in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// SQS deletes the message.
    Done,
    /// The message stays in the queue, and SQS hands it out again.
    Stays,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Message(SqsMessage);

/// Reads the messages of an event.
pub fn batch(event: Value) -> Result<Vec<Message>, Failure> {
    let batch: SqsEvent =
        serde_json::from_value(event).map_err(|_| Failure::event("not a batch of SQS messages"))?;
    Ok(batch.records.into_iter().map(Message).collect())
}

/// Settles messages one after another, and answers Lambda.
///
/// A FIFO queue keeps its order: after a message that stays, all further messages stay untouched.
pub async fn one_by_one(
    messages: &[Message],
    settle: impl AsyncFn(&Message) -> Settled,
) -> SqsBatchResponse {
    let mut settled: Vec<(&Message, Settled)> = Vec::with_capacity(messages.len());
    for message in messages {
        let stays = settled.iter().any(|(_, settled)| *settled == Settled::Stays);
        let waits = stays && message.group().is_some();
        settled.push((message, if waits { Settled::Stays } else { settle(message).await }));
    }
    Settled::answer(settled)
}

impl Settled {
    /// Answers a batch: the messages that stay are named as failed.
    pub fn answer<'a>(messages: impl IntoIterator<Item = (&'a Message, Self)>) -> SqsBatchResponse {
        let mut answer = SqsBatchResponse::default();
        for (message, settled) in messages {
            if settled == Self::Stays {
                answer.add_failure(message.id());
            }
        }
        answer
    }

    /// Turns a failure into a message that stays, and writes the failure to the log.
    pub fn or_stays<E: std::fmt::Display>(settled: Result<Self, E>) -> Self {
        settled.unwrap_or_else(|failure| {
            warn!(%failure, "the message stays in the queue");
            Self::Stays
        })
    }
}

impl Message {
    /// Gives the message's id.
    pub fn id(&self) -> &str {
        self.0.message_id.as_deref().unwrap_or_default()
    }

    /// Gives the message's text.
    pub fn body(&self) -> &str {
        self.0.body.as_deref().unwrap_or_default()
    }

    /// Gives the message's group; `None` in a queue that is not FIFO.
    fn group(&self) -> Option<&String> {
        self.0.attributes.get("MessageGroupId")
    }

    /// Says how often SQS has handed the message out, this time included.
    pub fn receives(&self) -> usize {
        let count = self.0.attributes.get("ApproximateReceiveCount");
        count.and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// Makes SQS hand the message out again after a pause.
    pub async fn come_back(&self, queue: &Queue, after: Duration) -> Result<Settled, QueueError> {
        if let Some(receipt) = &self.0.receipt_handle {
            queue.set_visibility(receipt, after).await?;
        }
        Ok(Settled::Stays)
    }

    /// Moves the message to the dead-letter queue at once, because trying again does not help.
    ///
    /// Without `KEYWHEEL_DEAD_LETTER_URL` the message stays, and the redrive policy moves it in the end.
    pub async fn bury(&self, queue: &Queue, why: &str) -> Result<Settled, QueueError> {
        let group = self.group().map(|group| (group.as_str(), self.id()));
        match queue.send_to_dead_letter(self.body(), group, why).await {
            Ok(()) => Ok(Settled::Done),
            Err(failure @ QueueError::NoDeadLetters) => {
                warn!(%failure);
                Ok(Settled::Stays)
            }
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages() -> Vec<Message> {
        let message = |id: &str, received: Option<&str>| {
            let attributes =
                received.map_or(json!({}), |count| json!({ "ApproximateReceiveCount": count }));
            json!({ "messageId": id, "body": "text", "attributes": attributes,
                    "messageAttributes": {}, "receiptHandle": "r" })
        };
        let records = [message("a", Some("3")), message("b", None), message("c", Some("x"))];
        batch(json!({ "Records": records })).unwrap()
    }

    #[test]
    fn an_event_that_is_no_batch_is_refused_without_a_word_of_it() {
        for event in [json!({}), json!({ "Records": "hush" }), json!("hush"), Value::Null] {
            let failure = batch(event).unwrap_err();
            assert_eq!(failure.to_string(), "keywheel.event: not a batch of SQS messages");
        }
    }

    #[test]
    fn messages_that_stay_are_named_as_failed() {
        let messages = messages();
        let settled = [Settled::Done, Settled::Stays, Settled::or_stays(Err::<Settled, _>("no"))];
        let answer = Settled::answer(messages.iter().zip(settled));
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|one| one.item_identifier.as_str()).collect();
        assert_eq!(failed, ["b", "c"]);
    }

    #[tokio::test]
    async fn in_a_fifo_queue_a_message_that_stays_keeps_those_behind_it() {
        for (group, failed) in [(json!({ "MessageGroupId": "g" }), "bc"), (json!({}), "b")] {
            let records = ["a", "b", "c"]
                .map(|id| json!({ "messageId": id, "attributes": group, "messageAttributes": {} }));
            let messages = batch(json!({ "Records": records })).unwrap();
            let settle = async |message: &Message| {
                if message.id() == "b" { Settled::Stays } else { Settled::Done }
            };
            let answer = one_by_one(&messages, settle).await;
            let ids = answer.batch_item_failures.iter().map(|one| one.item_identifier.as_str());
            assert_eq!(ids.collect::<String>(), failed);
        }
    }

    #[test]
    fn a_message_without_a_count_was_received_once() {
        assert_eq!(messages().iter().map(Message::receives).collect::<Vec<_>>(), [3, 1, 1]);
    }
}
