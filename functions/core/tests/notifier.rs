//! Who is told of an event, and what is noted of it: over stand-ins for AWS, Slack and a receiver of webhooks. The
//! notifier finds its deployment in the environment, so each runs in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod secrets_stub;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use keywheel_core::notify::webhook::signatures;
use keywheel_core::notify::{Notice, Notified, Notifier};
use keywheel_core::signing_key::SigningKey;
use secrets_stub::{Answer, Request, Stub};
use serde_json::{Value, json};
use uuid::Uuid;

const APP: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";
const NOW: &str = "2026-11-21T09:10:00Z";
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:keywheel";
const REQUEST: &str = "7c5a3c4e-2f56-4f0f-9a53-0d8c2a2f9b11";
const ROTATION: &str = "00000000-0000-0000-0000-0000000000ab";

/// Run by the tests below as a process of its own.
#[tokio::test]
#[ignore = "run by the other tests, with the environment they make"]
#[expect(clippy::print_stdout, reason = "the test that runs this one reads the result")]
async fn child() {
    let notifier = Notifier::connect().await.unwrap();
    let bodies: Vec<Value> = serde_json::from_str(&std::env::var("NOTICES").unwrap()).unwrap();
    let notices: Vec<Notice> =
        bodies.iter().map(|body| Notice::parse(&body.to_string()).unwrap()).collect();
    let told = notifier.notify(&notices.iter().collect::<Vec<_>>(), NOW.parse().unwrap()).await;
    for (id, notified) in told {
        let shown = match notified {
            Notified::All => "all".to_owned(),
            Notified::TryAgain(retry, why) => format!("again {retry:?}: {why}"),
            Notified::Failed(why) => format!("failed: {why}"),
        };
        println!("RESULT {} {shown}", id.as_u128());
    }
}

/// What the stand-ins hold, and how they answer.
#[derive(Default)]
struct State {
    objects: BTreeMap<String, String>,
    /// The answer of each path that is posted to, if not 200.
    answers: BTreeMap<&'static str, Answer>,
}

impl State {
    fn answer(&mut self, request: &Request, url: &str) -> Answer {
        let path = request.line.split([' ', '?']).nth(1).unwrap().to_owned();
        if request.operation == "GetSecretValue" {
            let secret =
                json!({ "slack": { "ops": format!("{url}/slack") }, "webhooks": { "siem": KEY } });
            return (200, json!({ "SecretString": secret.to_string() }).to_string());
        }
        if request.body.starts_with("Action=Publish") {
            let id = "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";
            return (200, id.to_owned());
        }
        if request.line.starts_with("POST") {
            let told = self.answers.get(path.as_str()).cloned();
            return told.unwrap_or((200, "ok".to_owned()));
        }
        let there = self.objects.get(&path).cloned();
        if request.line.starts_with("GET") {
            let missing = (404, "<Error><Code>NoSuchKey</Code></Error>".to_owned());
            return there.map_or(missing, |object| (200, object));
        }
        if there.is_some() && request.head.contains("if-none-match") {
            return (412, "<Error><Code>PreconditionFailed</Code></Error>".to_owned());
        }
        self.objects.insert(path, request.body.clone());
        (200, String::new())
    }
}

struct World {
    stub: Stub,
    state: Arc<Mutex<State>>,
    manifest: PathBuf,
}

/// What a run came to: the result for each event, by its number, and the lines of metrics.
type Ran = (BTreeMap<u128, String>, Vec<Value>);

impl World {
    /// `notifications`, in which `STUB` is the stand-ins' address.
    async fn new(name: &str, notifications: &str) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let behind = Arc::clone(&state);
        let stub = Stub::start(move |request| {
            let host = request.head.lines().find_map(|line| line.strip_prefix("host: "))?;
            Some(behind.lock().unwrap().answer(request, &format!("http://{host}")))
        })
        .await;
        let manifest =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("notifier-{name}.yaml"));
        let notifications = notifications.replace("STUB", &stub.url);
        let text = format!(
            "tenant: {APP}\ncredentials:\n  monk:\n    application: {APP}\n    secret: prod/monk\nnotifications:\n{notifications}"
        );
        std::fs::write(&manifest, text).unwrap();
        Self { stub, state, manifest }
    }

    async fn notify(&self, notices: &[Value]) -> Ran {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture"]);
        let nowhere = self.manifest.with_extension("nowhere");
        std::fs::write(&nowhere, "").unwrap();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(&name);
            }
        }
        command
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDSTUB")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_CONFIG_FILE", &nowhere)
            .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere)
            .env("AWS_ENDPOINT_URL", &self.stub.url)
            .env("KEYWHEEL_ALLOW_LOOPBACK_HTTP", "1")
            .env("KEYWHEEL_MANIFEST", &self.manifest)
            .env("KEYWHEEL_BUS", "keywheel")
            .env("KEYWHEEL_STATE_BUCKET", "state")
            .env("KEYWHEEL_NOTIFY_SECRET", "notify")
            .env("NOTICES", json!(notices).to_string());
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = String::from_utf8(run.await.unwrap().unwrap().stdout).unwrap();
        let results = output.lines().filter_map(|line| {
            let (number, shown) = line.split_once("RESULT ")?.1.split_once(' ')?;
            Some((number.parse().unwrap(), shown.to_owned()))
        });
        let metrics = output.lines().filter_map(|line| {
            let from = line.find("{\"")?;
            serde_json::from_str(&line[from..]).ok()
        });
        let ran: Ran = (results.collect(), metrics.collect());
        assert_eq!(ran.0.len(), notices.len(), "{output}");
        ran
    }

    /// The requests to a path since this was last asked.
    fn posted(&self, path: &str) -> Vec<Request> {
        let mut requests = self.stub.requests.lock().unwrap();
        let is_one = |one: &Request| {
            let to = one.line.strip_prefix("POST ").is_some_and(|rest| rest.starts_with(path));
            to && one.operation.is_empty()
        };
        let (posted, rest) = requests.drain(..).partition(is_one);
        *requests = rest;
        posted
    }

    fn answers(&self, path: &'static str, status: u16, said: &str) {
        self.state.lock().unwrap().answers.insert(path, (status, said.to_owned()));
    }

    fn keys(&self, under: &str) -> usize {
        self.state.lock().unwrap().objects.keys().filter(|key| key.starts_with(under)).count()
    }
}

/// The event of this number, one second after the one before.
#[expect(clippy::needless_pass_by_value, reason = "each call gives a literal")]
fn notice(number: u128, kind: &str, more: Value) -> Value {
    let mut data = json!({ "credential": "monk", "application": APP, "reason": "because" });
    data.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let event = json!({
        "specversion": "1.0", "id": Uuid::from_u128(number), "source": "keywheel", "type": kind, "subject": "monk",
        "time": format!("2026-11-21T09:00:{number:02}Z"), "datacontenttype": "application/json", "data": data,
    });
    json!({ "version": "0", "detail-type": kind, "source": "keywheel", "detail": event })
}

fn all(numbers: impl IntoIterator<Item = u128>) -> BTreeMap<u128, String> {
    numbers.into_iter().map(|number| (number, "all".to_owned())).collect()
}

/// The names of the metrics, each with its value.
fn measured(lines: &[Value]) -> Vec<(String, f64)> {
    let metric = |line: &Value| {
        let name = line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"].as_str()?.to_owned();
        let value = line[&name].as_f64().or_else(|| line[&name][0].as_f64())?;
        Some((name, value))
    };
    let mut measured: Vec<_> = lines.iter().filter_map(metric).collect();
    measured.sort_by(|one, other| one.0.cmp(&other.0));
    measured
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_is_told_of_each_event_once() {
    let on = "on: [failures, findings, rotations]";
    let targets = format!(
        "  - slack: ops\n    {on}\n  - sns: {TOPIC}\n    {on}\n  - webhook: STUB/hook\n    key: siem\n    {on}\n"
    );
    let world = World::new("once", &targets).await;
    let notices = [
        notice(1, "keywheel.rotation.stored", json!({ "rotation": ROTATION })),
        notice(31, "keywheel.rotation.promoted", json!({ "rotation": ROTATION })),
        notice(32, "keywheel.rotation.failed", json!({})),
        notice(33, "keywheel.finding.foreign-key", json!({})),
    ];
    let (told, metrics) = world.notify(&notices).await;
    assert_eq!(told, all([1, 31, 32, 33]));
    let expected =
        [("Findings", 1.0), ("RotationFailures", 1.0), ("Rotations", 1.0), ("TimeToProve", 30.0)];
    assert_eq!(measured(&metrics), expected.map(|(name, value)| (name.to_owned(), value)));
    let posted = world.posted("/");
    let to = |path: &str| -> Vec<&Request> {
        posted.iter().filter(|one| one.line.starts_with(&format!("POST {path} "))).collect()
    };
    let [slack] = &to("/slack")[..] else { panic!("{posted:?}") };
    assert!(slack.body.contains("Failures: 1, Findings: 1, Rotations: 1"), "one message for all");
    assert!(slack.body.contains("first sweep after 2026-11-22 09:10 UTC"), "{}", slack.body);
    let mails = to("/");
    assert_eq!(mails.len(), 3);
    assert!(mails.iter().all(|mail| mail.body.contains("TopicArn=arn%3Aaws%3Asns")));
    let hooks = to("/hook");
    assert_eq!(hooks.len(), 3, "a stored secret is no news");
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let keys = [SigningKey::of_webhook(KEY).unwrap()];
    for hook in hooks {
        let event: Value = hook.json();
        let id = event["id"].as_str().unwrap();
        let signature = signatures(&keys, id, now.timestamp(), &hook.body).to_lowercase();
        assert!(hook.head.contains(&format!("webhook-signature: {signature}")), "{}", hook.head);
        assert!(hook.head.contains("content-type: application/cloudevents+json"));
    }
    // Three markers for each event, and one for its metrics.
    assert_eq!(world.keys("/state/notified/"), 3 * 3 + 3 + 1);
    let (told, metrics) = world.notify(&notices).await;
    assert_eq!((told, measured(&metrics)), (all([1, 31, 32, 33]), vec![]));
    assert_eq!(world.posted("/").len(), 0, "told again, they know it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_take_an_event_is_tried_again_where_that_may_help() {
    let targets = "  - slack: ops\n  - webhook: STUB/hook\n    key: siem\n";
    let failed = [notice(1, "keywheel.rotation.failed", json!({}))];
    for (slack, hook, expected) in [
        ((404, "no_service"), 200, "failed: Slack ops answered 404 Not Found: no_service"),
        ((400, "<html>"), 200, "failed: Slack ops answered 400 Bad Request"),
        ((429, ""), 200, "again Soon: Slack ops answered 429 Too Many Requests"),
        ((500, ""), 200, "again Soon: Slack ops answered 500 Internal Server Error"),
        ((200, "ok"), 410, "failed: webhook at 127.0.0.1 (key siem) answered 410 Gone"),
        ((200, "ok"), 404, "again Soon: webhook at 127.0.0.1 (key siem) answered 404 Not Found"),
        (
            (404, "no_service"),
            503,
            "again Soon: webhook at 127.0.0.1 (key siem) answered 503 Service Unavailable",
        ),
    ] {
        let world = World::new("again", targets).await;
        world.answers("/slack", slack.0, slack.1);
        world.answers("/hook", hook, "");
        let (told, metrics) = world.notify(&failed).await;
        assert_eq!(told[&1], expected);
        assert_eq!(measured(&metrics).len(), 1, "the metric does not wait for it");
        world.posted("/");
        for path in ["/slack", "/hook"] {
            world.answers(path, 200, "ok");
        }
        let (told, metrics) = world.notify(&failed).await;
        assert_eq!((told, measured(&metrics)), (all([1]), vec![]));
        let again = usize::from(slack.0 != 200) + usize::from(hook != 200);
        assert_eq!(
            world.posted("/").len(),
            again,
            "{expected}: whoever knows it is not told again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_read_and_a_name_that_the_secret_lacks_are_for_people_to_mend() {
    let world = World::new("mend", "  - slack: other\n").await;
    let failed = [notice(1, "keywheel.rotation.failed", json!({}))];
    let (told, _) = world.notify(&failed).await;
    assert!(told[&1].starts_with("again Soon: the notify secret: slack.other, which"), "{told:?}");
    std::fs::write(&world.manifest, "nonsense").unwrap();
    let (told, _) = world.notify(&failed).await;
    assert!(told[&1].starts_with("again After(600s): "), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_is_shown_each_step_where_they_asked() {
    let steps = ["key.minted", "rotation.stored", "rotation.promoted", "key.removed"];
    let notices: Vec<Value> = (1..)
        .zip(steps)
        .map(|(number, step)| {
            notice(number, &format!("keywheel.{step}"), json!({ "request": REQUEST }))
        })
        .collect();
    for (approved_at, shown) in [(Some(NOW), 4), (None, 2)] {
        let world = World::new("steps", "  - slack: ops\n    on: [digest]\n").await;
        let request = json!({
            "schema": 1, "request": REQUEST, "credential": "monk", "application": APP, "requested_by": "slack:T1/U1",
            "revoke_old": "after-overlap", "requested_at": "2026-11-21T09:00:00Z", "approved_at": approved_at,
            "slack": { "response_url": format!("{}/answer", world.stub.url), "channel": "C1", "user": "U1", "team": "T1" },
        });
        let (told, _) = world.notify(&notices).await;
        assert_eq!(told, all(1..=4), "nobody asked for it");
        let key = format!("/state/requests/{REQUEST}.json");
        world.state.lock().unwrap().objects.insert(key, request.to_string());
        assert!(world.posted("/answer").is_empty() && world.keys("/state/progress/") == 0);
        let (told, _) = world.notify(&notices).await;
        assert_eq!(told, all(1..=4));
        assert_eq!(world.keys(&format!("/state/progress/{REQUEST}/keywheel.")), 4);
        let posted = world.posted("/answer");
        assert_eq!(posted.len(), shown);
        for post in &posted {
            assert_eq!(post.json()["replace_original"], approved_at.is_some());
            assert_eq!(post.json()["response_type"], "ephemeral");
        }
        let last = posted.last().unwrap().body.clone();
        assert!(
            last.contains(if shown == 4 {
                "✓ The old key is removed"
            } else {
                "The old key of monk is removed"
            }),
            "{last}"
        );
        let promoted = &posted[shown - 2].body;
        assert!(promoted.contains("first sweep after 2026-11-22 09:10 UTC"), "{promoted}");
        world.notify(&notices).await;
        assert!(world.posted("/answer").is_empty(), "a response_url takes few posts");
    }
}

/// Nobody waits for a message where nobody listens.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_listens_at_any_more_holds_nothing_up() {
    for (status, expected) in
        [(404, "all"), (500, "again Soon: Slack, where the rotation was asked for")]
    {
        let world = World::new("gone", "  - slack: ops\n    on: [digest]\n").await;
        let request = json!({
            "schema": 1, "request": REQUEST, "credential": "monk", "application": APP, "requested_by": "slack:T1/U1",
            "revoke_old": "now", "requested_at": "2026-11-21T09:00:00Z",
            "slack": { "response_url": format!("{}/answer", world.stub.url), "channel": "C1", "user": "U1", "team": "T1" },
        });
        let key = format!("/state/requests/{REQUEST}.json");
        world.state.lock().unwrap().objects.insert(key, request.to_string());
        world.answers("/answer", status, "used_url");
        let promoted = notice(1, "keywheel.rotation.promoted", json!({ "request": REQUEST }));
        let (told, _) = world.notify(&[promoted]).await;
        assert!(told[&1].starts_with(expected), "{told:?}");
    }
}
