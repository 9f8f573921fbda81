//! Carries out what the rules ask for, with the clients of the real services.

mod error;
mod executor;
pub mod inspect;
pub mod jobs;
pub mod native;
mod other_object;
pub mod sweep;
#[cfg(test)]
#[path = "../../tests/engine/mod.rs"]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_config::SdkConfig;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use error::EngineError;

use crate::audit::Bus;
use crate::cursors::Cursors;
use crate::events::EventType;
use crate::graph::Graph;
use crate::http::{self, Http, Unpooled};
use crate::identity::{Cloud, Endpoints, Identity, SignInMode, TokenEndpoint};
use crate::ids::TenantId;
use crate::manifest::{Credential, Manifest, ManifestSource};
use crate::queue::Queue;
use crate::rotation::{Scope, SignedInAs, Terms};
use crate::secrets::Secrets;
use crate::settings::{self, required};

/// The account and region of the secrets. A secret of the same name in another account or region is another secret.
#[derive(Clone, Debug)]
struct SecretsLocation {
    account: String,
    region: String,
}

impl SecretsLocation {
    fn scope(&self, credential: &Credential) -> Scope {
        Scope::of(&self.account, &self.region, credential.secret.as_str())
    }
}

/// The clients and addresses of a process, made once at its start.
#[derive(Debug)]
pub struct Clients {
    http: Http,
    proofs: Unpooled,
    aws: SdkConfig,
    source: ManifestSource,
    cloud: Cloud,
    endpoints: Endpoints,
    location: SecretsLocation,
    /// The ARN that AWS knows Keywheel by.
    caller: Option<String>,
    /// The sign-in of the manifest's tenant, kept for its cached tokens as long as Graph takes them.
    signed_in: Mutex<Option<(TenantId, Identity, Graph)>>,
}

impl Clients {
    /// Makes the clients from the environment (`KEYWHEEL_MANIFEST`, `KEYWHEEL_CLOUD`, …). Asks STS for the account.
    pub async fn connect() -> Result<Self, EngineError> {
        let source = required("KEYWHEEL_MANIFEST")?;
        Self::connect_to(ManifestSource::parse(&source)?).await
    }

    /// Makes the clients with the manifest at this place, whatever `KEYWHEEL_MANIFEST` says.
    pub async fn connect_to(source: ManifestSource) -> Result<Self, EngineError> {
        let http = Http::from_env()?;
        let aws = http::aws::config(&http).await;
        let cloud = Cloud::from_env()?;
        let region = aws.region().map(ToString::to_string).ok_or_else(|| {
            EngineError::Account("no region is configured; set AWS_REGION".into())
        })?;
        let (account, caller) = account(&aws).await?;
        Ok(Self {
            proofs: http.unpooled()?,
            source,
            endpoints: Endpoints::from_env(cloud)?,
            location: SecretsLocation { account, region },
            caller,
            signed_in: Mutex::new(None),
            http,
            aws,
            cloud,
        })
    }

    /// Makes an engine with the manifest as it is now, because the manifest may have changed since the last event.
    pub async fn engine(&self) -> Result<Engine, EngineError> {
        let bus = required("KEYWHEEL_BUS")?;
        self.engine_with(bus).await
    }

    /// Makes an engine that only reads (dry runs, [`Engine::inspect`]). Such an engine needs no `KEYWHEEL_BUS`. A
    /// change would fail at the bus, because no change is made without its record.
    pub async fn reader(&self) -> Result<Engine, EngineError> {
        self.engine_with(settings::optional("KEYWHEEL_BUS").unwrap_or_default()).await
    }

    /// Gives the ARN that AWS knows Keywheel by.
    pub fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    async fn engine_with(&self, bus: String) -> Result<Engine, EngineError> {
        let manifest = self.source.load_in(&self.aws, self.cloud).await?;
        let scopes =
            manifest.credentials().map(|credential| self.location.scope(credential)).collect();
        let (identity, graph) = self.sign_in(manifest.tenant()).await?;
        Ok(Engine {
            graph,
            secrets: Secrets::new(&self.aws),
            bus: Bus::new(&self.aws, bus),
            proofs: TokenEndpoint::new(self.proofs.clone(), &self.endpoints, manifest.tenant()),
            cloud: self.cloud,
            location: self.location.clone(),
            manifest: Arc::new(manifest),
            scopes: Arc::new(scopes),
            cursors: match settings::optional("KEYWHEEL_CURSORS") {
                Some(place) => Some(Cursors::new(&self.aws, &place)?),
                None => None,
            },
            identity,
        })
    }

    /// Makes a client of the job queue and of its dead-letter queue.
    pub fn queue(&self) -> Result<Queue, EngineError> {
        let url = required("KEYWHEEL_QUEUE_URL")?;
        let dead_letters = settings::optional("KEYWHEEL_DEAD_LETTER_URL");
        Ok(Queue::new(&self.aws, url, dead_letters))
    }

    async fn sign_in(&self, tenant: TenantId) -> Result<(Identity, Graph), EngineError> {
        let mut kept = self.signed_in.lock().await;
        if let Some((of, identity, graph)) = kept.as_ref()
            && *of == tenant
            && !graph.token_refused()
        {
            return Ok((identity.clone(), graph.clone()));
        }
        let mode = SignInMode::from_env()?;
        let identity = Identity::new(&self.http, &self.aws, &self.endpoints, tenant, mode)?;
        let graph = Graph::new(self.http.clone(), identity.credential(), &self.endpoints.graph);
        *kept = Some((tenant, identity.clone(), graph.clone()));
        Ok((identity, graph))
    }
}

/// Asks STS for the account and the caller's ARN.
pub async fn account(aws: &SdkConfig) -> Result<(String, Option<String>), EngineError> {
    let identity = aws_sdk_sts::Client::new(aws).get_caller_identity().send().await;
    let identity = identity
        .map_err(|error| EngineError::Account(http::aws::AwsFailure::new(&error).to_string()))?;
    let account = identity.account().map(str::to_owned);
    let account = account.ok_or_else(|| EngineError::Account("STS named no account".into()))?;
    Ok((account, identity.arn().map(str::to_owned)))
}

/// The clients with the manifest of this moment.
#[derive(Debug)]
pub struct Engine {
    pub(crate) manifest: Arc<Manifest>,
    /// The scopes of the credentials that the manifest lists.
    scopes: Arc<BTreeSet<Scope>>,
    graph: Graph,
    secrets: Secrets,
    bus: Bus,
    proofs: TokenEndpoint,
    cloud: Cloud,
    location: SecretsLocation,
    /// The cursors of sweeps; `None`: sweeps read no directory audit.
    cursors: Option<Cursors>,
    identity: Identity,
}

impl Engine {
    /// Gives the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Gives the client of Secrets Manager.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Asks the bus for a further sweep from the place where this sweep ended.
    pub async fn continue_sweep(
        &self,
        rest: &sweep::Cursor,
        deadline: Instant,
    ) -> Result<(), EngineError> {
        Ok(self.bus.put_message(&EventType::SweepContinued, rest, deadline).await?)
    }

    /// Makes the terms of a credential for the rules.
    fn terms(&self, credential: &Credential, signed_in_as: Option<SignedInAs>) -> Terms {
        Terms {
            application: credential.application,
            scope: self.location.scope(credential),
            policy: credential.settings.policy.clone(),
            signed_in_as,
            listed: Arc::clone(&self.scopes),
        }
    }
}
