//! A secret that is read, parsed and kept for a while.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::{Current, Secrets, SecretsError};

/// A secret whose parsed value is kept. The caller says whether the kept value suffices.
pub struct Cache<T> {
    secrets: Secrets,
    name: String,
    kept: Mutex<Option<Kept<T>>>,
}

struct Kept<T> {
    value: Arc<T>,
    read: Instant,
    tried: Instant,
}

/// The age of a kept value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// The time since the value was read.
    pub read: Duration,
    /// The time since somebody last tried to read the value.
    pub tried: Duration,
}

impl<T> Cache<T> {
    /// Makes a cache of the secret of this name. Nothing is read yet.
    pub fn new(secrets: Secrets, name: String) -> Self {
        Self { secrets, name, kept: Mutex::new(None) }
    }

    /// Gives the secret's name, or its ARN.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the kept value if the value suffices. Reads and parses the secret otherwise; `parse` gets the old value
    /// too.
    pub async fn value<E: From<SecretsError>>(
        &self,
        suffices: impl FnOnce(&T, Age) -> bool,
        parse: impl FnOnce(Current, Option<&T>) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_mut() {
            if suffices(&kept.value, kept.age()) {
                return Ok(Arc::clone(&kept.value));
            }
            kept.tried = Instant::now();
        }
        let current = self.secrets.current(&self.name).await?;
        let value = parse(current, kept.as_ref().map(|kept| kept.value.as_ref()))?;
        let (value, now) = (Arc::new(value), Instant::now());
        *kept = Some(Kept { value: Arc::clone(&value), read: now, tried: now });
        Ok(value)
    }

    /// Gives the kept value, however old, and its age.
    pub async fn kept(&self) -> Option<(Arc<T>, Age)> {
        let kept = self.kept.lock().await;
        kept.as_ref().map(|kept| (Arc::clone(&kept.value), kept.age()))
    }
}

impl<T> Kept<T> {
    fn age(&self) -> Age {
        Age { read: self.read.elapsed(), tried: self.tried.elapsed() }
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.name).finish_non_exhaustive()
    }
}
