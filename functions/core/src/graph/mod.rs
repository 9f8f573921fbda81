//! The client of Microsoft Graph v1.0: applications, service principals and their keys.
//!
//! Keywheel has a client of its own, because the behaviour after a failure matters most: reads and removals are tried
//! again, and `addPassword` only if the answer proves that nothing was done.

mod listing;
mod own;
mod passwords;
mod refusal;
mod reports;
mod tags;
mod wire;

use std::fmt;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::de::DeserializeOwned;

use wire::{Holder, OfApp, Other};

use crate::azure::{Call, Caller};
pub use crate::azure::{CallOptions, Page, PageLink, Unreadable};
use crate::http::Http;
use crate::ids::{AppId, KeyOn, ObjectId};
use crate::rotation::observed::{Principal, most_keys};

pub use listing::Detail;
pub use own::{FederatedCredential, RoleAssignment};
pub use passwords::{Added, Removed};
pub use refusal::{GraphError, Kind, Refusal};
pub use reports::DirectoryAudit;
pub use wire::{DirectoryObject, ObjectSummary};

impl KeyOn {
    fn collection(self) -> &'static str {
        match self {
            Self::Application => "applications",
            Self::ServicePrincipal => "servicePrincipals",
        }
    }
}

/// An application or a service principal, which holds keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// The kind of the object.
    pub on: KeyOn,
    /// The object's `id`, which is not the client id.
    pub id: ObjectId,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.on.collection(), self.id)
    }
}

/// A client of Graph. Clones share everything.
#[derive(Clone, Debug)]
pub struct Graph {
    azure: Caller<Refusal>,
}

impl Graph {
    /// Makes a client of the Graph at this address (without a version) that signs in with this credential.
    pub fn new(http: Http, credential: Arc<dyn TokenCredential>, endpoint: &Url) -> Self {
        Self { azure: Caller::new(http, credential, refusal::service(endpoint.clone())) }
    }

    /// Gives the time by Graph's clock, as of the last answer.
    ///
    /// The lives of keys are measured by the same clock, so that a wrong clock on this side does no harm.
    pub fn now(&self) -> DateTime<Utc> {
        self.azure.now()
    }

    /// Says whether Graph has refused a token: the token was revoked, or the principal was disabled and enabled again.
    /// A new sign-in begins with an empty cache.
    pub fn token_refused(&self) -> bool {
        self.azure.token_refused()
    }

    /// Reads the object that holds a principal's keys, by its client id; `None`: there is no such object.
    ///
    /// The calls are `GET /applications(appId='…')` and `GET /servicePrincipals(appId='…')`. Both are needed: nobody
    /// signs in without a service principal, and the application may lock the keys of its service principal.
    pub async fn principal(
        &self,
        app: AppId,
        on: KeyOn,
        options: &CallOptions,
    ) -> Result<Option<Principal>, GraphError> {
        let there = on.other();
        let further = options.further(there.collection());
        let (holder, other) = tokio::try_join!(
            self.by_app_id::<Holder>(on, app, wire::HOLDER, options),
            self.by_app_id::<Other>(there, app, wire::other(there), &further),
        )?;
        Ok(holder.map(|holder| Principal {
            object_id: holder.id,
            has_service_principal: on == KeyOn::ServicePrincipal || other.is_some(),
            locked: other.is_some_and(|other| other.locks_principal),
            most_keys: match on {
                KeyOn::Application => most_keys(holder.sign_in_audience.as_deref()),
                KeyOn::ServicePrincipal => None,
            },
            keys: holder.keys,
        }))
    }

    async fn by_app_id<T: DeserializeOwned>(
        &self,
        on: KeyOn,
        app: AppId,
        select: &str,
        options: &CallOptions,
    ) -> Result<Option<T>, GraphError> {
        let object = format!("{}(appId='{app}')", on.collection());
        let call = reading("get", &object, self.url(&object, &[("$select", select)]), options);
        match self.azure.read::<OfApp<T>>(&call).await {
            Err(error) if *error.kind() == Kind::NotFound => Ok(None),
            Ok(found) if found.app_id != app => {
                Err(self.azure.malformed(&call, "it is of another application"))
            }
            found => Ok(Some(found?.object)),
        }
    }

    /// Makes an address below this Graph's `/v1.0`.
    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        self.azure.url(&format!("v1.0/{path}"), query)
    }
}

/// Makes a call that reads the directory.
fn reading(name: &'static str, object: &str, url: Url, options: &CallOptions) -> Call {
    Call::get(name, object, url, options).needing("Application.Read.All")
}
