//! Lists the states of a try at a rotation, and the call of each state.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::after_promotion::AfterPromotion;
use super::super::calls::{Call, Event};
use super::super::names::Label;
use super::super::observed::Principal;
use super::super::proof::Proof;
use super::{Outcome, Rotate};
use crate::ids::{KeyId, VersionId};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum State {
    Describe,
    Create,
    Release {
        from: VersionId,
    },
    /// A promotion was cut off before its `since` label, or was undone by hand.
    MendPromoted(AfterPromotion),
    ReadPrincipal,
    ReadValue {
        principal: Principal,
    },
    Mint,
    Store {
        key: KeyId,
    },
    EmitMinted {
        key: KeyId,
    },
    EmitStored {
        key: KeyId,
    },
    Claim {
        key: KeyId,
    },
    /// Signs in with the new secret, stored or not yet.
    Prove {
        key: KeyId,
        stored: bool,
        proof: Proof,
    },
    /// Waits before the next state.
    Pause {
        pause: TimeDelta,
        then: Box<State>,
    },
    /// The secret is refused for longer than propagation takes: reads whether Graph still shows its key.
    Doubt {
        key: KeyId,
        proof: Proof,
    },
    SeeKey {
        key: KeyId,
        looks: u8,
    },
    LookBeforePromote {
        key: KeyId,
    },
    Promote {
        key: KeyId,
    },
    Promoted(AfterPromotion),
    Abandon {
        key: KeyId,
        step: AbandonStep,
    },
    Done(Outcome),
}

impl State {
    /// Puts a pause before this state.
    pub(super) fn after(self, pause: TimeDelta) -> Self {
        Self::Pause { pause, then: Box::new(self) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum AbandonStep {
    Void(DateTime<Utc>),
    Release,
    Emit,
}

impl Rotate {
    /// Returns the call of the present state; `None`: the try is over.
    pub(super) fn call(&self) -> Option<Call> {
        let own = self.version();
        Some(match &self.state {
            State::Describe | State::LookBeforePromote { .. } => Call::DescribeSecret,
            State::Create => Call::CreateSecret,
            State::Release { from } => release(from.clone()),
            State::MendPromoted(after) | State::Promoted(after) => after.call()?,
            State::ReadPrincipal | State::Doubt { .. } | State::SeeKey { .. } => {
                Call::ReadPrincipal
            }
            State::ReadValue { .. } => {
                Call::ReadValue { key: self.view.key_of(&own), version: own }
            }
            State::Mint => Call::AddPassword { rotation: self.rotation.clone() },
            State::Pause { pause, .. } => Call::Wait(*pause),
            State::Prove { key, .. } => Call::SignIn { key: *key },
            State::Store { key } => Call::PutValue {
                rotation: self.rotation.clone(),
                key: *key,
                pending: self.view.pending() == Some(&own),
            },
            State::EmitMinted { key } => {
                Call::Emit(Event::Minted { rotation: self.rotation.clone(), key: *key })
            }
            State::EmitStored { key } => {
                Call::Emit(Event::Stored { rotation: self.rotation.clone(), key: *key })
            }
            State::Claim { .. } => Call::MoveLabel {
                label: Label::Pending,
                to: Some(own),
                from: self.view.holder(&Label::Pending).cloned(),
            },
            State::Promote { .. } => Call::MoveLabel {
                label: Label::Current,
                to: Some(own),
                from: self.view.current().cloned(),
            },
            State::Abandon { key, step } => match step {
                AbandonStep::Void(at) => {
                    Call::MoveLabel { label: Label::Void(*at), to: Some(own), from: None }
                }
                AbandonStep::Release => release(own),
                AbandonStep::Emit => {
                    Call::Emit(Event::Abandoned { rotation: self.rotation.clone(), key: *key })
                }
            },
            State::Done(_) => return None,
        })
    }
}

/// Takes `AWSPENDING` off a version, if the version still carries that label.
fn release(from: VersionId) -> Call {
    Call::MoveLabel { label: Label::Pending, to: None, from: Some(from) }
}
