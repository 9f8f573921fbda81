//! `POST /github`: a leaked secret is read where GitHub keeps it, and compared with every one that still works.
//!
//! Exactly the same text is acted on at once, whatever the manifest says of who may ask: whoever reads the leak
//! can sign in. Anything less is a finding.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use keywheel_core::audit::{CloudEvent, EventData, EventType, event_id};
use keywheel_core::ids::{AppId, CredentialName, KeyId};
use keywheel_core::manifest::{Credential, Manifest};
use keywheel_core::queue::{Job, RevokeOld, SCHEMA, Work};
use keywheel_core::request::delivery::{self, Requested};
use keywheel_core::request::github::{Alert, Cure, Leaked, Live, Sent, live};
use keywheel_core::request::signature::{Unsigned, verify_github};
use keywheel_core::request::{find, request_id};
use keywheel_core::rotation::SecretState;
use keywheel_core::secret::SecretText;
use keywheel_core::secrets::{Kind, Prefixes, SecretsError};
use reqwest::Url;
use tracing::warn;
use uuid::Uuid;

use crate::answer::{Refused, nothing};
use crate::ask::ours;
use crate::rotate::replayed;
use crate::{Webhook, header};

const GITHUB: &str = "https://api.github.com";
/// How long comparing may take: the function has a minute, and the rest is for saying that it failed.
const ALERT: Duration = Duration::from_secs(30);
/// How long one call to Secrets Manager may take.
const ONE: Duration = Duration::from_secs(8);
/// How many secrets are read side by side.
const AT_ONCE: usize = 8;
/// The most pages of secrets that are listed for the rules.
const PAGES: usize = 100;
/// How many credentials a finding names that were not compared.
const NAMED: usize = 5;
/// Whom findings are about that no credential is known for.
const SUBJECT: &str = "github";

/// The address of GitHub's REST API.
pub(crate) fn endpoint(text: Option<&str>) -> Option<Url> {
    let mut url: Url = text.unwrap_or(GITHUB).parse().ok()?;
    // An address is joined below it.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    (!url.cannot_be_a_base() && url.query().is_none()).then_some(url)
}

/// A credential whose live secret is the leaked one.
struct Hit {
    credential: Credential,
    live: Live,
    key: Option<KeyId>,
}

/// What comparing came to.
#[derive(Default)]
struct Compared {
    /// How many live secrets are the leaked one; each is acted on.
    hits: usize,
    /// Credentials that could not be read or acted on just now: nothing is known of them.
    failed: Vec<CredentialName>,
    /// Credentials of which a value cannot be read, whose keys may work still; each with the cause.
    unreadable: Vec<(CredentialName, String)>,
}

/// An alert that is not done: why, and which credentials were not compared, where that is known.
struct Missed {
    refused: Refused,
    failed: Vec<CredentialName>,
}

impl From<Refused> for Missed {
    fn from(refused: Refused) -> Self {
        Self { refused, failed: Vec::new() }
    }
}

/// Why nothing was read.
enum Unread {
    /// Trying again changes nothing: somebody has to mend the cause.
    ForGood(String),
    /// Our own failure, which is in the log.
    Now,
}

/// One call to Secrets Manager: none may use up the time of all others.
async fn soon<T>(
    of: &Credential,
    call: impl Future<Output = Result<T, SecretsError>>,
) -> Result<T, Unread> {
    let answer = tokio::time::timeout(ONE, call).await;
    let passing = |why: String| {
        drop(ours(format!("{}: {why}", of.name)));
        Unread::Now
    };
    let answer = answer.map_err(|_| passing("reading took too long".to_owned()))?;
    answer.map_err(|error| match error.kind {
        Kind::AccessDenied => Unread::ForGood(format!("denied: {error}")),
        Kind::Encryption => Unread::ForGood(format!("its KMS key cannot be used: {error}")),
        Kind::State => Unread::ForGood(format!("its state forbids reading: {error}")),
        Kind::Other => Unread::ForGood(format!("refused: {error}")),
        _ => passing(error.to_string()),
    })
}

/// That an alert is to be sent again, and what was not compared, as far as that is known.
fn not_compared(alert: &Alert, mut failed: Vec<CredentialName>) -> String {
    failed.sort_unstable();
    failed.dedup();
    let names: Vec<&str> = failed.iter().take(NAMED).map(|name| name.0.as_str()).collect();
    let more = failed.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let which = match names.as_slice() {
        [] => String::new(),
        names => format!(" (not with those of {}{more})", names.join(", ")),
    };
    format!(
        "{alert}: the leaked text was not compared with every secret that works now{which}; send the delivery again from \
         GitHub's page of the webhook, or look at the alert and rotate by hand"
    )
}

/// Why nothing was done about a leak. It does not claim more than was compared.
fn unmatched(alert: &Alert, unreadable: &[(CredentialName, String)]) -> String {
    if unreadable.is_empty() {
        return format!(
            "{alert}: the leaked text is none of the secrets that work now; nothing was done about this delivery of it"
        );
    }
    let mut causes: Vec<String> =
        unreadable.iter().map(|(name, cause)| format!("{name} ({cause})")).collect();
    causes.sort_unstable();
    // Several versions of one credential have one cause.
    causes.dedup();
    let rest = causes.split_off(causes.len().min(NAMED)).len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!(
        "{alert}: the leaked text is none of the secrets that can be read; nothing was done about this delivery of it. \
         Not compared, though the keys may work still: {}{more}. Mend the cause and send the delivery again, or look at \
         the alert and remove the key by hand",
        causes.join(", ")
    )
}

impl Webhook {
    pub(crate) async fn github_event(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let signature = header(request, "x-hub-signature-256");
        let verify = |keys: &keywheel_core::request::keys::Keys| {
            verify_github(keys.github.as_ref().ok_or(Unsigned)?, signature, request.body())
        };
        self.keys.verify(verify).await?;
        let malformed = |detail: &str| Refused::Malformed(detail.to_owned());
        let sent = Sent::parse(header(request, "x-github-event"), request.body());
        let alert = match sent.map_err(|error| malformed(&error.to_string()))? {
            Sent::Leak(alert) => alert,
            Sent::Other => return Ok(nothing(StatusCode::NO_CONTENT)),
        };
        // Counted against no rate: GitHub would not send it again, and nobody would hear of it.
        let done = tokio::time::timeout(ALERT, self.alerted(&alert, request.body(), now)).await;
        let done = done.unwrap_or_else(|_| Err(ours("comparing took too long").into()));
        let Err(Missed { refused, failed }) = done else {
            return Ok(nothing(StatusCode::ACCEPTED));
        };
        if refused == Refused::Unavailable {
            // GitHub sends nothing again by itself: somebody must be told.
            let why = not_compared(&alert, failed);
            self.finding("leaked-secret-not-compared", None, &why, now).await?;
        }
        Err(refused)
    }

    /// Works on an alert, unless that was done before. Whether it was, the body says: the delivery's id is not signed.
    async fn alerted(&self, alert: &Alert, body: &[u8], now: DateTime<Utc>) -> Result<(), Missed> {
        let body = delivery::digest(body);
        let id = request_id("github body", &body);
        if self.is_queued(id).await? {
            return Err(replayed(None).into());
        }
        if self.leak(alert, &body, now).await? {
            self.mark(id, now).await?;
        }
        Ok(())
    }

    /// Whether there is nothing left to do: else the alert can be sent again, once somebody mended what was in the way.
    async fn leak(&self, alert: &Alert, body: &str, now: DateTime<Utc>) -> Result<bool, Missed> {
        let Some(leaked) = self.read_alert(alert).await? else {
            let why = format!(
                "{alert}: the leaked text cannot be read; look whether `github_token` may read it and send the \
                 delivery again, or look at the alert and rotate by hand if the text is one of yours"
            );
            self.finding("leaked-secret-unread", None, &why, now).await?;
            return Ok(false);
        };
        let manifest = self.manifest().await?;
        let leaked = Leaked::new(&leaked);
        let compared = self.compare(&manifest, &leaked, alert, body, now).await?;
        if !compared.failed.is_empty() {
            return Err(Missed { refused: Refused::Unavailable, failed: compared.failed });
        }
        if compared.hits == 0 {
            let why = unmatched(alert, &compared.unreadable);
            self.finding("leaked-secret-unmatched", None, &why, now).await?;
        }
        Ok(compared.hits > 0 || compared.unreadable.is_empty())
    }

    /// The leaked text; `None` where no token is configured, or GitHub does not show it: trying again changes neither.
    async fn read_alert(&self, alert: &Alert) -> Result<Option<SecretText>, Refused> {
        let keys = self.keys.keys(Duration::from_mins(1)).await?;
        let (Some(token), Ok(url)) = (&keys.github_token, self.github.join(&alert.path())) else {
            return Ok(None);
        };
        let request = self
            .http
            .request(reqwest::Method::GET, url)
            .bearer_auth(token.expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
            .build();
        let request = request.map_err(|_| ours("GitHub's request cannot be built"))?;
        let answer = self.http.send(request).await.map_err(ours)?;
        let header = |name| answer.headers.get(name).map(reqwest::header::HeaderValue::as_bytes);
        // GitHub's rate limits come as 403 too.
        let throttled = answer.status == StatusCode::FORBIDDEN
            && (header("retry-after").is_some()
                || header("x-ratelimit-remaining") == Some(b"0".as_slice()));
        match answer.status.as_u16() {
            200 => Ok(Alert::secret(&answer.body)),
            status if throttled || status == 429 || status >= 500 => {
                Err(ours(format!("GitHub answered {status}")))
            }
            status => {
                warn!(status, "GitHub does not show the alert");
                Ok(None)
            }
        }
    }

    /// Compares with every live version of every credential. Each hit is acted on as it comes: what becomes of the
    /// others, or that no time is left for them, takes nothing from it.
    async fn compare(
        &self,
        manifest: &Manifest,
        leaked: &Leaked,
        alert: &Alert,
        body: &str,
        now: DateTime<Utc>,
    ) -> Result<Compared, Refused> {
        let all = self.everyone(manifest).await?;
        let compare = async |one: Credential| self.compare_one(one, leaked, alert, body, now).await;
        let mut compared = stream::iter(all).map(compare).buffer_unordered(AT_ONCE);
        let mut whole = Compared::default();
        while let Some(one) = compared.next().await {
            whole.hits += one.hits;
            whole.failed.extend(one.failed);
            whole.unreadable.extend(one.unreadable);
        }
        Ok(whole)
    }

    /// Those listed, and those of the rules that have a secret.
    async fn everyone(&self, manifest: &Manifest) -> Result<Vec<Credential>, Refused> {
        let mut all: Vec<Credential> = manifest.credentials().cloned().collect();
        if manifest.rules().is_empty() {
            return Ok(all);
        }
        let prefixes: Prefixes =
            manifest.rules().iter().map(|rule| rule.secret().prefix()).collect();
        let mut next = None;
        for _ in 0..PAGES {
            let page = self.secrets.list(&prefixes, next.as_deref()).await.map_err(ours)?;
            let named = |name: String| find(manifest, &CredentialName(name));
            let ruled = page.items.into_iter().filter_map(|listed| named(listed.name));
            all.extend(ruled.filter(|(_, ruled)| *ruled).map(|(credential, _)| credential));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(ours("there are more secrets than can be listed"))
    }

    async fn compare_one(
        &self,
        one: Credential,
        leaked: &Leaked,
        alert: &Alert,
        body: &str,
        now: DateTime<Utc>,
    ) -> Compared {
        // Why one failed is in the log.
        let mut compared = Compared::default();
        let described = match soon(&one, self.secrets.describe(one.secret.as_str())).await {
            Ok(described) => described,
            Err(Unread::Now) => {
                compared.failed.push(one.name);
                return compared;
            }
            Err(Unread::ForGood(cause)) => {
                compared.unreadable.push((one.name, cause));
                return compared;
            }
        };
        let SecretState::Present(view) = &described.state else {
            // One that is not there has no secret.
            if described.state == SecretState::ScheduledForDeletion {
                let cause = "scheduled for deletion: restore the secret".to_owned();
                compared.unreadable.push((one.name, cause));
            }
            return compared;
        };
        for live in live(&described.state, one.policy.overlap) {
            let read = self.secrets.searchable(one.secret.as_str(), &live.version);
            let value = match soon(&one, read).await {
                Ok(value) => value,
                Err(Unread::Now) => {
                    compared.failed.push(one.name.clone());
                    continue;
                }
                Err(Unread::ForGood(cause)) => {
                    compared.unreadable.push((one.name.clone(), cause));
                    continue;
                }
            };
            if value.is_none_or(|value| !leaked.is_in(&value, &one.format)) {
                continue;
            }
            let key = view.key_of(&live.version);
            let hit = Hit { credential: one.clone(), live, key };
            match self.act(&hit, alert, body, now).await {
                Ok(()) => compared.hits += 1,
                Err(_) => compared.failed.push(one.name.clone()),
            }
        }
        compared
    }

    async fn act(
        &self,
        hit: &Hit,
        alert: &Alert,
        body: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let credential = &hit.credential;
        let why = match hit.live.cure {
            Cure::Rotate | Cure::Retire(_) => format!("leaked: {alert}"),
            Cure::ByHand => format!(
                "leaked: {alert}; version {} holds it, and its key is not known here: look for it on the application \
                 and remove it by hand, unless it is gone already",
                hit.live.version
            ),
        };
        self.finding("leaked-secret", Some(hit), &why, now).await?;
        let request =
            request_id("github", &format!("{body} {} {}", credential.name, hit.live.version));
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
                    requested_at: now,
                    // One that is pending now is current when this job's turn comes.
                    replaces: Some(hit.live.version.clone()),
                    approved_by: None,
                    approved_at: None,
                    slack: None,
                };
                self.begin(credential, asked, now).await.map(drop)
            }
            Cure::Retire(key) => {
                let version = Some(hit.live.version.clone());
                let job = Job {
                    schema: SCHEMA,
                    credential: credential.name.clone(),
                    application: credential.application,
                    work: Work::Retire { version, key, revoke_old: RevokeOld::Now },
                    requested_by,
                    requested_at: Some(now),
                    request: Some(request),
                    continuation: 0,
                };
                self.queue.send_batch(&[job]).await.map_err(ours)
            }
            Cure::ByHand => Ok(()),
        }
    }

    async fn finding(
        &self,
        what: &str,
        hit: Option<&Hit>,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let kind = EventType::Finding(what.to_owned());
        let subject = CredentialName(SUBJECT.to_owned());
        let (credential, application) = hit.map_or((subject, AppId(Uuid::nil())), |hit| {
            (hit.credential.name.clone(), hit.credential.application)
        });
        let once = match hit {
            Some(_) => format!("{credential} {why}"),
            // That it failed again is news: of one id people are told once, and the record has it once.
            None => format!("{credential} {why} {now}"),
        };
        let id = event_id(&once, &kind.to_string(), hit.and_then(|hit| hit.key));
        let mut data = EventData::of(credential, application);
        data.version = hit.map(|hit| hit.live.version.clone());
        data.key = hit.and_then(|hit| hit.key);
        data.requested_by = Some(SUBJECT.to_owned());
        data.reason = Some(why.to_owned());
        self.put_event(CloudEvent::new(id, kind, now, data)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_compared_is_not_said_to_be_no_match() {
        let alert = Alert { owner: "octo".to_owned(), repository: "app".to_owned(), number: 7 };
        assert!(unmatched(&alert, &[]).contains("none of the secrets that work now"));
        let causes = |count: usize| -> Vec<_> {
            let name = |number| CredentialName(format!("c{number}"));
            (1..=count).rev().map(|number| (name(number), "denied".to_owned())).collect()
        };
        for (count, named) in
            [(1, ": c1 (denied). "), (5, "c5 (denied). "), (7, "c5 (denied) and 2 more. ")]
        {
            let why = unmatched(&alert, &causes(count));
            assert!(why.contains(named) && why.contains("Mend"), "{why}");
            assert!(!why.contains("work now"), "{why}");
        }
    }
}
