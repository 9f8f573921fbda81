//! A batch of the queue of comparisons, answered message by message.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use keywheel_core::asking::leak::{Comparison, NotCompared};
use keywheel_core::http::Retry;
use keywheel_core::queue::QueueError;
use tracing::{error, info, warn};

use crate::Compare;

/// How often a message is handed out: `maxReceiveCount` in infra/template.yaml.
const MAX_RECEIVES: usize = 4;
/// The pauses before a message's next tries, in seconds. Somebody is told after six minutes: a leak does not wait.
const PAUSES: [u64; MAX_RECEIVES - 1] = [10, 60, 300];
/// No wait that GitHub asks for is longer than this.
const LONGEST: Duration = Duration::from_mins(15);

/// Compares each message's alert; those that were not compared stay in the queue.
pub(crate) async fn handle(compare: &Compare, batch: SqsEvent) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    for message in batch.records {
        if !handle_message(compare, &message).await {
            answer.add_failure(message.message_id.unwrap_or_default());
        }
    }
    answer
}

/// Says whether the message is done with.
async fn handle_message(compare: &Compare, message: &SqsMessage) -> bool {
    let settled = match Comparison::parse(message.body.as_deref().unwrap_or_default()) {
        Err(refused) => {
            error!(%refused, "a message that is no comparison");
            bury(compare, message, &refused.to_string()).await
        }
        Ok(comparison) => match compare.leaks.compare(&comparison).await {
            Ok(()) => {
                info!(alert = %comparison.alert, "compared");
                Ok(true)
            }
            Err(missed) if receives(message) >= MAX_RECEIVES => {
                give_up(compare, message, &comparison, missed).await
            }
            Err(missed) => come_back(compare, message, missed.retry).await,
        },
    };
    settled.unwrap_or_else(|failure| {
        warn!(%failure, "the message stays as it is, until it is visible again");
        false
    })
}

/// Tells that an alert was not compared, and makes a dead letter of its message. Where nobody can be told, the redrive
/// policy makes the dead letter, and its alarm tells.
async fn give_up(
    compare: &Compare,
    message: &SqsMessage,
    comparison: &Comparison,
    missed: NotCompared,
) -> Result<bool, QueueError> {
    if let Err(failure) = compare.leaks.give_up(comparison, missed).await {
        error!(%failure, "that a leak was not compared could not be told");
        return Ok(false);
    }
    let why = format!("{}: not compared after {MAX_RECEIVES} tries", comparison.alert);
    bury(compare, message, &why).await
}

async fn come_back(
    compare: &Compare,
    message: &SqsMessage,
    retry: Retry,
) -> Result<bool, QueueError> {
    if let Some(receipt) = &message.receipt_handle {
        compare.queue.set_visibility(receipt, pause(retry, receives(message))).await?;
    }
    Ok(false)
}

/// Gives Keywheel's own pause, which grows, or the one that was asked for, where that is longer.
fn pause(retry: Retry, receives: usize) -> Duration {
    let own = PAUSES.get(receives.saturating_sub(1)).or(PAUSES.last()).copied();
    let own = Duration::from_secs(own.unwrap_or_default());
    match retry {
        Retry::After(asked) => asked.min(LONGEST).max(own),
        Retry::Soon | Retry::Never => own,
    }
}

/// Reads how often SQS has handed the message out, this time included.
fn receives(message: &SqsMessage) -> usize {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

async fn bury(compare: &Compare, message: &SqsMessage, why: &str) -> Result<bool, QueueError> {
    let body = message.body.as_deref().unwrap_or_default();
    match compare.queue.send_to_unordered_dead_letter(body, why).await {
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
    use super::{material, *};

    fn sample() -> SqsEvent {
        serde_json::from_str(&material::event("compare-queue.json")).unwrap()
    }

    #[test]
    fn the_sample_event_holds_a_comparison() {
        let [message] = <[SqsMessage; 1]>::try_from(sample().records).unwrap();
        let comparison = Comparison::parse(message.body.as_deref().unwrap()).unwrap();
        assert_eq!(comparison.alert.to_string(), "octo-org/app alert 7");
        assert_eq!(receives(&message), 1);
    }

    #[test]
    fn pauses_grow_and_github_may_ask_for_longer() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let own: Vec<u64> = (0..5).map(|count| pause(Retry::Soon, count).as_secs()).collect();
        assert_eq!(own, [10, 10, 60, 300, 300]);
        assert_eq!(pause(Retry::After(second), 1), 10 * second);
        assert_eq!(pause(Retry::After(minute), 1), minute);
        assert_eq!(pause(Retry::After(60 * minute), 1), LONGEST);
    }

    proptest::proptest! {
        #![proptest_config(material::config())]

        #[test]
        fn fuzz_comparison(body in material::json(vec![
            sample().records[0].body.clone().unwrap(),
            serde_json::json!({ "schema": 1, "owner": material::SECRET, "repository": 1 }).to_string(),
        ])) {
            if let Err(refused) = material::in_time(|| Comparison::parse(&body.to_string())) {
                material::error_tells_nothing(&refused);
            }
        }
    }
}
