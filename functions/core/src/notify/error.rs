//! Why a notification failed.

use std::time::Duration;

use reqwest::StatusCode;

use crate::http::aws::AwsFailure;
use crate::http::{Retry, SendError, SetupError};
use crate::manifest::LoadError;
use crate::secrets::SecretsError;
use crate::settings::SettingError;
use crate::store::StoreError;

/// The pause while somebody mends the manifest: the queue counts the tries until then.
const MANIFEST_MENDED: Duration = Duration::from_mins(10);

/// A notification was not sent, or not noted. The error never quotes an event, a URL's path or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// A setting is missing, or cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// A message is no event of Keywheel's, for this reason.
    #[error("the message is no event of Keywheel's: {0}")]
    Event(&'static str),
    /// The state bucket failed.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The notify secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// The notify secret is not as it should be.
    #[error("the notify secret: {0}")]
    SecretShape(String),
    /// Keywheel does not send to a target's address.
    #[error("{target}: the address is refused: {why}")]
    Address {
        /// The target.
        target: String,
        /// The reason.
        why: &'static str,
    },
    /// A target did not answer.
    #[error("{target}: {failure}")]
    Send {
        /// The target.
        target: String,
        /// The cause.
        failure: SendError,
    },
    /// A target answered that it does not take the notification.
    #[error("{target} answered {status}{}{said}", if .said.is_empty() { "" } else { ": " })]
    Refused {
        /// The target.
        target: String,
        /// The status of the answer.
        status: StatusCode,
        /// The answer's text, where the text is known never to quote the request.
        said: String,
        /// Whether, and when, to try again.
        retry: Retry,
    },
    /// SNS did not take the notification.
    #[error("SNS: Publish {topic}: {failure}")]
    Sns {
        /// The topic.
        topic: String,
        /// The answer of SNS.
        failure: AwsFailure,
    },
}

impl NotifyError {
    /// Says whether, and when, to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { retry, .. } => *retry,
            Self::State(error) => error.retry(),
            Self::Sns { failure, .. } => failure.retry,
            Self::Manifest(_) => Retry::After(MANIFEST_MENDED),
            // Somebody has to mend these, and may be about to.
            Self::Secret(_) | Self::SecretShape(_) => Retry::Soon,
            Self::Send { failure, .. } if failure.is_transient() => Retry::Soon,
            Self::Send { .. }
            | Self::Setting(_)
            | Self::Setup(_)
            | Self::Event(_)
            | Self::Address { .. } => Retry::Never,
        }
    }
}
