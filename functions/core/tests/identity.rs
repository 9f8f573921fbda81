//! Proofs and Keywheel's own sign-in, against the emulator and a stand-in for AWS.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod secrets_stub;

use std::sync::atomic::{AtomicUsize, Ordering};

use azure_emulator::{
    Emulator, FaultKind, Faults, Operation, Rule, Seed, SeedApplication, SeedPassword,
};
use keywheel_core::http::{Http, Retry, Unpooled};
use keywheel_core::identity::{Cloud, Endpoints, Identity, SignInMode, TokenEndpoint, TokenError};
use keywheel_core::ids::{AppId, KeyId, TenantId};
use keywheel_core::rotation::OwnKey;
use keywheel_core::rotation::calls::SignIn;
use keywheel_core::secret::SecretText;
use secrets_stub::Stub;
use serde_json::json;
use uuid::Uuid;

const APP: AppId = AppId(Uuid::from_u128(0xA));
const OFF: AppId = AppId(Uuid::from_u128(0xB));
const KEY: Uuid = Uuid::from_u128(0xC);
const TEXT: &str = "right~Secret.of-the.application0123456789";

struct World {
    emulator: Emulator,
    http: Http,
    proofs: Unpooled,
    endpoints: Endpoints,
    tenant: TenantId,
}

async fn world() -> World {
    let password = || {
        vec![SeedPassword {
            key_id: Some(KEY),
            secret: Some(TEXT.to_owned()),
            ..SeedPassword::default()
        }]
    };
    let mut seed = Seed::default();
    seed.applications.push(SeedApplication {
        app_id: Some(APP.0),
        passwords: password(),
        ..SeedApplication::named("on")
    });
    seed.applications.push(SeedApplication {
        app_id: Some(OFF.0),
        account_enabled: false,
        passwords: password(),
        ..SeedApplication::named("off")
    });
    let emulator = Emulator::builder().seed(seed).start().await.unwrap();
    let http = Http::with_roots(emulator.ca_pem().as_bytes()).unwrap();
    let mut endpoints = Endpoints::of(Cloud::Public).unwrap();
    endpoints.authority = emulator.endpoints().authority.parse().unwrap();
    endpoints.graph = emulator.endpoints().graph.parse().unwrap();
    let tenant = TenantId(emulator.endpoints().tenant);
    World { proofs: http.unpooled().unwrap(), emulator, http, endpoints, tenant }
}

impl World {
    async fn prove(&self, tenant: TenantId, app: AppId, text: &str) -> Result<SignIn, TokenError> {
        let secret = SecretText::new(text.to_owned());
        let endpoint = TokenEndpoint::new(self.proofs.clone(), &self.endpoints, tenant);
        endpoint.sign_in(app, &secret).await
    }

    fn fault(&self, kind: FaultKind, times: u32) {
        let rule = Rule::new(kind).on(Operation::Token).times(times);
        let rules = vec![Rule { retry_after_seconds: Some(7), ..rule }];
        self.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    }
}

#[tokio::test]
async fn the_token_endpoint_says_what_a_secret_is_worth() {
    let world = world().await;
    let prove = async |app, text| world.prove(world.tenant, app, text).await.unwrap();
    assert_eq!(prove(APP, TEXT).await, SignIn::Accepted);
    assert_eq!(prove(APP, "wrong").await, SignIn::WrongSecret);
    assert_eq!(prove(OFF, TEXT).await, SignIn::Disabled);
    assert_eq!(prove(AppId(Uuid::from_u128(1)), TEXT).await, SignIn::UnknownApplication);
    world.fault(FaultKind::ConditionalAccess, 1);
    assert_eq!(prove(APP, TEXT).await, SignIn::BlockedByConditionalAccess);
    world.emulator.advance(3 * 366 * 86_400);
    assert_eq!(prove(APP, TEXT).await, SignIn::Expired);
}

#[tokio::test]
async fn what_says_nothing_of_the_secret_is_an_error_and_is_not_repeated() {
    let world = world().await;
    let elsewhere = TenantId(Uuid::from_u128(1));
    let error = world.prove(elsewhere, APP, TEXT).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "{error}");
    for kind in [FaultKind::TooManyRequests, FaultKind::ServerError, FaultKind::CutConnection] {
        let before = world.emulator.requests().len();
        world.fault(kind, 1);
        let error = world.prove(world.tenant, APP, TEXT).await.unwrap_err();
        assert_ne!(error.retry(), Retry::Never, "{kind:?}");
        assert!(!format!("{error} {error:?}").contains(TEXT));
        assert_eq!(world.emulator.requests().len(), before + 1, "{kind:?}");
    }
}

/// A Secrets Manager whose one secret is these values, one after the other.
async fn secrets(values: &'static [(&str, &str)]) -> Stub {
    let read = AtomicUsize::new(0);
    Stub::start(move |_| {
        let (version, text) = values[read.fetch_add(1, Ordering::SeqCst).min(values.len() - 1)];
        let value = json!({ "client_id": APP, "client_secret": text, "key_id": KEY }).to_string();
        Some((200, json!({ "SecretString": value, "VersionId": version }).to_string()))
    })
    .await
}

impl World {
    fn stored(&self, stub: &Stub) -> Identity {
        let mode = SignInMode::StoredSecret { client: APP, secret_name: "own".to_owned() };
        Identity::new(&self.http, &stub.config(), &self.endpoints, self.tenant, mode).unwrap()
    }
}

#[tokio::test]
async fn a_stored_secret_is_read_anew_once_it_is_refused() {
    let world = world().await;
    let stub = secrets(&[("v1", "old"), ("v2", TEXT)]).await;
    let identity = world.stored(&stub);
    let scope = world.endpoints.graph_scope();
    for _ in 0..3 {
        identity.credential().get_token(&[&scope], None).await.unwrap();
    }
    assert_eq!(stub.operations().len(), 2);
    assert_eq!(
        world.emulator.sign_ins().iter().map(|one| one.code).collect::<Vec<_>>(),
        [7_000_215, 0]
    );
    let own = identity.signed_in_as().await.unwrap();
    assert_eq!(own.key, OwnKey::Known(KeyId(KEY)));
    assert!(own.protects(APP, KeyId(KEY)));
}

#[tokio::test]
async fn what_a_sign_in_could_not_read_is_known_before_it_is_stored() {
    let world = world().await;
    let stub = secrets(&[("v1", TEXT)]).await;
    let identity = world.stored(&stub);
    assert_eq!(identity.stored_in(), Some("own"));
    let reads = |value: String| identity.reads(&SecretText::new(value));
    reads(json!({ "client_id": APP, "client_secret": TEXT, "key_id": KEY }).to_string()).unwrap();
    let of_another = json!({ "client_id": OFF, "client_secret": TEXT }).to_string();
    for (value, why) in [
        (format!("AZURE_CLIENT_SECRET={TEXT}"), "not of the format `json`"),
        (TEXT.to_owned(), "not of the format `json`"),
        (of_another, "of another application"),
    ] {
        let error = reads(value).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains(TEXT), "{error}");
    }
}

#[tokio::test]
async fn a_refused_secret_without_a_successor_is_an_error_that_keeps_its_code() {
    let world = world().await;
    let stub = secrets(&[("v1", "old")]).await;
    let scope = world.endpoints.graph_scope();
    let error = world.stored(&stub).credential().get_token(&[&scope], None).await.unwrap_err();
    assert!(error.to_string().contains("AADSTS7000215"), "{error}");
    assert_eq!(world.emulator.sign_ins().len(), 1);
}

#[tokio::test]
async fn passing_failures_of_its_own_sign_in_are_tried_again() {
    let world = world().await;
    let stub = secrets(&[("v1", TEXT)]).await;
    let scope = world.endpoints.graph_scope();
    for kind in [FaultKind::ServerError, FaultKind::CutConnection, FaultKind::NoMatchingFederation]
    {
        world.fault(kind, 1);
        let outcome = world.stored(&stub).credential().get_token(&[&scope], None).await;
        outcome.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
}

#[tokio::test]
async fn the_assertion_is_asked_of_sts_as_entra_wants_it() {
    let world = world().await;
    let stub = Stub::start(|_| {
        let answer = "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetWebIdentityTokenResult><WebIdentityToken>eyJ0.eyJ0.sig</WebIdentityToken>\
             </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>";
        Some((200, answer.to_owned()))
    })
    .await;
    let mode = SignInMode::Federated { client: APP };
    let identity =
        Identity::new(&world.http, &stub.config(), &world.endpoints, world.tenant, mode).unwrap();
    let scope = world.endpoints.graph_scope();
    // The emulator knows no such issuer: what matters is what was asked of STS, and that Entra was asked.
    identity.credential().get_token(&[&scope], None).await.unwrap_err();
    let body = stub.requests.lock().unwrap()[0].body.clone();
    for part in [
        "Action=GetWebIdentityToken",
        "Audience.member.1=api%3A%2F%2FAzureADTokenExchange",
        "SigningAlgorithm=RS256",
        "DurationSeconds=300",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    assert!(!world.emulator.requests().is_empty());
}

#[tokio::test]
async fn each_proof_opens_a_connection_of_its_own() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut endpoints = Endpoints::of(Cloud::Public).unwrap();
    endpoints.authority = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let proofs = Http::with_roots(b"").unwrap().unpooled().unwrap();
    let connections = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            // The connection is kept open: only the client may decide to open another.
            tokio::spawn(async move {
                while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                    let body = r#"{"access_token":"t"}"#;
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                }
            });
        }
    });
    for _ in 0..3 {
        let secret = SecretText::new("s".to_owned());
        let tenant = TenantId(Uuid::nil());
        let outcome =
            TokenEndpoint::new(proofs.clone(), &endpoints, tenant).sign_in(APP, &secret).await;
        assert_eq!(outcome.unwrap(), SignIn::Accepted);
    }
    connections.await.unwrap();
}
