//! An AWS in memory that remembers: what a request leaves behind is there for the next one.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, Response};
use keywheel_core::http::Http;
use keywheel_core::queue::Job;
use keywheel_webhook::{Settings, Webhook};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::stub::{GITHUB, KEY, SLACK, now, settings};

/// The signing key of the system `cd`.
pub const OTHER_KEY: &str = "AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MANIFEST: &str = "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  monk:
    application: 408bf248-dd4e-4be5-919a-7f6207a307ab
    secret: prod/monk
    allow: { slack: [{ team: T1, users: [U1] }], webhook: [ci] }
  shared:
    application: 508bf248-dd4e-4be5-919a-7f6207a307ab
    secret: prod/shared
    allow: { slack: [{ team: T1, users: [U1, U2] }], webhook: [ci, cd] }
  guarded:
    application: 608bf248-dd4e-4be5-919a-7f6207a307ab
    secret: prod/guarded
    approval: required
    allow: { slack: [{ team: T1, users: [U1, U2, U4] }], webhook: [ci] }
";

/// What AWS holds, and was told.
#[derive(Debug, Default)]
pub struct State {
    pub objects: BTreeMap<String, String>,
    /// The labels of each version of each secret.
    pub secrets: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// The value of each version.
    pub values: BTreeMap<(String, String), String>,
    pub jobs: Vec<Job>,
    /// What was sent to the queue of comparisons.
    pub messages: Vec<String>,
    pub events: Vec<Value>,
    /// An operation that fails.
    pub failing: Option<&'static str>,
    /// The code that it fails with, if not `AccessDeniedException`.
    pub code: Option<&'static str>,
    /// How often events are to be sent again.
    pub throttled: usize,
    /// An operation whose answer takes this long.
    pub slow: Option<(&'static str, Duration)>,
    /// Secrets that are scheduled for deletion.
    pub deleted: BTreeSet<String>,
    /// The webhook's own keys, if others than usual.
    pub keys: Option<Value>,
    /// What follows the tenant in the manifest, if other credentials than usual.
    pub manifest: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct World(Arc<Mutex<State>>);

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn webhook(&self) -> Webhook {
        let settings = Settings { loopback: true, ..settings(1000) };
        Webhook::new(Http::with_roots(b"").unwrap(), &self.config(), settings)
    }

    pub fn config(&self) -> SdkConfig {
        let world = self.clone();
        let credentials = Credentials::new("AKIDSTUB", "secret", None, None, "stub");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url("http://127.0.0.1:9")
            .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(world.clone())))
            .build()
    }

    /// An event as GitHub sends it.
    pub async fn github(&self, kind: &str, body: &str) -> Answer {
        let code = mac(GITHUB.as_bytes(), &[body.as_bytes()]);
        let code = hex::encode(code);
        let request = Request::builder()
            .method("POST")
            .uri("/github")
            .header("x-github-event", kind)
            .header("x-hub-signature-256", format!("sha256={code}"))
            .body(body.as_bytes().to_vec());
        self.answer(request.unwrap(), now()).await
    }

    /// Asks as a system: with its key, the id of the message, and when it is sent.
    pub async fn ask(&self, key: &str, id: &str, sent: DateTime<Utc>, body: &str) -> Answer {
        let request = signed("POST", "/rotate", (key, id, sent), body.as_bytes(), body.as_bytes());
        self.answer(request, sent).await
    }

    /// Asks how a rotation stands.
    pub async fn standing(&self, key: &str, path: &str) -> Answer {
        self.answer(signed("GET", path, (key, "msg_s", now()), b"", path.as_bytes()), now()).await
    }

    /// A slash command of a user of Slack's.
    pub async fn command(&self, user: &str, text: &str) -> Answer {
        let text = text.replace(' ', "+");
        let body = format!(
            "team_id=T1&channel_id=C1&user_id={user}&text={text}&response_url=https%3A%2F%2Fhooks.slack.com%2Fx"
        );
        self.slack("/slack/commands", &body, now()).await
    }

    async fn answer(&self, request: Request<Vec<u8>>, at: DateTime<Utc>) -> Answer {
        Answer(self.webhook().answer(&request, "203.0.113.7", at).await)
    }

    /// A pressed button under a message; what is posted in answer to it.
    pub async fn press(&self, user: &str, action: &str, value: &str, at: DateTime<Utc>) -> Value {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/answer", listener.local_addr().unwrap());
        let posted = tokio::spawn(posted(listener));
        let payload = json!({
            "type": "block_actions", "user": { "id": user, "team_id": "T1" }, "channel": { "id": "C1" },
            "response_url": url, "actions": [{ "action_id": action, "value": value }],
        });
        let payload: String =
            form_urlencoded::byte_serialize(payload.to_string().as_bytes()).collect();
        let body = format!("payload={payload}");
        let answer = self.slack("/slack/interactions", &body, at).await;
        assert_eq!((answer.status(), answer.0.body().as_str()), (200, ""));
        posted.await.unwrap()
    }

    pub async fn slack(&self, path: &str, body: &str, at: DateTime<Utc>) -> Answer {
        let time = at.timestamp().to_string();
        let code = mac(SLACK.as_bytes(), &[b"v0:", time.as_bytes(), b":", body.as_bytes()]);
        let code = hex::encode(code);
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("x-slack-request-timestamp", time)
            .header("x-slack-signature", format!("v0={code}"))
            .body(body.as_bytes().to_vec());
        self.answer(request.unwrap(), at).await
    }

    /// What is kept of the progress of a request.
    pub fn told(&self, request: &str, kind: &str, second: u32) {
        let event = json!({
            "specversion": "1.0", "id": "00000000-0000-0000-0000-000000000007", "source": "keywheel", "type": kind,
            "subject": "monk", "time": format!("2026-11-21T09:00:{second:02}Z"), "datacontenttype": "application/json",
            "data": { "credential": "monk", "application": "408bf248-dd4e-4be5-919a-7f6207a307ab" },
        });
        let key = format!("progress/{request}/{kind}");
        self.state().objects.insert(key, event.to_string());
    }

    pub fn label(&self, secret: &str, version: &str, labels: &[&str]) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let mut state = self.state();
        state.secrets.entry(secret.to_owned()).or_default().insert(version.to_owned(), labels);
    }
}

/// What came back.
pub struct Answer(pub Response<String>);

impl Answer {
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.0.body()).unwrap_or_default()
    }
}

pub fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The JSON of one request to a listener, which answers 200.
async fn posted(listener: tokio::net::TcpListener) -> Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
        if let Some(Ok(json)) = body {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            return json;
        }
    }
}

fn signed(
    method: &str,
    path: &str,
    (key, id, sent): (&str, &str, DateTime<Utc>),
    body: &[u8],
    content: &[u8],
) -> Request<Vec<u8>> {
    let time = sent.timestamp().to_string();
    let key = STANDARD.decode(key).unwrap();
    let code = mac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", content]);
    Request::builder()
        .method(method)
        .uri(path)
        .header("webhook-id", id)
        .header("webhook-timestamp", time)
        .header("webhook-signature", format!("v1,{}", STANDARD.encode(code)))
        .body(body.to_vec())
        .unwrap()
}

impl State {
    fn answer(&mut self, operation: &str, request: &HttpRequest) -> (u16, String) {
        let bytes = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let fine = |body: Value| (200, body.to_string());
        if self.failing.is_some_and(|failing| operation.ends_with(failing)) {
            let code = self.code.unwrap_or("AccessDeniedException");
            return (400, json!({ "__type": code }).to_string());
        }
        match operation.rsplit('.').next().unwrap_or_default() {
            "GetSecretValue" if body["SecretId"] != "keys" => {
                let part = |field: &str| body[field].as_str().unwrap().to_owned();
                match self.values.get(&(part("SecretId"), part("VersionId"))) {
                    Some(text) => fine(json!({ "SecretString": text })),
                    None => (400, json!({ "__type": "ResourceNotFoundException" }).to_string()),
                }
            }
            "GetSecretValue" => {
                let usual = json!({
                    "slack_signing_secret": SLACK, "github_webhook_secret": GITHUB, "github_token": "ghp_token",
                    "webhook_keys": { "ci": [format!("whsec_{KEY}")], "cd": [format!("whsec_{OTHER_KEY}")] },
                });
                let keys = self.keys.as_ref().unwrap_or(&usual);
                fine(json!({ "SecretString": keys.to_string() }))
            }
            "ListSecrets" => {
                let listed = self.secrets.keys().map(|name| json!({ "Name": name, "ARN": "arn" }));
                fine(json!({ "SecretList": listed.collect::<Vec<_>>() }))
            }
            "DescribeSecret" if self.deleted.contains(body["SecretId"].as_str().unwrap()) => {
                fine(json!({ "DeletedDate": 1_700_000_000 }))
            }
            "DescribeSecret" => match self.secrets.get(body["SecretId"].as_str().unwrap()) {
                Some(versions) => fine(json!({ "VersionIdsToStages": versions })),
                None => (400, json!({ "__type": "ResourceNotFoundException" }).to_string()),
            },
            "PutEvents" if self.throttled > 0 => {
                self.throttled -= 1;
                let failed = json!([{ "ErrorCode": "ThrottlingException" }]);
                fine(json!({ "FailedEntryCount": 1, "Entries": failed }))
            }
            "PutEvents" => {
                for entry in body["Entries"].as_array().unwrap() {
                    let detail = entry["Detail"].as_str().unwrap();
                    self.events.push(serde_json::from_str(detail).unwrap());
                }
                fine(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] }))
            }
            "SendMessageBatch" => {
                for entry in body["Entries"].as_array().unwrap() {
                    self.jobs.push(Job::parse(entry["MessageBody"].as_str().unwrap()).unwrap());
                }
                let sent = json!([{ "Id": "0", "MessageId": "m", "MD5OfMessageBody": "" }]);
                fine(json!({ "Successful": sent, "Failed": [] }))
            }
            "SendMessage" => {
                self.messages.push(body["MessageBody"].as_str().unwrap().to_owned());
                fine(json!({ "MessageId": "m" }))
            }
            _ => self.object(request, bytes),
        }
    }

    fn object(&mut self, request: &HttpRequest, bytes: &[u8]) -> (u16, String) {
        let uri = request.uri().trim_start_matches("http://127.0.0.1:9").to_owned();
        let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
        if path.ends_with("/manifest.yaml") {
            let tenant = MANIFEST.lines().next().unwrap();
            let other = self.manifest.as_ref().map(|rest| format!("{tenant}\n{rest}"));
            return (200, other.unwrap_or_else(|| MANIFEST.to_owned()));
        }
        let key = path.trim_start_matches("/state").trim_start_matches('/').to_owned();
        if query.contains("list-type=2") {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap();
            let prefix = prefix.replace("%2F", "/");
            let keys = self.objects.keys().filter(|key| key.starts_with(&prefix));
            let keys: Vec<_> =
                keys.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
            return (200, format!("<ListBucketResult>{}</ListBucketResult>", keys.concat()));
        }
        if request.method() == "GET" {
            let missing = (404, "<Error><Code>NoSuchKey</Code></Error>".to_owned());
            return self.objects.get(&key).map_or(missing, |object| (200, object.clone()));
        }
        let new = request.headers().get("if-none-match").is_some();
        if new && self.objects.contains_key(&key) {
            return (412, "<Error><Code>PreconditionFailed</Code></Error>".to_owned());
        }
        self.objects.insert(key, String::from_utf8_lossy(bytes).into_owned());
        (200, String::new())
    }
}

impl HttpConnector for World {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        let target = target.unwrap_or_default();
        let slow = self.state().slow.filter(|(operation, _)| target.ends_with(operation));
        let (status, body) = self.state().answer(&target, &request);
        let answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        let Some((_, time)) = slow else { return HttpConnectorFuture::ready(Ok(answer)) };
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(time).await;
            Ok(answer)
        })
    }
}
