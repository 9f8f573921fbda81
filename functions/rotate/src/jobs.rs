//! A batch of the job queue, answered message by message.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::engine::jobs::Ended;
use keywheel_core::engine::{Clients, Engine, EngineError};
use keywheel_core::http::Retry;
use keywheel_core::queue::{Job, Queue};
use keywheel_lambda::{Failure, Message, Pauses, Settled, one_by_one};
use tokio::time::Instant;
use tracing::error;

/// The pause of a message whose work could not begin.
const COME_BACK: Duration = Duration::from_secs(30);
/// The pause if the manifest cannot be read: somebody has to mend the manifest, and SQS hands a message out five times.
const MANIFEST_MENDED: Duration = Duration::from_mins(10);
/// The pauses before a failed message's next tries: at most an hour, because all messages behind the message wait too.
const PAUSES: Pauses = Pauses { own: &[20, 20, 60, 300, 20], longest: Duration::from_hours(1) };
/// How often SQS hands a message out: `maxReceiveCount` in infra/template.yaml.
const MAX_RECEIVES: usize = 5;

/// Works on each message. A message that failed stays in the queue.
pub(crate) async fn handle(
    clients: &Clients,
    batch: Vec<Message>,
    deadline: Instant,
) -> Result<SqsBatchResponse, Failure> {
    let queue = clients.queue()?;
    let settle = async |message: &Message| {
        Settled::or_stays(handle_message(clients, &queue, message, deadline).await)
    };
    Ok(one_by_one(&batch, settle).await)
}

/// Works on one message. If the function is cut off, the message stays in the queue.
async fn handle_message(
    clients: &Clients,
    queue: &Queue,
    message: &Message,
    deadline: Instant,
) -> Result<Settled, EngineError> {
    match (Job::parse(message.body()), clients.engine().await) {
        (Err(refused), _) => {
            error!(%refused, "the message is no job");
            Ok(message.bury(queue, &refused.to_string()).await?)
        }
        (Ok(_), Err(failure)) => {
            error!(%failure, "the work cannot begin");
            let manifest = matches!(failure, EngineError::Manifest(_));
            let pause = if manifest { MANIFEST_MENDED } else { COME_BACK };
            Ok(message.come_back(queue, pause).await?)
        }
        (Ok(job), Ok(engine)) => settle(&engine, queue, message, &job, deadline).await,
    }
}

async fn settle(
    engine: &Engine,
    queue: &Queue,
    message: &Message,
    job: &Job,
    deadline: Instant,
) -> Result<Settled, EngineError> {
    let mut ended = engine.work(job, deadline).await;
    // The redrive policy would move the message next time, without a record.
    if let Ended::Again { why, .. } = &ended
        && message.receives() >= MAX_RECEIVES
    {
        ended = engine.failed(job, format!("after {MAX_RECEIVES} tries: {why}"), deadline).await;
    }
    match ended {
        Ended::Done => Ok(Settled::Done),
        Ended::HandOn(rest) => {
            queue.send_batch(std::slice::from_ref(&rest)).await?;
            Ok(Settled::Done)
        }
        Ended::Again { after, .. } => {
            let pause = PAUSES.before(Retry::After(after), message.receives());
            Ok(message.come_back(queue, pause).await?)
        }
        Ended::Failed(why) => Ok(message.bury(queue, &why).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_event_holds_a_job() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rotate-queue.json");
        let text = std::fs::read_to_string(path).unwrap();
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        let group = event["Records"][0]["attributes"]["MessageGroupId"].clone();
        let job = Job::parse(keywheel_lambda::batch(event).unwrap()[0].body()).unwrap();
        assert_eq!(job.credential.0, "monk-deployment");
        assert_eq!(group, job.group_id());
    }

    #[test]
    fn only_keywheels_own_pause_grows_by_how_often_a_message_was_received() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        for (receives, own) in [(0, 20), (1, 20), (2, 20), (3, 60), (4, 300), (5, 20), (6, 20)] {
            for (asked, waits) in
                [(second, own * second), (10 * minute, 10 * minute), (61 * minute, 60 * minute)]
            {
                let pause = PAUSES.before(Retry::After(asked), receives);
                assert_eq!(pause, waits, "received {receives} times, asked for {asked:?}");
            }
        }
    }
}
