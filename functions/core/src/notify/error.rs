//! Why something could not be told.

use std::time::Duration;

use reqwest::StatusCode;

use crate::http::aws::AwsFailure;
use crate::http::{Retry, SendError, SetupError};
use crate::manifest::{LoadError, SourceError};
use crate::secrets::SecretsError;
use crate::settings::Unset;
use crate::store::StoreError;

/// What a manifest's mending takes: the queue counts the tries until then.
const MANIFEST_MENDED: Duration = Duration::from_mins(10);

/// Something could not be told, or not be noted. It never quotes an event, a URL's path or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// An environment variable.
    #[error(transparent)]
    Unset(#[from] Unset),
    /// The HTTP client.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Where the manifest is.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// A message that is no event of Keywheel's.
    #[error("not an event of Keywheel's: {0}")]
    Event(&'static str),
    /// The state bucket.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The notify secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// The notify secret is not as it should be.
    #[error("the notify secret: {0}")]
    SecretShape(String),
    /// A target's address is not one that Keywheel sends to.
    #[error("{target}: the address is refused: {why}")]
    Address {
        /// The target.
        target: String,
        /// Why.
        why: &'static str,
    },
    /// No answer of a target.
    #[error("{target}: {failure}")]
    Send {
        /// The target.
        target: String,
        /// Why.
        failure: SendError,
    },
    /// A target did not take it.
    #[error("{target} answered {status}{}", words(.said))]
    Refused {
        /// The target.
        target: String,
        /// With this status.
        status: StatusCode,
        /// What it said, where it is known never to quote what it was sent.
        said: String,
        /// Whether to try again.
        retry: Retry,
    },
    /// SNS did not take it.
    #[error("SNS: Publish {topic}: {failure}")]
    Sns {
        /// The topic.
        topic: String,
        /// What SNS said.
        failure: AwsFailure,
    },
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl NotifyError {
    /// Whether, and when, to try again.
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
            | Self::Unset(_)
            | Self::Setup(_)
            | Self::Source(_)
            | Self::Event(_)
            | Self::Address { .. } => Retry::Never,
        }
    }
}
