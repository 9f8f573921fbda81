//! Messages to people in Slack. No text that somebody typed is taken for markup.

use chrono::{DateTime, TimeDelta, Utc};
use keywheel_core::asking::approval::Answer;
use keywheel_core::ids::{CredentialName, VersionId};
use keywheel_core::manifest::{Approval, Credential};
use keywheel_core::queue::RevokeOld;
use keywheel_core::request::delivery::Requested;
use keywheel_core::request::slack::{APPROVE, Choice, Command, DENY, Pressed, escaped};
use keywheel_core::rotation::version_state::{VersionState, version_state};
use keywheel_core::rotation::{SecretState, SecretView};
use serde_json::{Value, json};

use crate::answer::Refused;

const HELP: &str = "\
`/keywheel rotate NAME [reason…] [--now]`: mint a new client secret, prove the secret, publish it. The old secret works \
on for its overlap. With `--now` the old secret is removed as soon as the new secret is current.
`/keywheel status [NAME]`: how your credentials stand
`/keywheel plan`: when your credentials are due
`/keywheel help`: this text";

/// The longest text of a section (Slack's Block Kit reference).
const LONGEST_TEXT: usize = 3_000;

/// Makes a message that only the person who asked sees.
fn whisper(text: &str) -> Value {
    json!({ "response_type": "ephemeral", "text": text, "blocks": [section(text)] })
}

fn section(text: &str) -> Value {
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

fn name(credential: &CredentialName) -> String {
    format!("`{}`", escaped(&credential.0))
}

fn old_key(revoke_old: RevokeOld) -> &'static str {
    match revoke_old {
        RevokeOld::AfterOverlap => "The old secret works on for its overlap.",
        RevokeOld::Now => "The old secret stops working as soon as the new one is current.",
    }
}

fn because(asked: &Requested) -> String {
    let reason = asked.reason.as_ref().map(|reason| format!(" Reason: {}.", escaped(reason)));
    reason.unwrap_or_default()
}

/// Answers `help`.
pub(super) fn help() -> Value {
    whisper(HELP)
}

/// Answers a command that there is none of.
pub(super) fn unknown() -> Value {
    whisper(&format!("Keywheel does not know that command.\n{HELP}"))
}

/// Answers an option that there is none of.
pub(super) fn unknown_option(option: &str) -> Value {
    let option = escaped(option);
    whisper(&format!("Nothing was done: there is no option `{option}`, only `--now`.\n{HELP}"))
}

/// Refuses a credential that is not there, and in the same words a credential that the caller may not rotate.
pub(super) fn not_yours(credential: &CredentialName) -> Value {
    let name = name(credential);
    whisper(&format!(
        "The manifest does not let you rotate a credential called {name}. Nothing was done."
    ))
}

/// Says in words what an HTTP status tells a system.
pub(super) fn refused(refused: &Refused) -> Value {
    whisper(&match refused {
        Refused::Conflict { detail, .. } | Refused::Forbidden(detail) => {
            format!("Not rotated: {}.", escaped(detail))
        }
        _ => "Keywheel could not do that just now. Look at `/keywheel status`, then try again."
            .to_owned(),
    })
}

/// Answers a command that took longer than Slack waits. The rotation may have been queued.
pub(super) fn late(command: &Command) -> Value {
    let Command::Rotate { name: credential, .. } = command else {
        return refused(&Refused::Unavailable);
    };
    let name = name(credential);
    whisper(&format!(
        "This took longer than Slack waits. {name} may be on its way to be rotated all the same: look at \
         `/keywheel status` in a minute before you ask again."
    ))
}

/// Answers a button whose decision took longer than Slack waits.
pub(super) fn press_again() -> Value {
    aside("This took longer than Slack waits. Press the button again: the decision counts once.")
}

/// Says that a rotation begins.
pub(super) fn begun(asked: &Requested) -> Value {
    let (name, old) = (name(&asked.credential), old_key(asked.revoke_old));
    let text =
        format!("{name} is being rotated.{} {old}\nRotation `{}`", because(asked), asked.request);
    whisper(&text)
}

/// Asks everybody in the channel for an approval.
pub(super) fn asking(asked: &Requested, user: &str) -> Value {
    let name = name(&asked.credential);
    let text = format!(
        "<@{user}> asks to rotate {name}.{} {}\nSomebody else who may rotate {name} must approve within 30 minutes. \
         Any of them may deny the request, and <@{user}> withdraws the request with the same button.",
        because(asked),
        old_key(asked.revoke_old)
    );
    json!({
        "response_type": "in_channel",
        "text": text,
        "blocks": [section(&text), {
            "type": "actions",
            "elements": [button(APPROVE, "Approve", "primary", asked), button(DENY, "Deny", "danger", asked)],
        }],
    })
}

fn button(action: &str, text: &str, style: &str, asked: &Requested) -> Value {
    json!({
        "type": "button",
        "style": style,
        "action_id": action,
        "value": asked.request.to_string(),
        "text": { "type": "plain_text", "text": text },
    })
}

/// Says what came of a pressed button.
pub(super) fn decided(pressed: &Pressed, answer: &Answer) -> Value {
    let not = match pressed.choice {
        Choice::Approve => "Not approved",
        Choice::Deny => "Not denied",
    };
    match answer {
        Answer::NoSuchRequest => aside(&format!("{not}: there is no such request any more.")),
        Answer::MayNot(refusal) => aside(&format!("{not}: {refusal}.")),
        Answer::ApprovedBefore => aside(&format!("{not}: somebody has approved it already.")),
        Answer::Denied(requested, by) => denied(requested, by),
        Answer::Begun(begun) => approved(begun, &pressed.origin.user),
    }
}

/// Replaces the question, so that no button is left.
fn approved(asked: &Requested, user: &str) -> Value {
    let (name, old) = (name(&asked.credential), old_key(asked.revoke_old));
    let text = format!("<@{user}> approved: {name} is being rotated.{} {old}", because(asked));
    json!({ "replace_original": true, "text": text, "blocks": [section(&text)] })
}

/// Replaces the question, so that no button is left. `by` is a caller of Slack as an event names the caller.
fn denied(asked: &Requested, by: &str) -> Value {
    let person = |caller: &str| caller.rsplit('/').next().unwrap_or_default().to_owned();
    let user = person(by);
    let verb = if person(&asked.requested_by) == user { "withdrew" } else { "denied" };
    let name = name(&asked.credential);
    let text = format!(
        "<@{user}> {verb} the request: {name} is not rotated.{} Whoever still wants the rotation asks anew.",
        because(asked)
    );
    json!({ "replace_original": true, "text": text, "blocks": [section(&text)] })
}

/// Makes a message beside the question, which stays.
fn aside(text: &str) -> Value {
    let mut message = whisper(text);
    message["replace_original"] = false.into();
    message
}

/// Answers somebody who may rotate no listed credential.
pub(super) fn nothing_to_show() -> Value {
    whisper(
        "The manifest does not let you rotate a credential that it lists. Name a credential that a rule makes: `/keywheel status NAME`.",
    )
}

/// Answers with a line for each credential that is shown; `more` is the number of the others.
pub(super) fn list(mut lines: Vec<String>, more: usize) -> Value {
    lines.extend((more > 0).then(|| format!("… and {more} more: name a credential.")));
    let mut message = whisper(&lines.join("\n"));
    message["blocks"] = sections(&lines).iter().map(|text| section(text)).collect();
    message
}

/// Joins lines to as few texts as Slack takes, and cuts no line in two.
fn sections(lines: &[String]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in lines {
        match sections.last_mut() {
            Some(last) if last.chars().count() + line.chars().count() < LONGEST_TEXT => {
                last.push('\n');
                last.push_str(line);
            }
            _ => sections.push(line.clone()),
        }
    }
    sections
}

/// Formats a time. Slack shows the time in the reader's own time zone.
fn day(at: DateTime<Utc>) -> String {
    let seconds = at.timestamp();
    format!("<!date^{seconds}^{{date_short_pretty}} {{time}}|{}>", at.format("%Y-%m-%d %H:%M UTC"))
}

/// Says in a line how a credential stands, by its secret's labels.
pub(super) fn standing_line(credential: &Credential, state: &SecretState) -> String {
    let name = name(&credential.name);
    let view = match state {
        SecretState::Missing => return format!("{name}: no secret yet"),
        SecretState::ScheduledForDeletion => {
            return format!("{name}: its secret is scheduled for deletion");
        }
        SecretState::Present(view) => view,
    };
    let mut parts = vec![current(view)];
    if view.pending().is_some_and(|pending| view.void(pending).is_none()) {
        parts.push("a rotation is under way".to_owned());
    }
    parts.extend(view.versions.keys().filter_map(|version| old(credential, view, version)));
    if credential.settings.approval == Approval::Required {
        parts.push("rotations need approval".to_owned());
    }
    format!("{name}: {}", parts.join("; "))
}

fn current(view: &SecretView) -> String {
    let Some(version) = view.current() else { return "no value yet".to_owned() };
    match (view.key_of(version), view.since(version)) {
        (None, _) => "current, but not stored by Keywheel".to_owned(),
        (Some(key), Some(since)) => format!("key `{key}` current since {}", day(since)),
        (Some(key), None) => format!("key `{key}` current"),
    }
}

fn old(credential: &Credential, view: &SecretView, version: &VersionId) -> Option<String> {
    let key = view.key_of(version)?;
    match version_state(view, version, credential.settings.policy.overlap) {
        VersionState::Past(goes) => Some(format!("old key `{key}` goes after {}", day(goes))),
        _ => None,
    }
}

/// Says in a line when a credential is due, by its secret's labels. The key's end in Graph may be sooner.
pub(super) fn due_line(credential: &Credential, state: &SecretState, now: DateTime<Utc>) -> String {
    let name = name(&credential.name);
    let SecretState::Present(view) = state else { return standing_line(credential, state) };
    let since = view.current().and_then(|current| view.since(current));
    let Some(since) = since else { return standing_line(credential, state) };
    let due =
        since + credential.settings.policy.lifetime - credential.settings.policy.rotate_before;
    if due <= now + TimeDelta::hours(1) {
        format!("{name}: due with the next sweep")
    } else {
        format!("{name}: due about {}", day(due))
    }
}

/// Says how `due_line` works the time out.
pub(super) const BY_LABELS: &str = "_By when each credential was last rotated and by the manifest's lifetimes. `keywheel plan` asks Graph as well._";

#[cfg(test)]
mod tests {
    use keywheel_core::manifest::Manifest;
    use keywheel_core::rotation::Label;

    use super::*;

    #[test]
    fn nothing_typed_is_markup() {
        let odd = CredentialName("<!channel>`*x*`".to_owned());
        let text = not_yours(&odd)["text"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains("`&lt;!channel&gt;'*x*'`"), "{text}");
    }

    #[test]
    fn a_long_list_is_cut_between_its_lines() {
        let line = |letter: &str, length| letter.repeat(length);
        let lines =
            [line("a", 1_499), line("b", 1_500), line("c", 1), line("é", 2_998), line("d", 1)];
        let sections = sections(&lines);
        assert_eq!(sections.join("\n"), lines.join("\n"));
        let lengths: Vec<usize> = sections.iter().map(|text| text.chars().count()).collect();
        assert_eq!(lengths, [3_000, 3_000, 1]);
        assert_eq!(super::sections(&[line("a", 1_500), line("b", 1_500)]).len(), 2);
    }

    #[test]
    fn a_credential_stands_by_its_labels() {
        let manifest = "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials: { monk: { application: 408bf248-dd4e-4be5-919a-7f6207a307ab, secret: prod/monk } }";
        let manifest = Manifest::parse(manifest, "m.yaml").unwrap();
        let monk = manifest.credentials().next().unwrap();
        let at = |days: i64| DateTime::from_timestamp(1_800_000_000 + 86_400 * days, 0).unwrap();
        let key = "00000000-0000-0000-0000-00000000000";
        let label = |n: u8| Label::Key(format!("{key}{n}").parse().unwrap());
        let mut view = SecretView::default();
        let mut add = |id: &str, labels: &[Label]| {
            view.versions.insert(VersionId(id.to_owned()), labels.iter().cloned().collect())
        };
        add("new", &[Label::Current, label(1), Label::Since(at(0))]);
        add("old", &[Label::Previous, label(2), Label::Since(at(-100))]);
        let state = SecretState::Present(view);
        let line = standing_line(monk, &state);
        assert!(
            line.starts_with(&format!("`monk`: key `{key}1` current since <!date^1800000000^")),
            "{line}"
        );
        assert!(line.contains(&format!("old key `{key}2` goes after")), "{line}");
        assert!(
            due_line(monk, &state, at(1)).contains(&format!("<!date^{}^", at(150).timestamp()))
        );
        assert_eq!(due_line(monk, &state, at(150)), "`monk`: due with the next sweep");
        assert_eq!(standing_line(monk, &SecretState::Missing), "`monk`: no secret yet");
    }
}
