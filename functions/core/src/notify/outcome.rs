//! What became of an event.

use std::sync::Arc;

use super::NotifyError;
use crate::http::Retry;

/// What became of an event.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everybody whom it concerns knows.
    Told,
    /// Somebody does not know yet, but may be told later.
    Again(Retry, Arc<NotifyError>),
    /// Somebody does not know, and trying again would not help.
    Failed(Arc<NotifyError>),
}

impl From<Result<(), NotifyError>> for Outcome {
    fn from(result: Result<(), NotifyError>) -> Self {
        match result {
            Ok(()) => Self::Told,
            Err(error) => Self::of(Arc::new(error)),
        }
    }
}

impl Outcome {
    pub(super) fn of(error: Arc<NotifyError>) -> Self {
        match error.retry() {
            Retry::Never => Self::Failed(error),
            retry => Self::Again(retry, error),
        }
    }

    /// What outweighs the other: what can still be told comes before what cannot, and who said when before who
    /// did not. One message stands for all targets: it waits for the last of those that said when.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Told, other) | (Self::Failed(_), other @ Self::Again(..)) => other,
            (Self::Again(one, _), Self::Again(retry @ Retry::After(_), why))
                if one == Retry::Soon || one < retry =>
            {
                Self::Again(retry, why)
            }
            (one, _) => one,
        }
    }
}
