//! AWS in memory, for a function that needs no network then.

// Each test program uses some of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use chrono::{DateTime, Utc};
use keywheel_core::asking::Deployment;
use keywheel_core::http::Http;
use keywheel_core::manifest::ManifestSource;
use keywheel_webhook::{Settings, Webhook};
use serde_json::json;

/// The keys of the published examples of Slack, GitHub and Standard Webhooks.
pub const SLACK: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const GITHUB: &str = "It's a Secret to Everybody";
pub const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MANIFEST: &str = "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  monk:
    application: 408bf248-dd4e-4be5-919a-7f6207a307ab
    secret: prod/monk
    allow: { slack: [{ team: T1, users: [U1] }], webhook: [ci] }
";

/// AWS, in memory: it has the keys and the manifest, and notes what is asked of it and the messages that it is sent.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    operations: Arc<Mutex<Vec<String>>>,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Aws {
    pub fn config(&self) -> SdkConfig {
        let aws = self.clone();
        let credentials = Credentials::new("AKIDSTUB", "secret", None, None, "stub");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url("http://127.0.0.1:9")
            .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(aws.clone())))
            .build()
    }

    pub fn operations(&self) -> Vec<String> {
        self.operations.lock().unwrap().clone()
    }

    /// The bodies of the messages that were sent to a queue, while no request is marked as done.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    fn sent(&self, request: &HttpRequest) -> String {
        let body = request.body().bytes().unwrap_or_default();
        let message: serde_json::Value = serde_json::from_slice(body).unwrap();
        let body = message["MessageBody"].as_str().unwrap().to_owned();
        self.messages.lock().unwrap().push(body);
        json!({ "MessageId": "1" }).to_string()
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        let path = request.uri().split('?').next().unwrap_or_default().to_owned();
        let operation = target.unwrap_or_else(|| format!("{} {path}", request.method()));
        let (status, body) = if operation.ends_with("GetSecretValue") {
            let keys = json!({
                "slack_signing_secret": SLACK, "github_webhook_secret": GITHUB,
                "webhook_keys": { "ci": [format!("whsec_{KEY}")] },
            });
            (200, json!({ "SecretString": keys.to_string() }).to_string())
        } else if operation.ends_with("PutEvents") {
            (200, json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] }).to_string())
        } else if operation.ends_with("/manifest.yaml") {
            (200, MANIFEST.to_owned())
        } else if operation.ends_with("SendMessage") {
            (200, self.sent(&request))
        } else if operation.starts_with("GET ") && operation.ends_with(".queued") {
            (404, "<Error><Code>NoSuchKey</Code></Error>".to_owned())
        } else {
            (400, json!({ "__type": "ValidationException" }).to_string())
        };
        self.operations.lock().unwrap().push(operation);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            status.try_into().unwrap(),
            SdkBody::from(body),
        )))
    }
}

pub fn webhook(aws: &Aws) -> Webhook {
    limited(aws, 1_000_000)
}

/// One that takes so many requests a minute.
pub fn limited(aws: &Aws, per_minute: u32) -> Webhook {
    Webhook::new(Http::with_roots(b"").unwrap(), &aws.config(), settings(per_minute))
}

pub fn settings(per_minute: u32) -> Settings {
    Settings {
        deployment: Deployment {
            manifest: ManifestSource::parse("s3://manifests/manifest.yaml").unwrap(),
            queue_url: "http://127.0.0.1:9/queue".to_owned(),
            bus: "bus".to_owned(),
            state_bucket: "state".to_owned(),
        },
        secret: Some("keys".to_owned()),
        compare_queue_url: Some("http://127.0.0.1:9/compare".to_owned()),
        per_minute: Some(per_minute),
        loopback: false,
    }
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_251_600, 0).unwrap()
}
