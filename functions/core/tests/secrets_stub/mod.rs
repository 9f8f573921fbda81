//! A stand-in for AWS on loopback: one answer per connection, from a function of the request.

// Each test program uses some of it; a helper that fails fails its test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use keywheel_core::http::{Http, aws};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request, as far as a stand-in looks at it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// `X-Amz-Target`'s operation, or empty.
    pub operation: String,
    /// All headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Request {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What an answer says of its body: the same for the same body.
pub fn etag(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}

/// Status and body.
pub type Answer = (u16, String);

/// What serves.
pub struct Stub {
    /// Where.
    pub url: String,
    /// What was asked.
    pub requests: Arc<Mutex<Vec<Request>>>,
}

impl Stub {
    /// Serves until the test is over; `None` closes the connection without an answer.
    pub async fn start(
        answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &seen, &*answer).await });
            }
        });
        Self { url, requests }
    }

    /// The SDK's settings that lead here.
    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIDSTUB", "secret", None, None, "stub");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&self.url)
            .http_client(aws::client(&Http::with_roots(b"").unwrap()))
            .build()
    }

    /// The operations asked for so far.
    pub fn operations(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|request| request.operation.clone()).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Option<Answer> + Send + Sync),
) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let answer = answer(&request);
    seen.lock().unwrap().push(request);
    let Some((status, body)) = answer else { return };
    let kind = if body.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
    let head = format!(
        "HTTP/1.1 {status} Stub\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\nx-amzn-RequestId: stub-request\r\nrequest-id: stub-request\r\nETag: {}\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
        body.len(),
        etag(&body)
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let length = header("content-length").parse().unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let target = header("x-amz-target");
    Some(Request {
        line: head.lines().next().unwrap_or_default().to_owned(),
        operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
        head: head.to_ascii_lowercase(),
        body: String::from_utf8_lossy(&bytes[end..]).into_owned(),
    })
}
