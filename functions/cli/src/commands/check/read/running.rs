//! Reads what happened since the deployment, and the settings that functions read.

use chrono::{DateTime, Utc};
use keywheel_core::cursors::Cursors;
use keywheel_core::deployment::{Deployment, Stack};
use keywheel_core::engine::{EngineError, sweep};
use keywheel_core::notify::NotifySecret;
use keywheel_core::queue::{DeadLetter, DeadLetters};
use keywheel_core::request::keys::Keys;
use keywheel_core::secret::SecretText;
use keywheel_core::secrets::Secrets;
use serde::Deserialize;

use super::super::seen::{FailedSweep, Parameters, Sweeps};
use super::super::verdict::{Reading, Trouble};
use super::{Reader, deployed};

/// The outputs with the URLs of dead-letter queues. Those of queues that are not deployed are absent.
const DEAD_LETTERS: [&str; 5] = [
    "DeadLetterQueueUrl",
    "EventDeadLetterQueueUrl",
    "NotifyDeadLetterQueueUrl",
    "AuditDeadLetterQueueUrl",
    "CompareDeadLetterQueueUrl",
];

/// The readings of a deployment that runs.
pub(super) struct Running {
    pub(super) sweeps: Reading<Sweeps>,
    pub(super) webhook: Reading<Keys>,
    pub(super) notify: Reading<NotifySecret>,
    pub(super) dead_letters: Reading<Vec<(String, i32)>>,
    pub(super) subscriptions: Reading<usize>,
}

impl Running {
    /// Makes the readings where nothing runs.
    fn without(why: &str) -> Self {
        Self {
            sweeps: Reading::not_tried(why),
            webhook: Reading::not_tried(why),
            notify: Reading::not_tried(why),
            dead_letters: Reading::not_tried(why),
            subscriptions: Reading::not_tried(why),
        }
    }
}

pub(super) async fn read(
    reader: &Reader<'_>,
    stack: &Reading<Option<Stack>>,
    parameters: &Reading<Parameters>,
) -> Running {
    let (stack, parameters) = match (deployed(stack), parameters.get()) {
        (Ok(stack), Some(parameters)) => (stack, parameters),
        (Err(why), _) => return Running::without(why),
        (_, None) => return Running::without("the parameters could not be read"),
    };
    reader.progress.set_message("reading what the last sweeps left");
    let sweeps = sweeps(reader, stack).await;
    reader.progress.set_message("reading the settings of the functions");
    let webhook = secret(reader, parameters.get("WebhookSecret"), "WebhookSecret", |text| {
        Keys::parse(text).map_err(|error| error.to_string())
    });
    let notify = secret(reader, parameters.get("NotifySecret"), "NotifySecret", |text| {
        NotifySecret::parse(text).map_err(|error| error.to_string())
    });
    let (webhook, notify) = (webhook.await, notify.await);
    reader.progress.set_message("counting dead letters");
    let dead_letters = dead_letters(reader, stack).await;
    let subscriptions = match parameters.get("AlarmTopicArn") {
        Some(topic) => {
            let count = async |from: &Deployment| from.subscriptions(topic).await;
            reader.ask("the topic of alarms", "sns:ListSubscriptionsByTopic", count).await
        }
        None => Reading::not_tried("AlarmTopicArn is empty"),
    };
    Running { sweeps, webhook, notify, dead_letters, subscriptions }
}

async fn sweeps(reader: &Reader<'_>, stack: &Stack) -> Reading<Sweeps> {
    let read = async || {
        let mut sweeps = Sweeps { read_to: None, failed: Vec::new() };
        if let Some(bucket) = stack.outputs.get("ManifestBucket") {
            let cursors = Cursors::new(&reader.aws, &format!("s3://{bucket}/cursors/"))?;
            sweeps.read_to = sweep::read_to(&cursors).await?;
        }
        if let Some(url) = stack.outputs.get("EventDeadLetterQueueUrl") {
            let letters = DeadLetters::at(&reader.aws, url).await?.look().await?;
            sweeps.failed = letters.iter().filter_map(failed).collect();
        }
        Ok::<_, EngineError>(sweeps)
    };
    let cure = "allow s3:GetObject and s3:ListBucket on the manifest bucket, and sqs:GetQueueAttributes \
    and sqs:ReceiveMessage on the queue of \
                the output EventDeadLetterQueueUrl";
    read().await.map_err(|error| Trouble::new(error.to_string(), cure)).into()
}

/// The message that Lambda sends of an invocation that failed for good.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    timestamp: Option<DateTime<Utc>>,
    response_payload: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    error_message: String,
}

/// Reads a message about a sweep that failed; `None`: the message is about an event that was not delivered.
fn failed(letter: &DeadLetter) -> Option<FailedSweep> {
    let told: Destination = serde_json::from_str(&letter.body).ok()?;
    Some(FailedSweep { at: told.timestamp, error: told.response_payload.error_message })
}

/// Reads a secret of settings with the code of the function that uses the secret. Nothing of its value is told.
async fn secret<T>(
    reader: &Reader<'_>,
    name: Option<&str>,
    parameter: &str,
    parse: impl FnOnce(&SecretText) -> Result<T, String>,
) -> Reading<T> {
    let Some(name) = name else { return Reading::not_tried(format!("{parameter} is empty")) };
    let current = match Secrets::new(&reader.aws).current(name).await {
        Ok(current) => current,
        Err(error) => {
            let denied =
                error.failure.as_ref().is_some_and(|failure| failure.is("AccessDeniedException"));
            let cure = if denied {
                format!(
                    "allow secretsmanager:GetSecretValue on {name} to whoever runs this command"
                )
            } else {
                format!("make the secret {name}, which the parameter {parameter} names")
            };
            return Reading::Failed(Trouble::new(error.to_string(), cure));
        }
    };
    parse(&current.text)
        .map_err(|why| {
            Trouble::new(format!("the secret {name} is {why}"), "put a value of that shape")
        })
        .into()
}

async fn dead_letters(reader: &Reader<'_>, stack: &Stack) -> Reading<Vec<(String, i32)>> {
    let mut counts = Vec::new();
    for output in DEAD_LETTERS {
        let Some(url) = stack.outputs.get(output) else { continue };
        let count = async { DeadLetters::at(&reader.aws, url).await?.waiting().await };
        match count.await {
            Ok(count) => counts.push((output.to_owned(), count)),
            Err(error) => {
                let cure =
                    format!("allow sqs:GetQueueAttributes on the queue of the output {output}");
                return Reading::Failed(Trouble::new(error.to_string(), cure));
            }
        }
    }
    Reading::Read(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str) -> DeadLetter {
        DeadLetter { id: "1".to_owned(), body: body.to_owned(), reason: None }
    }

    #[test]
    fn a_failed_sweep_is_told_from_an_event_that_was_not_delivered() {
        let told = failed(&letter(
            r#"{"version":"1.0","timestamp":"2026-11-21T10:28:52.123Z","requestPayload":{},
                "responsePayload":{"errorMessage":"AADSTS700213: no","errorType":"keywheel.graph"}}"#,
        ));
        let told = told.unwrap();
        assert_eq!(told.at.map(|at| at.timestamp()), Some(1_795_256_932));
        assert_eq!(told.error, "AADSTS700213: no");
        for other in ["{}", "", r#"{"detail-type":"keywheel.sweep.continued","detail":{}}"#] {
            assert!(failed(&letter(other)).is_none(), "{other}");
        }
    }
}
