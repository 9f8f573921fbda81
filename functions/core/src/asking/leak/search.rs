//! Searches every version of every secret that still works for a leaked text.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::timeout;
use tracing::error;

use super::Comparison;
use crate::asking::{AskingError, Requests};
use crate::ids::{CredentialName, KeyId};
use crate::manifest::{Credential, Manifest};
use crate::queue::{Job, RevokeOld, Work};
use crate::request::delivery::Requested;
use crate::request::github::{Cure, Leaked, Live, live};
use crate::rotation::SecretState;
use crate::secrets::{Kind, Prefixes, SecretsError};

/// How long one call to Secrets Manager may take.
const ONE: Duration = Duration::from_secs(8);
/// How many secrets are read at once.
const AT_ONCE: usize = 8;
/// The most pages of secrets that are listed for the rules.
const PAGES: usize = 100;

/// The search for one leaked text.
pub(super) struct Search<'a> {
    pub(super) requests: &'a Requests,
    pub(super) comparison: &'a Comparison,
    pub(super) leaked: Leaked,
}

/// A credential whose live secret is the leaked one.
pub(super) struct Hit {
    pub(super) credential: Credential,
    pub(super) live: Live,
    pub(super) key: Option<KeyId>,
}

/// The result of a search.
#[derive(Default)]
pub(super) struct Found {
    /// The credentials that could not be read or acted on now, but may be later.
    pub(super) failed: Vec<CredentialName>,
    /// The credentials of which a value cannot be read, each with the cause. Their keys may still work.
    pub(super) unreadable: Vec<(CredentialName, String)>,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.failed.extend(other.failed);
        self.unreadable.extend(other.unreadable);
    }

    fn miss(&mut self, credential: &Credential, cause: Unread) {
        match cause {
            Unread::Now => self.failed.push(credential.name.clone()),
            Unread::ForGood(cause) => self.unreadable.push((credential.name.clone(), cause)),
        }
    }
}

/// Why a secret was not read.
enum Unread {
    /// Trying again does not help. Somebody must mend the cause.
    ForGood(String),
    /// The call may succeed later. The cause is in the log.
    Now,
}

/// Bounds the time of one call to Secrets Manager, so that no call uses up the time of all others.
async fn soon<T>(
    of: &Credential,
    call: impl Future<Output = Result<T, SecretsError>>,
) -> Result<T, Unread> {
    let passing = |failure: String| {
        error!(credential = of.name.0, failure, "a secret could not be compared");
        Unread::Now
    };
    let answer = timeout(ONE, call).await;
    let answer = answer.map_err(|_| passing("reading the secret took too long".to_owned()))?;
    answer.map_err(|error| match error.kind {
        Kind::AccessDenied => Unread::ForGood(format!("denied: {error}")),
        Kind::Encryption => Unread::ForGood(format!("its KMS key cannot be used: {error}")),
        Kind::State => Unread::ForGood(format!("its state forbids reading: {error}")),
        Kind::Other => Unread::ForGood(format!("refused: {error}")),
        _ => passing(error.to_string()),
    })
}

impl Search<'_> {
    /// Compares the text with every live version of every credential.
    ///
    /// Keywheel acts on each hit at once, so that a failure elsewhere, or the end of the time, does not undo a hit.
    pub(super) async fn everywhere(&self, manifest: &Manifest) -> Result<Found, AskingError> {
        let all = self.all(manifest).await?;
        let mut compared = stream::iter(all).map(|one| self.compare(one)).buffer_unordered(AT_ONCE);
        let mut found = Found::default();
        while let Some(one) = compared.next().await {
            found.add(one);
        }
        Ok(found)
    }

    /// Lists the credentials of the manifest, and those of its rules that have a secret.
    async fn all(&self, manifest: &Manifest) -> Result<Vec<Credential>, AskingError> {
        let mut all: Vec<Credential> = manifest.credentials().cloned().collect();
        if manifest.rules().is_empty() {
            return Ok(all);
        }
        let prefixes: Prefixes =
            manifest.rules().iter().map(|rule| rule.secret().prefix()).collect();
        let mut next = None;
        for _ in 0..PAGES {
            let page = self.requests.secrets().list(&prefixes, next.as_deref()).await?;
            let named = |name: String| manifest.by_name(&CredentialName(name));
            let managed = page.items.into_iter().filter_map(|secret| named(secret.name));
            all.extend(managed.filter(|one| !one.is_listed()).map(|one| one.credential));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(AskingError::TooManySecrets)
    }

    async fn compare(&self, one: Credential) -> Found {
        let mut found = Found::default();
        let secrets = self.requests.secrets();
        let described = match soon(&one, secrets.describe(one.secret.as_str())).await {
            Ok(described) => described,
            Err(cause) => {
                found.miss(&one, cause);
                return found;
            }
        };
        let SecretState::Present(view) = &described.state else {
            // A missing secret has no text.
            if described.state == SecretState::ScheduledForDeletion {
                let cause = "scheduled for deletion: restore the secret".to_owned();
                found.miss(&one, Unread::ForGood(cause));
            }
            return found;
        };
        for live in live(&described.state, one.settings.policy.overlap) {
            let read = secrets.searchable(one.secret.as_str(), &live.version);
            match soon(&one, read).await {
                Err(cause) => found.miss(&one, cause),
                Ok(Some(value)) if self.leaked.is_in(&value, &one.settings.format) => {
                    let key = view.key_of(&live.version);
                    self.hit(Hit { credential: one.clone(), live, key }, &mut found).await;
                }
                Ok(_) => {}
            }
        }
        found
    }

    async fn hit(&self, hit: Hit, found: &mut Found) {
        if let Err(failure) = self.act(&hit).await {
            error!(credential = hit.credential.name.0, %failure, "a leak could not be acted on");
            found.failed.push(hit.credential.name);
        }
    }

    /// Acts on a hit, unless Keywheel did so before: a comparison that failed elsewhere is tried again.
    async fn act(&self, hit: &Hit) -> Result<(), AskingError> {
        let (credential, at) = (&hit.credential, self.comparison.received_at);
        let request = self.comparison.request(&credential.name.0, &hit.live.version.0);
        if self.requests.is_queued(request).await? {
            return Ok(());
        }
        let alert = &self.comparison.alert;
        let why = match hit.live.cure {
            Cure::Rotate | Cure::Retire(_) => format!("leaked: {alert}"),
            Cure::ByHand => format!(
                "leaked: {alert}; version {} holds the text, and Keywheel does not know its key: look for the key on the \
                 application and remove the key by hand, unless the key is gone already",
                hit.live.version
            ),
        };
        self.requests.report_hit(hit, self.comparison, &why).await?;
        self.requests.mark(self.comparison.hit(), at).await?;
        let requested_by = format!("github:{}/{}", alert.owner, alert.repository);
        match hit.live.cure {
            Cure::Rotate => {
                let asked = Requested {
                    reason: Some(why),
                    revoke_old: RevokeOld::Now,
                    // A version that is pending now is current by the time this job runs.
                    replaces: Some(hit.live.version.clone()),
                    ..Requested::new(request, credential, requested_by, at)
                };
                // `begin` marks the request.
                return self.requests.begin(credential, asked, at).await.map(drop);
            }
            Cure::Retire(key) => {
                let version = Some(hit.live.version.clone());
                let work = Work::Retire { version, key, revoke_old: RevokeOld::Now };
                let name = credential.name.clone();
                let job = Job::new(name, credential.application, work, requested_by, at);
                self.requests.queue_job(job.answering(request)).await?;
            }
            Cure::ByHand => {}
        }
        self.requests.mark(request, at).await
    }
}
