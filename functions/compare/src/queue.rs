//! A message of the queue of comparisons: compared, delayed or given up.

use std::time::Duration;

use keywheel_core::asking::leak::{Comparison, NotCompared};
use keywheel_core::queue::QueueError;
use keywheel_lambda::{Message, Pauses, Settled};
use tracing::{error, info};

use crate::Compare;

/// How often SQS hands a message out: `maxReceiveCount` in infra/template.yaml.
const MAX_RECEIVES: usize = 4;
/// The pauses before a message's next tries. Keywheel's own add up to six minutes, because a leak does not wait.
const PAUSES: Pauses = Pauses { own: &[10, 60, 300], longest: Duration::from_mins(15) };

/// Compares the alert of a message. A message whose alert was not compared stays in the queue.
pub(crate) async fn settle(compare: &Compare, message: &Message) -> Result<Settled, QueueError> {
    let comparison = match Comparison::parse(message.body()) {
        Ok(comparison) => comparison,
        Err(refused) => {
            error!(%refused, "the message is no comparison");
            return message.bury(&compare.queue, &refused.to_string()).await;
        }
    };
    match compare.leaks.compare(&comparison).await {
        Ok(()) => {
            info!(alert = %comparison.alert, "compared");
            Ok(Settled::Done)
        }
        Err(missed) if message.receives() >= MAX_RECEIVES => {
            give_up(compare, message, &comparison, missed).await
        }
        Err(missed) => {
            let pause = PAUSES.before(missed.retry, message.receives());
            message.come_back(&compare.queue, pause).await
        }
    }
}

/// Reports that an alert was not compared, and moves its message to the dead-letter queue.
///
/// A message whose report fails stays. The redrive policy then moves the message, and an alarm reports it.
async fn give_up(
    compare: &Compare,
    message: &Message,
    comparison: &Comparison,
    missed: NotCompared,
) -> Result<Settled, QueueError> {
    if let Err(failure) = compare.leaks.give_up(comparison, missed).await {
        error!(%failure, "the finding leaked-secret-not-compared was not sent");
        return Ok(Settled::Stays);
    }
    let why = format!("{}: not compared after {MAX_RECEIVES} tries", comparison.alert);
    message.bury(&compare.queue, &why).await
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use keywheel_core::http::Retry;

    use super::{material, *};

    fn sample() -> Vec<Message> {
        let event = serde_json::from_str(&material::event("compare-queue.json")).unwrap();
        keywheel_lambda::batch(event).unwrap()
    }

    #[test]
    fn the_sample_event_holds_a_comparison() {
        let [message] = <[Message; 1]>::try_from(sample()).unwrap();
        let comparison = Comparison::parse(message.body()).unwrap();
        assert_eq!(comparison.alert.to_string(), "octo-org/app alert 7");
    }

    #[test]
    fn pauses_grow_and_github_may_ask_for_longer() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let pause = |retry, receives| PAUSES.before(retry, receives);
        let own: Vec<u64> = (0..5).map(|count| pause(Retry::Soon, count).as_secs()).collect();
        assert_eq!(own, [10, 10, 60, 300, 300]);
        assert_eq!(pause(Retry::After(second), 1), 10 * second);
        assert_eq!(pause(Retry::After(minute), 1), minute);
        assert_eq!(pause(Retry::After(60 * minute), 1), 15 * minute);
    }

    proptest::proptest! {
        #![proptest_config(material::config())]

        #[test]
        fn fuzz_comparison(body in material::json(vec![
            sample()[0].body().to_owned(),
            serde_json::json!({ "schema": 1, "owner": material::SECRET, "repository": 1 }).to_string(),
        ])) {
            if let Err(refused) = material::in_time(|| Comparison::parse(&body.to_string())) {
                material::error_tells_nothing(&refused);
            }
        }
    }
}
