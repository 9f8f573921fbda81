//! Reads the dead letters of the job queue without taking them out, for a caller that waits for a job.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, QueueAttributeName};

use super::QueueError;
use super::sqs::failed;

/// The most messages that SQS hands out at once.
const BATCH: i32 = 10;
/// The most batches that are read.
const BATCHES: usize = 20;
/// The time for which the messages of a batch are hidden, if the queue has more than one batch, so that the next batch
/// holds others.
const HIDDEN_SECONDS: i32 = 5;
/// Stands for the reason that the dead letter of a job that ran out of tries does not give.
const NO_REASON: &str = "the job was tried five times, and no function wrote down why; the rotate function's log says more";

/// A dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    url: String,
    /// The queue's ARN, which a redrive names.
    pub arn: String,
}

/// A message that failed for good.
///
/// A message that ran out of tries has no reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id.
    pub id: String,
    /// The message: most often a job.
    pub body: String,
    /// The reason, if a function wrote a reason.
    pub reason: Option<String>,
}

impl DeadLetter {
    /// Says why the message failed for good.
    pub fn why(&self) -> &str {
        self.reason.as_deref().unwrap_or(NO_REASON)
    }
}

impl DeadLetters {
    /// Finds the dead-letter queue of the queue with this URL; `None`: the queue has none.
    pub(super) async fn of(client: &Client, url: &str) -> Result<Option<Self>, QueueError> {
        let asked = client.get_queue_attributes().queue_url(url);
        let asked = asked.attribute_names(QueueAttributeName::RedrivePolicy).send().await;
        let answer = asked.map_err(failed("GetQueueAttributes"))?;
        let policy =
            answer.attributes.and_then(|mut all| all.remove(&QueueAttributeName::RedrivePolicy));
        let Some(arn) = policy.as_deref().and_then(target) else { return Ok(None) };
        // arn:aws:sqs:region:account:name
        let mut parts = arn.rsplit(':');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found = client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        let found = found.send().await.map_err(failed("GetQueueUrl"))?;
        Ok(found.queue_url.map(|url| Self { client: client.clone(), url, arn }))
    }

    /// Makes a client of the queue at this URL, whose messages are dead letters.
    pub async fn at(aws: &SdkConfig, url: &str) -> Result<Self, QueueError> {
        let client = Client::new(aws);
        let name = QueueAttributeName::QueueArn;
        let asked = client.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let answer = asked.send().await.map_err(failed("GetQueueAttributes"))?;
        let arn = answer.attributes.and_then(|mut all| all.remove(&name)).unwrap_or_default();
        Ok(Self { client, url: url.to_owned(), arn })
    }

    /// Reads the dead letters that SQS shows now. They stay in the queue.
    pub async fn look(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let (mut letters, mut hidden) = (Vec::new(), 0);
        let waiting = self.waiting().await?;
        if waiting == 0 {
            return Ok(letters);
        }
        if waiting > BATCH {
            hidden = HIDDEN_SECONDS;
        }
        for _ in 0..BATCHES {
            let asked = self.client.receive_message().queue_url(&self.url);
            let asked = asked.max_number_of_messages(BATCH).visibility_timeout(hidden);
            let answer = asked.message_attribute_names("reason").send().await;
            let answer = answer.map_err(failed("ReceiveMessage"))?;
            let messages = answer.messages.unwrap_or_default();
            let last = messages.is_empty() || hidden == 0;
            letters.extend(messages.into_iter().filter_map(letter));
            if last {
                break;
            }
        }
        Ok(letters)
    }

    /// Counts the messages that wait, as far as SQS knows.
    pub async fn waiting(&self) -> Result<i32, QueueError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = asked.attribute_names(name.clone()).send().await;
        let answer = answer.map_err(failed("GetQueueAttributes"))?;
        let count = answer.attributes.and_then(|all| all.get(&name)?.parse().ok());
        Ok(count.unwrap_or(i32::MAX))
    }
}

fn target(policy: &str) -> Option<String> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    policy.get("deadLetterTargetArn")?.as_str().map(str::to_owned)
}

fn letter(message: Message) -> Option<DeadLetter> {
    let reason = message.message_attributes.and_then(|mut all| all.remove("reason"));
    Some(DeadLetter {
        id: message.message_id?,
        body: message.body?,
        reason: reason.and_then(|reason| reason.string_value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_names_the_queue_of_dead_letters() {
        let arn = "arn:aws:sqs:eu-central-1:111122223333:keywheel-dead.fifo";
        let policy = format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":5}}");
        assert_eq!(target(&policy).as_deref(), Some(arn));
        for other in ["", "{}", "[]", "{\"deadLetterTargetArn\":7}"] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
