//! Makes it happen: runs the rules' tries against the real services.

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

/// Where the secrets lie: in another account or region one of the same name is another secret.
#[derive(Clone, Debug)]
struct Location {
    account: String,
    region: String,
}

impl Location {
    fn scope(&self, credential: &Credential) -> Scope {
        Scope::of(&self.account, &self.region, credential.secret.as_str())
    }
}

/// What a process builds once, at its start: clients, endpoints, who we are.
#[derive(Debug)]
pub struct Clients {
    http: Http,
    proofs: Unpooled,
    aws: SdkConfig,
    source: ManifestSource,
    cloud: Cloud,
    endpoints: Endpoints,
    location: Location,
    /// Who we are to AWS.
    caller: Option<String>,
    /// The sign-in of the manifest's tenant, kept for its cached tokens as long as Graph takes them.
    signed_in: Mutex<Option<(TenantId, Identity, Graph)>>,
}

impl Clients {
    /// Reads the environment (`KEYWHEEL_MANIFEST`, `KEYWHEEL_CLOUD`, …) and asks STS which account this is.
    pub async fn connect() -> Result<Self, EngineError> {
        let source = required("KEYWHEEL_MANIFEST")?;
        Self::connect_to(ManifestSource::parse(&source)?).await
    }

    /// The same, with the manifest from this place, whatever `KEYWHEEL_MANIFEST` says.
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
            location: Location { account, region },
            caller,
            signed_in: Mutex::new(None),
            http,
            aws,
            cloud,
        })
    }

    /// Loads the manifest afresh: it may have changed since the last event.
    pub async fn engine(&self) -> Result<Engine, EngineError> {
        let bus = required("KEYWHEEL_BUS")?;
        self.engine_with(bus).await
    }

    /// An engine that is only read with (dry runs, [`Engine::inspect`]): it needs no `KEYWHEEL_BUS`, and a
    /// change, which is never without its record, fails at the bus.
    pub async fn reader(&self) -> Result<Engine, EngineError> {
        self.engine_with(settings::optional("KEYWHEEL_BUS").unwrap_or_default()).await
    }

    /// Who we are to AWS: the ARN that STS gives.
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

    /// The queue of jobs and its dead letters.
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

/// Account and ARN.
async fn account(aws: &SdkConfig) -> Result<(String, Option<String>), EngineError> {
    let identity = aws_sdk_sts::Client::new(aws).get_caller_identity().send().await;
    let identity = identity
        .map_err(|error| EngineError::Account(http::aws::AwsFailure::new(&error).to_string()))?;
    let account = identity.account().map(str::to_owned);
    let account = account.ok_or_else(|| EngineError::Account("STS named no account".into()))?;
    Ok((account, identity.arn().map(str::to_owned)))
}

/// The clients together with the manifest of this moment.
#[derive(Debug)]
pub struct Engine {
    pub(crate) manifest: Arc<Manifest>,
    /// Those of the credentials that it lists.
    scopes: Arc<BTreeSet<Scope>>,
    graph: Graph,
    secrets: Secrets,
    bus: Bus,
    proofs: TokenEndpoint,
    cloud: Cloud,
    location: Location,
    /// Where a sweep remembers how far it read; none: it reads no directory audit.
    cursors: Option<Cursors>,
    identity: Identity,
}

impl Engine {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The client of Secrets Manager.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Asks the bus for a further sweep, from where the time of this one ended.
    pub async fn continue_sweep(
        &self,
        rest: &sweep::Cursor,
        deadline: Instant,
    ) -> Result<(), EngineError> {
        Ok(self.bus.put_message(&EventType::SweepContinued, rest, deadline).await?)
    }

    /// What every try at a credential knows of it.
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
