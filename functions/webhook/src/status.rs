//! `/keywheel status` and `/keywheel plan`: from the manifest and `DescribeSecret`, of what the caller may rotate.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use keywheel_core::ids::CredentialName;
use keywheel_core::manifest::Credential;
use keywheel_core::request::delivery::SlackOrigin;
use keywheel_core::rotation::SecretState;
use serde_json::Value;

use crate::answer::Refused;
use crate::ask::ours;
use crate::{Webhook, replies};

/// So many credentials are looked at for one answer: it must come within Slack's three seconds.
const SHOWN: usize = 15;
const AT_ONCE: usize = 8;

impl Webhook {
    pub(crate) async fn status(
        &self,
        origin: &SlackOrigin,
        name: Option<&CredentialName>,
    ) -> Result<Value, Refused> {
        let (mine, more) = match self.mine(origin, name).await? {
            Mine::These(mine, more) => (mine, more),
            Mine::Nothing(message) => return Ok(message),
        };
        let lines: Vec<String> =
            self.looks(mine).await?.iter().map(|(c, s)| replies::standing_line(c, s)).collect();
        Ok(replies::list(&lines, more))
    }

    pub(crate) async fn plan(
        &self,
        origin: &SlackOrigin,
        now: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        let (mine, more) = match self.mine(origin, None).await? {
            Mine::These(mine, more) => (mine, more),
            Mine::Nothing(message) => return Ok(message),
        };
        let looks = self.looks(mine).await?;
        let mut lines: Vec<String> =
            looks.iter().map(|(c, s)| replies::due_line(c, s, now)).collect();
        lines.push(replies::BY_LABELS.to_owned());
        Ok(replies::list(&lines, more))
    }

    /// What the caller may rotate: how anything else stands is not for them.
    async fn mine(
        &self,
        origin: &SlackOrigin,
        name: Option<&CredentialName>,
    ) -> Result<Mine, Refused> {
        let (manifest, caller) = (self.manifest().await?, origin.caller());
        if let Some(name) = name {
            let found = manifest.by_name(name).map(|managed| managed.credential);
            return Ok(match found.filter(|found| found.settings.allow.names(&caller)) {
                Some(found) => Mine::These(vec![found], 0),
                None => Mine::Nothing(replies::not_yours(name)),
            });
        }
        let mut mine: Vec<Credential> = manifest
            .credentials()
            .filter(|one| one.settings.allow.names(&caller))
            .cloned()
            .collect();
        let more = mine.len().saturating_sub(SHOWN);
        mine.truncate(SHOWN);
        Ok(if mine.is_empty() {
            Mine::Nothing(replies::nothing_to_show())
        } else {
            Mine::These(mine, more)
        })
    }

    async fn looks(
        &self,
        mine: Vec<Credential>,
    ) -> Result<Vec<(Credential, SecretState)>, Refused> {
        let look = async |one: Credential| {
            let described =
                self.requests.secrets().describe(one.secret.as_str()).await.map_err(ours)?;
            Ok((one, described.state))
        };
        stream::iter(mine).map(look).buffered(AT_ONCE).try_collect().await
    }
}

enum Mine {
    These(Vec<Credential>, usize),
    Nothing(Value),
}
