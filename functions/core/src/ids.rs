//! A type for each identifier, so that one is never taken for another.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// An Entra tenant (`tid`).
    TenantId
);
uuid_id!(
    /// An application's client id (`appId`), the same for its service principal.
    AppId
);
uuid_id!(
    /// A directory object's id (`id`): the application's or the service principal's own.
    ObjectId
);
uuid_id!(
    /// A password credential's or certificate's id (`keyId`).
    KeyId
);
uuid_id!(
    /// An Azure subscription.
    SubscriptionId
);
uuid_id!(
    /// One rotation; also the Secrets Manager `VersionId` of the secret it makes.
    RotationId
);

/// A version of a Secrets Manager secret.
///
/// Any text of 32 to 64 characters: versions that Keywheel did not make need not be UUIDs.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct VersionId(pub String);

impl VersionId {
    /// The rotation that this version is of, where its id can be one.
    pub fn rotation(&self) -> Option<RotationId> {
        self.0.parse().ok()
    }
}

impl From<RotationId> for VersionId {
    fn from(id: RotationId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A credential's name in the manifest.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct CredentialName(pub String);

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
