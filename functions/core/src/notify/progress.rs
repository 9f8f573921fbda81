//! The messages in Slack that show the person who asked for a rotation how the rotation goes on.

use chrono::{DateTime, TimeDelta, Utc};

use super::words::going;
use crate::events::EventType;
use crate::ids::RotationId;
use crate::queue::RevokeOld;
use crate::request::delivery::Requested;
use crate::secret::SecretText;
use crate::slack::blocks::{Message, Mrkdwn};

/// The time for which Keywheel posts to a `response_url`.
///
/// Slack takes posts for half an hour (docs.slack.dev: handling user interaction). A minute is for the way there.
const ANSWERABLE_FOR: TimeDelta = TimeDelta::minutes(29);

/// The steps that are shown after a pressed button, each at most once, because a `response_url` takes five posts.
///
/// A rotation that was given up is shown with the next step of its successor.
const SHOWN: &[EventType] = &[
    EventType::KeyMinted,
    EventType::RotationStored,
    EventType::RotationPromoted,
    EventType::KeyRemoved,
    EventType::RotationFailed,
];

/// The steps that are shown after a typed command: only results, because Slack never replaces such a message and shows
/// each post as a further one.
const SHOWN_AFTER_COMMAND: &[EventType] =
    &[EventType::RotationPromoted, EventType::KeyRemoved, EventType::RotationFailed];

/// Lists all steps of a request's progress.
pub(super) fn steps() -> impl Iterator<Item = &'static EventType> {
    SHOWN.iter().chain(&[EventType::RotationAbandoned])
}

/// The steps of a request that are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress(Vec<Step>);

/// A step that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    kind: EventType,
    time: DateTime<Utc>,
    reason: Option<String>,
}

/// Gives the key of a step's event in the state bucket.
pub(super) fn progress_key(request: RotationId, kind: &EventType) -> String {
    format!("progress/{request}/{kind}.json")
}

impl Requested {
    /// Gives the address in Slack where a step is to be shown, or `None` where the step is not shown.
    pub(super) fn answer_url(&self, kind: &EventType, now: DateTime<Utc>) -> Option<SecretText> {
        let slack = self.slack.as_ref()?;
        // An approved request has the button's address, which is as old as the press.
        let since = self.approved_at.unwrap_or(self.requested_at);
        let shown = if self.replaces_messages() { SHOWN } else { SHOWN_AFTER_COMMAND };
        let is_shown = shown.contains(kind) && now < since + ANSWERABLE_FOR;
        is_shown.then(|| SecretText::new(slack.response_url.clone()))
    }

    /// Says whether Slack replaces the request's messages: after a pressed button, and not after a typed command.
    pub(super) fn replaces_messages(&self) -> bool {
        self.approved_at.is_some()
    }

    /// Writes that the old key is removed, without the steps that were shown before.
    pub(super) fn render_removed(&self) -> Message {
        let small = Mrkdwn::section().plain(&format!("request {}", self.request));
        Message::new(&format!("The old key of {} is removed", self.credential)).context(&small)
    }
}

impl Progress {
    /// Adds a step.
    pub fn add(&mut self, kind: EventType, time: DateTime<Utc>, reason: Option<String>) {
        self.0.push(Step { kind, time, reason });
    }

    fn of(&self, kind: &EventType) -> Option<&Step> {
        self.0.iter().find(|step| step.kind == *kind)
    }

    /// Writes the progress: the credential, each step, and when the old key goes.
    pub fn render(&self, request: &Requested, overlap: Option<TimeDelta>) -> Message {
        let name = &request.credential;
        let (failed, promoted) =
            (self.of(&EventType::RotationFailed), self.of(&EventType::RotationPromoted));
        let message = Message::new(&match (failed, promoted) {
            (Some(_), _) => format!("Rotating {name} failed"),
            (None, Some(_)) => format!("{name} has a new client secret"),
            (None, None) => format!("Rotating {name}"),
        });
        let asked = Mrkdwn::field("Asked for by", &request.requested_by);
        let mut fields = vec![Mrkdwn::field("Credential", &name.0), asked];
        fields.extend(request.reason.as_ref().map(|reason| Mrkdwn::field("Reason", reason)));
        let mut steps = Mrkdwn::section();
        for (kind, words) in [
            (EventType::KeyMinted, "A new key is minted"),
            (EventType::RotationStored, "The new secret is stored"),
            (EventType::RotationPromoted, "The new secret is proved, and current"),
            (EventType::KeyRemoved, "The old key is removed"),
        ] {
            steps = match self.of(&kind) {
                Some(done) => {
                    let at = done.time.format("%H:%M:%S UTC").to_string();
                    steps.plain("✓ ").plain(words).plain(" · ").plain(&at).line()
                }
                None if kind == EventType::KeyRemoved || failed.is_some() => steps,
                None => steps.plain("○ ").plain(words).line(),
            };
        }
        if self.of(&EventType::RotationAbandoned).is_some() {
            steps = steps.plain("A first try was given up. A second try began.").line();
        }
        if let Some(why) = failed {
            steps = steps.bold("Failed").plain(": ").plain(why.reason.as_deref().unwrap_or(""));
            steps = steps.line().plain("The current secret goes on working.");
        }
        let small = Mrkdwn::section().plain(&format!("request {}", request.request));
        message
            .fields(&fields)
            .section(&steps)
            .section(&self.old_key(request, overlap))
            .context(&small)
    }

    fn old_key(&self, request: &Requested, overlap: Option<TimeDelta>) -> Mrkdwn {
        let text = Mrkdwn::section();
        let promoted = self.of(&EventType::RotationPromoted);
        if self.of(&EventType::KeyRemoved).is_some()
            || self.of(&EventType::RotationFailed).is_some()
        {
            return text;
        }
        match (request.revoke_old, promoted) {
            (RevokeOld::Now, _) => {
                text.plain("The old key goes as soon as the new secret is current.")
            }
            (RevokeOld::AfterOverlap, Some(done)) => {
                text.plain(&going(overlap.map(|overlap| done.time + overlap)))
            }
            (RevokeOld::AfterOverlap, None) => {
                text.plain("The old key goes when its overlap is over.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_approved_request_is_answered_from_the_press_on() {
        let asked: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
        let answered = |kind: &EventType, approved: Option<i64>, after: i64| {
            let request: Requested = serde_json::from_value(json!({
                "schema": 1, "request": "00000000-0000-0000-0000-0000000000ab", "credential": "monk",
                "application": "00000000-0000-0000-0000-0000000000cd", "requested_by": "slack:T/U",
                "requested_at": asked, "approved_at": approved.map(|minutes| asked + TimeDelta::minutes(minutes)),
                "revoke_old": "now",
                "slack": { "response_url": "https://hooks.slack.com/x", "channel": "C", "user": "U", "team": "T" },
            }))
            .unwrap();
            request.answer_url(kind, asked + TimeDelta::minutes(after)).is_some()
        };
        let promoted = &EventType::RotationPromoted;
        assert!(answered(promoted, None, 28) && !answered(promoted, None, 29));
        assert!(answered(promoted, Some(28), 56) && !answered(promoted, Some(28), 57));
        for kind in SHOWN {
            assert!(answered(kind, Some(0), 1));
            assert_eq!(answered(kind, None, 1), SHOWN_AFTER_COMMAND.contains(kind), "{kind}");
        }
    }
}
