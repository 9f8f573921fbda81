//! Pressed buttons.

use serde::Deserialize;

use super::super::delivery::SlackOrigin;
use super::super::field;
use super::{NotSlack, is_id};
use crate::ids::RotationId;

/// The `action_id` of the button that approves a request.
pub const APPROVE: &str = "keywheel_approve";
/// The `action_id` of the button that denies it.
pub const DENY: &str = "keywheel_deny";

/// A pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Who pressed it, and where.
    pub origin: SlackOrigin,
    /// Which button.
    pub choice: Choice,
    /// The request that it is about.
    pub approval: RotationId,
}

/// The two buttons of a request that waits for approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It may begin.
    Approve,
    /// It must not.
    Deny,
}

#[derive(Deserialize)]
struct Payload {
    r#type: String,
    user: User,
    team: Option<Id>,
    channel: Option<Id>,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: Option<String>,
}

impl Pressed {
    /// Reads the form of an interaction: `payload=` with JSON.
    pub fn parse(body: &[u8]) -> Result<Self, NotSlack> {
        let payload = field(body, "payload").ok_or(NotSlack)?;
        let payload: Payload = serde_json::from_str(&payload).map_err(|_| NotSlack)?;
        let [Action { action_id, value: Some(value) }] = payload.actions.as_slice() else {
            return Err(NotSlack);
        };
        if payload.r#type != "block_actions" {
            return Err(NotSlack);
        }
        let choice = match action_id.as_str() {
            APPROVE => Choice::Approve,
            DENY => Choice::Deny,
            _ => return Err(NotSlack),
        };
        // In a shared channel the person's own workspace counts, not the one the channel is in.
        let team = payload.user.team_id.or(payload.team.map(|team| team.id)).ok_or(NotSlack)?;
        let origin = SlackOrigin {
            response_url: payload.response_url.ok_or(NotSlack)?,
            channel: payload.channel.ok_or(NotSlack)?.id,
            user: payload.user.id,
            team,
        };
        if ![&origin.channel, &origin.user, &origin.team].into_iter().all(|id| is_id(id)) {
            return Err(NotSlack);
        }
        Ok(Self { origin, choice, approval: value.parse().map_err(|_| NotSlack)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(payload: &serde_json::Value) -> Result<Pressed, NotSlack> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        Pressed::parse(body.as_bytes())
    }

    #[test]
    fn a_pressed_button_is_json_in_a_form() {
        let payload = serde_json::json!({
            "type": "block_actions", "user": { "id": "U2", "team_id": "T1" }, "team": { "id": "T9" },
            "channel": { "id": "C1" }, "response_url": "https://hooks.slack.com/actions/x",
            "actions": [{ "action_id": APPROVE, "value": "00000000-0000-0000-0000-000000000007" }],
        });
        let read = pressed(&payload).unwrap();
        assert_eq!((read.choice, read.approval.0.as_u128()), (Choice::Approve, 7));
        let mut denied = payload.clone();
        denied["actions"][0]["action_id"] = DENY.into();
        assert_eq!(pressed(&denied).unwrap().choice, Choice::Deny);
        assert_eq!(read.origin.caller().to_string(), "slack:T1/U2");
        for (pointer, value) in [
            ("/type", "view_submission".into()),
            ("/user/id", "".into()),
            ("/actions", serde_json::json!([])),
            ("/actions/0/action_id", "other".into()),
            ("/actions/0/value", "7".into()),
            ("/channel", serde_json::Value::Null),
            ("/response_url", serde_json::Value::Null),
        ] {
            let mut other = payload.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(pressed(&other), Err(NotSlack), "{pointer}");
        }
        assert_eq!(Pressed::parse(b"payload=%7B"), Err(NotSlack));
    }
}
