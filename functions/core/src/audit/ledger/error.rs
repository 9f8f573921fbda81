//! Why something was not recorded, or not read.

use uuid::Uuid;

use crate::audit::chain::Sequence;
use crate::http::Retry;
use crate::ids::CredentialName;
use crate::store::StoreError;

/// The record could not be written or read. Appending the same event again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// An object was not read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listing that does not get on.
    #[error("the listing of s3://{bucket}/{key} has no end")]
    Endless {
        /// The bucket.
        bucket: String,
        /// What the keys begin with.
        key: String,
    },
    /// What lies in the head's place is none. Appending would lead the chain off into nowhere.
    #[error("s3://{bucket}/{key} is no head of this chain; bring back the version before")]
    HeadUnreadable {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// What lies in the place of an event's marker is none.
    #[error(
        "s3://{bucket}/{key} is no marker of an event that is recorded; bring back the version before"
    )]
    MarkerUnreadable {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// So many others wrote to the chain, or its head is so far behind, that this try ended first.
    #[error(
        "the end of the chain of {credential} is past record {reached}; the next try goes on there"
    )]
    TooFar {
        /// Whose chain.
        credential: CredentialName,
        /// How far this try came.
        reached: Sequence,
    },
    /// No places are left.
    #[error("the chain of {0} is full")]
    Full(CredentialName),
    /// The time allowed ran out.
    #[error("no time was left to record event {0}")]
    OutOfTime(Uuid),
    /// It has no JSON form.
    #[error("event {0} cannot be written")]
    Unwritable(Uuid, #[source] serde_json::Error),
}

impl LedgerError {
    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Store(failure) => failure.retry(),
            Self::TooFar { .. } | Self::OutOfTime(_) => Retry::Soon,
            Self::Endless { .. }
            | Self::HeadUnreadable { .. }
            | Self::MarkerUnreadable { .. }
            | Self::Full(_)
            | Self::Unwritable(..) => Retry::Never,
        }
    }
}
