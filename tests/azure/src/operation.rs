//! What a request does, as faults and the request log name it.

use serde::{Deserialize, Serialize};

/// An operation, or a group of them (`any`, `graph`, `read`, `write`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[allow(missing_docs)] // Each is the Graph operation of that name.
pub enum Operation {
    #[default]
    Any,
    /// Every operation of Graph.
    Graph,
    /// Every operation of Graph that changes nothing.
    Read,
    /// Every operation of Graph that changes something.
    Write,
    /// The token endpoint.
    Token,
    List,
    Count,
    Get,
    Create,
    Update,
    Delete,
    AddPassword,
    RemovePassword,
    ListOwners,
    ListOwnedObjects,
    AddOwner,
    RemoveOwner,
    ListFederatedCredentials,
    GetFederatedCredential,
    CreateFederatedCredential,
    UpdateFederatedCredential,
    DeleteFederatedCredential,
    ListAppRoleAssignments,
    CreateAppRoleAssignment,
    DeleteAppRoleAssignment,
    ListDeleted,
    GetDeleted,
    Restore,
    DeletePermanently,
    Organization,
    DirectoryObject,
    SignInActivity,
    DirectoryAudits,
    Batch,
}

impl Operation {
    pub(crate) fn is_read(self) -> bool {
        matches!(
            self,
            Self::List
                | Self::Count
                | Self::Get
                | Self::ListOwners
                | Self::ListOwnedObjects
                | Self::ListFederatedCredentials
                | Self::GetFederatedCredential
                | Self::ListAppRoleAssignments
                | Self::ListDeleted
                | Self::GetDeleted
                | Self::Organization
                | Self::DirectoryObject
                | Self::SignInActivity
                | Self::DirectoryAudits
        )
    }

    /// Whether it is of the few requests that reports are held to.
    pub(crate) fn is_report(self) -> bool {
        matches!(self, Self::SignInActivity | Self::DirectoryAudits)
    }

    /// Whether a rule for `self` applies to a request that does `other`.
    pub(crate) fn covers(self, other: Self) -> bool {
        match self {
            Self::Any => true,
            Self::Graph => other != Self::Token,
            Self::Read => other.is_read(),
            Self::Write => other != Self::Token && other != Self::Batch && !other.is_read(),
            exact => exact == other,
        }
    }
}
