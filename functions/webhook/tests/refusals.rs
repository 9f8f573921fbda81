//! A hundred thousand requests that nobody signed, or that were broken after they were signed: nothing is queued,
//! nothing panics, and no two failed signatures can be told apart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, Response};
use keywheel_core::asking::leak::Comparison;
use keywheel_core::http::Http;
use keywheel_webhook::{Settings, Webhook};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sha2::Sha256;
use stub::{Aws, GITHUB, KEY, SLACK, limited, now, settings, webhook};

const REQUESTS: u64 = 100_000;
const HELP: &str =
    "team_id=T1&channel_id=C1&user_id=U1&text=help&response_url=https%3A%2F%2Fhooks.slack.com%2Fx";

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// A request before it is broken.
#[derive(Clone, Debug)]
struct Sample {
    method: &'static str,
    path: String,
    headers: BTreeMap<&'static str, String>,
    body: Vec<u8>,
    at: DateTime<Utc>,
}

impl Sample {
    fn new(method: &'static str, path: &str, body: &[u8]) -> Self {
        let (path, body) = (path.to_owned(), body.to_vec());
        Self { method, path, headers: BTreeMap::new(), body, at: now() }
    }

    fn with(mut self, headers: &[(&'static str, &str)]) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self
    }

    fn slack(path: &str, body: &str) -> Self {
        let time = now().timestamp().to_string();
        let code = hex(&mac(SLACK.as_bytes(), &[b"v0:", time.as_bytes(), b":", body.as_bytes()]));
        Self::new("POST", path, body.as_bytes()).with(&[
            ("x-slack-request-timestamp", &time),
            ("x-slack-signature", &format!("v0={code}")),
        ])
    }

    fn webhook(method: &'static str, path: &str, body: &[u8], content: &[u8]) -> Self {
        let time = now().timestamp().to_string();
        let key = STANDARD.decode(KEY).unwrap();
        let code = mac(&key, &[b"msg_1.", time.as_bytes(), b".", content]);
        Self::new(method, path, body).with(&[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", &time),
            ("webhook-signature", &format!("v1,{}", STANDARD.encode(code))),
        ])
    }

    fn github(body: &str) -> Self {
        let code = hex(&mac(GITHUB.as_bytes(), &[body.as_bytes()]));
        Self::new("POST", "/github", body.as_bytes()).with(&[
            ("x-github-event", "secret_scanning_alert"),
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("x-hub-signature-256", &format!("sha256={code}")),
        ])
    }

    fn request(&self) -> Option<Request<Vec<u8>>> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.clone()).ok()
    }
}

fn samples() -> Vec<Sample> {
    let rotation = "/rotations/monk/00000000-0000-0000-0000-0000000000ab";
    let slash = "team_id=T1&channel_id=C1&user_id=U1&text=rotate+monk&response_url=https%3A%2F%2Fhooks.slack.com%2Fx";
    let payload = "payload=%7B%22type%22%3A%22block_actions%22%7D";
    let alert = json!({ "action": "created", "alert": { "number": 1 }, "repository": { "name": "a", "owner": { "login": "b" } } });
    let ask = br#"{"credential":"monk","reason":"fuzz","revoke_old":"now"}"#;
    vec![
        Sample::slack("/slack/commands", slash),
        Sample::slack("/slack/interactions", payload),
        Sample::webhook("POST", "/rotate", ask, ask),
        Sample::webhook("GET", rotation, b"", rotation.as_bytes()),
        Sample::github(&alert.to_string()),
    ]
}

/// Breaks something that the signature covers, or the signature.
fn broken(sample: &Sample, chance: &mut StdRng) -> Sample {
    let mut broken = sample.clone();
    let names: Vec<_> = broken.headers.keys().copied().collect();
    // What GitHub's signature does not cover is not broken: such a request is signed.
    let covered = |name: &&&str| !name.starts_with("x-github");
    let names: Vec<_> = names.iter().filter(covered).copied().collect();
    let name = names[chance.random_range(0..names.len())];
    match chance.random_range(0..9) {
        0 if !broken.body.is_empty() => {
            let at = chance.random_range(0..broken.body.len());
            broken.body[at] ^= 1 << chance.random_range(0..8);
        }
        1 if !broken.body.is_empty() => {
            broken.body.truncate(chance.random_range(0..broken.body.len()));
        }
        2 if broken.method == "POST" => {
            let more = chance.random_range(1..200);
            broken.body.extend((0..more).map(|_| chance.random::<u8>()));
        }
        3 => drop(broken.headers.remove(name)),
        4 => {
            let length = chance.random_range(0..120);
            let text: String =
                (0..length).map(|_| char::from(chance.random_range(33..127_u8))).collect();
            broken.headers.insert(name, text);
        }
        5 => {
            let mut text = broken.headers[name].clone().into_bytes();
            let at = chance.random_range(0..text.len());
            // Not by its case alone: hexadecimal digits have two.
            text[at] = if text[at] == b'~' { b'!' } else { b'~' };
            broken.headers.insert(name, String::from_utf8(text).unwrap());
        }
        6 if !broken.path.starts_with("/github") => {
            let minutes = chance.random_range(6..100_000);
            let sign = if chance.random() { 1 } else { -1 };
            broken.at += TimeDelta::minutes(sign * minutes);
        }
        7 => {
            let length = chance.random_range(0..64);
            broken.path = "/".to_owned()
                + &(0..length)
                    .map(|_| char::from(chance.random_range(33..127_u8)))
                    .collect::<String>();
        }
        _ => {
            let methods = ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"];
            broken.method = methods[chance.random_range(0..methods.len())];
        }
    }
    broken
}

fn without_date(response: &Response<String>) -> String {
    format!("{:?} {}", response.headers(), response.body())
}

#[tokio::test]
async fn a_hundred_thousand_broken_requests_queue_nothing() {
    let aws = Aws::default();
    let webhook = webhook(&aws);
    let samples = samples();
    let mut chance = StdRng::seed_from_u64(4);
    let mut statuses = BTreeMap::new();
    let mut unsigned: Option<String> = None;
    let mut sent = 0;
    while sent < REQUESTS {
        let sample = &samples[chance.random_range(0..samples.len())];
        let broken = broken(sample, &mut chance);
        let Some(request) = broken.request() else { continue };
        let response = webhook.answer(&request, &format!("10.0.0.{}", sent % 200), broken.at).await;
        sent += 1;
        let status = response.status().as_u16();
        *statuses.entry(status).or_insert(0_u64) += 1;
        assert!(matches!(status, 401 | 404 | 405 | 413), "{status} to {broken:?}");
        if status == 401 {
            let shown = without_date(&response);
            assert_eq!(*unsigned.get_or_insert_with(|| shown.clone()), shown, "{broken:?}");
        }
        let problem: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(problem["status"], status);
    }
    assert!(
        statuses[&401] > REQUESTS / 2 && statuses[&404] > 0 && statuses[&405] > 0,
        "{statuses:?}"
    );
    // The keys were read, again and again at most every ten seconds; nothing else was asked of AWS.
    let operations = aws.operations();
    assert!(operations.iter().all(|one| one == "secretsmanager.GetSecretValue"), "{operations:?}");
    assert!(operations.len() < 100, "{}", operations.len());
}

/// Whoever holds a key can sign garbage: it is refused once it is read, and nothing is queued for it either. Somebody
/// is told each time, for the sender may not look at the answer.
#[tokio::test]
async fn signed_garbage_is_refused_as_garbage() {
    let aws = Aws::default();
    let webhook = webhook(&aws);
    let mut chance = StdRng::seed_from_u64(5);
    for round in 0..5_000 {
        let length = chance.random_range(0..300);
        let mut body: Vec<u8> = (0..length).map(|_| chance.random::<u8>()).collect();
        if round % 2 == 0 {
            body = String::from_utf8_lossy(&body).into_owned().into_bytes();
            let cut = br#"{"credential":"monk","revoke_old":"#;
            body.splice(0..0, cut[..chance.random_range(0..cut.len())].iter().copied());
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let sample = match round % 4 {
            0 | 1 => Sample::webhook("POST", "/rotate", &body, &body),
            2 => Sample::slack("/slack/commands", &text),
            _ => Sample::github(&text),
        };
        let response = webhook.answer(&sample.request().unwrap(), "10.0.0.1", now()).await;
        assert_eq!(response.status(), 400, "{sample:?}");
    }
    let operations = aws.operations();
    let (told, others): (Vec<_>, Vec<_>) =
        operations.iter().partition(|one| one.ends_with("PutEvents"));
    assert_eq!(told.len(), 5_000);
    assert!(others.iter().all(|one| one.ends_with("GetSecretValue")), "{others:?}");
}

#[tokio::test]
async fn samples_that_nobody_broke_are_signed() {
    let aws = Aws::default();
    let webhook = webhook(&aws);
    for sample in samples() {
        let response = webhook.answer(&sample.request().unwrap(), "10.0.0.1", now()).await;
        assert!(!matches!(response.status().as_u16(), 401 | 404 | 405), "{sample:?} {response:?}");
    }
}

#[tokio::test]
async fn callers_whose_signature_fails_are_held_to_a_rate() {
    let aws = Aws::default();
    let settings = Settings { secret: None, ..settings(3) };
    let webhook = Webhook::new(Http::with_roots(b"").unwrap(), &aws.config(), settings);
    let request = Sample::new("POST", "/rotate", b"{}").request().unwrap();
    for status in [401, 401, 401, 429] {
        let response = webhook.answer(&request, "10.0.0.1", now()).await;
        assert_eq!(response.status(), status);
    }
    let response = webhook.answer(&request, "10.0.0.1", now()).await;
    assert_eq!(response.headers()["retry-after"], "20");
    assert_eq!(webhook.answer(&request, "10.0.0.2", now()).await.status(), 401);
    assert!(aws.operations().is_empty(), "without a configured secret nobody is believed");
}

fn alert() -> Sample {
    samples().into_iter().find(|sample| sample.path == "/github").unwrap()
}

/// A leak that is turned away is lost: GitHub does not send it again by itself.
#[tokio::test]
async fn no_alert_of_githubs_is_turned_away_for_its_rate() {
    let aws = Aws::default();
    let webhook = limited(&aws, 1);
    for _ in 0..5 {
        let answer = webhook.answer(&alert().request().unwrap(), "10.0.0.1", now()).await;
        assert_eq!(answer.status(), 202);
    }
    let comparisons: Vec<_> =
        aws.messages().iter().map(|text| Comparison::parse(text).unwrap()).collect();
    assert_eq!(comparisons.len(), 5);
    assert_eq!(comparisons[0].alert.to_string(), "b/a alert 1");
}

/// What RFC 9110 wants beside each of these statuses.
#[tokio::test]
async fn a_refusal_says_in_its_headers_what_to_do() {
    let aws = Aws::default();
    let settings = Settings { compare_queue_url: None, ..settings(1_000) };
    let webhook = Webhook::new(Http::with_roots(b"").unwrap(), &aws.config(), settings);
    for (sample, status, header, value) in [
        (Sample::new("GET", "/rotate", b""), 405, "allow", "POST"),
        (Sample::new("POST", "/openapi.json", b""), 405, "allow", "GET"),
        (
            Sample::new("POST", "/rotate", b"{}"),
            401,
            "www-authenticate",
            "Signature realm=\"keywheel\"",
        ),
        (alert(), 503, "retry-after", "5"),
    ] {
        let answer = webhook.answer(&sample.request().unwrap(), "10.0.0.1", now()).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header]),
            (status, &value.parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_start_reads_what_the_first_request_would_wait_for() {
    let aws = Aws::default();
    webhook(&aws).warm().await;
    let operations = aws.operations();
    for part in ["GetSecretValue", "/manifest.yaml"] {
        assert!(operations.iter().any(|one| one.ends_with(part)), "{operations:?}");
    }
}

#[tokio::test]
async fn an_alert_is_told_where_no_queue_of_comparisons_is_set_up() {
    let aws = Aws::default();
    let settings = Settings { compare_queue_url: None, ..settings(1_000) };
    let webhook = Webhook::new(Http::with_roots(b"").unwrap(), &aws.config(), settings);
    let answer = webhook.answer(&alert().request().unwrap(), "10.0.0.1", now()).await;
    assert_eq!(answer.status(), 503);
    let told = aws.operations().iter().filter(|one| one.ends_with("PutEvents")).count();
    assert_eq!(told, 1, "whoever reads findings learns of the leak");
    assert!(aws.messages().is_empty());
}

#[tokio::test]
async fn a_signed_event_of_no_kind_is_told() {
    let aws = Aws::default();
    let webhook = webhook(&aws);
    let mut unnamed = alert();
    unnamed.headers.remove("x-github-event");
    let answer = webhook.answer(&unnamed.request().unwrap(), "10.0.0.1", now()).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(aws.operations().iter().filter(|one| one.ends_with("PutEvents")).count(), 1);
}

/// Slack and GitHub send for all their customers from the same addresses.
#[tokio::test]
async fn strangers_do_not_use_up_the_rate_of_an_address_for_those_who_sign() {
    let aws = Aws::default();
    let webhook = limited(&aws, 3);
    let forged = Sample::new("POST", "/slack/commands", b"text=help").request().unwrap();
    for status in [401, 401, 401, 429] {
        assert_eq!(webhook.answer(&forged, "10.0.0.1", now()).await.status(), status);
    }
    let signed = Sample::slack("/slack/commands", HELP).request().unwrap();
    for status in [200, 200, 200, 429] {
        assert_eq!(webhook.answer(&signed, "10.0.0.1", now()).await.status(), status);
    }
}
