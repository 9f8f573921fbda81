//! A type for each kind of id, so that no id is taken for another.

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

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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
    /// The directory id (`id`) of an application or a service principal.
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
    /// A rotation that Keywheel itself begins, or a request for a rotation.
    RotationId
);

/// The directory object that a key is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum KeyOn {
    /// The application.
    Application,
    /// The service principal: for applications that are registered in another tenant.
    ServicePrincipal,
}

impl KeyOn {
    /// Returns the object's name, as in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ServicePrincipal => "service principal",
        }
    }

    /// Returns the other object of the same application.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Application => Self::ServicePrincipal,
            Self::ServicePrincipal => Self::Application,
        }
    }
}

/// The token of a rotation. The version that the rotation makes has this id, in this spelling.
///
/// A rotation of Keywheel's own has its [`RotationId`] as token. A caller of `RotateSecret` gives a UUID in any spelling.
/// Secrets Manager takes each spelling for another version, and so does Keywheel.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Token(String);

/// A text is not a UUID in any spelling.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a UUID")]
pub struct NoToken(String);

impl TryFrom<String> for Token {
    type Error = NoToken;

    fn try_from(text: String) -> Result<Self, NoToken> {
        if Uuid::try_parse(&text).is_ok() { Ok(Self(text)) } else { Err(NoToken(text)) }
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RotationId> for Token {
    fn from(id: RotationId) -> Self {
        Self(id.to_string())
    }
}

text_id!(
    /// A version of a Secrets Manager secret: a text of 32 to 64 characters.
    ///
    /// Versions that Keywheel did not make need not be UUIDs.
    VersionId
);
text_id!(
    /// A credential's name in the manifest.
    CredentialName
);

impl VersionId {
    /// Gives the rotation that made this version; `None`: Keywheel does not write ids like this.
    pub fn rotation(&self) -> Option<RotationId> {
        self.0.parse().ok().filter(|id: &RotationId| id.to_string() == self.0)
    }

    /// Gives the token of a rotation that would make this version; `None`: the id is not a UUID.
    pub fn token(&self) -> Option<Token> {
        self.0.parse().ok()
    }
}

impl From<Token> for VersionId {
    fn from(token: Token) -> Self {
        Self(token.0)
    }
}

impl From<RotationId> for VersionId {
    fn from(id: RotationId) -> Self {
        Self(id.to_string())
    }
}
