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
use crate::request::github::{LeakResponse, Leaked, WorkingVersion, working_versions};
use crate::rotation::SecretState;
use crate::secrets::{Kind, Prefixes, SecretsError};

/// The longest time of a call to Secrets Manager.
const ONE: Duration = Duration::from_secs(8);
/// The number of secrets that are read at once.
const AT_ONCE: usize = 8;
/// The most pages of secrets that are listed for the rules.
const PAGES: usize = 100;

/// The search for one leaked text.
pub(super) struct Search<'a> {
    pub(super) requests: &'a Requests,
    pub(super) comparison: &'a Comparison,
    pub(super) leaked: Leaked,
}

/// A credential that has the leaked text as a working secret.
pub(super) struct Hit {
    pub(super) credential: Credential,
    pub(super) working: WorkingVersion,
    pub(super) key: Option<KeyId>,
}

/// The result of a search.
#[derive(Default)]
pub(super) struct SearchResult {
    /// The credentials that could not be read or acted on now, but may be later.
    pub(super) failed: Vec<CredentialName>,
    /// The credentials of which a value cannot be read, each with the cause. Their keys may still work.
    pub(super) unreadable: Vec<(CredentialName, String)>,
}

impl SearchResult {
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
    /// Compares the text with every working version of every credential.
    ///
    /// Keywheel acts on each hit at once, so that a failure elsewhere, or the end of the time, does not undo a hit.
    pub(super) async fn everywhere(
        &self,
        manifest: &Manifest,
    ) -> Result<SearchResult, AskingError> {
        let all = self.all(manifest).await?;
        let mut compared = stream::iter(all).map(|one| self.compare(one)).buffer_unordered(AT_ONCE);
        let mut found = SearchResult::default();
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

    async fn compare(&self, one: Credential) -> SearchResult {
        let mut found = SearchResult::default();
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
        for working in working_versions(&described.state, one.settings.policy.overlap) {
            let read = secrets.searchable(one.secret.as_str(), &working.version);
            match soon(&one, read).await {
                Err(cause) => found.miss(&one, cause),
                Ok(Some(value)) if self.leaked.is_in(&value, &one.settings.format) => {
                    let key = view.key_of(&working.version);
                    self.hit(Hit { credential: one.clone(), working, key }, &mut found).await;
                }
                Ok(_) => {}
            }
        }
        found
    }

    async fn hit(&self, hit: Hit, found: &mut SearchResult) {
        if let Err(failure) = self.act(&hit).await {
            error!(credential = hit.credential.name.0, %failure, "a leak could not be acted on");
            found.failed.push(hit.credential.name);
        }
    }

    /// Acts on a hit, unless Keywheel did so before: a comparison that failed elsewhere is tried again.
    async fn act(&self, hit: &Hit) -> Result<(), AskingError> {
        let (credential, at) = (&hit.credential, self.comparison.received_at);
        let request = self.comparison.request(&credential.name.0, &hit.working.version.0);
        if self.requests.is_queued(request).await? {
            return Ok(());
        }
        let alert = &self.comparison.alert;
        let why = match hit.working.response {
            LeakResponse::Rotate | LeakResponse::Retire(_) => format!("leaked: {alert}"),
            LeakResponse::ByHand => format!(
                "leaked: {alert}; version {} holds the text, and Keywheel does not know its key: look for the key on the \
                 application and remove the key by hand, unless the key is gone already",
                hit.working.version
            ),
        };
        self.requests.report_hit(hit, self.comparison, &why).await?;
        self.requests.mark(self.comparison.hit(), at).await?;
        let requested_by = format!("github:{}/{}", alert.owner, alert.repository);
        match hit.working.response {
            LeakResponse::Rotate => {
                let asked = Requested {
                    reason: Some(why),
                    revoke_old: RevokeOld::Now,
                    // A version that is pending now is current by the time this job runs.
                    replaces: Some(hit.working.version.clone()),
                    ..Requested::new(request, credential, requested_by, at)
                };
                // `begin` marks the request.
                return self.requests.begin(credential, asked, at).await.map(drop);
            }
            LeakResponse::Retire(key) => {
                let version = Some(hit.working.version.clone());
                let work = Work::Retire { version, key, revoke_old: RevokeOld::Now };
                let name = credential.name.clone();
                let job = Job::new(name, credential.application, work, requested_by, at);
                self.requests.queue_job(job.answering(request)).await?;
            }
            LeakResponse::ByHand => {}
        }
        self.requests.mark(request, at).await
    }
}
