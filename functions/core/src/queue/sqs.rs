//! A client of a queue of SQS.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::RequestId;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use tokio::time::Instant;

use super::{DeadLetters, Job, JobError};
use crate::http::aws::AwsFailure;
use crate::http::{Backoff, Retry};

/// The most messages that SQS takes at once.
const BATCH: usize = 10;
const RETRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest time of sending a message whose sender waits for an answer.
const UNORDERED_PATIENCE: Duration = Duration::from_secs(5);
/// The longest time that a message is hidden. SQS allows twelve hours from the receipt, and a function may have had the
/// message for five minutes.
const MAX_VISIBILITY: Duration = Duration::from_mins(12 * 60 - 5);

/// A client of a queue and of its dead-letter queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
    dead_letters: Option<String>,
}

/// A job that is not in the queue, as far as known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The job.
    pub job: Job,
    /// The cause.
    pub failure: AwsFailure,
}

/// SQS did not do everything that it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Some jobs are not in the queue. Sending them again is safe, because SQS drops jobs that it has.
    #[error("{} job(s) not queued; the first: {}: {}", .0.len(), first(.0).0, first(.0).1)]
    Unsent(Vec<Unsent>),
    /// A job has no JSON form.
    #[error(transparent)]
    Job(#[from] JobError),
    /// This deployment has no dead-letter queue to write to.
    #[error("KEYWHEEL_DEAD_LETTER_URL is not set: only the redrive policy makes dead letters")]
    NoDeadLetters,
    /// SQS refused.
    #[error("SQS: {operation}: {failure}")]
    Failed {
        /// The operation.
        operation: &'static str,
        /// The answer of SQS.
        failure: AwsFailure,
    },
}

fn first(unsent: &[Unsent]) -> (String, String) {
    let of = |unsent: &Unsent| (unsent.job.credential.to_string(), unsent.failure.to_string());
    unsent.first().map(of).unwrap_or_default()
}

impl QueueError {
    /// Says whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unsent(unsent) if unsent.iter().all(|one| one.failure.retry == Retry::Never) => {
                Retry::Never
            }
            Self::Unsent(_) => Retry::Soon,
            Self::Job(_) | Self::NoDeadLetters => Retry::Never,
            Self::Failed { failure, .. } => failure.retry,
        }
    }
}

impl Queue {
    /// Makes a client of these two queues.
    pub fn new(aws: &SdkConfig, url: String, dead_letters: Option<String>) -> Self {
        Self { client: Client::new(aws), url, dead_letters }
    }

    /// Sends jobs (`SendMessageBatch`). Jobs that SQS failed on are sent again, a few times.
    pub async fn send_batch(&self, jobs: &[Job]) -> Result<(), QueueError> {
        let mut unsent = Vec::new();
        for some in jobs.chunks(BATCH) {
            unsent.extend(self.send_some(some).await?);
        }
        if unsent.is_empty() { Ok(()) } else { Err(QueueError::Unsent(unsent)) }
    }

    /// Sends a message to a queue that is not FIFO (`SendMessage`), a few times if SQS fails.
    pub async fn send_unordered(&self, body: &str) -> Result<(), QueueError> {
        let mut backoff = Backoff::new(RETRIES, Instant::now() + UNORDERED_PATIENCE);
        loop {
            let message = self.client.send_message().queue_url(&self.url).message_body(body);
            match send(message).await {
                Err(failure) if backoff.pause(failure.retry()).await => {}
                result => return result,
            }
        }
    }

    async fn send_some(&self, jobs: &[Job]) -> Result<Vec<Unsent>, QueueError> {
        let mut backoff = Backoff::new(RETRIES, Instant::now() + PATIENCE);
        let mut left: Vec<Job> = jobs.to_vec();
        loop {
            let unsent = self.send_once(&left).await?;
            let passing = unsent.iter().any(|one| one.failure.retry != Retry::Never);
            let retry = if passing { Retry::Soon } else { Retry::Never };
            if unsent.is_empty() || !backoff.pause(retry).await {
                return Ok(unsent);
            }
            left = unsent.into_iter().map(|one| one.job).collect();
        }
    }

    async fn send_once(&self, jobs: &[Job]) -> Result<Vec<Unsent>, QueueError> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (index, job) in jobs.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(job.to_json()?)
                .message_group_id(job.group_id())
                .message_deduplication_id(job.deduplication_id()?);
            request = request.entries(entry.build().map_err(unbuilt("SendMessageBatch"))?);
        }
        let unsent = |job: &Job, failure| Unsent { job: job.clone(), failure };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = AwsFailure::new(&error);
                return Ok(jobs.iter().map(|job| unsent(job, failure.clone())).collect());
            }
        };
        let failed = answer.failed.into_iter().filter_map(|failed| {
            let retry = if failed.sender_fault { Retry::Never } else { Retry::Soon };
            let message = failed.message.unwrap_or_default();
            let failure = AwsFailure { retry, code: Some(failed.code), ..local(&message) };
            Some(unsent(jobs.get(failed.id.parse::<usize>().ok()?)?, failure))
        });
        Ok(failed.collect())
    }

    /// Finds the dead-letter queue of this queue; `None`: the queue has none.
    pub async fn dead_letters(&self) -> Result<Option<DeadLetters>, QueueError> {
        DeadLetters::of(&self.client, &self.url).await
    }

    /// Sends a message that failed for good to the dead-letter queue, with the reason. `group`: the group and the
    /// deduplication id of a message of a FIFO queue.
    pub async fn send_to_dead_letter(
        &self,
        body: &str,
        group: Option<(&str, &str)>,
        reason: &str,
    ) -> Result<(), QueueError> {
        let dead_letters = self.dead_letters.as_ref().ok_or(QueueError::NoDeadLetters)?;
        let reason: String = reason.chars().take(1000).collect();
        let reason = MessageAttributeValue::builder().data_type("String").string_value(reason);
        let reason = reason.build().map_err(unbuilt("SendMessage"))?;
        let letter = self.client.send_message().queue_url(dead_letters).message_body(body);
        let (group, deduplication) = group.unzip();
        let letter = letter.set_message_group_id(group.map(str::to_owned));
        let letter = letter.set_message_deduplication_id(deduplication.map(str::to_owned));
        send(letter.message_attributes("reason", reason)).await
    }

    /// Makes SQS hand a received message out again after a pause (`ChangeMessageVisibility`).
    pub async fn set_visibility(&self, receipt: &str, after: Duration) -> Result<(), QueueError> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(visibility(after));
        request.send().await.map(drop).map_err(failed("ChangeMessageVisibility"))
    }
}

/// Gives the pause in seconds, at most as long as SQS takes.
fn visibility(after: Duration) -> i32 {
    i32::try_from(after.min(MAX_VISIBILITY).as_secs()).unwrap_or(i32::MAX)
}

/// Makes the error of an operation that failed.
pub(super) fn failed<E>(operation: &'static str) -> impl Fn(SdkError<E>) -> QueueError
where
    E: ProvideErrorMetadata + RequestId,
{
    move |error| QueueError::Failed { operation, failure: AwsFailure::new(&error) }
}

/// Makes the error of a request that cannot be built.
fn unbuilt<E: ToString>(operation: &'static str) -> impl Fn(E) -> QueueError {
    move |error| QueueError::Failed { operation, failure: local(&error.to_string()) }
}

async fn send(message: SendMessageFluentBuilder) -> Result<(), QueueError> {
    message.send().await.map(drop).map_err(failed("SendMessage"))
}

fn local(message: &str) -> AwsFailure {
    AwsFailure { code: None, message: message.to_owned(), request_id: None, retry: Retry::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_is_kept_from_sight_for_longer_than_sqs_allows_from_its_receipt() {
        let twelve_hours = 12 * 60 * 60;
        assert_eq!(visibility(Duration::from_mins(10)), 600);
        for longer in [Duration::from_hours(12), Duration::from_hours(24), Duration::MAX] {
            let at_the_end_of_a_function = visibility(longer) + 300;
            assert!(at_the_end_of_a_function <= twelve_hours, "{longer:?}");
        }
    }
}
