//! The search for a leaked text in every version of every secret that still works.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::timeout;
use tracing::error;

use super::Comparison;
use crate::asking::{AskingError, Requests};
use crate::ids::{CredentialName, KeyId};
use crate::manifest::{Credential, Manifest};
use crate::queue::{Job, RevokeOld, SCHEMA, Work};
use crate::request::delivery::{self, Requested};
use crate::request::github::{Cure, Leaked, Live, live};
use crate::rotation::SecretState;
use crate::secrets::{Kind, Prefixes, SecretsError};

/// How long one call to Secrets Manager may take.
const ONE: Duration = Duration::from_secs(8);
/// How many secrets are read side by side.
const AT_ONCE: usize = 8;
/// The most pages of secrets that are listed for the rules.
const PAGES: usize = 100;

/// One search.
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
    /// How many live secrets are the leaked one; each is acted on.
    pub(super) hits: usize,
    /// Credentials that could not be read or acted on just now: nothing is known of them.
    pub(super) failed: Vec<CredentialName>,
    /// Credentials of which a value cannot be read, whose keys may work still; each with the cause.
    pub(super) unreadable: Vec<(CredentialName, String)>,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.hits += other.hits;
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

/// Why nothing was read.
enum Unread {
    /// Trying again changes nothing: somebody has to mend the cause.
    ForGood(String),
    /// The call may succeed later. The cause is in the log.
    Now,
}

/// Bounds one call to Secrets Manager: none may use up the time of all others.
async fn soon<T>(
    of: &Credential,
    call: impl Future<Output = Result<T, SecretsError>>,
) -> Result<T, Unread> {
    let passing = |failure: String| {
        error!(credential = of.name.0, failure, "a secret could not be compared");
        Unread::Now
    };
    let answer = timeout(ONE, call).await;
    let answer = answer.map_err(|_| passing("reading took too long".to_owned()))?;
    answer.map_err(|error| match error.kind {
        Kind::AccessDenied => Unread::ForGood(format!("denied: {error}")),
        Kind::Encryption => Unread::ForGood(format!("its KMS key cannot be used: {error}")),
        Kind::State => Unread::ForGood(format!("its state forbids reading: {error}")),
        Kind::Other => Unread::ForGood(format!("refused: {error}")),
        _ => passing(error.to_string()),
    })
}

impl Search<'_> {
    /// Compares with every live version of every credential. Each hit is acted on as it comes: what becomes of the
    /// others, or that no time is left for them, takes nothing from it.
    pub(super) async fn everywhere(&self, manifest: &Manifest) -> Result<Found, AskingError> {
        let all = self.all(manifest).await?;
        let mut compared = stream::iter(all).map(|one| self.compare(one)).buffer_unordered(AT_ONCE);
        let mut found = Found::default();
        while let Some(one) = compared.next().await {
            found.add(one);
        }
        Ok(found)
    }

    /// Gives the credentials that are listed, and those of the rules that have a secret.
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
            // A secret that is missing has no text.
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
        match self.act(&hit).await {
            Ok(()) => found.hits += 1,
            Err(failure) => {
                error!(credential = hit.credential.name.0, %failure, "a leak could not be acted on");
                found.failed.push(hit.credential.name);
            }
        }
    }

    /// Acts on a hit, unless that was done before: a comparing that failed elsewhere comes back.
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
                "leaked: {alert}; version {} holds it, and its key is not known here: look for it on the application \
                 and remove it by hand, unless it is gone already",
                hit.live.version
            ),
        };
        self.requests.tell_of_hit(hit, self.comparison, &why).await?;
        self.requests.mark(self.comparison.hit(), at).await?;
        let requested_by = format!("github:{}/{}", alert.owner, alert.repository);
        match hit.live.cure {
            Cure::Rotate => {
                let asked = Requested {
                    schema: delivery::SCHEMA,
                    request,
                    credential: credential.name.clone(),
                    application: credential.application,
                    requested_by,
                    reason: Some(why),
                    revoke_old: RevokeOld::Now,
                    requested_at: at,
                    // A version that is pending now is current when this job's turn comes.
                    replaces: Some(hit.live.version.clone()),
                    approved_by: None,
                    approved_at: None,
                    slack: None,
                };
                // Marks the request itself.
                return self.requests.begin(credential, asked, at).await.map(drop);
            }
            Cure::Retire(key) => {
                let version = Some(hit.live.version.clone());
                let job = Job {
                    schema: SCHEMA,
                    credential: credential.name.clone(),
                    application: credential.application,
                    work: Work::Retire { version, key, revoke_old: RevokeOld::Now },
                    requested_by,
                    requested_at: Some(at),
                    request: Some(request),
                    continuation: 0,
                };
                self.requests.queue_job(job).await?;
            }
            Cure::ByHand => {}
        }
        self.requests.mark(request, at).await
    }
}
