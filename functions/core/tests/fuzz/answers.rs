//! The answers of Graph, of the token endpoint and of Secrets Manager.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, Transport,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use chrono::{TimeDelta, Utc};
use keywheel_core::graph::{CallOptions, Detail, Graph, GraphError, Object};
use keywheel_core::http::{Backoff, Http, Retry, Unpooled, aws};
use keywheel_core::identity::{AzureTransport, Cloud, Endpoints, TokenEndpoint};
use keywheel_core::ids::{AppId, KeyOn, ObjectId, TenantId, VersionId};
use keywheel_core::secret::SecretText;
use keywheel_core::secrets::{Prefixes, Secrets};
use proptest::prelude::*;
use proptest::sample::select;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::material::{
    PLANTED, SECRET, bytes, config, error_tells_nothing, in_time, tells_nothing, text,
};
use crate::stand_in::{Reply, StandIn};

const ID: &str = "a1b2c3d4-0000-4000-8000-000000000001";
const APP: AppId = AppId(Uuid::from_u128(0xa1b2_c3d4_0000_4000_8000_0000_0000_0001));

/// Signed in as nobody in particular.
#[derive(Debug)]
struct SignedIn;

#[async_trait::async_trait]
impl TokenCredential for SignedIn {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires = azure_core::time::OffsetDateTime::now_utc() + Duration::from_hours(1);
        Ok(AccessToken::new(SECRET.to_owned(), expires))
    }
}

/// `azure_identity` insists on https; its requests end at the stand-in all the same.
#[derive(Debug)]
struct LedAside {
    transport: AzureTransport,
    to: Url,
}

#[async_trait::async_trait]
impl HttpClient for LedAside {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        *request.url_mut() = self.to.clone();
        self.transport.execute_request(&request).await
    }
}

/// The clients, and what answers them.
pub struct World {
    /// What answers.
    pub service: StandIn,
    /// Graph.
    pub graph: Graph,
    /// Secrets Manager.
    pub secrets: Secrets,
    proofs: Unpooled,
    http: Http,
}

impl World {
    /// A world of its own.
    pub fn start() -> Self {
        let service = StandIn::start();
        let http = Http::with_roots(b"").unwrap();
        let url: Url = service.url.parse().unwrap();
        let key = Credentials::new("AKIDSTUB", "secret", None, None, "stub");
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(key))
            .endpoint_url(&service.url)
            .http_client(aws::client(&http))
            .build();
        Self {
            graph: Graph::new(http.clone(), Arc::new(SignedIn), &url),
            proofs: http.unpooled().unwrap(),
            secrets: Secrets::new(&aws),
            service,
            http,
        }
    }

    /// What a call comes to once this is the answer.
    pub fn after<T>(&self, reply: Reply, ask: impl Future<Output = T>) -> T {
        self.service.tell(reply);
        in_time(|| self.service.runtime.block_on(ask))
    }
}

/// Too little time for a second try of a read, which waits half a second.
fn briefly() -> CallOptions {
    CallOptions::until(Instant::now() + Duration::from_millis(490))
}

fn replies(samples: Vec<String>, statuses: &'static [u16]) -> impl Strategy<Value = Reply> {
    let headers = prop_oneof![
        4 => Just(String::new()),
        4 => (
            select(&["retry-after", "date", "request-id", "content-encoding"][..]),
            select(&[
                "18446744073709551615", "99999999999999999999999", "-1", "0", "", "7", "9223372036854775807",
                "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 31 Dec 262142 23:59:59 GMT", "Mon, 1 Jan 0001 00:00:00 GMT", "gzip",
            ][..]),
        )
            .prop_map(|(name, value)| format!("{name}: {value}\r\n")),
    ];
    let bodies = bytes(samples).prop_filter("the secret is in another field by now", |body| {
        let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
        forget(&mut body);
        !body.to_string().contains(PLANTED)
    });
    (select(statuses), headers, bodies).prop_map(|(status, headers, body)| Reply {
        status,
        headers,
        body,
    })
}

/// Takes out what holds a secret.
fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["SecretString", "secretText", "client_secret", "access_token"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(values) => values.iter_mut().for_each(forget),
        _ => {}
    }
}

/// Whatever an answer says of when to come back can be waited for, or is too long to.
fn may_be_waited_for(world: &World, retry: Retry) {
    if let Retry::After(wait) = retry {
        assert!(wait <= Duration::from_hours(24), "{wait:?}");
        let mut backoff = Backoff::new(1, Instant::now());
        assert!(!world.service.runtime.block_on(backoff.pause(retry)));
    }
}

fn graph_failed(world: &World, error: &GraphError) {
    error_tells_nothing(error);
    assert!(error.to_string().len() < 3_000, "{error}");
    may_be_waited_for(world, error.retry());
}

/// The clock that the rules reckon by has to stay one that they can reckon by.
fn clock_is_sane(world: &World) {
    let now = world.graph.now();
    assert!((now - Utc::now()).num_days().abs() < 4_000, "{now}");
}

fn applications() -> Vec<String> {
    let key = json!({ "keyId": ID, "displayName": "keywheel/0123456789ab/a", "hint": "abc",
        "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z", "secretText": SECRET });
    let application = json!({ "id": ID, "appId": ID, "displayName": "billing", "tags": ["keywheel"],
        "createdDateTime": "2020-01-01T00:00:00Z", "signInAudience": "AzureADMyOrg",
        "passwordCredentials": [key], "keyCredentials": [{ "keyId": ID, "endDateTime": "2027-01-01T00:00:00Z" }] });
    let next = "http://127.0.0.1:1/v1.0/applications?$skiptoken=x";
    vec![
        json!({ "value": [application.clone(), application], "@odata.nextLink": next }).to_string(),
        json!({ "value": [] }).to_string(),
        application.to_string(),
    ]
}

fn refusals() -> Vec<String> {
    let inner = json!({ "date": "2026-01-01T00:00:00", "request-id": ID });
    vec![
        json!({ "error": { "code": "Request_ResourceNotFound", "message": "Resource 'x' does not exist.", "innerError": inner },
            "secretText": SECRET })
        .to_string(),
        json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x",
            "error_codes": [7_000_215], "trace_id": ID, "client_secret": SECRET })
        .to_string(),
    ]
}

static PAGES: LazyLock<World> = LazyLock::new(World::start);
static MINTED: LazyLock<World> = LazyLock::new(World::start);
static LINKS: LazyLock<World> = LazyLock::new(World::start);
static TOKENS: LazyLock<World> = LazyLock::new(World::start);
static SIGN_INS: LazyLock<World> = LazyLock::new(World::start);
static STORED: LazyLock<World> = LazyLock::new(World::start);

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_graph_page(reply in replies([applications(), refusals()].concat(), &[200, 200, 200, 404, 403, 400, 429, 503])) {
        let world = &*PAGES;
        let options = briefly();
        let detail = Detail::KeysAndCertificates;
        match world.after(reply, world.graph.objects(KeyOn::Application, detail, None, &options)) {
            Ok(page) => {
                tells_nothing(&page);
                let dates = page.items.iter().flat_map(|one| &one.keys).flat_map(|key| [key.start, key.end]);
                for date in dates.flatten() {
                    // The rules add and subtract lives.
                    prop_assert!(date.checked_add_signed(TimeDelta::days(800)).is_some(), "{date}");
                    prop_assert!(date.checked_sub_signed(TimeDelta::days(800)).is_some(), "{date}");
                }
                if let Some(next) = page.next {
                    prop_assert!(next.to_string().starts_with(&format!("{}/", world.service.url)), "{next}");
                }
            }
            Err(error) => graph_failed(world, &error),
        }
        clock_is_sane(world);
        let options = briefly();
        let read = world.service.runtime.block_on(world.graph.principal(APP, KeyOn::ServicePrincipal, &options));
        match read {
            Ok(principal) => tells_nothing(&principal),
            Err(error) => graph_failed(world, &error),
        }
    }

    #[test]
    fn fuzz_graph_minted(reply in replies([vec![json!({
        "keyId": ID, "secretText": SECRET, "displayName": "keywheel/x", "hint": "~PL",
        "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z",
    }).to_string()], refusals()].concat(), &[200, 200, 201, 400, 403, 404, 500, 503])) {
        let world = &*MINTED;
        let object = Object { on: KeyOn::Application, id: ObjectId(Uuid::from_u128(7)) };
        let options = CallOptions::until(Instant::now() + Duration::from_secs(10));
        let end = Utc::now() + TimeDelta::days(90);
        match world.after(reply, world.graph.add_password(object, "keywheel/x", end, &options)) {
            Ok(added) => {
                tells_nothing(&added);
                prop_assert!(!added.secret.expose().is_empty());
            }
            Err(error) => graph_failed(world, &error),
        }
        clock_is_sane(world);
    }

    #[test]
    fn fuzz_page_link(link in text(vec![
        format!("{}/v1.0/applications?$skiptoken=abc", LINKS.service.url),
        format!("{}@example.com/v1.0/applications", LINKS.service.url),
        format!("{}.example.com/", LINKS.service.url),
        format!("{}:1/", LINKS.service.url),
        LINKS.service.url.replace("//", "//user:pass@"),
        LINKS.service.url.replace("http", "https"),
        LINKS.service.url.replace("http:", "blob:http:"),
        LINKS.service.url.replace("//", "\\\\"),
        LINKS.service.url.replace("127.0.0.1", "2130706433"),
        format!("\t{}\\@example.com", LINKS.service.url),
        "https://graph.microsoft.com/v1.0/applications".to_owned(),
        "data:,".to_owned(),
    ])) {
        let world = &*LINKS;
        if let Some(link) = in_time(|| world.graph.page_link(&link)) {
            let text = link.to_string();
            prop_assert!(text.starts_with(&format!("{}/", world.service.url)), "{text}");
            prop_assert_eq!(world.graph.page_link(&text), Some(link));
        }
    }

    #[test]
    fn fuzz_token_answer(reply in replies([vec![json!({
        "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": SECRET,
    }).to_string()], refusals()].concat(), &[200, 200, 302, 400, 401, 429, 503])) {
        let world = &*TOKENS;
        let mut endpoints = Endpoints::of(Cloud::Public).unwrap();
        endpoints.authority = world.service.url.parse().unwrap();
        let tenant = TenantId(Uuid::from_u128(1));
        let secret = SecretText::new(SECRET.to_owned());
        let endpoint = TokenEndpoint::new(world.proofs.clone(), &endpoints, tenant);
        match world.after(reply, endpoint.sign_in(APP, &secret)) {
            Ok(outcome) => tells_nothing(&outcome),
            Err(error) => {
                error_tells_nothing(&error);
                prop_assert!(error.to_string().len() < 3_000, "{error}");
                may_be_waited_for(world, error.retry());
            }
        }
    }

    #[test]
    fn fuzz_own_sign_in(reply in replies([vec![json!({
        "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": SECRET,
    }).to_string()], refusals()].concat(), &[200, 200, 302, 400, 401, 503])) {
        let world = &*SIGN_INS;
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = "https://login.microsoftonline.com".to_owned();
        let to = world.service.url.parse().unwrap();
        let transport = LedAside { transport: AzureTransport(world.http.clone()), to };
        let client_options = ClientOptions {
            transport: Some(Transport::new(Arc::new(transport))),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..Default::default()
        };
        let options = Some(ClientSecretCredentialOptions { client_options });
        let credential = ClientSecretCredential::new(ID, ID.to_owned(), SECRET.into(), options).unwrap();
        let scopes = ["https://graph.microsoft.com/.default"];
        // As `GraphError` tells it.
        match world.after(reply, credential.get_token(&scopes, None)) {
            Ok(token) => tells_nothing(&token),
            Err(error) => prop_assert!(!error.to_string().contains(PLANTED), "{error}"),
        }
    }

    #[test]
    fn fuzz_secrets_manager(reply in replies(vec![
        json!({ "ARN": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:a-abcdef", "Name": "a", "VersionId": ID,
            "SecretString": SECRET, "VersionStages": ["AWSCURRENT"], "CreatedDate": 1.7e9 }).to_string(),
        json!({ "Name": "a", "ARN": "arn", "SecretString": SECRET,
            "VersionIdsToStages": { ID: ["AWSCURRENT", "keywheel:since:1790000000"] } }).to_string(),
        json!({ "SecretList": [{ "Name": "a", "ARN": "arn", "SecretString": SECRET,
            "SecretVersionsToStages": { ID: ["AWSCURRENT"] } }], "NextToken": "x" }).to_string(),
        json!({ "__type": "ResourceNotFoundException", "Message": "no such secret", "SecretString": SECRET }).to_string(),
    ], &[200, 200, 200, 400, 500])) {
        let world = &*STORED;
        let version = VersionId(ID.to_owned());
        match world.after(reply, world.secrets.value("a", &version)) {
            Ok(value) => tells_nothing(&value),
            Err(error) => error_tells_nothing(&error),
        }
        match world.service.runtime.block_on(world.secrets.list(&Prefixes::default(), None)) {
            Ok(page) => tells_nothing(&page),
            Err(error) => error_tells_nothing(&error),
        }
        match world.service.runtime.block_on(world.secrets.describe("a")) {
            Ok(described) => tells_nothing(&described),
            Err(error) => error_tells_nothing(&error),
        }
    }
}
