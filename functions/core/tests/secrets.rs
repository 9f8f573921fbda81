//! The clients of AWS over the shared HTTP client, against a stand-in on loopback.

mod secrets_stub;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use keywheel_core::audit::{AuditError, Bus};
use keywheel_core::events::{CloudEvent, EventData, EventType};
use keywheel_core::http::Retry;
use keywheel_core::ids::{AppId, CredentialName, KeyId, Token, VersionId};
use keywheel_core::queue::{Job, Queue, SCHEMA, Work};
use keywheel_core::rotation::names::Label;
use keywheel_core::rotation::observed::SecretState;
use keywheel_core::secret::SecretText;
use keywheel_core::secrets::{Cache, Current, Kind, Move, NewSecret, Put, Secrets, SecretsError};
use keywheel_core::store::Store;
use secrets_stub::{Answer, Request, Stub};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use uuid::Uuid;

const V1: &str = "00000000-0000-0000-0000-000000000001";
const V2: &str = "00000000-0000-0000-0000-000000000002";
const TEXT: &str = "s3cr3t~Text";

#[allow(clippy::unnecessary_wraps)] // The shape that the stand-in wants.
fn ok(body: &Value) -> Option<Answer> {
    Some((200, body.to_string()))
}

#[allow(clippy::unnecessary_wraps)]
fn refusal(code: &str) -> Option<Answer> {
    let body = json!({ "__type": code, "message": format!("no: {TEXT}"), "Message": "no" });
    Some((400, body.to_string()))
}

fn described() -> Option<Answer> {
    ok(&json!({
        "ARN": "arn:aws:secretsmanager:eu-central-1:1:secret:a-x",
        "Name": "a",
        "RotationEnabled": true,
        "VersionIdsToStages": { V1: ["AWSCURRENT", "other"], V2: ["AWSPENDING"] },
    }))
}

async fn secrets(
    answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> (Stub, Secrets) {
    let stub = Stub::start(answer).await;
    let secrets = Secrets::new(&stub.config());
    (stub, secrets)
}

#[tokio::test]
async fn a_secret_is_described_in_each_of_its_states() {
    let (_stub, secrets) = secrets(|request| match request.json()["SecretId"].as_str() {
        Some("a") => described(),
        Some("going") => ok(&json!({ "Name": "going", "DeletedDate": 1_700_000_000 })),
        Some("locked") => refusal("AccessDeniedException"),
        Some("disabled key") => refusal("DecryptionFailure"),
        Some("anothers") => refusal("InvalidRequestException"),
        Some("full") => refusal("LimitExceededException"),
        Some("slow") => refusal("ThrottlingException"),
        _ => refusal("ResourceNotFoundException"),
    })
    .await;
    let described = secrets.describe("a").await.unwrap();
    let SecretState::Present(view) = described.state else { panic!("{:?}", described.state) };
    assert!(view.rotation_enabled);
    assert_eq!(view.holder(&Label::Current), Some(&VersionId(V1.to_owned())));
    assert_eq!(view.pending(), Some(&VersionId(V2.to_owned())));
    let state = async |name: &str| secrets.describe(name).await.unwrap().state;
    assert_eq!(state("going").await, SecretState::ScheduledForDeletion);
    assert_eq!(state("none").await, SecretState::Missing);
    let error = secrets.describe("locked").await.unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::AccessDenied, Retry::Never));
    assert!(error.to_string().contains("SecretPrefix"), "{error}");
    assert_eq!(error.failure.unwrap().request_id.as_deref(), Some("stub-request"));
    let error = secrets.describe("disabled key").await.unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::Encryption, Retry::Never));
    assert!(error.to_string().contains("KmsKeyArn"), "{error}");
    for (name, kind, retry) in [
        ("anothers", Kind::State, Retry::Never),
        ("full", Kind::LimitExceeded, Retry::Never),
        ("slow", Kind::Unavailable, Retry::Soon),
    ] {
        let error = secrets.describe(name).await.unwrap_err();
        assert_eq!((error.kind, error.retry()), (kind, retry), "{name}");
    }
}

#[tokio::test]
async fn a_kept_value_is_read_once_and_never_shown() {
    let (stub, secrets) =
        secrets(|_| ok(&json!({ "SecretString": TEXT, "VersionId": V1, "Name": "a" }))).await;
    let cache = Cache::new(secrets, "a".to_owned());
    assert!(cache.kept().await.is_none());
    let parse = |current: Current, _: Option<&String>| -> Result<String, SecretsError> {
        Ok(current.text.expose().to_owned())
    };
    for _ in 0..2 {
        assert_eq!(*cache.value(|_, age| age.read <= age.tried, parse).await.unwrap(), TEXT);
    }
    assert_eq!(stub.operations().len(), 1);
    assert_eq!(*cache.kept().await.unwrap().0, TEXT);
    let shown = format!("{cache:?}");
    assert!(shown.contains("\"a\"") && !shown.contains(TEXT), "{shown}");
}

/// Whoever minted for it could not store.
#[tokio::test]
async fn a_replica_of_another_regions_secret_can_be_read_and_is_not_changed() {
    let (_stub, secrets) = secrets(|request| {
        let name = request.json()["SecretId"].as_str()?.to_owned();
        ok(&json!({ "Name": name, "PrimaryRegion": name, "VersionIdsToStages": {} }))
    })
    .await;
    let own = secrets.describe_own("eu-central-1").await.unwrap();
    assert!(matches!(own.state, SecretState::Present(_)) && !own.is_replica);
    assert!(secrets.describe("us-east-1").await.unwrap().is_replica);
    let error = secrets.describe_own("us-east-1").await.unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::Replica, Retry::Never));
    assert!(error.to_string().contains("rotate it there"), "{error}");
}

#[tokio::test]
async fn a_missing_value_is_told_from_a_missing_secret() {
    let (_stub, secrets) = secrets(|request| {
        let asked = request.json();
        match (request.operation.as_str(), asked["SecretId"].as_str()) {
            ("GetSecretValue", Some("a")) if asked["VersionId"] == V1 => {
                ok(&json!({ "SecretString": TEXT, "VersionId": V1 }))
            }
            ("GetSecretValue", Some("binary")) => ok(&json!({ "SecretBinary": "AAAA" })),
            ("DescribeSecret", Some("a")) => described(),
            _ => refusal("ResourceNotFoundException"),
        }
    })
    .await;
    let (v1, v2) = (VersionId(V1.to_owned()), VersionId(V2.to_owned()));
    assert_eq!(secrets.value("a", &v1).await.unwrap().unwrap().expose(), TEXT);
    assert!(secrets.value("a", &v2).await.unwrap().is_none());
    assert_eq!(secrets.value("none", &v1).await.unwrap_err().kind, Kind::Missing);
    assert_eq!(secrets.value("binary", &v1).await.unwrap_err().kind, Kind::Binary);
}

/// They name the role, the action and the policy that is in the way.
#[tokio::test]
async fn a_denied_put_shows_the_services_own_words_unless_they_quote_the_value() {
    let said = "User: arn:aws:sts::1:assumed-role/kw is not authorized to perform: secretsmanager:PutSecretValue \
                on resource: a because no identity-based policy allows the action";
    let (_stub, secrets) = secrets(move |request| {
        let body = |code: &str, message: &str| json!({ "__type": code, "message": message });
        let body = match request.json()["SecretId"].as_str()? {
            "denied" => body("AccessDeniedException", said),
            "no key" => body("EncryptionFailure", "the KMS key is pending deletion"),
            "quoted" => body("AccessDeniedException", &format!("not {TEXT}")),
            _ => body("ValidationException", "Value at 'secretString' is odd"),
        };
        Some((400, body.to_string()))
    })
    .await;
    let rotation: Token = V1.parse().unwrap();
    let put = async |name: &str| {
        let text = SecretText::new(TEXT.to_owned());
        secrets.put(name, &rotation, &text, &[]).await.unwrap_err().to_string()
    };
    assert!(put("denied").await.contains(said));
    assert!(put("no key").await.contains("pending deletion"));
    let quoted = put("quoted").await;
    assert!(quoted.contains("AccessDeniedException: refused") && !quoted.contains(TEXT));
    assert!(put("other").await.contains("ValidationException: refused"));
}

#[tokio::test]
async fn a_put_is_stored_or_taken_and_never_quoted() {
    let (stub, secrets) = secrets(|request| match request.json()["SecretId"].as_str() {
        Some("a") => ok(&json!({ "VersionId": V1 })),
        Some("taken") => refusal("ResourceExistsException"),
        _ => refusal("InvalidParameterException"),
    })
    .await;
    let rotation: Token = V1.parse().unwrap();
    let labels = [Label::Key(KeyId(Uuid::from_u128(9)))];
    let text = SecretText::new(TEXT.to_owned());
    assert_eq!(secrets.put("a", &rotation, &text, &labels).await.unwrap(), Put::Stored);
    let sent = stub.requests.lock().unwrap()[0].json();
    assert_eq!(sent["ClientRequestToken"], V1);
    assert_eq!(sent["VersionStages"], json!([labels[0].to_string()]));
    assert_eq!(secrets.put("taken", &rotation, &text, &labels).await.unwrap(), Put::Taken);
    let error = secrets.put("wrong", &rotation, &text, &labels).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TEXT));
    let largest = SecretText::new("x".repeat(65_536));
    assert_eq!(secrets.put("a", &rotation, &largest, &labels).await.unwrap(), Put::Stored);
    let large = SecretText::new("x".repeat(65_537));
    assert_eq!(
        secrets.put("a", &rotation, &large, &labels).await.unwrap_err().kind,
        Kind::TooLarge
    );
}

#[tokio::test]
async fn a_refused_move_is_looked_into() {
    let (_stub, secrets) = secrets(|request| match request.operation.as_str() {
        "DescribeSecret" => described(),
        _ => refusal("InvalidParameterException"),
    })
    .await;
    let (v1, v2) = (VersionId(V1.to_owned()), VersionId(V2.to_owned()));
    let moved = async |to| secrets.move_label("a", &Label::Current, to, None).await.unwrap();
    assert_eq!(moved(Some(&v1)).await, Move::Moved);
    assert_eq!(moved(Some(&v2)).await, Move::Refused);
    assert_eq!(moved(None).await, Move::Refused);
    let gone = secrets.move_label("a", &Label::Previous, None, Some(&v1)).await;
    assert_eq!(gone.unwrap(), Move::Moved);
}

#[tokio::test]
async fn secrets_are_made_once_and_listed_by_the_page() {
    let (stub, secrets) = secrets(|request| match request.operation.as_str() {
        "CreateSecret" if request.json()["Name"] == "new" => ok(&json!({ "ARN": "arn:new" })),
        "CreateSecret" if request.json()["Name"] == "old" => refusal("ResourceExistsException"),
        "CreateSecret" => refusal("AccessDeniedException"),
        _ => ok(&json!({
            "SecretList": [
                { "Name": "p/a", "ARN": "arn:a", "SecretVersionsToStages": { V1: ["AWSCURRENT"] } },
                { "Name": "p/b", "ARN": "arn:b", "DeletedDate": 1_700_000_000 },
            ],
            "NextToken": "more",
        })),
    })
    .await;
    let new = NewSecret { tags: [("k".to_owned(), "v".to_owned())].into(), ..NewSecret::default() };
    for name in ["new", "old"] {
        secrets.create_empty(name, &new).await.unwrap();
    }
    let denied = secrets.create_empty("denied", &new).await.unwrap_err();
    assert_eq!(denied.kind, Kind::AccessDenied);
    let page = secrets.list(&["p/"].into_iter().collect(), None).await.unwrap();
    assert_eq!((page.items.len(), page.next.as_deref()), (2, Some("more")));
    let SecretState::Present(view) = &page.items[0].state else { panic!("{:?}", page.items[0]) };
    assert_eq!(view.current(), Some(&VersionId(V1.to_owned())));
    assert_eq!(page.items[1].state, SecretState::ScheduledForDeletion);
    let asked = stub.requests.lock().unwrap().last().unwrap().json();
    assert_eq!(asked["IncludePlannedDeletion"], true, "they are not listed unasked");
    assert_eq!(asked["Filters"], json!([{ "Key": "name", "Values": ["p/"] }]));
    let all = [""; 0].into_iter().collect();
    let error = secrets.list(&all, Some("more")).await.unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::Endless, Retry::Never));
    assert!(secrets.list(&all, Some("before")).await.unwrap().next.is_some());
    let asked = stub.requests.lock().unwrap().last().unwrap().json();
    assert!(asked.get("Filters").is_none(), "{asked}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let tries = AtomicUsize::new(0);
    let (stub, secrets) = secrets(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => None,
        1 => Some((500, "{}".to_owned())),
        _ => described(),
    })
    .await;
    // The settings of `http::aws::config` are the SDK's standard ones, with one try more.
    assert!(matches!(secrets.describe("a").await.unwrap().state, SecretState::Present(_)));
    assert_eq!(stub.operations().len(), 3);
}

fn event(number: u128) -> CloudEvent {
    let data = EventData::of(CredentialName("a".to_owned()), AppId(Uuid::nil()));
    CloudEvent::new(Uuid::from_u128(number), EventType::KeyMinted, Utc::now(), data)
}

#[tokio::test]
async fn each_event_is_told_until_it_is_accepted() {
    let stub = Stub::start(|request| {
        let entries = request.json()["Entries"].as_array().map_or(0, Vec::len);
        let failed = usize::from(entries > 1);
        let mut results = vec![json!({ "EventId": "e" }); entries - failed];
        results.extend(vec![json!({ "ErrorCode": "ThrottlingException" }); failed]);
        ok(&json!({ "FailedEntryCount": failed, "Entries": results }))
    })
    .await;
    let bus = Bus::new(&stub.config(), "keywheel".to_owned());
    let deadline = Instant::now() + Duration::from_secs(20);
    bus.put(&[event(1), event(2), event(3)], deadline).await.unwrap();
    let sent: Vec<Value> = stub.requests.lock().unwrap().iter().map(Request::json).collect();
    assert_eq!(sent.len(), 2);
    let again = &sent[1]["Entries"][0];
    assert_eq!(
        (&again["Source"], &again["DetailType"]),
        (&json!("keywheel"), &json!("keywheel.key.minted"))
    );
    let detail: CloudEvent = serde_json::from_str(again["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail.id, Uuid::from_u128(3));
}

#[tokio::test]
async fn an_event_that_is_not_accepted_is_an_error() {
    let stub = Stub::start(|_| {
        ok(&json!({ "FailedEntryCount": 1, "Entries": [{ "ErrorCode": "AccessDeniedException" }] }))
    })
    .await;
    let bus = Bus::new(&stub.config(), "keywheel".to_owned());
    let error = bus.put(&[event(1)], Instant::now() + Duration::from_secs(9)).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(stub.operations().len(), 1);
}

/// One that is larger would be refused for ever, and everything after it.
#[tokio::test]
async fn an_event_has_as_many_bytes_as_eventbridge_takes() {
    let stub =
        Stub::start(|_| ok(&json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e" }] })))
            .await;
    let bus = Bus::new(&stub.config(), "keywheel".to_owned());
    let mut large = event(1);
    large.data.reason = Some(String::new());
    // The time, the source and the type count beside the event itself.
    let beside = 14 + "keywheel".len() + "keywheel.key.minted".len();
    let left = 256 * 1024 - beside - serde_json::to_string(&large).unwrap().len();
    let deadline = Instant::now() + Duration::from_secs(9);
    for (length, fits) in [(left, true), (left + 1, false)] {
        large.data.reason = Some("x".repeat(length));
        let put = bus.put(std::slice::from_ref(&large), deadline).await;
        assert_eq!(put.is_ok(), fits, "{put:?}");
        let too_large = matches!(put, Err(AuditError::TooLarge(id)) if id == large.id);
        assert_eq!(too_large, !fits);
    }
}

#[tokio::test]
async fn no_event_is_forgotten_when_the_call_itself_fails() {
    let stub = Stub::start(|request| {
        let entries = request.json()["Entries"].as_array().map_or(0, Vec::len);
        if entries == 10 {
            return Some((400, json!({ "__type": "AccessDeniedException" }).to_string()));
        }
        ok(&json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "e" }); entries] }))
    })
    .await;
    let bus = Bus::new(&stub.config(), "keywheel".to_owned());
    let all: Vec<CloudEvent> = (0..12).map(event).collect();
    let error = bus.put(&all, Instant::now() + Duration::from_secs(9)).await.unwrap_err();
    let AuditError::NotAccepted { events, failure } = &error else { panic!("{error}") };
    assert_eq!(*events, (0..10).map(Uuid::from_u128).collect::<Vec<_>>());
    assert_eq!(failure.code.as_deref(), Some("AccessDeniedException"));
    assert_eq!(stub.operations().len(), 2, "the second batch was sent all the same");
}

#[tokio::test]
async fn jobs_are_sent_in_batches_and_failed_ones_again() {
    let failures = AtomicUsize::new(0);
    let stub = Stub::start(move |request| {
        let entries = request.json()["Entries"].as_array().cloned().unwrap_or_default();
        let fail = usize::from(failures.fetch_add(1, Ordering::SeqCst) == 0);
        let (lost, sent) = entries.split_at(fail);
        let of =
            |entry: &Value| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" });
        let sent: Vec<Value> = sent.iter().map(of).collect();
        let lost: Vec<Value> = lost
            .iter()
            .map(
                |entry| json!({ "Id": entry["Id"], "SenderFault": false, "Code": "InternalError" }),
            )
            .collect();
        ok(&json!({ "Successful": sent, "Failed": lost }))
    })
    .await;
    let jobs: Vec<Job> = (0..12)
        .map(|number| Job {
            schema: SCHEMA,
            credential: CredentialName(format!("c{number}")),
            application: AppId(Uuid::nil()),
            work: Work::Retire {
                version: None,
                key: KeyId(Uuid::from_u128(number)),
                revoke_old: keywheel_core::queue::RevokeOld::AfterOverlap,
            },
            requested_by: "test".to_owned(),
            requested_at: None,
            request: None,
            continuation: 0,
        })
        .collect();
    let queue = Queue::new(
        &stub.config(),
        format!("{}/1/q.fifo", stub.url),
        Some(format!("{}/1/d.fifo", stub.url)),
    );
    queue.send_batch(&jobs).await.unwrap();
    let sent: Vec<Value> = stub.requests.lock().unwrap().iter().map(Request::json).collect();
    let counts: Vec<usize> =
        sent.iter().map(|sent| sent["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [10, 1, 2]);
    assert_eq!(sent[1]["Entries"][0]["MessageGroupId"], "c0");
}

#[tokio::test]
async fn an_object_whose_answer_is_cut_off_may_be_read_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(asked > 0);
            let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"a\"";
            stream.write_all(cut).await.unwrap();
        }
    });
    let stub = Stub { url, requests: std::sync::Arc::default() };
    let state = Store::new(&stub.config(), "state".to_owned());
    let error = state.read::<Value>("requests/1.json").await.unwrap_err();
    assert_eq!(error.retry(), Retry::Soon, "{error}");
}
