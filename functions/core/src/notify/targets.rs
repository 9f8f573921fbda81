//! Notifies the manifest's targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::Value;
use tracing::{info, warn};
use uuid::Uuid;

use super::notifier::{Notifier, marker, overlap};
use super::secret::held;
use super::send::publish;
use super::slack::Addressed;
use super::{Content, Notice, Notified, NotifyError, NotifySecret, slack, sns};
use crate::http::Retry;
use crate::manifest::{Manifest, Notification, Target};
use crate::settings::SettingError;
use crate::sha256;

impl Notifier {
    /// Notifies each target of the events that concern the target and that it does not know yet.
    pub(super) async fn notify_targets(
        &self,
        manifest: &Manifest,
        notices: &[&Notice],
        now: DateTime<Utc>,
    ) -> BTreeMap<Uuid, Notified> {
        let each = by_target(manifest, notices).into_iter().map(async |(target, concerned)| {
            Box::pin(self.notify_target(target, concerned, now)).await
        });
        let mut results: BTreeMap<Uuid, Notified> = BTreeMap::new();
        for (id, result) in join_all(each).await.into_iter().flatten() {
            let before = results.remove(&id).unwrap_or(Notified::All);
            results.insert(id, before.and(result));
        }
        results
    }

    async fn notify_target(
        &self,
        target: &Target,
        concerned: Vec<Addressed>,
        now: DateTime<Utc>,
    ) -> Vec<(Uuid, Notified)> {
        let key = key_of(target);
        let looked = concerned.into_iter().map(async |event| {
            let known = self.state.has(&marker_of(target, &event.notice, &key)).await;
            (event, known)
        });
        let (mut waiting, mut results) = (Vec::new(), Vec::new());
        for (event, known) in join_all(looked).await {
            match known {
                Ok(true) => {}
                Ok(false) => waiting.push(event),
                Err(error) => results.push((event.notice.id, Err(error.into()).into())),
            }
        }
        let sent = groups(target, waiting).into_iter().map(async |group| {
            let sent = self.send(target, &group, now).await;
            self.note(target, &group, sent).await
        });
        results.extend(join_all(sent).await.into_iter().flatten());
        results
    }

    async fn send(
        &self,
        target: &Target,
        group: &[Addressed],
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let to = shown(target);
        match target {
            Target::Slack(name) => {
                let message = match group {
                    [one] => slack::render(&one.notice, one.old_key_goes),
                    several => slack::list(several),
                };
                Box::pin(self.post_to_slack(name, &to, &message.to_json(), now)).await?;
            }
            Target::Sns(topic) => {
                for Addressed { notice, old_key_goes } in group {
                    let mail = sns::render(notice, *old_key_goes);
                    publish(&self.topics, topic, &mail, &notice.kind.name()).await?;
                }
            }
            Target::Webhook { url, key } => {
                let secret = self.secret_with(|secret| secret.webhook(key).is_some()).await?;
                let keys = secret.webhook(key).ok_or_else(|| lacks("webhooks", key))?;
                for Addressed { notice, .. } in group {
                    let id = notice.id.to_string();
                    self.sender.webhook(&to, url, keys, (&id, &notice.event), now).await?;
                }
            }
        }
        Ok(())
    }

    /// Posts to an incoming webhook, and to its new address where the old one refuses for good: somebody may have
    /// replaced the webhook since the secret was read.
    async fn post_to_slack(
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

    /// Writes the marker of each event that was sent, and gives each event's result.
    async fn note(
        &self,
        target: &Target,
        group: &[Addressed],
        sent: Result<(), NotifyError>,
    ) -> Vec<(Uuid, Notified)> {
        let to = shown(target);
        let sent = sent.map_err(Arc::new);
        let key = &key_of(target);
        let each = group.iter().map(async |Addressed { notice, .. }| {
            let result = match &sent {
                Ok(()) => {
                    info!(event = %notice.id, kind = %notice.kind, target = to, "notified");
                    let put = self.state.write(&marker_of(target, notice, key), &()).await;
                    Notified::from(put.map_err(NotifyError::from))
                }
                Err(failure) => {
                    warn!(event = %notice.id, kind = %notice.kind, target = to, %failure, "not notified yet");
                    Arc::clone(failure).into()
                }
            };
            (notice.id, result)
        });
        join_all(each).await
    }

    async fn secret_with(
        &self,
        has: impl Fn(&NotifySecret) -> bool,
    ) -> Result<Arc<NotifySecret>, NotifyError> {
        let unset = SettingError::Unset { name: "KEYWHEEL_NOTIFY_SECRET" };
        held(self.secret.as_ref().ok_or(unset)?, has).await
    }
}

/// Gives the key of the marker that a target knows an event. Machines are notified of each event, people of each
/// occasion.
fn marker_of(target: &Target, notice: &Notice, key: &str) -> String {
    match target {
        Target::Webhook { .. } => marker(notice.id, key),
        Target::Slack(_) | Target::Sns(_) => marker(notice.occasion(), key),
    }
}

/// Gives each target with the events that concern it.
///
/// A target that the manifest lists twice is one target, because both entries have the same markers.
fn by_target<'a>(manifest: &'a Manifest, notices: &[&Notice]) -> Vec<(&'a Target, Vec<Addressed>)> {
    let mut listed: Vec<(&Target, Vec<&Notification>)> = Vec::new();
    for entry in manifest.notifications() {
        match listed.iter_mut().find(|(target, _)| **target == entry.target) {
            Some((_, entries)) => entries.push(entry),
            None => listed.push((&entry.target, vec![entry])),
        }
    }
    let concerned = |entries: &[&Notification]| -> Vec<Addressed> {
        let events = notices.iter().filter_map(|notice| {
            let goes = overlap(manifest, notice).map(|overlap| notice.time + overlap);
            Some(Addressed { notice: notice.for_target(entries)?, old_key_goes: goes })
        });
        events.collect()
    };
    listed.into_iter().map(|(target, entries)| (target, concerned(&entries))).collect()
}

/// Divides events into groups, one for each request to the target.
///
/// Slack takes about one message a second. So events that came together are one message there. A digest is a message of
/// its own.
fn groups(target: &Target, waiting: Vec<Addressed>) -> Vec<Vec<Addressed>> {
    let listed = |one: &Addressed| {
        matches!((target, &one.notice.content), (Target::Slack(_), Content::Credential(_)))
    };
    let (together, alone): (Vec<_>, Vec<_>) = waiting.into_iter().partition(listed);
    let alone = alone.into_iter().map(|one| vec![one]);
    alone.chain(slack::groups(together)).collect()
}

/// Names a target in a marker. The name stays the same while the target's address does.
fn key_of(target: &Target) -> String {
    let (kind, text) = match target {
        Target::Slack(name) => ("slack", name.clone()),
        Target::Sns(topic) => ("sns", topic.clone()),
        Target::Webhook { url, key } => ("webhook", format!("{url}\n{key}")),
    };
    let hash = sha256::hexadecimal(text.as_bytes());
    format!("{kind}-{hash:.16}")
}

/// Names a target in the log. A webhook is named by its host, because its path may be a secret.
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
        "{part}.{name}, which the manifest names, is missing or cannot be used; write {wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::notice::samples::{TIME, notice};
    use super::*;

    #[test]
    fn a_target_that_is_listed_twice_is_told_once() {
        let text = format!(
            "tenant: {0}\nnotifications:\n  - slack: ops\n    on: [failures]\n    credentials: [\"prod-*\"]\n  - slack: dev\n    on: [failures]\n  - slack: ops\n    on: [failures, rotations]\n",
            Uuid::nil()
        );
        let manifest = Manifest::parse(&text, "m.yaml").unwrap();
        for (kind, credential, expected) in [
            ("keywheel.rotation.failed", "prod-a", [1, 1]),
            ("keywheel.rotation.failed", "test-a", [1, 1]),
            ("keywheel.rotation.promoted", "prod-a", [1, 0]),
            ("keywheel.key.minted", "prod-a", [0, 0]),
        ] {
            let data = json!({ "credential": credential, "application": Uuid::nil() });
            let notice = notice(kind, TIME, &data);
            let events = by_target(&manifest, &[&notice]);
            let events: Vec<_> = events.iter().map(|(_, events)| events.len()).collect();
            assert_eq!(events, expected, "{kind} {credential}");
        }
    }
}
