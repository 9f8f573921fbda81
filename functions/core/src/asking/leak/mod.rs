//! Reads a text that GitHub finds leaked, and compares the text with every secret that still works.
//!
//! Keywheel acts on a secret that is the same at once, whatever permissions the manifest gives, because anybody who reads
//! the leak can sign in. Any other result is a finding.

mod comparison;
mod github;
mod search;
mod sentences;

use std::time::Duration;

use reqwest::Url;
use tokio::time::timeout;
use tracing::error;

use super::{AskingError, Requests};
use crate::events::{EventData, FindingKind};
use crate::http::{Http, Retry};
use crate::ids::{AppId, CredentialName};
use crate::request::github::Leaked;
use crate::secret::SecretText;
use uuid::Uuid;

pub use comparison::{Comparison, NotAComparison};
pub use github::endpoint;
use search::{Hit, Search};

/// The longest time of a comparison. The function has two minutes, and the rest is for reporting a failure.
const COMPARING: Duration = Duration::from_secs(80);
/// The subject of findings that are about no credential.
const SUBJECT: &str = "github";

/// The clients that compare leaked texts.
#[derive(Debug)]
pub struct Leaks {
    requests: Requests,
    http: Http,
    /// GitHub's REST API.
    github: Url,
    /// The name of the secret that holds `github_token`.
    keys: Option<String>,
}

/// A leaked text was not compared with every secret that works. The next comparison goes on where this one ended.
#[derive(Debug)]
pub struct NotCompared {
    /// The credentials whose secrets were not compared, as far as known.
    pub credentials: Vec<CredentialName>,
    /// Whether, and when, to compare again.
    pub retry: Retry,
}

impl From<AskingError> for NotCompared {
    fn from(failure: AskingError) -> Self {
        Self::because(failure)
    }
}

impl NotCompared {
    /// Writes the cause to the log, and nowhere else.
    fn because(failure: impl std::fmt::Display) -> Self {
        error!(%failure, "a leaked text could not be compared");
        Self { credentials: Vec::new(), retry: Retry::Soon }
    }
}

impl Leaks {
    /// Makes the clients. `keys`: the name of the secret that holds `github_token`.
    pub fn new(requests: Requests, http: Http, github: Url, keys: Option<String>) -> Self {
        Self { requests, http, github, keys }
    }

    /// Compares the leaked text of an alert with every secret that works, and acts on each secret that is the same,
    /// unless Keywheel did so before.
    pub async fn compare(&self, comparison: &Comparison) -> Result<(), NotCompared> {
        let compared = timeout(COMPARING, self.compare_once(comparison)).await;
        compared.unwrap_or_else(|_| Err(NotCompared::because("the comparison took too long")))
    }

    async fn compare_once(&self, comparison: &Comparison) -> Result<(), NotCompared> {
        let delivery = comparison.delivery();
        if self.requests.is_queued(delivery).await? {
            return Ok(());
        }
        let Some(leaked) = self.read(&comparison.alert).await? else {
            let why = sentences::unread(&comparison.alert);
            return Ok(self
                .requests
                .report_alert(FindingKind::LeakedSecretUnread, comparison, &why)
                .await?);
        };
        if self.search(comparison, &leaked).await? {
            self.requests.mark(delivery, comparison.received_at).await?;
        }
        Ok(())
    }

    /// Searches for a leaked text. Says whether the delivery is done; otherwise the alert can be sent again, once the
    /// cause is mended.
    async fn search(
        &self,
        comparison: &Comparison,
        leaked: &SecretText,
    ) -> Result<bool, NotCompared> {
        let manifest = self.requests.manifest().await?;
        let leaked = Leaked::new(leaked);
        let search = Search { requests: &self.requests, comparison, leaked };
        let found = search.everywhere(&manifest).await?;
        if !found.failed.is_empty() {
            return Err(NotCompared { credentials: found.failed, retry: Retry::Soon });
        }
        // Whoever acted on a hit, now or in an earlier try, left this mark first.
        let hit = self.requests.is_queued(comparison.hit()).await?;
        if !hit {
            let why = sentences::unmatched(&comparison.alert, &found.unreadable);
            self.requests
                .report_alert(FindingKind::LeakedSecretUnmatched, comparison, &why)
                .await?;
        }
        Ok(hit || found.unreadable.is_empty())
    }

    /// Reports that an alert was given up.
    pub async fn give_up(
        &self,
        comparison: &Comparison,
        missed: NotCompared,
    ) -> Result<(), AskingError> {
        self.requests.report_not_compared(comparison, missed.credentials).await
    }
}

impl Requests {
    /// Reports that a leaked text was not compared with the secrets of these credentials. Without names: of any
    /// credential.
    pub async fn report_not_compared(
        &self,
        comparison: &Comparison,
        credentials: Vec<CredentialName>,
    ) -> Result<(), AskingError> {
        let why = sentences::not_compared(&comparison.alert, credentials);
        self.report_alert(FindingKind::LeakedSecretNotCompared, comparison, &why).await
    }

    /// Reports a finding about an alert and no credential. The finding counts once for each delivery.
    async fn report_alert(
        &self,
        finding: FindingKind,
        comparison: &Comparison,
        why: &str,
    ) -> Result<(), AskingError> {
        let subject = CredentialName(SUBJECT.to_owned());
        let mut data = EventData::of(subject, AppId(Uuid::nil()));
        data.requested_by = Some(SUBJECT.to_owned());
        data.reason = Some(why.to_owned());
        // Another delivery of the same alert is reported again, so the time is part of the id.
        let once = format!("{SUBJECT} {why} {}", comparison.received_at);
        self.put_finding(finding, &once, data, comparison.received_at).await
    }

    /// Reports that a credential's secret has leaked.
    async fn report_hit(
        &self,
        hit: &Hit,
        comparison: &Comparison,
        why: &str,
    ) -> Result<(), AskingError> {
        let mut data = EventData::of(hit.credential.name.clone(), hit.credential.application);
        data.version = Some(hit.working.version.clone());
        data.key = hit.key;
        data.requested_by = Some(SUBJECT.to_owned());
        data.reason = Some(why.to_owned());
        let once = format!("{} {why}", hit.credential.name);
        self.put_finding(FindingKind::LeakedSecret, &once, data, comparison.received_at).await
    }
}
