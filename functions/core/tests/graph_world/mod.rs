//! What the tests of the Graph client share.

// Each test program uses some of it; a helper that fails fails its test.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_emulator::{Emulator, Faults, Operation, Rule, Seed, SeedApplication, SeedCertificate};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use chrono::{TimeDelta, Utc};
use keywheel_core::graph::{CallOptions, Graph, GraphError, Object};
use keywheel_core::http::Http;
use keywheel_core::identity::AzureTransport;
use keywheel_core::ids::{AppId, KeyId, KeyOn};
use tokio::time::Instant;
use uuid::Uuid;

pub const APP: Uuid = Uuid::from_u128(0xA);
pub const ALONE: Uuid = Uuid::from_u128(0xB);

/// The emulator, and a client of it.
pub struct World {
    pub emulator: Emulator,
    pub graph: Graph,
}

/// Two applications, one of them without a service principal.
pub async fn world() -> World {
    let mut seed = Seed::default();
    let certificates = vec![SeedCertificate {
        key_id: None,
        display_name: Some("mTLS".to_owned()),
        start: "-1d".to_owned(),
        end: Some("+9d".to_owned()),
    }];
    let tags = vec!["keywheel".to_owned()];
    let app = SeedApplication {
        app_id: Some(APP),
        certificates,
        tags,
        ..SeedApplication::named("billing")
    };
    let alone = SeedApplication {
        app_id: Some(ALONE),
        service_principal: false,
        ..SeedApplication::named("alone")
    };
    seed.applications.extend([app, alone]);
    start(Emulator::builder().seed(seed)).await
}

/// The world of this emulator.
pub async fn start(builder: azure_emulator::Builder) -> World {
    let emulator = builder.start().await.unwrap();
    let http = Http::with_roots(emulator.ca_pem().as_bytes()).unwrap();
    let endpoints = emulator.endpoints();
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host.clone_from(&endpoints.authority);
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(AzureTransport(http.clone())))),
        retry: RetryOptions::none(),
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..Default::default()
    };
    let credential: Arc<dyn TokenCredential> = ClientSecretCredential::new(
        &endpoints.tenant.to_string(),
        endpoints.client_id.to_string(),
        endpoints.client_secret.clone().into(),
        Some(ClientSecretCredentialOptions { client_options }),
    )
    .unwrap();
    let graph = Graph::new(http, credential, &endpoints.graph.parse().unwrap());
    World { emulator, graph }
}

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
        Ok(AccessToken::new("a token".to_owned(), expires))
    }
}

/// A client of a stand-in at this address.
pub fn graph_at(url: &str) -> Graph {
    let http = Http::with_roots(b"").unwrap();
    Graph::new(http, Arc::new(SignedIn), &url.parse().unwrap())
}

/// A call with twenty seconds.
pub fn options() -> CallOptions {
    CallOptions::until(Instant::now() + Duration::from_secs(20))
}

impl World {
    pub async fn object(&self, on: KeyOn) -> Object {
        let principal = self.graph.principal(AppId(APP), on, &options()).await.unwrap().unwrap();
        Object { on, id: principal.object_id }
    }

    pub async fn keys(&self) -> Vec<KeyId> {
        let principal = self.graph.principal(AppId(APP), KeyOn::Application, &options()).await;
        principal.unwrap().unwrap().keys.iter().map(|key| key.key_id).collect()
    }

    pub fn fault(&self, rule: Rule) {
        let rules = vec![Rule { retry_after_seconds: Some(1), ..rule }];
        self.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    }

    pub fn count(&self, operation: Operation) -> usize {
        let requests = self.emulator.requests();
        requests.iter().filter(|request| request.operation == Some(operation)).count()
    }

    pub async fn add(&self, object: Object) -> Result<KeyId, GraphError> {
        let end = Utc::now() + TimeDelta::days(90);
        let added = self.graph.add_password(object, "keywheel/x", end, &options()).await?;
        assert_eq!(added.end.map(|at| at.timestamp()), Some(end.timestamp()));
        assert!(!added.secret.expose().is_empty() && added.request_id.is_some());
        assert!(!format!("{added:?}").contains(added.secret.expose()));
        Ok(added.key)
    }
}
