//! Lists applications and service principals, page by page.

use std::fmt;

use serde::de::DeserializeOwned;

use super::{
    CallOptions, DirectoryObject, Graph, GraphError, KeyOn, ObjectSummary, Page, PageLink, reading,
};
use crate::ids::{AppId, ObjectId};

/// The most objects of a page.
const PAGE: &str = "999";
/// The most values that a filter's `in` may name.
const IN: usize = 15;
const APPLICATION: &str = "id,appId,displayName,tags,signInAudience,servicePrincipalLockConfiguration,passwordCredentials";
const SERVICE_PRINCIPAL: &str =
    "id,appId,displayName,tags,accountEnabled,servicePrincipalType,passwordCredentials";

/// The credentials that are read of each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The keys.
    Keys,
    /// The keys and the certificates. Graph lets a tenant read 150 pages of certificates a minute.
    KeysAndCertificates,
}

impl Detail {
    fn select(self, on: KeyOn) -> String {
        let keys = match on {
            KeyOn::Application => APPLICATION,
            KeyOn::ServicePrincipal => SERVICE_PRINCIPAL,
        };
        let certificates = if self == Self::Keys { "" } else { ",keyCredentials" };
        format!("{keys}{certificates}")
    }
}

impl Graph {
    /// Reads a page of all applications or of all service principals (`GET /applications`, `GET /servicePrincipals`).
    pub async fn objects(
        &self,
        on: KeyOn,
        detail: Detail,
        link: Option<&PageLink>,
        options: &CallOptions,
    ) -> Result<Page<DirectoryObject>, GraphError> {
        let collection = on.collection();
        let url = match link {
            Some(link) => link.0.clone(),
            None => self.url(collection, &[("$top", PAGE), ("$select", &detail.select(on))]),
        };
        self.azure.page(&reading("list", collection, url, options)).await
    }

    /// Reads the applications or the service principals of these client ids. An id without an object has no item in the
    /// answer.
    pub async fn objects_by_app_id(
        &self,
        on: KeyOn,
        apps: &[AppId],
        detail: Detail,
        options: &CallOptions,
    ) -> Result<Page<DirectoryObject>, GraphError> {
        self.filtered(on, ("appId", apps), &detail.select(on), options).await
    }

    /// Reads which applications these objects are or belong to, by the objects' own ids.
    pub async fn objects_by_id(
        &self,
        on: KeyOn,
        ids: &[ObjectId],
        options: &CallOptions,
    ) -> Result<Page<ObjectSummary>, GraphError> {
        self.filtered(on, ("id", ids), "id,appId,displayName,tags", options).await
    }

    /// Reads a link that was written down; `None`: the link leads away from this Graph, and the token would go there.
    pub fn page_link(&self, text: &str) -> Option<PageLink> {
        self.azure.page_link(text)
    }

    /// Reads all pages of the objects whose property is one of these ids.
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
