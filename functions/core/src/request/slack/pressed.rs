//! Pressed buttons.

use serde_json::Value;

use super::super::delivery::SlackOrigin;
use super::super::field;
use super::{NotSlack, is_id};
use crate::ids::RotationId;

/// The `action_id` of the button that approves a request.
pub const APPROVE: &str = "keywheel_approve";
/// The `action_id` of the button that denies a request.
pub const DENY: &str = "keywheel_deny";

/// A pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// The person who pressed the button, and the place.
    pub origin: SlackOrigin,
    /// The button.
    pub choice: Choice,
    /// The request.
    pub approval: RotationId,
}

/// The two buttons of a request that waits for approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The rotation may begin.
    Approve,
    /// The rotation must not begin.
    Deny,
}

impl Pressed {
    /// Reads the form of an interaction: `payload=` with JSON.
    pub fn parse(body: &[u8]) -> Result<Self, NotSlack> {
        let payload = field(body, "payload").ok_or(NotSlack)?;
        let payload: Value = serde_json::from_str(&payload).map_err(|_| NotSlack)?;
        let text = |pointer| payload.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let [action] = payload.get("actions").and_then(Value::as_array).ok_or(NotSlack)?.as_slice()
        else {
            return Err(NotSlack);
        };
        let choice = match (payload["type"].as_str(), action["action_id"].as_str()) {
            (Some("block_actions"), Some(APPROVE)) => Choice::Approve,
            (Some("block_actions"), Some(DENY)) => Choice::Deny,
            _ => return Err(NotSlack),
        };
        let approval = action["value"].as_str().and_then(|value| value.parse().ok());
        // In a shared channel the person's own workspace counts, not the channel's.
        let team = text("/user/team_id").or_else(|| text("/team/id"));
        let origin = SlackOrigin {
            response_url: text("/response_url").ok_or(NotSlack)?,
            channel: text("/channel/id").ok_or(NotSlack)?,
            user: text("/user/id").ok_or(NotSlack)?,
            team: team.ok_or(NotSlack)?,
        };
        if ![&origin.channel, &origin.user, &origin.team].into_iter().all(|id| is_id(id)) {
            return Err(NotSlack);
        }
        Ok(Self { origin, choice, approval: approval.ok_or(NotSlack)? })
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
