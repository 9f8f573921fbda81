//! Applications and service principals, by the page.

use std::fmt::{self, Write};

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::short;
use super::exchange::Operation;
use super::{Application, Belonging, CallOptions, Graph, GraphError, KeyOn, ServicePrincipal};
use crate::ids::{AppId, ObjectId};

/// The most that Graph gives at once.
const PAGE: &str = "999";
/// As many values as a filter's `in` may name.
const IN: usize = 15;
const APPLICATION: &str = "id,appId,displayName,tags,createdDateTime,signInAudience,servicePrincipalLockConfiguration,passwordCredentials";
const SERVICE_PRINCIPAL: &str =
    "id,appId,displayName,tags,accountEnabled,servicePrincipalType,passwordCredentials";

/// How much of each object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Its keys.
    Keys,
    /// Its certificates too, of which Graph lets a tenant read 150 pages a minute.
    KeysAndCertificates,
}

impl Detail {
    fn select(self, on: KeyOn) -> String {
        let keys = match on {
            KeyOn::Application => APPLICATION,
            KeyOn::ServicePrincipal => SERVICE_PRINCIPAL,
        };
        match self {
            Self::Keys => keys.to_owned(),
            Self::KeysAndCertificates => format!("{keys},keyCredentials"),
        }
    }
}

/// Where a listing goes on (`@odata.nextLink`); always at the Graph that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLink(pub(super) Url);

impl fmt::Display for PageLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// What is no such item: it is left out, and takes nothing from the others.
    pub unreadable: Vec<Unreadable>,
    /// Where it goes on, if it does.
    pub next: Option<PageLink>,
}

/// An object of a listing that is not as Graph documents it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The listing, and the object's id and name as far as it has them.
    pub object: String,
    /// Its client id, if it has one.
    pub app_id: Option<AppId>,
    /// What is wrong with it.
    pub why: String,
}

impl Unreadable {
    fn new(listing: &str, object: &Value, why: &serde_json::Error) -> Self {
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(short);
        let mut shown = format!("{listing} {}", text("id").as_deref().unwrap_or("without an id"));
        if let Some(name) = text("displayName") {
            let _ = write!(shown, " ({name})");
        }
        let app_id = text("appId").and_then(|id| id.parse().ok());
        Self { object: shown, app_id, why: short(&why.to_string()) }
    }

    /// An entry of a report that its id names.
    pub(super) fn entry(listing: &str, id: &str, why: &str) -> Self {
        Self { object: format!("{listing} {}", short(id)), app_id: None, why: why.to_owned() }
    }
}

#[derive(Deserialize)]
struct Wire {
    value: Vec<Value>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl Graph {
    /// A page of all applications (`GET /applications`).
    pub async fn applications(
        &self,
        detail: Detail,
        link: Option<&PageLink>,
        options: &CallOptions,
    ) -> Result<Page<Application>, GraphError> {
        self.all(KeyOn::Application, detail, link, options).await
    }

    /// A page of all service principals (`GET /servicePrincipals`).
    pub async fn service_principals(
        &self,
        detail: Detail,
        link: Option<&PageLink>,
        options: &CallOptions,
    ) -> Result<Page<ServicePrincipal>, GraphError> {
        self.all(KeyOn::ServicePrincipal, detail, link, options).await
    }

    /// The applications of these client ids; those that are not there are not in the answer.
    pub async fn applications_by_app_id(
        &self,
        apps: &[AppId],
        detail: Detail,
        options: &CallOptions,
    ) -> Result<Page<Application>, GraphError> {
        let on = KeyOn::Application;
        self.filtered(on, ("appId", apps), &detail.select(on), options).await
    }

    /// The service principals of these client ids; those that are not there are not in the answer.
    pub async fn service_principals_by_app_id(
        &self,
        apps: &[AppId],
        detail: Detail,
        options: &CallOptions,
    ) -> Result<Page<ServicePrincipal>, GraphError> {
        let on = KeyOn::ServicePrincipal;
        self.filtered(on, ("appId", apps), &detail.select(on), options).await
    }

    /// A link that was written down, unless it leads away from this Graph: the token goes wherever it points.
    pub fn page_link(&self, text: &str) -> Option<PageLink> {
        let link = Url::parse(text).ok()?;
        // Part by part: to `Url::origin`, `blob:https://…` is of the inner address's.
        let here = link.scheme() == self.root.scheme()
            && link.host() == self.root.host()
            && link.port_or_known_default() == self.root.port_or_known_default();
        // A name in front of the host would be sent along with the token.
        let anonymous = link.username().is_empty() && link.password().is_none();
        (here && anonymous).then_some(PageLink(link))
    }

    async fn all<T: DeserializeOwned>(
        &self,
        on: KeyOn,
        detail: Detail,
        link: Option<&PageLink>,
        options: &CallOptions,
    ) -> Result<Page<T>, GraphError> {
        let url = match link {
            Some(link) => link.0.clone(),
            None => self.url(on.collection(), &[("$top", PAGE), ("$select", &detail.select(on))]),
        };
        let operation = Operation::read("list", on.collection().to_owned());
        self.page(&operation, url, options).await
    }

    /// The application that each of these objects is or belongs to, by the objects' own ids.
    pub async fn objects_by_id(
        &self,
        on: KeyOn,
        ids: &[ObjectId],
        options: &CallOptions,
    ) -> Result<Page<Belonging>, GraphError> {
        self.filtered(on, ("id", ids), "id,appId,displayName,tags", options).await
    }

    /// The objects in whose property of that name one of these ids stands, on as many pages as there are.
    async fn filtered<T: DeserializeOwned, Id: fmt::Display>(
        &self,
        on: KeyOn,
        (property, ids): (&str, &[Id]),
        select: &str,
        options: &CallOptions,
    ) -> Result<Page<T>, GraphError> {
        let operation = Operation::read("list", on.collection().to_owned());
        let mut found = Page { items: Vec::new(), unreadable: Vec::new(), next: None };
        for some in ids.chunks(IN) {
            let ids: Vec<String> = some.iter().map(|id| format!("'{id}'")).collect();
            let filter = format!("{property} in ({})", ids.join(","));
            let mut options = options.further(&filter);
            let mut next = Some(PageLink(
                self.url(on.collection(), &[("$filter", &filter), ("$select", select)]),
            ));
            while let Some(PageLink(url)) = next {
                let page = self.page(&operation, url, &options).await?;
                found.items.extend(page.items);
                found.unreadable.extend(page.unreadable);
                next = page.next;
                options = options.further("next");
            }
        }
        Ok(found)
    }

    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        url: Url,
        options: &CallOptions,
    ) -> Result<Page<T>, GraphError> {
        let wire: Wire = self.read(operation, url.clone(), options).await?;
        let malformed = |why| Err(GraphError::malformed(operation, options, why));
        let next = match wire.next.map(|link| self.page_link(&link)) {
            None => None,
            Some(None) => return malformed("its nextLink leads elsewhere"),
            // A sweep would go on for ever, one function after the other.
            Some(Some(PageLink(link))) if link == url => {
                return malformed("its nextLink leads to itself");
            }
            Some(link) => link,
        };
        let (mut items, mut unreadable) = (Vec::new(), Vec::new());
        for object in wire.value {
            match T::deserialize(&object) {
                Ok(item) => items.push(item),
                Err(why) => unreadable.push(Unreadable::new(&operation.object, &object, &why)),
            }
        }
        Ok(Page { items, unreadable, next })
    }
}
