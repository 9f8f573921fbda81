//! What an event says, in words for people: the same for Slack and for SNS.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Notice, What};
use crate::events::{Digest, EventData, EventType, Expiring};

/// What is told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// In one line.
    pub headline: String,
    /// What it means, or why it happened.
    pub text: String,
    /// The particulars: names and values.
    pub facts: Vec<(&'static str, String)>,
}

/// Writes out an event. `old_key_goes` is when a replaced key may be removed, where that is known.
pub fn told(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Wording {
    match &notice.what {
        What::Credential(data) => of_credential(notice, data, old_key_goes),
        What::Expiring { digest, cut_from } => Wording {
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
                "{} What is current goes on working; a message in the dead-letter queue holds the job.",
                sentence(&reason())
            ),
        ),
        EventType::RotationRequested => (format!("{name}: a rotation was asked for"), reason()),
        EventType::ApprovalDenied => (
            format!("{name}: a rotation was {}", denied(data)),
            "It was not begun, and will not be. What is current is as it was.".to_owned(),
        ),
        EventType::RotationPromoted => (
            format!("{name} has a new client secret"),
            format!("It was proved by signing in, and is AWSCURRENT. {}", going(old_key_goes)),
        ),
        EventType::RotationAbandoned => (
            format!("{name}: a rotation was given up"),
            "Its key was dead, or another rotation won. What is current is as it was.".to_owned(),
        ),
        EventType::KeyRemoved => {
            (format!("{name}: a key was removed"), "It does not work any more.".to_owned())
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

/// Whoever asked withdraws; anybody else denies.
fn denied(data: &EventData) -> &'static str {
    match &data.denied_by {
        Some(by) if data.requested_by.as_ref() == Some(by) => "withdrawn",
        _ => "denied",
    }
}

/// When the old key goes, as a sentence.
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

/// A time for people.
pub(super) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time for machines.
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

/// That more may concern a target than are known, of so many in all.
fn of_cut(all: usize) -> String {
    format!(
        "The directory has {all}, more than this message can tell of: it is about those that expire \
         first, and more of yours may be among the others."
    )
}

/// What a message has no room for.
pub(super) fn left_out(left: usize) -> String {
    format!("and {left} more: too many for one message, but Entra has them all")
}

/// One line of a digest: when, what, whose.
pub fn line(one: &Expiring) -> String {
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
