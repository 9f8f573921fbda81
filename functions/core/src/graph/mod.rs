//! Microsoft Graph v1.0, as far as client secrets need it: applications, service principals, their keys.
//!
//! A client of our own, since what it does after a failure is the point of it: reads and removals are
//! tried again, `addPassword` only where the answer proves that nothing was done.

mod error;
mod exchange;
mod listing;
mod passwords;
mod reports;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use azure_core::credentials::TokenCredential;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use reqwest::header::{DATE, HeaderMap};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use crate::http::Http;
use crate::ids::{AppId, KeyOn, ObjectId};
use crate::rotation::observed::{Principal, most_keys};

pub use error::{GraphError, Kind};
pub use listing::{Detail, Page, PageLink, Unreadable};
pub use passwords::{Added, Removed};
pub use reports::DirectoryAudit;
pub use wire::{Application, Belonging, Certificate, ServicePrincipal};

use exchange::Operation;

/// Further apart than this no two clocks are, and the lives of keys can still be reckoned.
const MOST_AHEAD: TimeDelta = TimeDelta::days(3650);

impl KeyOn {
    fn collection(self) -> &'static str {
        match self {
            Self::Application => "applications",
            Self::ServicePrincipal => "servicePrincipals",
        }
    }
}

/// A directory object that holds keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// Its kind.
    pub on: KeyOn,
    /// Its `id`, not the client id.
    pub id: ObjectId,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.on.collection(), self.id)
    }
}

/// What a caller settles for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// `client-request-id`: names the call in audit events even where its answer is lost.
    pub client_request_id: Uuid,
    /// When all tries together have to be over.
    pub deadline: Instant,
}

impl CallOptions {
    /// A call with an id of its own.
    pub fn until(deadline: Instant) -> Self {
        Self { client_request_id: Uuid::new_v4(), deadline }
    }

    /// The same call's further request, under an id that follows from its own.
    fn further(self, name: &str) -> Self {
        let client_request_id = Uuid::new_v5(&self.client_request_id, name.as_bytes());
        Self { client_request_id, ..self }
    }
}

/// A client of Graph; clones share everything.
#[derive(Clone, Debug)]
pub struct Graph {
    /// How many seconds Graph's clock is ahead of ours, by the `Date` of its last answer.
    ahead: Arc<AtomicI64>,
    /// Graph has answered 401 to a token: the cached ones are of no use any more.
    refused: Arc<AtomicBool>,
    http: Http,
    credential: Arc<dyn TokenCredential>,
    root: Url,
}

impl Graph {
    /// A client of the Graph at this address (without a version), signed in with this credential.
    pub fn new(http: Http, credential: Arc<dyn TokenCredential>, endpoint: &Url) -> Self {
        Self {
            ahead: Arc::default(),
            refused: Arc::default(),
            http,
            credential,
            root: endpoint.clone(),
        }
    }

    /// The time by Graph's clock, as of its last answer: a key's life and a clock that is wrong here are
    /// measured by the same clock that way.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Whether Graph has refused a token: it was revoked, or the principal was disabled and enabled again. A
    /// sign-in made anew has no tokens in its cache.
    pub fn token_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes the `Date` of an answer in (RFC 9110, section 6.6.1). It counts whole seconds, and the answer
    /// took its time: a small difference is none.
    fn set_clock(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(Ok(date)) = date.map(DateTime::parse_from_rfc2822) {
            let ahead = (date.with_timezone(&Utc) - Utc::now()).num_seconds();
            // Whoever wrote a date that far off was no clock.
            if ahead.abs() > MOST_AHEAD.num_seconds() {
                return;
            }
            let ahead = if ahead.abs() <= 5 { 0 } else { ahead };
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }

    /// The object that holds a principal's keys, read afresh by its client id; `None` where there is none.
    ///
    /// `GET /applications(appId='…')` and `GET /servicePrincipals(appId='…')`: without a service principal nobody signs
    /// in, and the application may lock what its service principal holds.
    pub async fn principal(
        &self,
        app: AppId,
        on: KeyOn,
        options: &CallOptions,
    ) -> Result<Option<Principal>, GraphError> {
        let there = on.other();
        let further = options.further(there.collection());
        let (holder, other) = tokio::try_join!(
            self.by_app_id::<wire::Holder>(on, app, wire::HOLDER, options),
            self.by_app_id::<wire::Other>(there, app, wire::other(there), &further),
        )?;
        Ok(holder.map(|holder| Principal {
            object_id: holder.id,
            has_service_principal: on == KeyOn::ServicePrincipal || other.is_some(),
            locked: other.is_some_and(|other| other.locks_principal),
            most_keys: match on {
                KeyOn::Application => most_keys(holder.sign_in_audience.as_deref()),
                KeyOn::ServicePrincipal => None,
            },
            keys: wire::keys(holder.password_credentials),
        }))
    }

    async fn by_app_id<T>(
        &self,
        on: KeyOn,
        app: AppId,
        select: &str,
        options: &CallOptions,
    ) -> Result<Option<T>, GraphError>
    where
        T: DeserializeOwned + wire::OfApp,
    {
        let collection = on.collection();
        let operation = Operation::read("get", format!("{collection}(appId='{app}')"));
        let url = self.url(&operation.object, &[("$select", select)]);
        let found: Option<T> = match self.read(&operation, url, options).await {
            Err(error) if *error.kind() == Kind::NotFound => None,
            other => Some(other?),
        };
        match found {
            Some(found) if found.app_id() != app => {
                Err(GraphError::malformed(&operation, options, "it is of another application"))
            }
            found => Ok(found),
        }
    }

    /// An address below this Graph's `/v1.0` (or another version); it is made of our own words and of typed ids.
    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        self.url_of("v1.0", path, query)
    }

    fn url_of(&self, version: &str, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.root.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{version}/{path}"));
        if !query.is_empty() {
            let pairs: Vec<String> =
                query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }
}
