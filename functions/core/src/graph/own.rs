//! Reads what Keywheel's own application is permitted: its federated credentials, its permissions, what it owns.

use serde::Deserialize;
use uuid::Uuid;

use super::{CallOptions, Graph, GraphError, Page, reading};
use crate::ids::{AppId, ObjectId};

/// The most that Graph gives at once.
const PAGE: &str = "999";

/// A federated credential of an application (`microsoft.graph.federatedIdentityCredential`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FederatedCredential {
    /// `name`.
    pub name: String,
    /// `issuer`. Entra compares the issuer with its case.
    pub issuer: String,
    /// `subject`. Entra compares the subject with its case.
    pub subject: String,
    /// `audiences`: exactly one.
    pub audiences: Vec<String>,
}

/// A permission that a service principal has for itself (`microsoft.graph.appRoleAssignment`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignment {
    /// `appRoleId`: the permission.
    pub app_role_id: Uuid,
    /// `resourceId`: the service principal of the API that the permission is for.
    pub resource_id: ObjectId,
}

#[derive(Deserialize)]
struct Owned {
    id: ObjectId,
}

impl Graph {
    /// Lists the federated credentials of an application.
    pub async fn federated_credentials(
        &self,
        app: AppId,
        options: &CallOptions,
    ) -> Result<Page<FederatedCredential>, GraphError> {
        let path = format!("applications(appId='{app}')/federatedIdentityCredentials");
        self.azure.pages(&reading("list", &path, self.url(&path, &[]), options)).await
    }

    /// Lists the permissions that an administrator has consented to for a service principal.
    pub async fn role_assignments(
        &self,
        principal: ObjectId,
        options: &CallOptions,
    ) -> Result<Page<RoleAssignment>, GraphError> {
        let path = format!("servicePrincipals/{principal}/appRoleAssignments");
        self.azure.pages(&reading("list", &path, self.url(&path, &[]), options)).await
    }

    /// Lists the objects that a service principal owns.
    pub async fn owned_objects(
        &self,
        principal: ObjectId,
        options: &CallOptions,
    ) -> Result<Vec<ObjectId>, GraphError> {
        let path = format!("servicePrincipals/{principal}/ownedObjects");
        let url = self.url(&path, &[("$select", "id"), ("$top", PAGE)]);
        let owned: Page<Owned> = self.azure.pages(&reading("list", &path, url, options)).await?;
        Ok(owned.items.into_iter().map(|owned| owned.id).collect())
    }
}
