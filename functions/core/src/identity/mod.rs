//! How Keywheel signs in to Entra, and the proof that a client secret signs in.

mod credential;
mod endpoints;
mod mode;
mod stored;
pub mod token;
mod transport;

pub use credential::Identity;
pub use endpoints::{Cloud, Endpoints};
pub use mode::SignInMode;
pub use token::{TokenError, sign_in};
pub use transport::AzureTransport;

use crate::http::Retry;
use crate::http::aws::AwsFailure;

/// Keywheel's own sign-in is not set up, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A variable is missing or holds something else than it should.
    #[error("{name}: {problem}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong with it; never its value where that may be a secret.
        problem: String,
    },
    /// `azure_identity` does not take the settings.
    #[error("the sign-in cannot be set up")]
    Setup(#[source] azure_core::Error),
    /// The secret that Keywheel signs in with cannot be read.
    #[error("the sign-in secret {name} cannot be read: {failure}")]
    Read {
        /// Its name in Secrets Manager.
        name: String,
        /// What Secrets Manager said.
        failure: AwsFailure,
    },
    /// The value of that secret is not of the format `json`, or is of another application.
    #[error("the sign-in secret {name}: {problem}")]
    Value {
        /// Its name in Secrets Manager.
        name: String,
        /// What is wrong with it; nothing of the value itself.
        problem: &'static str,
    },
}

impl IdentityError {
    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Read { failure, .. } => failure.retry,
            Self::Setting { .. } | Self::Setup(_) | Self::Value { .. } => Retry::Never,
        }
    }
}
