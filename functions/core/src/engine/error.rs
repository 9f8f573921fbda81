//! Why the engine could not go on, in the words of whichever client failed.

use crate::audit::AuditError;
use crate::cursors::CursorError;
use crate::graph::GraphError;
use crate::http::{Retry, SetupError};
use crate::identity::{IdentityError, TokenError};
use crate::ids::{CredentialName, KeyId};
use crate::manifest::{LoadError, SourceError};
use crate::queue::QueueError;
use crate::rotation::finding::Finding;
use crate::secrets::SecretsError;
use crate::settings::Unset;
use crate::value::FormatError;

/// A step that failed. The next try of the same job goes on where this one was cut off.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The function's time is nearly over; what is left goes to a fresh message.
    #[error("out of time; what is left goes on in a fresh message")]
    OutOfTime,
    /// Microsoft Graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// AWS Secrets Manager.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The token endpoint, asked with the secret being proved.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Keywheel's own sign-in.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The event bus.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The value of a secret.
    #[error("credential {credential}: {source}")]
    Format {
        /// Whose.
        credential: CredentialName,
        /// What is wrong with it.
        source: FormatError,
    },
    /// Keywheel could not sign in with the value that its own secret would have.
    #[error(
        "credential {credential} is the secret that Keywheel signs in with, and could not be any more: {source}; \
         give it `format: json` and the application of KEYWHEEL_CLIENT_ID"
    )]
    OwnSecret {
        /// Whose.
        credential: CredentialName,
        /// What is wrong with the value.
        source: IdentityError,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// Where the manifest is.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// How far the directory audit was read.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The HTTP client.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An environment variable.
    #[error(transparent)]
    Unset(#[from] Unset),
    /// AWS does not say who we are.
    #[error("cannot learn the AWS account and region: {0}")]
    Account(String),
    /// The value whose foreign keys are to be carried over is not to be had.
    #[error(
        "credential {0}: its current version is listed and cannot be read yet; the keys that others keep in it are carried \
         over, so nothing is minted before: it is tried again, and if the version has no value, put one"
    )]
    CurrentNotFound(CredentialName),
    /// Graph shows the object that was asked for otherwise than it documents.
    #[error("{}", .0.explanation())]
    Unreadable(Finding),
    /// The rules asked for a text that this try does not hold.
    #[error("the secret of key {0} is not at hand")]
    TextNotAtHand(KeyId),
}

impl EngineError {
    /// Whether, and when, the same job may be tried again.
    pub fn retry(&self) -> Retry {
        match self {
            // Also of a lost `addPassword`: the key that was perhaps minted is resolved later.
            Self::Graph(error) => error.retry(),
            Self::Secrets(error) => error.retry(),
            Self::Token(error) => error.retry(),
            Self::Audit(error) => error.retry(),
            Self::Queue(error) => error.retry(),
            Self::Cursor(error) => error.retry(),
            // Somebody may be mending it; the queue counts the tries.
            Self::OutOfTime
            | Self::TextNotAtHand(_)
            | Self::CurrentNotFound(_)
            | Self::Account(_)
            | Self::Identity(_)
            | Self::Manifest(_) => Retry::Soon,
            Self::Unreadable(_)
            | Self::Format { .. }
            | Self::OwnSecret { .. }
            | Self::Source(_)
            | Self::Setup(_)
            | Self::Unset(_) => Retry::Never,
        }
    }
}
