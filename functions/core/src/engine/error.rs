//! The errors of the engine.

use crate::audit::AuditError;
use crate::graph::GraphError;
use crate::http::{Retry, SetupError};
use crate::identity::{IdentityError, TokenError};
use crate::ids::{CredentialName, KeyId};
use crate::manifest::LoadError;
use crate::queue::QueueError;
use crate::rotation::finding::Finding;
use crate::secrets::SecretsError;
use crate::settings::SettingError;
use crate::store::StoreError;
use crate::value::FormatError;

/// A step failed. The next try of the same job goes on where this try was cut off.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The function's time is nearly over. A fresh message carries the rest of the work.
    #[error("out of time; what is left goes on in a fresh message")]
    OutOfTime,
    /// Microsoft Graph failed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Secrets Manager failed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The token endpoint gave no usable answer about the new secret.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Keywheel's own sign-in failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The event bus failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The job queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The value of a secret cannot be written or read.
    #[error("credential {credential}: {source}")]
    Format {
        /// The credential.
        credential: CredentialName,
        /// The cause.
        source: FormatError,
    },
    /// Keywheel could not sign in with the value that its own secret would have.
    #[error(
        "credential {credential} is the secret that Keywheel signs in with, and could not be any more: {source}; \
         give it `format: json` and the application of KEYWHEEL_CLIENT_ID"
    )]
    OwnSecret {
        /// The credential.
        credential: CredentialName,
        /// The cause.
        source: IdentityError,
    },
    /// The manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// A cursor cannot be read or written.
    #[error("the cursor cannot be read or written: {0}")]
    Cursor(#[from] StoreError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A setting is missing, or cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The AWS account or region is not known.
    #[error("cannot learn the AWS account and region: {0}")]
    Account(String),
    /// The value whose foreign keys must be carried over cannot be read yet.
    #[error(
        "credential {0}: its current version is listed and cannot be read yet; the keys that others keep in it are carried \
         over, so nothing is minted before: it is tried again, and if the version has no value, put one"
    )]
    CurrentNotFound(CredentialName),
    /// Graph shows the object otherwise than Graph documents.
    #[error("{}", .0.explanation())]
    Unreadable(Finding),
    /// The rules asked for the text of a secret that this try does not hold.
    #[error("the secret of key {0} is not at hand")]
    TextNotAtHand(KeyId),
}

impl EngineError {
    /// Says whether, and when, the same job may be tried again.
    pub fn retry(&self) -> Retry {
        match self {
            // This includes a lost answer of `addPassword`: a later job removes the key that was perhaps minted.
            Self::Graph(error) => error.retry(),
            Self::Secrets(error) => error.retry(),
            Self::Token(error) => error.retry(),
            Self::Audit(error) => error.retry(),
            Self::Queue(error) => error.retry(),
            Self::Cursor(error) => error.retry(),
            // Somebody may be mending the cause. The queue counts the tries.
            Self::OutOfTime
            | Self::TextNotAtHand(_)
            | Self::CurrentNotFound(_)
            | Self::Account(_)
            | Self::Identity(_)
            | Self::Manifest(_) => Retry::Soon,
            Self::Unreadable(_)
            | Self::Format { .. }
            | Self::OwnSecret { .. }
            | Self::Setup(_)
            | Self::Setting(_) => Retry::Never,
        }
    }
}
