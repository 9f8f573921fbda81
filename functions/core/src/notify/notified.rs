//! The result of notifying all targets of an event.

use std::sync::Arc;

use super::NotifyError;
use crate::http::Retry;

/// Whether all targets that an event concerns know the event.
#[derive(Clone, Debug)]
pub enum Notified {
    /// Every target knows the event.
    All,
    /// A target does not know the event yet. Trying again may help.
    TryAgain(Retry, Arc<NotifyError>),
    /// A target does not know the event. Trying again does not help.
    Failed(Arc<NotifyError>),
}

impl From<Result<(), NotifyError>> for Notified {
    fn from(result: Result<(), NotifyError>) -> Self {
        result.map_or_else(|error| Arc::new(error).into(), |()| Self::All)
    }
}

impl From<Arc<NotifyError>> for Notified {
    fn from(error: Arc<NotifyError>) -> Self {
        match error.retry() {
            Retry::Never => Self::Failed(error),
            retry => Self::TryAgain(retry, error),
        }
    }
}

impl Notified {
    /// Combines the results of two targets.
    ///
    /// One message stands for all targets. So a failure that may pass outweighs a failure that lasts, and the longest
    /// pause that a target asks for outweighs all others.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (Self::Failed(_), other @ Self::TryAgain(..)) => other,
            (Self::TryAgain(one, _), Self::TryAgain(retry @ Retry::After(_), why))
                if one == Retry::Soon || one < retry =>
            {
                Self::TryAgain(retry, why)
            }
            (one, _) => one,
        }
    }
}
