//! Why an event was not recorded, or a chain not read.

use uuid::Uuid;

use crate::audit::chain::Sequence;
use crate::http::Retry;
use crate::ids::CredentialName;
use crate::store::{Location, StoreError};

/// A chain could not be written or read. Appending the same event again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// An object was not read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// S3 gives the same page of a listing again and again.
    #[error("the listing of {0} has no end")]
    Endless(Location),
    /// The object under a head's key is no head, so that the end of the chain is not known.
    #[error("{0} is no head of this chain; restore the version before")]
    HeadUnreadable(Location),
    /// The object under a marker's key is no marker.
    #[error("{0} is no marker of an event that is recorded; restore the version before")]
    MarkerUnreadable(Location),
    /// One bucket of the audit trail holds what belongs into the other bucket: they are named in each other's place.
    #[error("the bucket of heads and the bucket of records are named in each other's place")]
    BucketsSwapped,
    /// This try did not reach the end of the chain: many others write to the chain, or its head is far behind.
    #[error(
        "the end of the chain of {credential} is past record {reached}; the next try goes on there"
    )]
    TooFar {
        /// The credential of the chain.
        credential: CredentialName,
        /// The last record that this try reached.
        reached: Sequence,
    },
    /// The chain has no places left.
    #[error("the chain of {0} is full")]
    Full(CredentialName),
    /// The deadline passed.
    #[error("no time was left to record event {0}")]
    OutOfTime(Uuid),
    /// An event has no JSON form.
    #[error("event {0} cannot be written")]
    Unwritable(Uuid, #[source] serde_json::Error),
}

impl LedgerError {
    /// Says whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Store(failure) => failure.retry(),
            Self::TooFar { .. } | Self::OutOfTime(_) => Retry::Soon,
            Self::BucketsSwapped
            | Self::Endless(_)
            | Self::HeadUnreadable(_)
            | Self::MarkerUnreadable(_)
            | Self::Full(_)
            | Self::Unwritable(..) => Retry::Never,
        }
    }
}
