//! The sample events in `events/` are what a function URL sends, signed with the published keys of the examples.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;

use keywheel_core::request::signature::verify_slack;
use keywheel_core::request::slack::Pressed;
use keywheel_core::signing_key::SigningKey;
use stub::{Aws, SLACK, now, webhook};

fn sample(name: &str) -> String {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_document_names_what_each_sample_bears() {
    let document: serde_json::Value = serde_json::from_str(keywheel_webhook::document()).unwrap();
    let names = ["rotate", "slack-command", "slack-interaction", "github", "github-form"];
    for name in names {
        let event: serde_json::Value =
            serde_json::from_str(&sample(&format!("webhook-{name}"))).unwrap();
        let (path, kind) = (&event["rawPath"], &event["headers"]["content-type"]);
        let operation = &document["paths"][path.as_str().unwrap()]["post"];
        let content = &operation["requestBody"]["content"];
        assert!(content.get(kind.as_str().unwrap()).is_some(), "{name}: {kind} {content}");
    }
}

#[tokio::test]
async fn each_sample_reaches_its_route_and_is_signed() {
    let aws = Aws::default();
    let webhook = webhook(&aws);
    // The manifest of this test has no credential that a sample names, and its AWS fails at everything else.
    for (name, status) in [
        ("webhook-openapi", Some(200)),
        ("webhook-rotate", Some(403)),
        ("webhook-rotation", Some(404)),
        ("webhook-slack-command", Some(200)),
        // Its answer is posted to Slack, and no test is.
        ("webhook-slack-interaction", None),
        ("webhook-github", Some(202)),
        ("webhook-github-form", Some(202)),
    ] {
        let text = sample(name);
        let (request, caller) =
            keywheel_webhook::received(lambda_http::request::from_str(&text).unwrap());
        assert_eq!(caller, "203.0.113.7", "{name}");
        if let Some(status) = status {
            let answer = webhook.answer(&request, &caller, now()).await;
            assert_eq!(answer.status(), status, "{name}: {}", answer.body());
        } else {
            let pressed = Pressed::parse(request.body()).unwrap();
            assert_eq!(pressed.origin.caller().to_string(), "slack:T0123ABCD/U4567EFGH");
            let header = |name: &str| request.headers()[name].to_str().unwrap();
            let (time, code) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
            verify_slack(&SigningKey::of_text(SLACK), time, code, request.body(), now()).unwrap();
        }
        // One byte of its body, and it is nobody's.
        let (parts, mut body) = request.into_parts();
        if let Some(first) = body.first_mut() {
            *first ^= 1;
            let changed = http::Request::from_parts(parts, body);
            assert_eq!(webhook.answer(&changed, &caller, now()).await.status(), 401, "{name}");
        }
    }
}
