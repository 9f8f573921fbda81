//! The keys of signatures: read from Secrets Manager, kept for a while, and read again when one does not fit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keywheel_core::request::keys::{Keys, NoKeys};
use keywheel_core::request::signature::Unsigned;
use keywheel_core::secrets::{Age, Cache, Current, Secrets, SecretsError};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tracing::{error, warn};

use crate::answer::Refused;

/// How long keys are used before they are read again: a withdrawn one is good for so long.
const FRESH: Duration = Duration::from_mins(5);
/// How long they are used where they cannot be read again.
const STALE: Duration = Duration::from_hours(1);
/// How long reading them may take: Slack waits for three seconds in all.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often at most a signature that does not fit makes them be read again: there may be a new key.
const AGAIN: Duration = Duration::from_secs(10);

/// The keys of this process.
#[derive(Debug)]
pub(crate) struct KeyRing {
    /// Without a secret nothing is signed as it must be.
    cache: Option<Cache<Keys>>,
    /// Entries of the secret that cannot be used, and that nobody was told of yet.
    untold: Mutex<Vec<String>>,
}

/// The secret could not be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Secret(#[from] SecretsError),
    #[error(transparent)]
    Keys(#[from] NoKeys),
    #[error("no answer in time")]
    Late(#[from] Elapsed),
}

impl KeyRing {
    pub(crate) fn new(secrets: Secrets, name: Option<String>) -> Self {
        Self { cache: name.map(|name| Cache::new(secrets, name)), untold: Mutex::default() }
    }

    /// Verifies with the keys at hand and, should that fail, with those of this moment.
    pub(crate) async fn verify<T>(
        &self,
        verify: impl Fn(&Keys) -> Result<T, Unsigned>,
    ) -> Result<T, Refused> {
        let keys = self.keys(FRESH).await?;
        if let Ok(verified) = verify(&keys) {
            return Ok(verified);
        }
        let again = self.keys(AGAIN).await?;
        if Arc::ptr_eq(&keys, &again) {
            return Err(Refused::Unsigned);
        }
        verify(&again).map_err(|_| Refused::Unsigned)
    }

    fn tell_later(&self, refused: &[String]) {
        if !refused.is_empty() {
            error!(?refused, "entries of the webhook secret cannot be used");
        }
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        *untold = refused.to_vec();
    }

    /// Takes the names of entries that cannot be used since the secret was last read.
    pub(crate) fn take_untold(&self) -> Vec<String> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keys that are not older than this, unless there are no others to be had.
    pub(crate) async fn keys(&self, age: Duration) -> Result<Arc<Keys>, Refused> {
        let Some(cache) = &self.cache else {
            return Ok(Arc::default());
        };
        let parse = |current: Current, _: Option<&Keys>| -> Result<Keys, Unread> {
            let keys = Keys::parse(&current.text)?;
            self.tell_later(&keys.refused);
            Ok(keys)
        };
        let read = cache.value(|_, kept| suffice(kept, age), parse);
        let failure = match timeout(PATIENCE, read).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(keys) => return Ok(keys),
            Err(failure) => failure,
        };
        match cache.kept().await {
            Some((keys, kept)) if kept.read < STALE => {
                warn!(%failure, "the webhook secret cannot be read again; the keys at hand are used");
                Ok(keys)
            }
            _ => {
                error!(%failure, secret = cache.name(), "the webhook secret cannot be read");
                Err(Refused::Unavailable)
            }
        }
    }
}

/// Whether keys of this age are used as they are.
fn suffice(kept: Age, longest: Duration) -> bool {
    kept.read < longest || (kept.read < STALE && kept.tried < AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withdrawn_keys_are_given_up_after_an_hour() {
        let minute = Duration::from_mins(1);
        let suffices = |read, tried| suffice(Age { read, tried }, FRESH);
        assert!(suffices(4 * minute, 4 * minute));
        assert!(!suffices(5 * minute, 5 * minute), "read again");
        let second = Duration::from_secs(1);
        assert!(suffices(59 * minute, second), "they could not be read a second ago");
        assert!(!suffices(59 * minute, AGAIN));
        assert!(!suffices(60 * minute, second), "however often it is tried");
    }
}
