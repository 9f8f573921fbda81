//! A secret that GitHub found leaked: queued by the webhook, compared with every secret that works, and acted on once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;
mod world;

use std::sync::{Arc, Mutex};

use keywheel_core::asking::Requests;
use keywheel_core::asking::leak::{Comparison, Leaks};
use keywheel_core::http::{Http, Retry};
use keywheel_core::queue::{RevokeOld, Work};
use serde_json::json;
use stub::settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::World;

const TEXT: &str = "Abc8Q~defghijklmnopqrstuvwxyz0123456789_";
const OTHER: &str = "Xyz8Q~defghijklmnopqrstuvwxyz0123456789_";
const CURRENT: &str = "00000000-0000-0000-0000-0000000000a2";
const BEFORE: &str = "00000000-0000-0000-0000-0000000000a1";
const KEY: &str = "00000000-0000-0000-0000-0000000000b1";
const ALERT: &str = r#"{"action":"created","alert":{"number":7},"repository":{"name":"app","owner":{"login":"octo"}}}"#;

fn world() -> World {
    let world = World::default();
    let key = format!("keywheel:key:{KEY}");
    for secret in ["prod/monk", "prod/shared", "prod/guarded"] {
        world.label(secret, BEFORE, &["AWSPREVIOUS", &key, "keywheel:since:1700000000"]);
        let labels = [
            "AWSCURRENT",
            "keywheel:key:00000000-0000-0000-0000-0000000000b2",
            "keywheel:since:1795251600",
        ];
        world.label(secret, CURRENT, &labels);
        value(&world, secret, BEFORE, OTHER);
        value(&world, secret, CURRENT, OTHER);
    }
    world
}

fn value(world: &World, secret: &str, version: &str, text: &str) {
    let key = (secret.to_owned(), version.to_owned());
    let value = json!({ "client_secret": text }).to_string();
    world.state().values.insert(key, value);
}

/// GitHub's API, which answers each request with this, and what it was asked.
async fn github(status: u16, body: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answer = format!(
        "HTTP/1.1 {status} Stub\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            let length = stream.read(&mut bytes).await.unwrap_or_default();
            seen.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

fn leaks(world: &World, github: &str, keys: Option<&str>) -> Leaks {
    let requests = Requests::new(&world.config(), settings(1).deployment);
    let http = Http::with_roots(b"").unwrap();
    Leaks::new(requests, http, github.parse().unwrap(), keys.map(str::to_owned))
}

/// What the webhook queues of an alert.
async fn queued(world: &World) -> Comparison {
    assert_eq!(world.github("secret_scanning_alert", ALERT).await.status(), 202);
    let message = world.state().messages.pop().unwrap();
    Comparison::parse(&message).unwrap()
}

fn told(world: &World) -> Vec<(String, String)> {
    let events = std::mem::take(&mut world.state().events);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    events.iter().map(|event| (text(&event["type"]), text(&event["subject"]))).collect()
}

fn finding(name: &str, subject: &str) -> (String, String) {
    (format!("keywheel.finding.{name}"), subject.to_owned())
}

#[tokio::test]
async fn only_a_leak_is_queued_and_only_once_it_is_signed() {
    let world = world();
    let comparison = queued(&world).await;
    assert_eq!(comparison.alert.to_string(), "octo/app alert 7");
    for (kind, body, status) in [
        ("push", "{}", 204),
        ("secret_scanning_alert", &*ALERT.replace("created", "resolved"), 204),
        ("secret_scanning_alert", "{}", 400),
        ("", ALERT, 400),
    ] {
        assert_eq!(world.github(kind, body).await.status(), status, "{kind} {body}");
    }
    assert!(world.state().messages.is_empty());
    let reason = world.state().events[0]["data"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("a request to /github was signed"), "{reason}");
}

/// The secret may be the leaked one, and nobody is asked to try again in vain.
#[tokio::test]
async fn a_secret_that_is_not_compared_is_named_with_the_cause() {
    let world = world();
    let (url, _) = github(200, &json!({ "secret": TEXT }).to_string()).await;
    let compared = async || {
        leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
        let reason = world.state().events[0]["data"]["reason"].as_str().unwrap().to_owned();
        assert_eq!(told(&world), [finding("leaked-secret-unmatched", "github")]);
        reason
    };
    world.state().failing = Some("DescribeSecret");
    for (code, cause) in [
        ("AccessDeniedException", "monk (denied: "),
        ("DecryptionFailure", "monk (its KMS key cannot be used: "),
        ("InvalidRequestException", "monk (its state forbids reading: "),
        ("ValidationException", "monk (refused: "),
    ] {
        world.state().code = Some(code);
        let reason = Box::pin(compared()).await;
        assert!(reason.contains(cause), "{reason}");
    }
    world.state().failing = None;
    world.state().deleted.insert("prod/shared".to_owned());
    let reason = Box::pin(compared()).await;
    assert!(reason.contains(": shared (scheduled for deletion: "), "{reason}");
}

#[tokio::test]
async fn the_secrets_that_rules_make_are_compared_too() {
    let world = world();
    let rule = "rules:\n  - match: { tag: red }\n    secret: prod/rule/{appId}\n";
    world.state().manifest = Some(rule.to_owned());
    let name = "prod/rule/408bf248-dd4e-4be5-919a-7f6207a307ab";
    world.label(name, CURRENT, &["AWSCURRENT", &format!("keywheel:key:{KEY}")]);
    value(&world, name, CURRENT, TEXT);
    let (url, _) = github(200, &json!({ "secret": TEXT }).to_string()).await;
    leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
    assert_eq!(told(&world)[0], finding("leaked-secret", name));
    let state = world.state();
    let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
    assert_eq!(job.credential.0, name);
}

#[tokio::test]
async fn an_alert_that_is_not_queued_is_a_finding() {
    let world = world();
    world.state().failing = Some("SendMessage");
    let answer = world.github("secret_scanning_alert", ALERT).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(told(&world), [finding("leaked-secret-not-compared", "github")]);
}

#[tokio::test]
async fn a_current_secret_that_leaked_is_replaced_and_its_key_removed_at_once() {
    let world = world();
    value(&world, "prod/monk", CURRENT, TEXT);
    let (url, asked) = github(200, &json!({ "secret": TEXT }).to_string()).await;
    let leaks = leaks(&world, &url, Some("keys"));
    let comparison = queued(&world).await;
    leaks.compare(&comparison).await.unwrap();
    let request = asked.lock().unwrap()[0].to_lowercase();
    assert!(request.starts_with("get /repos/octo/app/secret-scanning/alerts/7 "), "{request}");
    assert!(request.contains("authorization: bearer ghp_token"), "{request}");
    let events = told(&world);
    assert_eq!(events[0], finding("leaked-secret", "monk"));
    assert_eq!(events[1].0, "keywheel.rotation.requested");
    {
        let state = world.state();
        let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
        assert_eq!((&*job.credential.0, &*job.requested_by), ("monk", "github:octo/app"));
        let Work::Rotate { replaces, revoke_old, .. } = &job.work else { panic!("{job:?}") };
        assert_eq!((&*replaces.as_ref().unwrap().0, *revoke_old), (CURRENT, RevokeOld::Now));
    }
    // The same comparison again, and the same delivery again: all was done.
    leaks.compare(&comparison).await.unwrap();
    assert_eq!(world.github("secret_scanning_alert", ALERT).await.status(), 409);
    assert_eq!(world.state().jobs.len(), 1);
    assert!(told(&world).is_empty());
}

#[tokio::test]
async fn a_secret_that_was_replaced_and_leaked_loses_its_key_now() {
    let world = world();
    value(&world, "prod/shared", BEFORE, TEXT);
    let (url, _) =
        github(200, &json!({ "secret": format!("ARM_CLIENT_SECRET={TEXT}") }).to_string()).await;
    leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
    assert_eq!(told(&world), [finding("leaked-secret", "shared")]);
    let state = world.state();
    let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
    let Work::Retire { version, key, revoke_old } = &job.work else { panic!("{job:?}") };
    assert_eq!((&*version.as_ref().unwrap().0, key.to_string().as_str()), (BEFORE, KEY));
    assert_eq!((*revoke_old, job.credential.0.as_str()), (RevokeOld::Now, "shared"));
    assert!(job.request.is_some() && job.requested_at.is_some());
}

#[tokio::test]
async fn a_leaked_secret_whose_key_is_not_known_is_told_and_left_to_people() {
    let world = world();
    world.label("prod/monk", BEFORE, &["AWSPREVIOUS"]);
    value(&world, "prod/monk", BEFORE, TEXT);
    let (url, _) = github(200, &json!({ "secret": TEXT }).to_string()).await;
    leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
    let reason = world.state().events[0]["data"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("remove the key by hand"), "{reason}");
    assert_eq!(told(&world), [finding("leaked-secret", "monk")]);
    assert!(world.state().jobs.is_empty());
}

#[tokio::test]
async fn a_text_that_is_no_secret_of_ours_is_said_to_be_none() {
    let world = world();
    let (url, _) = github(200, &json!({ "secret": TEXT }).to_string()).await;
    leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
    assert_eq!(told(&world), [finding("leaked-secret-unmatched", "github")]);
    assert_eq!(world.github("secret_scanning_alert", ALERT).await.status(), 409, "it is done");
    // A value that could not be read may be it: the delivery can be sent again.
    let world = self::world();
    world.state().failing = Some("DescribeSecret");
    leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
    assert_eq!(told(&world), [finding("leaked-secret-unmatched", "github")]);
    world.state().failing = None;
    assert_eq!(world.github("secret_scanning_alert", ALERT).await.status(), 202);
}

#[tokio::test]
async fn what_github_does_not_show_is_a_finding_or_tried_again() {
    let world = world();
    for status in [401, 404] {
        let (url, _) = github(status, "{}").await;
        leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap();
        let reason = world.state().events[0]["data"]["reason"].clone();
        let said = "octo/app alert 7: the leaked text cannot be read; check that `github_token`";
        assert!(reason.as_str().unwrap().starts_with(said), "{reason}");
        assert_eq!(told(&world), [finding("leaked-secret-unread", "github")], "{status}");
    }
    let (url, asked) = github(200, "{}").await;
    leaks(&world, &url, None).compare(&queued(&world).await).await.unwrap();
    assert_eq!(told(&world), [finding("leaked-secret-unread", "github")], "without a token");
    assert!(asked.lock().unwrap().is_empty());
    let (url, _) = github(503, "{}").await;
    let missed =
        leaks(&world, &url, Some("keys")).compare(&queued(&world).await).await.unwrap_err();
    assert_eq!((missed.credentials.len(), missed.retry), (0, Retry::Soon));
    assert!(told(&world).is_empty());
    let leaks = leaks(&world, &url, Some("keys"));
    leaks.give_up(&queued(&world).await, missed).await.unwrap();
    assert_eq!(told(&world), [finding("leaked-secret-not-compared", "github")]);
}

#[tokio::test]
async fn a_hit_that_cannot_be_acted_on_is_not_forgotten() {
    let world = world();
    value(&world, "prod/monk", CURRENT, TEXT);
    let (url, _) = github(200, &json!({ "secret": TEXT }).to_string()).await;
    let (leaks, comparison) = (leaks(&world, &url, Some("keys")), queued(&world).await);
    world.state().failing = Some("SendMessageBatch");
    let missed = leaks.compare(&comparison).await.unwrap_err();
    assert_eq!(missed.credentials.iter().map(|name| &*name.0).collect::<Vec<_>>(), ["monk"]);
    world.state().failing = None;
    leaks.compare(&comparison).await.unwrap();
    assert_eq!(world.state().jobs.len(), 1);
}
