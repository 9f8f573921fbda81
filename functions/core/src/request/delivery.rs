//! The notes of requests, and the answer to a request that was sent before.
//!
//! A request is noted before Keywheel acts on the request, and marked once its job is queued. A request that is cut off
//! in between can be sent again, and has the same ids then.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, CredentialName, RotationId, VersionId};
use crate::manifest::Credential;
use crate::queue::RevokeOld;
use crate::sha256;

/// The version of the records below.
pub const SCHEMA: u32 = 1;

/// The first delivery of a request (`deliveries/{source}/{request}`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// 1.
    pub schema: u32,
    /// The SHA-256 of the body, in hexadecimal.
    pub body: String,
    /// The time that the delivery itself bears, if any. Each delivery of a request bears another time.
    pub sent_at: Option<DateTime<Utc>>,
    /// The time at which the delivery came.
    pub received_at: DateTime<Utc>,
}

/// A rotation that somebody asked for (`requests/{request}.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// 1.
    pub schema: u32,
    /// The id of the request and of its rotation.
    pub request: RotationId,
    /// The credential.
    pub credential: CredentialName,
    /// The credential's application.
    pub application: AppId,
    /// The caller that asked.
    pub requested_by: String,
    /// Why, in the words of the person or system that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The time at which the old key is removed.
    pub revoke_old: RevokeOld,
    /// The time of the request.
    pub requested_at: DateTime<Utc>,
    /// The version that was current then, so that a job made again is the same job.
    pub replaces: Option<VersionId>,
    /// The caller that approved the rotation, if an approval was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The time of the approval. The progress can be shown since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<DateTime<Utc>>,
    /// The place in Slack where the progress is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackOrigin>,
}

impl Requested {
    /// Gives the key of a request's note in the state bucket.
    pub fn key(request: RotationId) -> String {
        format!("requests/{request}.json")
    }

    /// Makes a request for a rotation of this credential. Nothing else is known of the request.
    pub fn new(
        request: RotationId,
        credential: &Credential,
        requested_by: String,
        requested_at: DateTime<Utc>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            request,
            credential: credential.name.clone(),
            application: credential.application,
            requested_by,
            reason: None,
            revoke_old: RevokeOld::default(),
            requested_at,
            replaces: None,
            approved_by: None,
            approved_at: None,
            slack: None,
        }
    }
}

/// The place in Slack that a request came from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlackOrigin {
    /// The address that takes messages to the channel for half an hour, from anybody.
    pub response_url: String,
    /// The channel.
    pub channel: String,
    /// The user.
    pub user: String,
    /// The workspace.
    pub team: String,
}

impl std::fmt::Debug for SlackOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlackOrigin")
            .field("channel", &self.channel)
            .field("user", &self.user)
            .field("team", &self.team)
            .finish_non_exhaustive()
    }
}

/// A rotation that waits for approval (`approvals/{id}.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaiting {
    /// The rotation.
    pub requested: Requested,
    /// The asker's workspace.
    pub team: String,
    /// The asker.
    pub user: String,
}

/// A decision with its time (`approvals/{id}.decided`), written once, so that the first decision is the only one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// 1.
    pub schema: u32,
    /// The decision, and who took it.
    #[serde(flatten)]
    pub decision: ApprovalDecision,
    /// The time of the decision.
    pub at: DateTime<Utc>,
}

/// A decision about a rotation that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalDecision {
    /// The rotation begins. This caller approved it.
    ApprovedBy(String),
    /// The rotation never begins. This caller denied or withdrew it.
    DeniedBy(String),
}

/// Decides about a delivery of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Act on the request: no delivery came before, or the first was cut off.
    GoOn,
    /// Give the same answer again: the request is done, and the sender did not get the answer.
    Repeated,
    /// Refuse: the request is done, and somebody replays the same delivery.
    Replayed,
    /// Refuse: another request has this id.
    Conflict,
}

impl Delivery {
    /// Makes the note of a delivery that came just now.
    pub fn new(body: &[u8], sent_at: Option<DateTime<Utc>>, received_at: DateTime<Utc>) -> Self {
        Self { schema: SCHEMA, body: sha256::hexadecimal(body), sent_at, received_at }
    }

    /// Says what to do with the delivery `now`, if `self` was the first. `done`: the request's job is queued.
    pub fn verdict(&self, now: &Self, done: bool) -> Verdict {
        let anew = now.sent_at.is_some() && now.sent_at > self.sent_at;
        match (self.body == now.body, done, anew) {
            (false, _, _) => Verdict::Conflict,
            (true, false, _) => Verdict::GoOn,
            (true, true, true) => Verdict::Repeated,
            (true, true, false) => Verdict::Replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_request_goes_on_and_a_done_one_is_done() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0);
        let came = |body: &str, sent| Delivery::new(body.as_bytes(), sent, at(0).unwrap());
        for (first, now, done, verdict) in [
            (came("a", at(0)), came("a", at(0)), false, Verdict::GoOn),
            (came("a", at(0)), came("a", at(9)), false, Verdict::GoOn),
            (came("a", at(0)), came("b", at(9)), false, Verdict::Conflict),
            (came("a", at(0)), came("b", at(0)), true, Verdict::Conflict),
            (came("a", at(0)), came("a", at(0)), true, Verdict::Replayed),
            (came("a", at(9)), came("a", at(0)), true, Verdict::Replayed),
            (came("a", at(0)), came("a", at(9)), true, Verdict::Repeated),
            (came("a", None), came("a", None), true, Verdict::Replayed),
            (came("a", None), came("a", None), false, Verdict::GoOn),
        ] {
            assert_eq!(first.verdict(&now, done), verdict, "{first:?} {now:?} {done}");
        }
    }

    #[test]
    fn a_decision_is_written_as_it_was_before_there_were_two() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (decision, name) in [
            (ApprovalDecision::ApprovedBy("slack:T1/U1".to_owned()), "approved_by"),
            (ApprovalDecision::DeniedBy("slack:T1/U1".to_owned()), "denied_by"),
        ] {
            let decided = Decided { schema: SCHEMA, decision, at };
            let json = serde_json::json!({ "schema": 1, name: "slack:T1/U1", "at": at });
            assert_eq!(serde_json::to_value(&decided).unwrap(), json);
            assert_eq!(serde_json::from_value::<Decided>(json).unwrap(), decided);
        }
    }

    #[test]
    fn a_response_url_is_not_shown() {
        let origin = SlackOrigin {
            response_url: "https://hooks.slack.com/commands/hush".to_owned(),
            channel: "C1".to_owned(),
            user: "U1".to_owned(),
            team: "T1".to_owned(),
        };
        assert!(!format!("{origin:?}").contains("hush"));
    }
}
