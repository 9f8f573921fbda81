//! A pressed button: a rotation that waits for a second person is approved, denied or withdrawn.
//!
//! The first decision is put once and is the only one. Whatever follows from it is done again by whoever presses after
//! a cut-off, and counts once.

use chrono::{DateTime, Utc};
use keywheel_core::audit::EventType;
use keywheel_core::ids::RotationId;
use keywheel_core::manifest::Credential;
use keywheel_core::request::delivery::{Awaiting, Decided, Decision, Requested, SCHEMA};
use keywheel_core::request::find;
use keywheel_core::request::permission::{Caller, approve, deny};
use keywheel_core::request::slack::{Choice, Pressed};
use serde_json::Value;

use crate::answer::Refused;
use crate::ask::ours;
use crate::slack::approval_key;
use crate::{Webhook, tell};

impl Webhook {
    /// What comes of a pressed button, as a message.
    pub(crate) async fn decide(
        &self,
        pressed: &Pressed,
        now: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        let key = approval_key(pressed.approval);
        let awaiting: Option<Awaiting> = self.state.get(&key).await.map_err(ours)?;
        let Some(Awaiting { requested, team, user }) = awaiting else {
            return Ok(tell::no_such_approval(pressed.choice));
        };
        let manifest = self.manifest().await?;
        let found = find(&manifest, &requested.credential)
            .filter(|(found, _)| found.application == requested.application);
        let Some((credential, ruled)) = found else {
            return Ok(tell::no_such_approval(pressed.choice));
        };
        let (by, asker) = (pressed.origin.caller(), Caller::Slack { team, user });
        let may = match pressed.choice {
            Choice::Approve => approve(&by, &asker, requested.requested_at, &credential.allow, now),
            Choice::Deny => deny(&by, &asker, &credential.allow),
        };
        if let Err(refusal) = may {
            return Ok(tell::may_not_decide(pressed.choice, refusal));
        }
        let wanted = match pressed.choice {
            Choice::Approve => Decision::ApprovedBy(by.to_string()),
            Choice::Deny => Decision::DeniedBy(by.to_string()),
        };
        let first = self.decided(pressed.approval, &wanted, now).await?;
        match first.decision {
            Decision::DeniedBy(by) => self.deny(requested, by, first.at).await,
            // The one who approved may press again where queueing failed; nobody else takes over from them.
            Decision::ApprovedBy(_) if first.decision == wanted => {
                self.grant(pressed, requested, (&credential, ruled), now).await
            }
            Decision::ApprovedBy(_) => Ok(tell::approved_already(pressed.choice)),
        }
    }

    /// The decision that stands: this one, unless there is one.
    async fn decided(
        &self,
        id: RotationId,
        wanted: &Decision,
        at: DateTime<Utc>,
    ) -> Result<Decided, Refused> {
        let decided = Decided { schema: SCHEMA, decision: wanted.clone(), at };
        let key = format!("approvals/{id}.decided");
        if self.state.put_new(&key, &decided).await.map_err(ours)? {
            return Ok(decided);
        }
        let first: Option<Decided> = self.state.get(&key).await.map_err(ours)?;
        first.ok_or_else(|| ours("a decision is gone that was there"))
    }

    /// Records a denial and shows it, whoever pressed: the first of them may have been cut off before.
    async fn deny(
        &self,
        requested: Requested,
        by: String,
        at: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        let mut event = Self::event_of(EventType::ApprovalDenied, &requested, at);
        event.data.denied_by = Some(by.clone());
        self.put_event(event).await?;
        Ok(tell::denied(&requested, &by))
    }

    async fn grant(
        &self,
        pressed: &Pressed,
        requested: Requested,
        (credential, ruled): (&Credential, bool),
        now: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        if self.is_queued(requested.request).await? {
            return Ok(tell::approved_already(pressed.choice));
        }
        let granted = Requested {
            approved_by: Some(pressed.origin.caller().to_string()),
            approved_at: Some(now),
            // It may have been turned since it was asked for.
            replaces: self.look(credential, ruled).await?,
            slack: Some(pressed.origin.clone()),
            ..requested
        };
        self.tell(EventType::ApprovalGranted, &granted, now).await?;
        let begun = self.begin(credential, granted, now).await?;
        Ok(tell::approved(&begun, &pressed.origin.user))
    }
}
