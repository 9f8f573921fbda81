//! The words of an event for people, the same in Slack and in SNS.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Content, Notice};
use crate::events::{Digest, EventData, EventType, Expiring};

/// The words of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// The event in one line.
    pub headline: String,
    /// The event's meaning, or its cause.
    pub text: String,
    /// The details: names and values.
    pub facts: Vec<(&'static str, String)>,
}

/// Puts an event into words. `old_key_goes`: when a replaced key may be removed, if known.
pub fn wording(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Wording {
    match &notice.content {
        Content::Credential(data) => of_credential(notice, data, old_key_goes),
        Content::Digest { digest, cut_from } => Wording {
            headline: headline_of(digest, cut_from.is_some()),
            text: cut_from.map(of_cut).unwrap_or_default(),
            facts: Vec::new(),
        },
    }
}

fn of_credential(
    notice: &Notice,
    data: &EventData,
    old_key_goes: Option<DateTime<Utc>>,
) -> Wording {
    let name = &data.credential;
    let reason = || data.reason.clone().unwrap_or_default();
    let (headline, text) = match &notice.kind {
        EventType::RotationFailed => (
            format!("Rotating {name} failed"),
            format!(
                "{} The current secret goes on working. The job is a message in the dead-letter queue.",
                sentence(&reason())
            ),
        ),
        EventType::RotationRequested => (format!("{name}: a rotation was asked for"), reason()),
        EventType::ApprovalDenied => (
            format!("{name}: a rotation was {}", denied(data)),
            "The rotation never begins. The current secret stays as it is.".to_owned(),
        ),
        EventType::RotationPromoted => (
            format!("{name} has a new client secret"),
            format!("Sign-ins proved the secret, which is now AWSCURRENT. {}", going(old_key_goes)),
        ),
        EventType::RotationAbandoned => (
            format!("{name}: a rotation was given up"),
            "Its key was dead, or another rotation won. The current secret stays as it is."
                .to_owned(),
        ),
        EventType::KeyRemoved => {
            (format!("{name}: a key was removed"), "The key no longer works.".to_owned())
        }
        kind => {
            let kind = kind.name();
            let kind = kind.strip_prefix("keywheel.").unwrap_or(&kind);
            (format!("{name}: {}", kind.replace(['.', '-', '_'], " ")), reason())
        }
    };
    let mut facts = vec![("Credential", name.to_string())];
    if name.0 != data.application.to_string() {
        facts.push(("Application", data.application.to_string()));
    }
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("Asked for by", data.requested_by.clone());
    fact("Denied by", data.denied_by.clone());
    if !text.contains(&reason()) {
        fact("Reason", data.reason.clone());
    }
    fact("Key", data.key.map(|key| key.to_string()));
    fact("Rotation", data.rotation.as_ref().map(ToString::to_string));
    fact("Graph request", data.graph_request_id.clone());
    Wording { headline, text, facts }
}

/// Says whether a rotation was withdrawn by the person who asked for it, or denied by somebody else.
fn denied(data: &EventData) -> &'static str {
    match &data.denied_by {
        Some(by) if data.requested_by.as_ref() == Some(by) => "withdrawn",
        _ => "denied",
    }
}

/// Says in a sentence when the old key goes.
pub(super) fn going(old_key_goes: Option<DateTime<Utc>>) -> String {
    match old_key_goes {
        Some(at) => format!("The old key goes with the first sweep after {}.", minute(at)),
        None => "The old key goes when its overlap is over.".to_owned(),
    }
}

fn sentence(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text if text.ends_with(['.', '!', '?']) => text.to_owned(),
        text => format!("{text}."),
    }
}

/// Writes a time for people, in minutes.
pub(super) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// Writes a time for machines, in seconds.
pub(super) fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn headline_of(digest: &Digest, cut: bool) -> String {
    match (digest.total, cut) {
        (0, true) => {
            "More keys and certificates expire within 60 days than a digest lists".to_owned()
        }
        (1, true) => "At least one key or certificate expires within 60 days".to_owned(),
        (1, false) => "One key or certificate expires within 60 days".to_owned(),
        (total, true) => format!("At least {total} keys and certificates expire within 60 days"),
        (total, false) => format!("{total} keys and certificates expire within 60 days"),
    }
}

/// Says that a digest lists only a part of the directory's keys, and that more may concern a target.
fn of_cut(all: usize) -> String {
    format!(
        "The directory has {all}, more than a digest lists. The digest lists those that expire first. More \
         of yours may be among the others."
    )
}

/// Says how many keys and certificates a message has no room for.
pub(super) fn left_out(left: usize) -> String {
    format!("and {left} more: too many for one message; Entra lists them all")
}

/// Lists the lines of a digest under two titles. Keys that nobody replaces come first, because somebody has to act on
/// them.
pub(super) fn digest_lines(digest: &Digest) -> [(&'static str, Vec<String>); 2] {
    [("Nobody replaces", false), ("Keywheel replaces in time", true)].map(|(title, managed)| {
        let listed = digest.expiring.iter().filter(|one| one.managed == managed);
        (title, listed.map(line).collect())
    })
}

/// Writes one line of a digest: the date, the owner, and the key or certificate.
fn line(one: &Expiring) -> String {
    let what = match (one.key, one.certificate) {
        (_, Some(id)) => format!("certificate {id}"),
        (Some(id), None) => format!("key {id}"),
        (None, None) => "a key".to_owned(),
    };
    let shown = one.credential.as_ref().map(ToString::to_string);
    let shown = shown.or_else(|| one.display_name.clone());
    let whose = match shown {
        Some(name) => format!("{name} ({})", one.application),
        None => one.application.to_string(),
    };
    format!("{}: {whose}, {what}", one.expires_on.date_naive())
}
