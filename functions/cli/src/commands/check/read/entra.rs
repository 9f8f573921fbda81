//! Reads Keywheel's own application in Entra, and the applications of the manifest.

use std::collections::BTreeSet;
use std::time::Duration;

use keywheel_core::engine::EngineError;
use keywheel_core::graph::{
    CallOptions, Detail, DirectoryObject, FederatedCredential, Graph, GraphError, Kind,
};
use keywheel_core::identity::{Endpoints, Identity, SignInMode};
use keywheel_core::ids::{AppId, KeyOn, ObjectId, TenantId};
use keywheel_core::manifest::Manifest;
use keywheel_core::settings;
use tokio::time::Instant;
use uuid::{Uuid, uuid};

use super::super::seen::{EntraObject, Objects, Own};
use super::super::verdict::{Reading, Trouble};
use super::Reader;
use crate::exit::Failure;

/// The client id of Microsoft Graph, in every tenant.
const MICROSOFT_GRAPH: AppId = AppId(uuid!("00000003-0000-0000-c000-000000000000"));
/// How long all calls of Graph together may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The readings of Entra.
pub(super) struct Entra {
    pub(super) tenant: Reading<TenantId>,
    pub(super) own: Reading<Option<Own>>,
    pub(super) permissions: Reading<BTreeSet<Uuid>>,
    pub(super) federated: Reading<Vec<FederatedCredential>>,
    pub(super) objects: Reading<Objects>,
    pub(super) owned: Reading<BTreeSet<ObjectId>>,
}

/// A Graph that took the token, and the id of its own service principal in the tenant.
struct SignedIn {
    graph: Graph,
    options: CallOptions,
    tenant: TenantId,
    microsoft_graph: Option<ObjectId>,
}

pub(super) async fn read(
    reader: &Reader<'_>,
    endpoints: &Endpoints,
    manifest: &Reading<Manifest>,
    client: Option<AppId>,
) -> Entra {
    reader.progress.set_message("signing in to Entra");
    let signed_in = sign_in(reader, endpoints, manifest).await;
    let tenant = match &signed_in {
        Reading::Read(signed_in) => Reading::Read(signed_in.tenant),
        Reading::Failed(trouble) => Reading::Failed(trouble.clone()),
        Reading::NotTried(why) => Reading::not_tried(why),
    };
    let Some(signed_in) = signed_in.get() else { return Entra::without(tenant) };
    reader.progress.set_message("reading Keywheel's application");
    let own = match client {
        Some(client) => signed_in.own(client).await,
        None => Reading::not_tried(
            "the client id of Keywheel's application is not known: give --client-id",
        ),
    };
    let known = own.get().and_then(Option::as_ref);
    let principal = known.and_then(|own| own.principal).map(|(id, _)| id);
    let no_principal = "Keywheel's service principal could not be read";
    let permissions = match principal {
        Some(principal) => signed_in.permissions(principal).await,
        None => Reading::not_tried(no_principal),
    };
    let owned = match principal {
        Some(principal) => signed_in.owned(principal).await,
        None => Reading::not_tried(no_principal),
    };
    let federated = match client.filter(|_| known.is_some()) {
        Some(client) => signed_in.federated(client).await,
        None => Reading::not_tried("Keywheel's application could not be read"),
    };
    reader.progress.set_message("reading the applications of the manifest");
    let objects = match manifest.get() {
        Some(manifest) => signed_in.listed(manifest).await,
        None => Reading::not_tried("the manifest could not be read"),
    };
    Entra { tenant, own, permissions, federated, objects, owned }
}

impl Entra {
    /// Makes the readings of a directory that nobody is signed in to.
    fn without(tenant: Reading<TenantId>) -> Self {
        const WHY: &str = "nobody is signed in to Entra";
        Self {
            tenant,
            own: Reading::not_tried(WHY),
            permissions: Reading::not_tried(WHY),
            federated: Reading::not_tried(WHY),
            objects: Reading::not_tried(WHY),
            owned: Reading::not_tried(WHY),
        }
    }
}

/// Signs in and asks Graph for its own service principal, which each tenant has.
async fn sign_in(
    reader: &Reader<'_>,
    endpoints: &Endpoints,
    manifest: &Reading<Manifest>,
) -> Reading<SignedIn> {
    let variable = || settings::optional("AZURE_TENANT_ID")?.parse().ok();
    let tenant = manifest.get().map(Manifest::tenant).or(reader.args.tenant).or_else(variable);
    let Some(tenant) = tenant else {
        return Reading::not_tried("the tenant is not known without a manifest: give --tenant");
    };
    let mode = SignInMode::from_env();
    let identity =
        mode.and_then(|mode| Identity::new(&reader.http, &reader.aws, endpoints, tenant, mode));
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => return Reading::Failed(Failure::from(EngineError::from(error)).into()),
    };
    let graph = Graph::new(reader.http.clone(), identity.credential(), &endpoints.graph);
    let options = CallOptions::until(Instant::now() + PATIENCE);
    let (on, keys) = (KeyOn::ServicePrincipal, Detail::Keys);
    let found = graph.objects_by_app_id(on, &[MICROSOFT_GRAPH], keys, &options).await;
    match found {
        Ok(page) => {
            let microsoft_graph = page.items.first().map(|principal| principal.id);
            Reading::Read(SignedIn { graph, options, tenant, microsoft_graph })
        }
        Err(error) => Reading::Failed(trouble(error)),
    }
}

/// Tells of a failed call of Graph.
fn trouble(error: GraphError) -> Trouble {
    let grant = match error.kind() {
        Kind::Forbidden { grant } => Some(*grant),
        _ => None,
    };
    let trouble = Trouble::from(Failure::from(EngineError::from(error)));
    match grant {
        Some(grant) => {
            Trouble { cure: format!("give {grant} to whoever runs this command"), ..trouble }
        }
        None => trouble,
    }
}

impl SignedIn {
    async fn objects(&self, on: KeyOn, apps: &[AppId]) -> Result<Vec<DirectoryObject>, GraphError> {
        let page = self.graph.objects_by_app_id(on, apps, Detail::Keys, &self.options).await?;
        Ok(page.items)
    }

    async fn own(&self, client: AppId) -> Reading<Option<Own>> {
        let applications = self.objects(KeyOn::Application, &[client]).await;
        let principals = self.objects(KeyOn::ServicePrincipal, &[client]).await;
        let own = applications.and_then(|applications| {
            let principal = principals?.into_iter().next().map(|one| (one.id, one.enabled));
            Ok(applications.first().map(|_| Own { principal }))
        });
        own.map_err(trouble).into()
    }

    async fn permissions(&self, principal: ObjectId) -> Reading<BTreeSet<Uuid>> {
        let page = self.graph.role_assignments(principal, &self.options).await;
        let granted = page.map(|page| {
            let of_graph =
                page.items.into_iter().filter(|one| Some(one.resource_id) == self.microsoft_graph);
            of_graph.map(|one| one.app_role_id).collect()
        });
        granted.map_err(trouble).into()
    }

    async fn owned(&self, principal: ObjectId) -> Reading<BTreeSet<ObjectId>> {
        let owned = self.graph.owned_objects(principal, &self.options).await;
        owned.map(|owned| owned.into_iter().collect()).map_err(trouble).into()
    }

    async fn federated(&self, client: AppId) -> Reading<Vec<FederatedCredential>> {
        let page = self.graph.federated_credentials(client, &self.options).await;
        page.map(|page| page.items).map_err(trouble).into()
    }

    /// Finds the applications of the listed credentials, and their service principals.
    async fn listed(&self, manifest: &Manifest) -> Reading<Objects> {
        let apps: BTreeSet<AppId> = manifest.credentials().map(|one| one.application).collect();
        let apps: Vec<AppId> = apps.into_iter().collect();
        let (application, principal) = (KeyOn::Application, KeyOn::ServicePrincipal);
        let applications = self.objects(application, &apps).await;
        let principals = self.objects(principal, &apps).await;
        let objects = applications.and_then(|applications| {
            let on = |on| {
                move |one: DirectoryObject| {
                    ((one.app_id, on), EntraObject { id: one.id, enabled: one.enabled })
                }
            };
            let principals = principals?.into_iter().map(on(principal));
            Ok(applications.into_iter().map(on(application)).chain(principals).collect())
        });
        objects.map_err(trouble).into()
    }
}
