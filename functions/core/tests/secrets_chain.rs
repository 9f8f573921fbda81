//! The SDK's credential chain over the shared client: each way to credentials in a process of its own,
//! since they are found in the environment.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod secrets_stub;

use std::path::PathBuf;
use std::process::{Command, Output};

use keywheel_core::http::{Http, aws};
use keywheel_core::secrets::Secrets;
use secrets_stub::{Answer, Request, Stub};
use serde_json::json;

/// Run by the tests below as a process of its own.
#[tokio::test]
#[ignore = "run by the other tests, with the environment they make"]
async fn child() {
    let config = aws::config(&Http::from_env().unwrap()).await;
    assert_eq!(config.region().map(AsRef::as_ref), Some("eu-central-1"));
    // Made, not asked: a client reads its address when it is made.
    let _ = aws_sdk_sts::Client::new(&config);
    Secrets::new(&config).describe("a").await.unwrap();
}

#[allow(clippy::unnecessary_wraps)] // The shape that the stand-in wants.
fn answer(request: &Request) -> Option<Answer> {
    let credentials = |id: &str| {
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": "secret",
            "Token": "token", "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z",
        })
    };
    let body = if request.operation == "DescribeSecret" {
        json!({ "Name": "a" }).to_string()
    } else if request.line.contains("/container") {
        credentials("AKIDCONTAINER").to_string()
    } else if request.line.contains("/api/token") {
        "imds-token".to_owned()
    } else if request.line.contains("/iam/security-credentials/role")
        || request.line.contains("/iam/security-credentials-extended/role")
    {
        credentials("AKIDINSTANCE").to_string()
    } else if request.line.contains("/iam/security-credentials") {
        "role".to_owned()
    } else if request.body.contains("Action=AssumeRoleWithWebIdentity") {
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIDWEB</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            .to_owned()
    } else {
        return Some((404, String::new()));
    };
    Some((200, body))
}

async fn run(stub: &Stub, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored"]);
    // Whoever runs the tests may have settings of their own.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text == "KEYWHEEL_CA_FILE" {
            command.env_remove(&name);
        }
    }
    let nowhere = file("nowhere", "");
    command
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL", &stub.url)
        .env("AWS_CONFIG_FILE", &nowhere)
        .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere)
        .envs(environment.iter().copied());
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("secrets-chain-{name}"));
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the child and gives the access key that it signed with.
async fn signed_with(environment: &[(&str, &str)]) -> String {
    let stub = Stub::start(answer).await;
    let environment: Vec<(&str, String)> =
        environment.iter().map(|(name, value)| (*name, value.replace("STUB", &stub.url))).collect();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = run(&stub, &environment).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let requests = stub.requests.lock().unwrap();
    let described = requests.iter().find(|request| request.operation == "DescribeSecret").unwrap();
    let head = described.head.split("credential=").nth(1).unwrap();
    head.split('/').next().unwrap().to_uppercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_taken_and_empty_ones_are_not() {
    let set = [
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_REGION", ""),
        ("AWS_PROFILE", ""),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", ""),
        ("KEYWHEEL_CA_FILE", ""),
    ];
    assert_eq!(signed_with(&set).await, "AKIDENV");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_taken() {
    let text = "[profile p]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = secret\n";
    let path = file("profile", text);
    let set = [("AWS_CONFIG_FILE", path.to_str().unwrap()), ("AWS_PROFILE", "p")];
    assert_eq!(signed_with(&set).await, "AKIDPROFILE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_is_exchanged() {
    let path = file("token", "eyJ0");
    let set = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r"),
        ("AWS_ROLE_SESSION_NAME", "s"),
    ];
    assert_eq!(signed_with(&set).await, "AKIDWEB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_asked() {
    let set = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "STUB/container")];
    assert_eq!(signed_with(&set).await, "AKIDCONTAINER");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_asked_unless_that_is_switched_off() {
    assert_eq!(signed_with(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "STUB")]).await, "AKIDINSTANCE");
    let stub = Stub::start(answer).await;
    let url = stub.url.clone();
    let off = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    assert!(!run(&stub, &off).await.status.success());
    assert!(stub.requests.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_address_is_none() {
    let set = [
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "STUB"),
        ("AWS_ENDPOINT_URL_STS", ""),
    ];
    assert_eq!(signed_with(&set).await, "AKIDENV");
}
