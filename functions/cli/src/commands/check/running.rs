//! Checks of what happened since the deployment, and of the settings that functions read.

use keywheel_core::manifest::{Manifest, Target};
use keywheel_core::notify::NotifySecret;
use keywheel_core::request::keys::Keys;

use super::manifest::named;
use super::seen::{Parameters, Seen, Sweeps};
use super::verdict::Verdict;
use crate::text::Stamp;

pub(super) fn function_sign_in(seen: &Seen) -> Verdict {
    let watches = |parameters: &Parameters| parameters.is("WatchDirectoryAudits", "true");
    let marks = seen.parameters.get().is_some_and(watches);
    let invoke = dry_run(seen);
    seen.sweeps.judge(|sweeps| match (last_failure(sweeps), sweeps.read_to) {
        // Without marks, nothing tells whether a later sweep went well.
        (Some(error), _) if !marks => Verdict::warned(
            format!("a sweep of the last day failed: {error}"),
            format!("run `{invoke}`: a dry run signs in and changes nothing"),
        ),
        (Some(error), _) => Verdict::failed(
            format!("the last sweep failed: {error}"),
            "look at the checks of Entra above, and at the log of the sweep function",
        ),
        (None, Some(read_to)) => {
            let at = Stamp(read_to);
            let what = format!("the sweep function signed in to Entra and read its audit up to {at}");
            Verdict::passed(what)
        }
        (None, None) if marks => Verdict::warned(
            "no sweep has left a mark yet, so that the sign-in of the functions is not seen",
            format!("run `{invoke}`: a dry run signs in and changes nothing"),
        ),
        (None, None) => Verdict::skipped(format!(
            "sweeps leave no mark with WatchDirectoryAudits=false; `{invoke}` signs in and changes nothing"
        )),
    })
}

/// Gives the error of the last sweep that failed, unless a later sweep left its mark.
fn last_failure(sweeps: &Sweeps) -> Option<&str> {
    let failed = sweeps.failed.iter().max_by_key(|failed| failed.at)?;
    let mended = failed.at.is_some() && failed.at < sweeps.read_to;
    (!mended).then_some(failed.error.as_str())
}

fn dry_run(seen: &Seen) -> String {
    let stack = seen.stack.get().and_then(Option::as_ref);
    let name = stack.and_then(|stack| stack.outputs.get("SweepFunctionName"));
    let name = name.map_or("<output SweepFunctionName>", String::as_str);
    format!("keywheel sweep --dry-run --function {name}")
}

pub(super) fn webhook_secret(seen: &Seen) -> Verdict {
    seen.webhook
        .judge(|keys| seen.parameters.given("the stack", |parameters| webhook(keys, parameters)))
}

fn webhook(keys: &Keys, parameters: &Parameters) -> Verdict {
    if !keys.refused.is_empty() {
        let mut refused = keys.refused.clone();
        refused.sort_unstable();
        return Verdict::failed(
            format!("entries of the webhook secret cannot be used: {}", named(&refused)),
            "put keys in their places: `whsec_` and base64 of 24 to 64 bytes for webhooks, 16 characters \
            or more for the others",
        );
    }
    if parameters.is("GitHubAlerts", "on") && (keys.github.is_none() || keys.github_token.is_none())
    {
        return Verdict::failed(
            "GitHubAlerts is on, and the webhook secret lacks github_webhook_secret or github_token",
            "add the entry to the secret, or deploy with GitHubAlerts=off",
        );
    }
    let senders = [keys.slack.is_some(), keys.github.is_some(), !keys.webhooks.is_empty()];
    if senders.iter().any(|sends| *sends) {
        return Verdict::passed("each entry of the webhook secret can be used");
    }
    Verdict::warned(
        "the webhook secret holds no key, so that every request is refused",
        "add slack_signing_secret, webhook_keys or github_webhook_secret to the secret",
    )
}

pub(super) fn notify_secret(seen: &Seen) -> Verdict {
    seen.notify.judge(|secret| {
        seen.manifest.given("the manifest", |manifest| {
            let lacking = lacking(manifest, secret);
            if lacking.is_empty() {
                return Verdict::passed("the notify secret has each entry that the manifest names");
            }
            Verdict::failed(
                format!("the notify secret lacks a usable entry for {}", named(&lacking)),
                "add the entry to the secret, or correct the name in the manifest's notifications",
            )
        })
    })
}

/// Lists the entries that notifications name and the secret lacks.
fn lacking(manifest: &Manifest, secret: &NotifySecret) -> Vec<String> {
    let entry = |target: &Target| match target {
        Target::Slack(name) => secret.slack(name).is_none().then(|| format!("slack.{name}")),
        Target::Webhook { key, .. } => {
            secret.webhook(key).is_none().then(|| format!("webhooks.{key}"))
        }
        Target::Sns(_) => None,
    };
    manifest.notifications().iter().filter_map(|notification| entry(&notification.target)).collect()
}

pub(super) fn dead_letters(seen: &Seen) -> Verdict {
    seen.dead_letters.judge(|queues| {
        let waiting: Vec<_> = queues
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(queue, count)| format!("{queue} ({count})"))
            .collect();
        if waiting.is_empty() {
            return Verdict::passed("no queue holds dead letters");
        }
        Verdict::warned(
            format!("dead letters wait in {}", named(&waiting)),
            "mend the cause, then move the messages back, as docs/operating.md shows",
        )
    })
}

pub(super) fn alarms(seen: &Seen) -> Verdict {
    let topic = seen.parameters.get().and_then(|parameters| parameters.get("AlarmTopicArn"));
    if seen.parameters.get().is_some() && topic.is_none() {
        return Verdict::warned(
            "alarms tell nobody: AlarmTopicArn is empty",
            "make an SNS topic with a subscription, and deploy with AlarmTopicArn",
        );
    }
    let topic = topic.unwrap_or_default();
    seen.subscriptions.judge(|confirmed| match confirmed {
        0 => Verdict::warned(
            format!("alarms tell nobody: no subscription of {topic} is confirmed"),
            format!("run `aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint \
            <address>`, and confirm the subscription"),
        ),
        confirmed => Verdict::passed(format!("alarms go to {topic}, with {confirmed} confirmed")),
    })
}
