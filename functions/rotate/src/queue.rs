//! A batch of the job queue, answered message by message.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use keywheel_core::engine::jobs::Ended;
use keywheel_core::engine::{Clients, Engine, EngineError};
use keywheel_core::lambda::Failure;
use keywheel_core::queue::{Job, Queue, QueueError};
use tokio::time::Instant;
use tracing::{error, warn};

/// When a message comes back whose failure is not its own.
const COME_BACK: Duration = Duration::from_secs(30);
/// The same where the manifest cannot be read: somebody has to mend it, and the queue counts to five.
const MANIFEST_MENDED: Duration = Duration::from_mins(10);
/// Keywheel's own pause before a failed message's next try, where no service asks for a longer one.
const PAUSE: Duration = Duration::from_secs(20);
/// By how much that pause grows, by how often the message was received.
const GROWTH: [u32; 4] = [1, 1, 3, 15];
/// No failed message keeps those behind it waiting for longer than this.
const LONGEST: Duration = Duration::from_hours(1);
/// How often a message is handed out: `maxReceiveCount` in infra/template.yaml.
const MAX_RECEIVES: u32 = 5;

/// Works on each message; those that failed stay in the queue.
pub(crate) async fn handle(
    clients: &Clients,
    batch: SqsEvent,
    deadline: Instant,
) -> Result<SqsBatchResponse, Failure> {
    let queue = clients.queue()?;
    let mut answer = SqsBatchResponse::default();
    for message in batch.records {
        // A FIFO queue's order: nothing after a failed message may be done before it.
        let done = answer.batch_item_failures.is_empty()
            && handle_message(clients, &queue, &message, deadline).await;
        if !done {
            answer.add_failure(message.message_id.unwrap_or_default());
        }
    }
    Ok(answer)
}

/// Whether the message is done with. A cut-off in here leaves it in the queue.
async fn handle_message(
    clients: &Clients,
    queue: &Queue,
    message: &SqsMessage,
    deadline: Instant,
) -> bool {
    let body = message.body.as_deref().unwrap_or_default();
    let settled = match (Job::parse(body), clients.engine().await) {
        (Err(refused), _) => {
            error!(%refused, "a message that is no job");
            bury(queue, message, &refused.to_string()).await
        }
        (Ok(_), Err(failure)) => {
            error!(%failure, "cannot begin");
            let manifest = matches!(failure, EngineError::Manifest(_));
            come_back(queue, message, if manifest { MANIFEST_MENDED } else { COME_BACK }).await
        }
        (Ok(job), Ok(engine)) => settle(&engine, queue, message, &job, deadline).await,
    };
    settled.unwrap_or_else(|failure| {
        warn!(%failure, "the message stays as it is, until it is visible again");
        false
    })
}

async fn settle(
    engine: &Engine,
    queue: &Queue,
    message: &SqsMessage,
    job: &Job,
    deadline: Instant,
) -> Result<bool, EngineError> {
    let mut ended = engine.work(job, deadline).await;
    // The redrive policy would bury it next time, without a record.
    if let Ended::Again { why, .. } = &ended
        && receives(message) >= MAX_RECEIVES
    {
        ended = engine.failed(job, format!("after {MAX_RECEIVES} tries: {why}"), deadline).await;
    }
    match ended {
        Ended::Done => Ok(true),
        Ended::HandOn(rest) => {
            queue.send_batch(std::slice::from_ref(&rest)).await?;
            Ok(true)
        }
        Ended::Again { after, .. } => {
            come_back(queue, message, pause(after, receives(message))).await
        }
        Ended::Failed(why) => bury(queue, message, &why).await,
    }
}

/// How often SQS has handed the message out, this time included.
fn receives(message: &SqsMessage) -> u32 {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// As long as was asked for, or Keywheel's own pause, which grows, where that is longer.
fn pause(asked: Duration, receives: u32) -> Duration {
    let growth = GROWTH.get(receives.saturating_sub(1) as usize).unwrap_or(&1);
    asked.max(PAUSE * *growth).min(LONGEST)
}

async fn come_back(
    queue: &Queue,
    message: &SqsMessage,
    wait: Duration,
) -> Result<bool, EngineError> {
    if let Some(receipt) = &message.receipt_handle {
        queue.set_visibility(receipt, wait).await?;
    }
    Ok(false)
}

/// Makes a dead letter of a message at once: trying it again would not help.
async fn bury(queue: &Queue, message: &SqsMessage, why: &str) -> Result<bool, EngineError> {
    let body = message.body.as_deref().unwrap_or_default();
    let attribute = |name| message.attributes.get(name).map_or("unknown", String::as_str);
    let group = attribute("MessageGroupId");
    let id = message.message_id.as_deref().unwrap_or_default();
    match queue.send_to_dead_letter(body, group, id, why).await {
        Ok(()) => Ok(true),
        // The redrive policy buries it in the end.
        Err(failure @ QueueError::NoDeadLetters) => {
            warn!(%failure);
            Ok(false)
        }
        Err(failure) => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_event_holds_a_job() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rotate-queue.json");
        let text = std::fs::read_to_string(path).unwrap();
        let batch: SqsEvent = serde_json::from_str(&text).unwrap();
        let job = Job::parse(batch.records[0].body.as_deref().unwrap()).unwrap();
        assert_eq!(job.credential.0, "monk-deployment");
        let group = batch.records[0].attributes.get("MessageGroupId").unwrap();
        assert_eq!(&job.group_id(), group);
    }

    #[test]
    fn only_our_own_pause_grows_by_how_often_a_message_was_received() {
        for (receives, own) in [(0, 20), (1, 20), (2, 20), (3, 60), (4, 300), (5, 20)] {
            let own = Duration::from_secs(own);
            assert_eq!(pause(Duration::from_secs(1), receives), own, "received {receives} times");
            assert_eq!(pause(PAUSE, receives), own, "received {receives} times");
        }
    }

    #[test]
    fn what_a_service_asks_for_is_neither_cut_short_nor_multiplied() {
        let (asked, day) = (Duration::from_mins(10), Duration::from_hours(24));
        for receives in 0..=MAX_RECEIVES {
            assert_eq!(pause(asked, receives), asked, "received {receives} times");
            assert_eq!(pause(day, receives), LONGEST, "received {receives} times");
        }
    }
}
