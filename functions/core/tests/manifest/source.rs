//! Manifests are fetched from S3, SSM and files, within bounds, with errors that say what was tried.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use keywheel_core::manifest::{LoadError, MAX_BYTES, ManifestSource};

const MANIFEST: &str = "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48\n";

/// Answers every request alike, and keeps what was asked.
#[derive(Clone, Debug)]
struct Canned {
    status: u16,
    body: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.asked.lock().expect("lock").push((request.uri().to_owned(), body.unwrap_or_default()));
        let status = StatusCode::try_from(self.status).expect("status");
        HttpConnectorFuture::ready(Ok(Response::new(status, SdkBody::from(self.body.clone()))))
    }
}

impl Canned {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), asked: Arc::default() }
    }

    fn aws(&self, endpoint: Option<&str>) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        let mut builder = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "id", "key", None, None, "test",
            )))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        builder.set_endpoint_url(endpoint.map(str::to_owned));
        builder.build()
    }

    fn asked(&self) -> (String, String) {
        self.asked.lock().expect("lock").first().cloned().expect("a request")
    }
}

fn source(text: &str) -> ManifestSource {
    ManifestSource::parse(text).expect("source")
}

#[tokio::test]
async fn an_object_is_read_from_s3() {
    let canned = Canned::new(200, MANIFEST);
    assert!(source("s3://bucket/a/m.yaml").load(&canned.aws(None)).await.is_ok());
    let (uri, _) = canned.asked();
    assert!(uri.starts_with("https://bucket.s3.eu-central-1.amazonaws.com/a/m.yaml"), "{uri}");
}

#[tokio::test]
async fn an_endpoint_of_ones_own_is_asked_by_path() {
    let canned = Canned::new(200, MANIFEST);
    let aws = canned.aws(Some("http://127.0.0.1:4566"));
    assert!(source("s3://bucket/m.yaml").load(&aws).await.is_ok());
    assert!(
        canned.asked().0.starts_with("http://127.0.0.1:4566/bucket/m.yaml"),
        "{:?}",
        canned.asked()
    );
}

#[tokio::test]
async fn a_parameter_is_read_decrypted() {
    let body = serde_json::json!({ "Parameter": { "Name": "/kw/m", "Value": MANIFEST } });
    let canned = Canned::new(200, body.to_string());
    assert!(source("ssm:/kw/m").load(&canned.aws(None)).await.is_ok());
    let asked: serde_json::Value = serde_json::from_str(&canned.asked().1).expect("JSON");
    assert_eq!(asked, serde_json::json!({ "Name": "/kw/m", "WithDecryption": true }));
}

#[tokio::test]
async fn a_refusal_says_what_was_tried_and_the_services_code() {
    let denied = Canned::new(
        403,
        "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    );
    let error = source("s3://bucket/m.yaml").load(&denied.aws(None)).await.expect_err("denied");
    let told = error.to_string();
    assert!(
        told.starts_with(
            "GetObject of s3://bucket/m.yaml failed: AccessDenied: Access Denied; allow the role"
        ),
        "{told}"
    );

    let missing = Canned::new(404, "<Error><Code>NoSuchKey</Code></Error>");
    let error = source("s3://bucket/m.yaml").load(&missing.aws(None)).await.expect_err("missing");
    let told = error.to_string();
    assert_eq!(told, "there is no s3://bucket/m.yaml; check its name, the account and the region");

    let missing = Canned::new(400, "{\"__type\":\"ParameterNotFound\"}");
    let error = source("ssm:/kw/m").load(&missing.aws(None)).await.expect_err("missing");
    let told = error.to_string();
    assert!(told.starts_with("GetParameter of ssm:/kw/m failed: ParameterNotFound: "), "{told}");
    assert!(told.ends_with("check its name, the account and the region"), "{told}");
}

#[tokio::test]
async fn what_is_too_big_is_not_read() {
    let canned = Canned::new(200, "x".repeat(MAX_BYTES + 1));
    let error = source("s3://bucket/m.yaml").load(&canned.aws(None)).await;
    assert!(matches!(error, Err(LoadError::TooBig { .. })), "{error:?}");
}

#[tokio::test]
async fn a_manifest_that_is_not_valid_names_its_address_and_line() {
    let canned = Canned::new(200, format!("{MANIFEST}rulez: []\n"));
    let error = source("s3://bucket/m.yaml").load(&canned.aws(None)).await.expect_err("not valid");
    assert_eq!(
        error.to_string(),
        "s3://bucket/m.yaml:2:1: unknown field `rulez`; did you mean `rules`?"
    );
}

#[tokio::test]
async fn files_are_read_and_bounded() {
    let folder = std::env::temp_dir().join(format!("keywheel-manifest-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let aws = Canned::new(500, "").aws(None);
    let load = async |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("written");
        source(&path.to_string_lossy()).load(&aws).await
    };
    assert!(load("good.yaml", MANIFEST.as_bytes()).await.is_ok());
    assert!(matches!(
        load("big.yaml", &vec![b' '; MAX_BYTES + 5]).await,
        Err(LoadError::TooBig { .. })
    ));
    assert!(matches!(
        load("latin1.yaml", b"tenant: \xe9\n").await,
        Err(LoadError::NotText { at: 8, .. })
    ));
    let missing = source("/nowhere/m.yaml").load(&aws).await.expect_err("missing");
    assert_eq!(missing.to_string(), "the manifest /nowhere/m.yaml cannot be read");
    std::fs::remove_dir_all(&folder).expect("removed");
}
