//! Applications and service principals, by the page.

use std::fmt;

use serde::de::DeserializeOwned;

use super::{
    Application, Belonging, CallOptions, Graph, GraphError, KeyOn, Page, PageLink,
    ServicePrincipal, reading,
};
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
        self.azure.page_link(text)
    }

    async fn all<T: DeserializeOwned>(
        &self,
        on: KeyOn,
        detail: Detail,
        link: Option<&PageLink>,
        options: &CallOptions,
    ) -> Result<Page<T>, GraphError> {
        let collection = on.collection();
        let url = match link {
            Some(link) => link.0.clone(),
            None => self.url(collection, &[("$top", PAGE), ("$select", &detail.select(on))]),
        };
        self.azure.page(&reading("list", collection, url, options)).await
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
        let collection = on.collection();
        let mut found = Page::default();
        for some in ids.chunks(IN) {
            let ids: Vec<String> = some.iter().map(|id| format!("'{id}'")).collect();
            let filter = format!("{property} in ({})", ids.join(","));
            let url = self.url(collection, &[("$filter", &filter), ("$select", select)]);
            let call = reading("list", collection, url, &options.further(&filter));
            found.extend(self.azure.pages(&call).await?);
        }
        Ok(found)
    }
}
