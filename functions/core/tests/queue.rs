//! The client of SQS against a stand-in on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod secrets_stub;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use keywheel_core::http::Retry;
use keywheel_core::http::aws::AwsFailure;
use keywheel_core::ids::{AppId, CredentialName, KeyId};
use keywheel_core::queue::{DeadLetter, Job, Queue, QueueError, RevokeOld, SCHEMA, Unsent, Work};
use secrets_stub::{Answer, Request, Stub};
use serde_json::{Value, json};
use uuid::Uuid;

const ARN: &str = "arn:aws:sqs:eu-central-1:111122223333:dead.fifo";

/// A queue and its dead letters; the SDK itself tries once.
async fn queue(
    answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> (Stub, Queue) {
    let stub = Stub::start(answer).await;
    let config = stub.config().into_builder().retry_config(RetryConfig::disabled()).build();
    let dead = Some(format!("{}/1/dead.fifo", stub.url));
    let queue = Queue::new(&config, format!("{}/1/jobs.fifo", stub.url), dead);
    (stub, queue)
}

fn sent(stub: &Stub, operation: &str) -> Vec<Value> {
    let requests = stub.requests.lock().unwrap();
    requests.iter().filter(|sent| sent.operation == operation).map(Request::json).collect()
}

#[allow(clippy::unnecessary_wraps)] // The shape that the stand-in wants.
fn ok(body: &Value) -> Option<Answer> {
    Some((200, body.to_string()))
}

fn job() -> Job {
    let work = Work::Retire {
        version: None,
        key: KeyId(Uuid::nil()),
        revoke_old: RevokeOld::AfterOverlap,
    };
    Job {
        schema: SCHEMA,
        credential: CredentialName("one".to_owned()),
        application: AppId(Uuid::nil()),
        work,
        requested_by: "test".to_owned(),
        requested_at: None,
        request: None,
        continuation: 0,
    }
}

/// Dead letters stay where they are: up to ten are not even hidden.
#[tokio::test]
async fn dead_letters_are_read_as_many_as_there_are() {
    for (waiting, batches, hidden) in
        [("0", 0, None), ("1", 1, Some(0)), ("10", 1, Some(0)), ("11", 3, Some(5))]
    {
        let read = AtomicUsize::new(0);
        let (stub, queue) = queue(move |request| {
            let asked = request.json();
            match (request.operation.as_str(), asked["AttributeNames"][0].as_str()) {
                ("GetQueueAttributes", Some("RedrivePolicy")) => {
                    let policy = json!({ "deadLetterTargetArn": ARN }).to_string();
                    ok(&json!({ "Attributes": { "RedrivePolicy": policy } }))
                }
                ("GetQueueAttributes", _) => {
                    ok(&json!({ "Attributes": { "ApproximateNumberOfMessages": waiting } }))
                }
                ("GetQueueUrl", _) => ok(&json!({ "QueueUrl": "http://127.0.0.1/dead" })),
                _ if read.fetch_add(1, Ordering::SeqCst) == 2 => ok(&json!({})),
                _ => {
                    let reason = json!({ "DataType": "String", "StringValue": "why" });
                    let message = json!({ "MessageId": "m", "Body": "a job", "MessageAttributes": { "reason": reason } });
                    ok(&json!({ "Messages": [message, { "MessageId": "n", "Body": "odd" }] }))
                }
            }
        })
        .await;
        let dead = queue.dead_letters().await.unwrap().unwrap();
        assert_eq!(dead.arn, ARN);
        let asked = &sent(&stub, "GetQueueUrl")[0];
        assert_eq!(asked["QueueName"], "dead.fifo");
        assert_eq!(asked["QueueOwnerAWSAccountId"], "111122223333");
        let letters = dead.look().await.unwrap();
        let letter = |id: &str, body: &str, reason: Option<&str>| DeadLetter {
            id: id.to_owned(),
            body: body.to_owned(),
            reason: reason.map(str::to_owned),
        };
        let batch = || [letter("m", "a job", Some("why")), letter("n", "odd", None)];
        let read = if batches == 3 { 2 } else { batches };
        assert_eq!(letters, (0..read).flat_map(|_| batch()).collect::<Vec<_>>(), "{waiting}");
        let asked = sent(&stub, "ReceiveMessage");
        assert_eq!(asked.len(), batches, "{waiting}");
        for asked in asked {
            assert_eq!(asked["VisibilityTimeout"].as_i64(), hidden, "{waiting}");
        }
    }
}

#[tokio::test]
async fn a_queue_without_a_redrive_policy_has_no_dead_letters() {
    let (_stub, queue) = queue(|_| ok(&json!({}))).await;
    assert!(queue.dead_letters().await.unwrap().is_none());
}

#[tokio::test]
async fn what_failed_for_good_goes_to_the_dead_letters_with_its_reason() {
    let (stub, queue) = queue(|_| ok(&json!({ "MessageId": "m" }))).await;
    queue.send_to_dead_letter("a job", Some(("g", "d")), &"w".repeat(1001)).await.unwrap();
    let sent = sent(&stub, "SendMessage");
    let [letter] = &sent[..] else { panic!("{sent:?}") };
    assert!(letter["QueueUrl"].as_str().unwrap().ends_with("/1/dead.fifo"));
    assert_eq!((&letter["MessageBody"], &letter["MessageGroupId"]), (&json!("a job"), &json!("g")));
    assert_eq!(letter["MessageDeduplicationId"], "d");
    assert_eq!(letter["MessageAttributes"]["reason"]["StringValue"], "w".repeat(1000));
    let none = Queue::new(&stub.config(), stub.url.clone(), None);
    let error = none.send_to_dead_letter("a job", None, "why").await.unwrap_err();
    assert!(matches!(error, QueueError::NoDeadLetters) && error.retry() == Retry::Never);
}

#[tokio::test]
async fn a_message_that_is_to_come_again_is_hidden_until_then() {
    let (stub, queue) = queue(|_| ok(&json!({}))).await;
    queue.set_visibility("receipt", Duration::from_mins(2)).await.unwrap();
    let asked = &sent(&stub, "ChangeMessageVisibility")[0];
    assert_eq!(
        (&asked["ReceiptHandle"], &asked["VisibilityTimeout"]),
        (&json!("receipt"), &json!(120))
    );
}

#[tokio::test]
async fn a_message_is_sent_again_only_where_that_may_help() {
    for (code, tries) in [("ThrottlingException", 2), ("AccessDeniedException", 1)] {
        let sends = AtomicUsize::new(0);
        let (stub, queue) = queue(move |_| match sends.fetch_add(1, Ordering::SeqCst) {
            0 => Some((400, json!({ "__type": code, "message": "no" }).to_string())),
            _ => ok(&json!({ "MessageId": "m" })),
        })
        .await;
        let result = queue.send_unordered("a message").await;
        assert_eq!(
            (result.is_ok(), sent(&stub, "SendMessage").len()),
            (tries == 2, tries),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_job_that_sqs_does_not_take_is_named_with_the_cause() {
    let (stub, queue) = queue(|_| {
        let failed = json!({ "Id": "0", "SenderFault": true, "Code": "InvalidMessageContents", "Message": "odd" });
        ok(&json!({ "Successful": [], "Failed": [failed] }))
    })
    .await;
    let error = queue.send_batch(&[job()]).await.unwrap_err();
    let shown = error.to_string();
    assert!(shown.starts_with("1 job(s) not queued; the first: one: "), "{shown}");
    assert!(shown.contains("InvalidMessageContents") && shown.contains("odd"), "{shown}");
    assert_eq!((error.retry(), sent(&stub, "SendMessageBatch").len()), (Retry::Never, 1));
    let unsent = |retry| {
        let failure = AwsFailure { code: None, message: String::new(), request_id: None, retry };
        Unsent { job: job(), failure }
    };
    let some = QueueError::Unsent(vec![unsent(Retry::Never), unsent(Retry::Soon)]);
    assert_eq!(some.retry(), Retry::Soon, "one of them may get there");
}

#[tokio::test]
async fn what_aws_says_decides_whether_to_try_again() {
    for (status, code, retry) in [
        (400, "ThrottlingException", Retry::Soon),
        (400, "InternalError", Retry::Soon),
        (403, "ExpiredTokenException", Retry::Soon),
        (403, "AccessDeniedException", Retry::Never),
        (429, "Odd", Retry::Soon),
        (499, "Odd", Retry::Never),
        (500, "Odd", Retry::Soon),
        (503, "Odd", Retry::Soon),
    ] {
        let body = json!({ "__type": code, "message": "in its own words" }).to_string();
        let (_stub, queue) = queue(move |_| Some((status, body.clone()))).await;
        let error = queue.set_visibility("r", Duration::ZERO).await.unwrap_err();
        assert_eq!(error.retry(), retry, "{status} {code}");
        let shown = format!(
            "SQS: ChangeMessageVisibility: {code}: in its own words (request stub-request)"
        );
        assert_eq!(error.to_string(), shown);
    }
    let (_stub, silent) = queue(|_| None).await;
    let error = silent.set_visibility("r", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Soon);
    assert!(error.to_string().ends_with("no connection"), "{error}");
    let (stub, _) = queue(|_| None).await;
    let elsewhere = stub.config().into_builder().endpoint_url("http://sqs.example.com").build();
    let elsewhere = Queue::new(&elsewhere, "http://sqs.example.com/1/q".to_owned(), None);
    let error = elsewhere.set_visibility("r", Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().ends_with("refused before it was sent"), "{error}");
}
