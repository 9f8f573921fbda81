//! `/keywheel status` and `/keywheel plan`: by the manifest and `DescribeSecret`, for what the caller may rotate.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use keywheel_core::ids::CredentialName;
use keywheel_core::manifest::Credential;
use keywheel_core::request::delivery::SlackOrigin;
use keywheel_core::rotation::SecretState;
use serde_json::Value;

use super::replies;
use crate::Webhook;
use crate::answer::{Refused, own_failure};

/// How many credentials an answer shows: the answer must come within Slack's three seconds.
const SHOWN: usize = 15;
/// How many secrets are looked at side by side.
const AT_ONCE: usize = 8;

impl Webhook {
    /// Answers how one credential stands, or every credential that the caller may rotate.
    pub(super) async fn status(
        &self,
        origin: &SlackOrigin,
        name: Option<&CredentialName>,
    ) -> Result<Value, Refused> {
        self.list(origin, name, None, replies::standing_line).await
    }

    /// Answers when the credentials that the caller may rotate are due.
    pub(super) async fn plan(
        &self,
        origin: &SlackOrigin,
        now: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        let line = |credential: &_, state: &_| replies::due_line(credential, state, now);
        self.list(origin, None, Some(replies::BY_LABELS), line).await
    }

    /// Makes a line for each credential that the caller may rotate. Other credentials are not for the caller to see.
    async fn list(
        &self,
        origin: &SlackOrigin,
        name: Option<&CredentialName>,
        note: Option<&str>,
        line: impl Fn(&Credential, &SecretState) -> String,
    ) -> Result<Value, Refused> {
        let (manifest, caller) = (self.requests.manifest().await?, origin.caller());
        let mut shown: Vec<Credential> = match name {
            Some(name) => {
                manifest.by_name(name).map(|found| found.credential).into_iter().collect()
            }
            None => manifest.credentials().cloned().collect(),
        };
        shown.retain(|credential| credential.settings.allow.names(&caller));
        if shown.is_empty() {
            return Ok(name.map_or_else(replies::nothing_to_show, replies::not_yours));
        }
        let more = shown.len().saturating_sub(SHOWN);
        shown.truncate(SHOWN);
        let look = async |credential: Credential| {
            let described = self.requests.secrets().describe(credential.secret.as_str()).await;
            described.map(|found| line(&credential, &found.state)).map_err(own_failure)
        };
        let mut lines: Vec<String> =
            stream::iter(shown).map(look).buffered(AT_ONCE).try_collect().await?;
        lines.extend(note.map(str::to_owned));
        Ok(replies::list(lines, more))
    }
}
