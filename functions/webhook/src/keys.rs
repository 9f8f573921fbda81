//! The keys of signatures: read from Secrets Manager, kept for a while, and read again when one does not fit.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use keywheel_core::request::keys::Keys;
use keywheel_core::request::signature::Unsigned;
use keywheel_core::secrets::Secrets;
use tokio::sync::Mutex;
use tokio::time::Instant;
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
    secrets: Secrets,
    /// The secret's name; without one nothing is signed as it must be.
    name: Option<String>,
    cached: Mutex<Cached>,
    /// Entries of the secret that cannot be used, and that nobody was told of yet.
    untold: std::sync::Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Cached {
    keys: Option<(Arc<Keys>, Instant)>,
    tried: Option<Instant>,
}

impl KeyRing {
    pub(crate) fn new(secrets: Secrets, name: Option<String>) -> Self {
        Self { secrets, name, cached: Mutex::default(), untold: std::sync::Mutex::default() }
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
        let Some(name) = &self.name else {
            return Ok(Arc::default());
        };
        let mut kept = self.cached.lock().await;
        let tried = kept.tried.map(|at| at.elapsed());
        if let Some((keys, at)) = &kept.keys
            && suffice(at.elapsed(), tried, age)
        {
            return Ok(Arc::clone(keys));
        }
        kept.tried = Some(Instant::now());
        let read = tokio::time::timeout(PATIENCE, self.secrets.current_value(name)).await;
        let failure = match read {
            Err(_) => "no answer in time".to_owned(),
            Ok(Ok(text)) => match Keys::parse(&text) {
                Ok(keys) => {
                    self.tell_later(&keys.refused);
                    let keys = Arc::new(keys);
                    kept.keys = Some((Arc::clone(&keys), Instant::now()));
                    return Ok(keys);
                }
                Err(unreadable) => unreadable.to_string(),
            },
            Ok(Err(failure)) => failure.to_string(),
        };
        match &kept.keys {
            Some((keys, at)) if at.elapsed() < STALE => {
                warn!(
                    failure,
                    "the webhook secret cannot be read again; the keys at hand are used"
                );
                Ok(Arc::clone(keys))
            }
            _ => {
                error!(failure, secret = name, "the webhook secret cannot be read");
                Err(Refused::Unavailable)
            }
        }
    }
}

/// Whether keys that were read so long ago are used as they are, reading them again having been tried so long ago.
fn suffice(read: Duration, tried: Option<Duration>, age: Duration) -> bool {
    read < age || (read < STALE && tried.is_some_and(|tried| tried < AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withdrawn_keys_are_given_up_after_an_hour() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        assert!(suffice(4 * minute, Some(4 * minute), FRESH));
        assert!(!suffice(5 * minute, Some(5 * minute), FRESH), "read again");
        assert!(suffice(59 * minute, Some(second), FRESH), "they could not be read a second ago");
        assert!(!suffice(59 * minute, Some(AGAIN), FRESH));
        assert!(!suffice(60 * minute, Some(second), FRESH), "however often it is tried");
    }
}
