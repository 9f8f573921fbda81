//! The engine against an emulated Entra and an AWS in memory: what the end-to-end tests see, in seconds.

mod audits;
mod aws;
mod executor;
mod failures;
#[path = "../graph_world/mod.rs"]
mod graph_world;
mod inspect;
mod jobs;
mod native;
#[path = "../model/secrets.rs"]
#[allow(dead_code)]
mod secrets_model;
#[path = "../secrets_stub/mod.rs"]
mod stub;
mod sweep;

use std::time::Duration;

use azure_emulator::{Emulator, Seed, SeedApplication, SeedPassword};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Clients, Engine, SecretsLocation};
use crate::cursors::Cursors;
use crate::graph::{CallOptions, Graph, Object};
use crate::http::Http;
use crate::identity::{Cloud, Endpoints, Identity, SignInMode};
use crate::ids::{AppId, CredentialName, KeyId, KeyOn, RotationId, TenantId, Token, VersionId};
use crate::manifest::{Credential, ManifestSource};
use crate::queue::{Job, RevokeOld, SCHEMA, Work};
use crate::rotation::Label;
use crate::rotation::plan::Reason;
use aws::Aws;

/// Keywheel's own application, and the key that it signs in with.
const OWN: AppId = AppId(Uuid::from_u128(0x0111));
const OWN_KEY: KeyId = KeyId(Uuid::from_u128(0x0112));
const OWN_SECRET: &str = "keywheel/own";
/// The application whose keys are turned.
const APP: AppId = AppId(Uuid::from_u128(0xA));
const SECRET: &str = "keywheel/one";
/// A credential of it.
const ONE: &str = "
  one:
    application: 00000000-0000-0000-0000-00000000000a
    secret: keywheel/one
    settle: 1s
";

fn named(name: &str, app: AppId) -> SeedApplication {
    SeedApplication { app_id: Some(app.0), ..SeedApplication::named(name) }
}

fn password(key: u128) -> SeedPassword {
    let end = Some("+100d".to_owned());
    SeedPassword { key_id: Some(Uuid::from_u128(key)), end, ..SeedPassword::default() }
}

fn ours() -> SeedApplication {
    let own = SeedPassword {
        secret: Some("ownQ~secretsecretsecretsecretsecretsecre".to_owned()),
        end: Some("+700d".to_owned()),
        ..password(OWN_KEY.0.as_u128())
    };
    let roles = ["Application.ReadWrite.All", "AuditLog.Read.All", "Directory.Read.All"];
    SeedApplication {
        passwords: vec![own],
        roles: roles.map(str::to_owned).to_vec(),
        ..named("keywheel", OWN)
    }
}

/// An Entra with these applications and Keywheel's own, and an AWS with a manifest.
struct World {
    emulator: Emulator,
    aws: Aws,
}

impl World {
    /// `manifest` is what follows the tenant.
    async fn new(applications: Vec<SeedApplication>, manifest: &str) -> Self {
        Self::with(ours(), applications, manifest).await
    }

    async fn with(
        own: SeedApplication,
        applications: Vec<SeedApplication>,
        manifest: &str,
    ) -> Self {
        let mut seed = Seed::default();
        seed.applications.push(own);
        seed.applications.extend(applications);
        let emulator = Emulator::builder().seed(seed).replicas(1).start().await.unwrap();
        let aws = Aws::start().await;
        let own = json!({
            "client_id": OWN, "client_secret": "ownQ~secretsecretsecretsecretsecretsecre", "key_id": OWN_KEY,
        });
        aws.state().by_hand(OWN_SECRET, &VersionId("own".to_owned()), &own.to_string());
        let world = Self { emulator, aws };
        world.manifest(manifest);
        world
    }

    /// Puts another manifest in place of the one before; what follows the tenant.
    fn manifest(&self, manifest: &str) {
        let manifest = format!("tenant: {}\n{manifest}", self.tenant());
        self.aws.state().objects.insert("/manifests/manifest.yaml".to_owned(), manifest);
    }

    /// One application and its credential.
    async fn of_one() -> Self {
        Self::new(vec![named("one", APP)], &format!("credentials:{ONE}")).await
    }

    /// The same, once its first rotation is over.
    async fn rotated() -> (Self, Token) {
        let world = Self::of_one().await;
        let first = token(1);
        let ended = world.work(&rotation(&first, None)).await;
        assert!(matches!(ended, super::jobs::Ended::Done), "{ended:?}");
        (world, first)
    }

    fn tenant(&self) -> TenantId {
        TenantId(self.emulator.endpoints().tenant)
    }

    /// A fresh process's engine.
    async fn engine(&self) -> Engine {
        let mut engine = self.clients().await.engine_with("keywheel".to_owned()).await.unwrap();
        engine.cursors = Some(Cursors::new(&self.aws.stub.config(), "s3://cursors/c/").unwrap());
        engine
    }

    async fn clients(&self) -> Clients {
        let http = Http::with_roots(self.emulator.ca_pem().as_bytes()).unwrap();
        let config = self.aws.stub.config();
        let at = self.emulator.endpoints();
        let endpoints = Endpoints {
            authority: at.authority.parse().unwrap(),
            graph: at.graph.parse().unwrap(),
            arm: at.arm.parse().unwrap(),
            federated_audience: String::new(),
        };
        let mode = SignInMode::StoredSecret { client: OWN, secret_name: OWN_SECRET.to_owned() };
        let identity = Identity::new(&http, &config, &endpoints, self.tenant(), mode).unwrap();
        let graph = Graph::new(http.clone(), identity.credential(), &endpoints.graph);
        let source = ManifestSource::parse("s3://manifests/manifest.yaml").unwrap();
        let (account, caller) = super::account(&config).await.unwrap();
        Clients {
            proofs: http.unpooled().unwrap(),
            http,
            aws: config,
            source,
            cloud: Cloud::Public,
            endpoints,
            location: SecretsLocation { account, region: "eu-central-1".to_owned() },
            caller,
            signed_in: Mutex::new(Some((self.tenant(), identity, graph))),
        }
    }

    async fn work(&self, job: &Job) -> super::jobs::Ended {
        self.engine().await.work(job, deadline()).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.emulator.now()
    }

    /// Mints a key as somebody else would.
    async fn mint(&self, app: AppId, name: &str) -> KeyId {
        let (graph, object) = self.object(app).await;
        let end = self.now() + TimeDelta::days(90);
        let added = graph.add_password(object, name, end, &CallOptions::until(deadline())).await;
        added.unwrap().key
    }

    /// A rotation that was cut off after its claim, and whose key somebody removed.
    fn cut_off(&self, rotation: &Token) {
        let mut state = self.aws.state();
        let kept = state.secrets.get_mut(SECRET).unwrap();
        let version: VersionId = rotation.clone().into();
        let begun = kept.secret.holder(&Label::Pending) == Some(version.clone());
        assert!(begun || kept.secret.begin_rotation(&version));
        let key = Label::Key(KeyId(Uuid::from_u128(0xDEAD)));
        assert!(kept.secret.move_label(&key, Some(&version), None));
        kept.give(&version, r#"{"client_secret":"x"}"#);
    }

    async fn object(&self, app: AppId) -> (Graph, Object) {
        let graph = self.engine().await.graph;
        let on = KeyOn::Application;
        let principal = graph.principal(app, on, &CallOptions::until(deadline())).await.unwrap();
        (graph, Object { on, id: principal.unwrap().object_id })
    }

    fn wait(&self, time: TimeDelta) {
        self.emulator.advance(time.num_seconds());
    }

    /// The keys of an application, with their display names.
    fn keys(&self, app: AppId) -> Vec<(KeyId, String)> {
        let state = self.emulator.state();
        let applications = state["applications"].as_array().unwrap();
        let app = app.to_string();
        let found = applications.iter().find(|found| found["app_id"] == json!(app)).unwrap();
        let keys = found["passwords"].as_array().unwrap();
        let key = |key: &Value| {
            let id = key["key_id"].as_str().unwrap().parse().unwrap();
            (id, key["display_name"].as_str().unwrap_or_default().to_owned())
        };
        keys.iter().map(key).collect()
    }

    /// The types of the events so far.
    fn told(&self) -> Vec<String> {
        let state = self.aws.state();
        state
            .events
            .iter()
            .map(|event| event["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn labels(&self, version: &Token) -> Vec<Label> {
        let state = self.aws.state();
        let Some(kept) = state.secrets.get(SECRET) else { return Vec::new() };
        kept.labels(&version.clone().into()).into_iter().collect()
    }

    fn text(&self, version: &Token) -> Value {
        let state = self.aws.state();
        let text = state.secrets[SECRET].text(&version.clone().into()).unwrap();
        serde_json::from_str(text).unwrap()
    }
}

fn credential(engine: &Engine) -> Credential {
    engine.manifest.credentials().next().unwrap().clone()
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(2)
}

fn token(number: u128) -> Token {
    RotationId(Uuid::from_u128(number)).into()
}

/// A job that `ada` asked for.
fn job(work: Work) -> Job {
    Job {
        schema: SCHEMA,
        credential: CredentialName("one".to_owned()),
        application: APP,
        work,
        requested_by: "ada".to_owned(),
        requested_at: Some("2026-11-21T09:00:00Z".parse().unwrap()),
        request: Some(RotationId(Uuid::from_u128(0x5E))),
        continuation: 0,
    }
}

fn rotation(id: &Token, replaces: Option<&Token>) -> Job {
    job(Work::Rotate {
        rotation: id.clone(),
        replaces: replaces.map(|token| token.clone().into()),
        reason: Reason::Requested,
        revoke_old: RevokeOld::AfterOverlap,
    })
}

fn retirement(version: Option<&Token>, key: KeyId) -> Job {
    let version = version.map(|token| token.clone().into());
    job(Work::Retire { version, key, revoke_old: RevokeOld::AfterOverlap })
}

/// The same job, by somebody who wants the old key gone at once.
fn at_once(mut job: Job) -> Job {
    match &mut job.work {
        Work::Rotate { revoke_old, .. } | Work::Retire { revoke_old, .. } => {
            *revoke_old = RevokeOld::Now;
        }
        Work::Resolve { .. } => {}
    }
    job
}
