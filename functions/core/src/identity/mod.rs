//! Keywheel's own sign-in to Entra, and the proof that a client secret signs in.

mod credential;
mod endpoints;
mod mode;
mod stored;
pub mod token;
mod transport;

pub use credential::Identity;
pub use endpoints::{Cloud, Endpoints};
pub use mode::SignInMode;
pub use token::{TokenEndpoint, TokenError};
pub use transport::AzureTransport;

use crate::http::Retry;
use crate::secrets::SecretsError;

/// Keywheel's own sign-in cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A variable is missing or holds a wrong value.
    #[error("{name}: {problem}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// The problem. The text never quotes a value that may be a secret.
        problem: String,
    },
    /// `azure_identity` does not take the settings.
    #[error("the sign-in cannot be set up")]
    Setup(#[source] azure_core::Error),
    /// The secret that Keywheel signs in with cannot be read.
    #[error("the sign-in secret cannot be read: {0}")]
    Read(#[source] Box<SecretsError>),
    /// The value of the sign-in secret is not of the format `json`, or belongs to another application.
    #[error("the sign-in secret {name}: {problem}")]
    Value {
        /// The secret's name in Secrets Manager.
        name: String,
        /// The problem. The text quotes nothing of the value.
        problem: &'static str,
    },
}

impl From<SecretsError> for IdentityError {
    fn from(error: SecretsError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl IdentityError {
    /// Says whether, and when, to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Read(error) => error.retry(),
            Self::Setting { .. } | Self::Setup(_) | Self::Value { .. } => Retry::Never,
        }
    }
}
