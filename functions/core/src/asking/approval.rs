//! A rotation that waits for a second person, who approves or denies the rotation, or that the asker withdraws.
//!
//! The first decision is the only one. If Keywheel is cut off after the decision, the next press of a button carries the
//! same decision out again, and each of its events counts once.

use chrono::{DateTime, Utc};

use super::{AskingError, Requests, event_of};
use crate::events::EventType;
use crate::ids::RotationId;
use crate::manifest::Managed;
use crate::request::delivery::{ApprovalDecision, Awaiting, Decided, Requested, SCHEMA};
use crate::request::permission::{Caller, Refusal, approve, deny};
use crate::request::request_id;
use crate::request::slack::{Choice, Pressed};

/// The result of a pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No such request waits, or the manifest no longer has its credential.
    NoSuchRequest,
    /// The person who pressed may not decide.
    MayNot(Refusal),
    /// The request is denied or withdrawn, by this caller.
    Denied(Requested, String),
    /// The rotation has begun.
    Begun(Requested),
    /// Somebody approved the request before.
    ApprovedBefore,
}

fn waiting_key(request: RotationId) -> String {
    format!("approvals/{request}.json")
}

fn decision_key(request: RotationId) -> String {
    format!("approvals/{request}.decided")
}

/// Gives the id of the mark that approval was asked for. The request's own mark is set once the approved job is queued.
pub fn asked_mark(request: RotationId) -> RotationId {
    request_id("asked", &request.to_string())
}

impl Requests {
    /// Notes a rotation that waits for approval, and records the request.
    pub async fn await_approval(
        &self,
        awaiting: &Awaiting,
        now: DateTime<Utc>,
    ) -> Result<(), AskingError> {
        let asked = &awaiting.requested;
        self.state.write_new(&waiting_key(asked.request), awaiting).await?;
        self.put_request_event(EventType::ApprovalRequested, asked, now).await?;
        self.mark(asked_mark(asked.request), now).await
    }

    /// Carries out the decision of the person who pressed a button, or an earlier decision if there is one.
    pub async fn decide(
        &self,
        pressed: &Pressed,
        now: DateTime<Utc>,
    ) -> Result<Answer, AskingError> {
        let awaiting: Option<Awaiting> = self.state.read(&waiting_key(pressed.approval)).await?;
        let Some(Awaiting { requested, team, user }) = awaiting else {
            return Ok(Answer::NoSuchRequest);
        };
        let manifest = self.manifest().await?;
        let managed = manifest
            .by_name(&requested.credential)
            .filter(|managed| managed.credential.application == requested.application);
        let Some(managed) = managed else {
            return Ok(Answer::NoSuchRequest);
        };
        let allow = &managed.credential.settings.allow;
        let (by, asker) = (pressed.origin.caller(), Caller::Slack { team, user });
        let may = match pressed.choice {
            Choice::Approve => approve(&by, &asker, requested.requested_at, allow, now),
            Choice::Deny => deny(&by, &asker, allow),
        };
        if let Err(refusal) = may {
            return Ok(Answer::MayNot(refusal));
        }
        let wanted = match pressed.choice {
            Choice::Approve => ApprovalDecision::ApprovedBy(by.to_string()),
            Choice::Deny => ApprovalDecision::DeniedBy(by.to_string()),
        };
        let first = self.decided(pressed.approval, &wanted, now).await?;
        match first.decision {
            ApprovalDecision::DeniedBy(by) => self.deny(requested, by, first.at).await,
            // The person who approved may press again if queueing failed. Nobody else takes over.
            ApprovalDecision::ApprovedBy(_) if first.decision == wanted => {
                self.grant(pressed, requested, &managed, now).await
            }
            ApprovalDecision::ApprovedBy(_) => Ok(Answer::ApprovedBefore),
        }
    }

    /// Gives the decision that stands: an earlier one, or else this one.
    async fn decided(
        &self,
        request: RotationId,
        wanted: &ApprovalDecision,
        at: DateTime<Utc>,
    ) -> Result<Decided, AskingError> {
        let decided = Decided { schema: SCHEMA, decision: wanted.clone(), at };
        let key = decision_key(request);
        if self.state.write_new(&key, &decided).await? {
            return Ok(decided);
        }
        self.state.read(&key).await?.ok_or(AskingError::Gone(key))
    }

    /// Records a denial again at each press, because the first press may have been cut off.
    async fn deny(
        &self,
        requested: Requested,
        by: String,
        at: DateTime<Utc>,
    ) -> Result<Answer, AskingError> {
        let mut event = event_of(EventType::ApprovalDenied, &requested, at);
        event.data.denied_by = Some(by.clone());
        self.put_event(event).await?;
        Ok(Answer::Denied(requested, by))
    }

    async fn grant(
        &self,
        pressed: &Pressed,
        requested: Requested,
        managed: &Managed,
        now: DateTime<Utc>,
    ) -> Result<Answer, AskingError> {
        if self.is_queued(requested.request).await? {
            return Ok(Answer::ApprovedBefore);
        }
        let granted = Requested {
            approved_by: Some(pressed.origin.caller().to_string()),
            approved_at: Some(now),
            // The secret may have been rotated since the request.
            replaces: self.replaced(managed).await?,
            slack: Some(pressed.origin.clone()),
            ..requested
        };
        self.put_request_event(EventType::ApprovalGranted, &granted, now).await?;
        Ok(Answer::Begun(self.begin(&managed.credential, granted, now).await?))
    }
}
