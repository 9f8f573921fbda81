//! Tells the manifest's targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};
use uuid::Uuid;

use super::notifier::{Notifier, marker, overlap};
use super::secret::held;
use super::send::publish;
use super::slack::Telling;
use super::{Notice, NotifyError, NotifySecret, Outcome, What, slack, sns};
use crate::http::Retry;
use crate::manifest::{Manifest, Notification, Target};
use crate::settings::Unset;

impl Notifier {
    /// Tells all targets what concerns them and what they do not know yet.
    pub(super) async fn tell_targets(
        &self,
        manifest: &Manifest,
        notices: &[&Notice],
        now: DateTime<Utc>,
    ) -> BTreeMap<Uuid, Outcome> {
        let each = by_target(manifest, notices).into_iter().map(async |(target, concerned)| {
            Box::pin(self.tell_target(target, concerned, now)).await
        });
        let mut outcomes: BTreeMap<Uuid, Outcome> = BTreeMap::new();
        for (id, outcome) in join_all(each).await.into_iter().flatten() {
            let before = outcomes.remove(&id).unwrap_or(Outcome::Told);
            outcomes.insert(id, before.and(outcome));
        }
        outcomes
    }

    async fn tell_target(
        &self,
        target: &Target,
        concerned: Vec<Telling>,
        now: DateTime<Utc>,
    ) -> Vec<(Uuid, Outcome)> {
        let key = key_of(target);
        let looked = concerned.into_iter().map(async |telling| {
            let known = self.state.has(&marked(target, &telling.notice, &key)).await;
            (telling, known)
        });
        let (mut waiting, mut outcomes) = (Vec::new(), Vec::new());
        for (telling, known) in join_all(looked).await {
            match known {
                Ok(true) => {}
                Ok(false) => waiting.push(telling),
                Err(error) => outcomes.push((telling.notice.id, Err(error.into()).into())),
            }
        }
        let sent = letters(target, waiting).into_iter().map(async |letter| {
            let sent = self.send(target, &letter, now).await;
            self.note(target, &letter, sent).await
        });
        outcomes.extend(join_all(sent).await.into_iter().flatten());
        outcomes
    }

    async fn send(
        &self,
        target: &Target,
        letter: &[Telling],
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let to = shown(target);
        match target {
            Target::Slack(name) => {
                let message = match letter {
                    [one] => slack::render(&one.notice, one.old_key_goes),
                    several => slack::list(several),
                };
                Box::pin(self.tell_slack(name, &to, &message.to_json(), now)).await?;
            }
            Target::Sns(topic) => {
                for Telling { notice, old_key_goes } in letter {
                    let mail = sns::render(notice, *old_key_goes);
                    publish(&self.topics, topic, &mail, &notice.kind.name()).await?;
                }
            }
            Target::Webhook { url, key } => {
                let secret = self.secret_with(|secret| secret.webhook(key).is_some()).await?;
                let keys = secret.webhook(key).ok_or_else(|| lacks("webhooks", key))?;
                for Telling { notice, .. } in letter {
                    let id = notice.id.to_string();
                    self.sender.webhook(&to, url, keys, (&id, &notice.event), now).await?;
                }
            }
        }
        Ok(())
    }

    /// Posts to an incoming webhook. One that refuses for good may have been replaced since the secret was read: then
    /// the message goes to the one that the secret holds by now.
    async fn tell_slack(
        &self,
        name: &str,
        to: &str,
        message: &Value,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let secret = self.secret_with(|secret| secret.slack(name).is_some()).await?;
        let url = secret.slack(name).ok_or_else(|| lacks("slack", name))?;
        let refused = match self.sender.slack(to, url, message, now).await {
            Err(refused) if refused.retry() == Retry::Never => refused,
            sent => return sent,
        };
        let by_now = self.secret_with(|secret| secret.slack_moved(name, url).is_some()).await?;
        match by_now.slack_moved(name, url) {
            Some(url) => self.sender.slack(to, url, message, now).await,
            None => Err(refused),
        }
    }

    /// Marks what was told; what was not is for the queue to bring again.
    async fn note(
        &self,
        target: &Target,
        letter: &[Telling],
        sent: Result<(), NotifyError>,
    ) -> Vec<(Uuid, Outcome)> {
        let to = shown(target);
        let sent = sent.map_err(Arc::new);
        let key = &key_of(target);
        let each = letter.iter().map(async |Telling { notice, .. }| {
            let outcome = match &sent {
                Ok(()) => {
                    info!(event = %notice.id, kind = %notice.kind, target = to, "told");
                    let put = self.state.write(&marked(target, notice, key), &()).await;
                    Outcome::from(put.map_err(NotifyError::from))
                }
                Err(failure) => {
                    warn!(event = %notice.id, kind = %notice.kind, target = to, %failure, "not told yet");
                    Outcome::of(Arc::clone(failure))
                }
            };
            (notice.id, outcome)
        });
        join_all(each).await
    }

    async fn secret_with(
        &self,
        has: impl Fn(&NotifySecret) -> bool,
    ) -> Result<Arc<NotifySecret>, NotifyError> {
        let unset = Unset { name: "KEYWHEEL_NOTIFY_SECRET" };
        held(self.secret.as_ref().ok_or(unset)?, has).await
    }
}

/// Where it is noted that a target was told: a machine of each event, people of each occasion.
fn marked(target: &Target, notice: &Notice, key: &str) -> String {
    match target {
        Target::Webhook { .. } => marker(notice.id, key),
        Target::Slack(_) | Target::Sns(_) => marker(notice.occasion(), key),
    }
}

/// Each target and what it is to be told. One that the manifest lists twice is one: its marker is.
fn by_target<'a>(manifest: &'a Manifest, notices: &[&Notice]) -> Vec<(&'a Target, Vec<Telling>)> {
    let mut listed: Vec<(&Target, Vec<&Notification>)> = Vec::new();
    for entry in manifest.notifications() {
        match listed.iter_mut().find(|(target, _)| **target == entry.target) {
            Some((_, entries)) => entries.push(entry),
            None => listed.push((&entry.target, vec![entry])),
        }
    }
    let concerned = |entries: &[&Notification]| -> Vec<Telling> {
        let tellings = notices.iter().filter_map(|notice| {
            let goes = overlap(manifest, notice).map(|overlap| notice.time + overlap);
            Some(Telling { notice: notice.for_target(entries)?, old_key_goes: goes })
        });
        tellings.collect()
    };
    listed.into_iter().map(|(target, entries)| (target, concerned(&entries))).collect()
}

/// What goes out in one request. Slack takes about one a second: what came together is told together there, but a
/// digest is a message of its own.
fn letters(target: &Target, waiting: Vec<Telling>) -> Vec<Vec<Telling>> {
    let listed = |one: &Telling| {
        matches!((target, &one.notice.what), (Target::Slack(_), What::Credential(_)))
    };
    let (together, alone): (Vec<_>, Vec<_>) = waiting.into_iter().partition(listed);
    let alone = alone.into_iter().map(|one| vec![one]);
    alone.chain(slack::letters(together)).collect()
}

/// A target in a marker: the same as long as it is the same target, whatever else the manifest says of it.
fn key_of(target: &Target) -> String {
    let (kind, text) = match target {
        Target::Slack(name) => ("slack", name.clone()),
        Target::Sns(topic) => ("sns", topic.clone()),
        Target::Webhook { url, key } => ("webhook", format!("{url}\n{key}")),
    };
    let hash = Sha256::digest(text.as_bytes());
    let short = hash.iter().take(8).fold(0, |short: u64, byte| short << 8 | u64::from(*byte));
    format!("{kind}-{short:016x}")
}

/// A target in the log: of a webhook no more than the host, for its path may be a capability.
fn shown(target: &Target) -> String {
    match target {
        Target::Slack(name) => format!("Slack {name}"),
        Target::Sns(topic) => topic.clone(),
        Target::Webhook { url, key } => {
            format!("webhook at {} (key {key})", url.host_str().unwrap_or_default())
        }
    }
}

fn lacks(part: &str, name: &str) -> NotifyError {
    let wanted = if part == "slack" { "a URL" } else { "`whsec_` and base64 of 24 to 64 bytes" };
    NotifyError::SecretShape(format!(
        "it has no {part}.{name} that can be used, which the manifest names; it is to be {wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_that_is_listed_twice_is_told_once() {
        let text = format!(
            "tenant: {0}\nnotifications:\n  - slack: ops\n    on: [failures]\n    credentials: [\"prod-*\"]\n  - slack: dev\n    on: [failures]\n  - slack: ops\n    on: [failures, rotations]\n",
            Uuid::nil()
        );
        let manifest = Manifest::parse(&text, "m.yaml").unwrap();
        let told = |kind: &str, credential: &str| -> Vec<usize> {
            let data = json!({ "credential": credential, "application": Uuid::nil() });
            let event = json!({
                "id": Uuid::nil(), "type": kind, "time": "2026-11-21T09:00:00Z", "data": data,
            });
            let body = json!({ "source": "keywheel", "detail": event });
            let notice = Notice::parse(&body.to_string()).unwrap();
            by_target(&manifest, &[&notice]).iter().map(|(_, told)| told.len()).collect()
        };
        assert_eq!(told("keywheel.rotation.failed", "prod-a"), [1, 1], "both entries want it");
        assert_eq!(told("keywheel.rotation.failed", "test-a"), [1, 1], "the second entry does");
        assert_eq!(told("keywheel.rotation.promoted", "prod-a"), [1, 0]);
        assert_eq!(told("keywheel.key.minted", "prod-a"), [0, 0]);
    }
}
