//! Identifiers that are the same in every tenant.

use uuid::{Uuid, uuid};

/// Microsoft Graph's own appId.
pub const GRAPH_APP_ID: Uuid = uuid!("00000003-0000-0000-c000-000000000000");
/// The appRole of "default access", for resources without roles.
pub(crate) const DEFAULT_ACCESS: Uuid = Uuid::nil();

/// An application permission of Microsoft Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permission {
    /// `Application.Read.All`
    ApplicationReadAll,
    /// `Application.ReadWrite.All`
    ApplicationReadWriteAll,
    /// `Application.ReadWrite.OwnedBy`
    ApplicationReadWriteOwnedBy,
    /// `AuditLog.Read.All`
    AuditLogReadAll,
    /// `Directory.Read.All`
    DirectoryReadAll,
    /// `AppRoleAssignment.ReadWrite.All`
    AppRoleAssignmentReadWriteAll,
    /// `Organization.Read.All`
    OrganizationReadAll,
}

impl Permission {
    /// Every permission that the emulated Graph knows.
    pub const ALL: [Self; 7] = [
        Self::ApplicationReadAll,
        Self::ApplicationReadWriteAll,
        Self::ApplicationReadWriteOwnedBy,
        Self::AuditLogReadAll,
        Self::DirectoryReadAll,
        Self::AppRoleAssignmentReadWriteAll,
        Self::OrganizationReadAll,
    ];

    /// Its name in a token's `roles`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApplicationReadAll => "Application.Read.All",
            Self::ApplicationReadWriteAll => "Application.ReadWrite.All",
            Self::ApplicationReadWriteOwnedBy => "Application.ReadWrite.OwnedBy",
            Self::AuditLogReadAll => "AuditLog.Read.All",
            Self::DirectoryReadAll => "Directory.Read.All",
            Self::AppRoleAssignmentReadWriteAll => "AppRoleAssignment.ReadWrite.All",
            Self::OrganizationReadAll => "Organization.Read.All",
        }
    }

    /// Its appRole id on Graph's service principal.
    pub const fn app_role(self) -> Uuid {
        match self {
            Self::ApplicationReadAll => uuid!("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
            Self::ApplicationReadWriteAll => uuid!("1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"),
            Self::ApplicationReadWriteOwnedBy => uuid!("18a4783c-866b-4cc7-a460-3d5e5662c884"),
            Self::AuditLogReadAll => uuid!("b0afded3-3588-46d8-8b3d-9842eff778da"),
            Self::DirectoryReadAll => uuid!("7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
            Self::AppRoleAssignmentReadWriteAll => uuid!("06b708a9-e830-4db3-a914-8e69da51d44f"),
            Self::OrganizationReadAll => uuid!("498476ce-e0fe-48b0-b801-37ba7e2685c6"),
        }
    }

    /// The permission of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}
