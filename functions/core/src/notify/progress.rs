//! How a rotation that somebody asked for goes on, as Slack shows it to them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer};

use super::words::going;
use crate::events::EventType;
use crate::ids::{CredentialName, RotationId};
use crate::queue::RevokeOld;
use crate::secret::SecretText;
use crate::slack::blocks::{Message, Mrkdwn};

/// A `response_url` takes posts for half an hour (docs.slack.dev: handling user interaction); somewhat less, so
/// that one sent in time is there in time.
const ANSWERABLE_FOR: TimeDelta = TimeDelta::minutes(29);

/// The steps of which somebody is told who asked, each at most once: a `response_url` takes five posts.
/// That a rotation was given up shows in the message of its successor's next step.
const TOLD: &[EventType] = &[
    EventType::KeyMinted,
    EventType::RotationStored,
    EventType::RotationPromoted,
    EventType::KeyRemoved,
    EventType::RotationFailed,
];

/// The same where a command asked: Slack shows each post as a further message, whatever it is said to replace, so that
/// only what a rotation comes to is told.
const TOLD_OF_COMMANDS: &[EventType] =
    &[EventType::RotationPromoted, EventType::KeyRemoved, EventType::RotationFailed];

/// All types of events that a request's progress is made of.
pub(super) const STEPS: &[EventType] = &[
    EventType::KeyMinted,
    EventType::RotationStored,
    EventType::RotationPromoted,
    EventType::KeyRemoved,
    EventType::RotationAbandoned,
    EventType::RotationFailed,
];

/// What somebody asked for: `requests/{request}.json` in the state bucket.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Its id, which is the rotation's.
    pub request: RotationId,
    /// Which credential is to be turned.
    pub credential: CredentialName,
    /// Who asked.
    pub requested_by: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// When the old key goes.
    #[serde(default)]
    pub revoke_old: RevokeOld,
    /// When it was asked.
    pub requested_at: DateTime<Utc>,
    /// When it was approved, where that was needed.
    #[serde(default)]
    pub approved_at: Option<DateTime<Utc>>,
    /// From where in Slack.
    #[serde(default)]
    pub slack: Option<SlackRequest>,
}

/// Where somebody asked.
#[derive(Debug, Deserialize)]
pub struct SlackRequest {
    /// Whoever has it may post there.
    #[serde(deserialize_with = "secret")]
    pub response_url: SecretText,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretText, D::Error> {
    String::deserialize(from).map(SecretText::new)
}

/// What has been done of a request so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress(Vec<Done>);

/// A step that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    kind: EventType,
    time: DateTime<Utc>,
    reason: Option<String>,
}

impl Request {
    /// The object's key.
    pub fn key(request: RotationId) -> String {
        format!("requests/{request}.json")
    }

    /// The key of one step's object.
    pub fn progress_key(request: RotationId, kind: &EventType) -> String {
        format!("progress/{request}/{kind}.json")
    }

    /// Where a step is to be told of in Slack, if it is.
    pub(super) fn answer(&self, kind: &EventType, now: DateTime<Utc>) -> Option<&SecretText> {
        let slack = self.slack.as_ref()?;
        // Of an approved request it is the button's address, which is as old as the press.
        let since = self.approved_at.unwrap_or(self.requested_at);
        let told = if self.replaces() { TOLD } else { TOLD_OF_COMMANDS };
        let asks = told.contains(kind) && now < since + ANSWERABLE_FOR;
        asks.then_some(&slack.response_url)
    }

    /// Whether its messages replace each other: Slack does so where a button was pressed, and not where a command was
    /// typed.
    pub(super) fn replaces(&self) -> bool {
        self.approved_at.is_some()
    }

    /// Writes out that the old key is gone, and nothing of what was told before.
    pub fn render_removed(&self) -> Message {
        let small = Mrkdwn::section().plain(&format!("request {}", self.request));
        Message::new(&format!("The old key of {} is removed", self.credential)).context(&small)
    }
}

impl Progress {
    /// Adds a step.
    pub fn add(&mut self, kind: EventType, time: DateTime<Utc>, reason: Option<String>) {
        self.0.push(Done { kind, time, reason });
    }

    fn of(&self, kind: &EventType) -> Option<&Done> {
        self.0.iter().find(|done| done.kind == *kind)
    }

    /// Writes it out: what is being turned, each step as it is done, when the old key goes.
    pub fn render(&self, request: &Request, overlap: Option<TimeDelta>) -> Message {
        let name = &request.credential;
        let (failed, promoted) =
            (self.of(&EventType::RotationFailed), self.of(&EventType::RotationPromoted));
        let message = Message::new(&match (failed, promoted) {
            (Some(_), _) => format!("Rotating {name} failed"),
            (None, Some(_)) => format!("{name} has a new client secret"),
            (None, None) => format!("Turning {name}"),
        });
        let asked = Mrkdwn::field("Asked for by", &request.requested_by);
        let mut fields = vec![Mrkdwn::field("Credential", &name.0), asked];
        fields.extend(request.reason.as_ref().map(|reason| Mrkdwn::field("Reason", reason)));
        let mut steps = Mrkdwn::section();
        for (kind, words) in [
            (EventType::KeyMinted, "A new key is minted"),
            (EventType::RotationStored, "Its secret is stored"),
            (EventType::RotationPromoted, "It is proved, and current"),
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
            steps = steps.plain("A first try was given up, and made afresh.").line();
        }
        if let Some(why) = failed {
            steps = steps.bold("Failed").plain(": ").plain(why.reason.as_deref().unwrap_or(""));
            steps = steps.line().plain("What is current goes on working.");
        }
        let small = Mrkdwn::section().plain(&format!("request {}", request.request));
        message
            .fields(&fields)
            .section(&steps)
            .section(&self.old_key(request, overlap))
            .context(&small)
    }

    fn old_key(&self, request: &Request, overlap: Option<TimeDelta>) -> Mrkdwn {
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
            let request: Request = serde_json::from_value(json!({
                "request": "00000000-0000-0000-0000-0000000000ab", "credential": "monk", "requested_by": "slack:T/U",
                "requested_at": asked, "approved_at": approved.map(|minutes| asked + TimeDelta::minutes(minutes)),
                "slack": { "response_url": "https://hooks.slack.com/x" },
            }))
            .unwrap();
            request.answer(kind, asked + TimeDelta::minutes(after)).is_some()
        };
        let promoted = &EventType::RotationPromoted;
        assert!(answered(promoted, None, 28) && !answered(promoted, None, 29));
        assert!(answered(promoted, Some(28), 56) && !answered(promoted, Some(28), 57));
        for kind in TOLD {
            assert!(answered(kind, Some(0), 1));
            assert_eq!(answered(kind, None, 1), TOLD_OF_COMMANDS.contains(kind), "{kind}");
        }
    }
}
