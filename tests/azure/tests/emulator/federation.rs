//! The token endpoint with assertions of another issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use azure_emulator::{FaultKind, Faults, Operation, Rule};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, StatusCode};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{APP, Harness, Seen, seed};

const EXCHANGE: &str = "api://AzureADTokenExchange";

/// An issuer on loopback that counts how often its keys are asked for.
struct Issuer {
    url: String,
    key: EncodingKey,
    kid: Arc<std::sync::Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let private = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let key = EncodingKey::from_rsa_der(private.to_pkcs1_der().unwrap().as_bytes());
        let n = URL_SAFE_NO_PAD.encode(private.n().to_bytes_be());
        let e = URL_SAFE_NO_PAD.encode(private.e().to_bytes_be());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (kid, asked) =
            (Arc::new(std::sync::Mutex::new("k1".to_owned())), Arc::new(AtomicUsize::new(0)));
        let (base, shown, counter) = (url.clone(), Arc::clone(&kid), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let wants_keys = request[..read].starts_with(b"GET /keys");
                let body = if wants_keys {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let kid = shown.lock().unwrap().clone();
                    json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e}]})
                } else {
                    json!({"issuer": base, "jwks_uri": format!("{base}/keys")})
                }
                .to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, key, kid, asked }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.lock().unwrap().clone());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    fn claims(&self, h: &Harness) -> Value {
        let now = h.emulator.now().timestamp();
        json!({"iss": self.url, "sub": "role/Rotator", "aud": EXCHANGE, "iat": now, "nbf": now, "exp": now + 300})
    }
}

async fn start(issuer: &Issuer) -> Harness {
    Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, federated_credentials: [{{name: aws, issuer: '{}', subject: role/Rotator}}]}}]",
        issuer.url
    )))
    .await
}

async fn exchange(h: &Harness, assertion: &str) -> Seen {
    let app = APP.to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    h.ask_token(&h.at.tenant.to_string(), &form).await
}

#[tokio::test]
async fn a_trusted_assertion_gets_a_token() {
    let issuer = Issuer::start().await;
    let h = start(&issuer).await;
    for _ in 0..3 {
        let seen = exchange(&h, &issuer.sign(&issuer.claims(&h))).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1, "keys are cached");
    "k2".clone_into(&mut issuer.kid.lock().unwrap());
    assert_eq!(exchange(&h, &issuer.sign(&issuer.claims(&h))).await.status, StatusCode::OK);
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2, "an unknown key is asked for");
    assert_eq!(h.emulator.sign_ins().pop().unwrap().method, "federated");
}

#[tokio::test]
async fn what_does_not_match_is_told_apart() {
    let issuer = Issuer::start().await;
    let h = start(&issuer).await;
    for (claim, value, code) in [
        ("sub", "role/Other", 700_213),
        ("sub", "role/rotator", 7_002_138),
        ("aud", "api://other", 700_212),
        ("iss", "http://127.0.0.1:1", 700_211),
    ] {
        let mut claims = issuer.claims(&h);
        claims[claim] = json!(value);
        let seen = exchange(&h, &issuer.sign(&claims)).await;
        assert_eq!(
            (seen.status, seen.aadsts()),
            (StatusCode::UNAUTHORIZED, code),
            "{claim} {value}"
        );
    }
    let mut claims = issuer.claims(&h);
    claims["iss"] = json!("http://127.0.0.1:1");
    claims["sub"] = json!("nobody");
    assert_eq!(exchange(&h, &issuer.sign(&claims)).await.aadsts(), 70_021);
}

#[tokio::test]
async fn an_assertion_outside_its_time_is_700024() {
    let issuer = Issuer::start().await;
    let h = start(&issuer).await;
    let assertion = issuer.sign(&issuer.claims(&h));
    h.emulator.advance(301);
    let seen = exchange(&h, &assertion).await;
    assert_eq!((seen.status, seen.aadsts()), (StatusCode::UNAUTHORIZED, 700_024));
    let mut early = issuer.claims(&h);
    early["nbf"] = json!(h.emulator.now().timestamp() + 60);
    assert_eq!(exchange(&h, &issuer.sign(&early)).await.aadsts(), 700_024);
    // A service whose clock is behind refuses what is good elsewhere.
    h.emulator.set_faults(Faults { clock_skew_seconds: -120, ..Faults::default() }).unwrap();
    let mut fresh = issuer.claims(&h);
    fresh["nbf"] = json!(h.emulator.now().timestamp() + 120);
    assert_eq!(exchange(&h, &issuer.sign(&fresh)).await.aadsts(), 700_024);
}

#[tokio::test]
async fn signatures_algorithms_and_shapes_are_checked() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let h = start(&issuer).await;
    assert_eq!(exchange(&h, &other.sign(&issuer.claims(&h))).await.aadsts(), 700_027);
    let hs256 = jsonwebtoken::encode(
        &Header::default(),
        &issuer.claims(&h),
        &EncodingKey::from_secret(b"x"),
    )
    .unwrap();
    let seen = exchange(&h, &hs256).await;
    assert_eq!((seen.status, seen.aadsts()), (StatusCode::BAD_REQUEST, 5_002_738));
    assert_eq!(exchange(&h, "a.b").await.aadsts(), 50_027);
    assert_eq!(exchange(&h, "a.b.c").await.aadsts(), 50_027);
}

#[tokio::test]
async fn only_loopback_is_ever_asked_for_keys() {
    let issuer = Issuer::start().await;
    let h = Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, federated_credentials: \
         [{{name: far, issuer: 'https://issuer.example', subject: role/Rotator}}]}}]"
    )))
    .await;
    let mut claims = issuer.claims(&h);
    claims["iss"] = json!("https://issuer.example");
    assert_eq!(exchange(&h, &issuer.sign(&claims)).await.aadsts(), 50_166);
}

#[tokio::test]
async fn a_loopback_address_can_stand_for_an_issuer() {
    let issuer = Issuer::start().await;
    let h = Harness::start(seed(&format!(
        "issuers: {{'https://sts.example': {{url: '{}'}}}}\n\
         applications: [{{app_id: {APP}, display_name: a, federated_credentials: \
         [{{name: far, issuer: 'https://sts.example', subject: role/Rotator}}]}}]",
        issuer.url
    )))
    .await;
    let mut claims = issuer.claims(&h);
    claims["iss"] = json!("https://sts.example");
    assert_eq!(exchange(&h, &issuer.sign(&claims)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn credentials_made_through_graph_are_trusted_and_can_be_taken_back() {
    let issuer = Issuer::start().await;
    let h =
        Harness::start(seed(&format!("applications: [{{app_id: {APP}, display_name: a}}]"))).await;
    assert_eq!(exchange(&h, &issuer.sign(&issuer.claims(&h))).await.aadsts(), 70_025);
    let path =
        format!("/applications/{}/federatedIdentityCredentials", h.object_id("applications", APP));
    let body = |name: &str| json!({"name": name, "issuer": issuer.url, "subject": "role/Rotator", "audiences": [EXCHANGE]});
    assert_eq!(h.post(&path, body("aws")).await.status, StatusCode::CREATED);
    assert_eq!(h.post(&path, body("aws")).await.status, StatusCode::CONFLICT);
    assert_eq!(exchange(&h, &issuer.sign(&issuer.claims(&h))).await.status, StatusCode::OK);
    for number in 1..20 {
        let body = json!({"name": format!("n{number}"), "issuer": issuer.url, "subject": format!("s{number}"), "audiences": [EXCHANGE]});
        assert_eq!(h.post(&path, body).await.status, StatusCode::CREATED);
    }
    let more =
        json!({"name": "more", "issuer": issuer.url, "subject": "more", "audiences": [EXCHANGE]});
    assert_eq!(h.post(&path, more).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(h.get(&path).await.body["value"].as_array().unwrap().len(), 20);
    let removed = h.graph(Method::DELETE, &format!("{path}/aws"), None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(exchange(&h, &issuer.sign(&issuer.claims(&h))).await.aadsts(), 700_213);
}

#[tokio::test]
async fn a_stable_credential_fails_now_and_then() {
    let issuer = Issuer::start().await;
    let h = start(&issuer).await;
    let rules =
        vec![Rule::new(FaultKind::NoMatchingFederation).on(Operation::Token).probability(0.3)];
    h.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..40 {
        match exchange(&h, &issuer.sign(&issuer.claims(&h))).await.aadsts() {
            0 => good += 1,
            700_213 => bad += 1,
            other => panic!("AADSTS{other}"),
        }
    }
    assert!(good > 15 && bad > 3, "{good} good, {bad} bad");
}
