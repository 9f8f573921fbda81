//! Rotates a secret: mint, store, claim, prove, promote.
//!
//! Every try begins with a read of what is there, and so goes on where an earlier try was cut off.

mod orient;
mod state;

use chrono::{DateTime, TimeDelta, Utc};

use super::Terms;
use super::after_promotion::AfterPromotion;
use super::calls::{Next, Reply, SignIn, Try};
use super::names::Label;
use super::observed::{Principal, SecretState, SecretView};
use super::proof::{Proof, Verdict};
use super::resolve::of_this_life;
use super::stop::Stop;
use crate::ids::{KeyId, Token, VersionId};

use state::{AbandonStep, State};

/// Bounds how often one try starts over because another try changed something.
const MAX_ROUNDS: u8 = 6;
/// Bounds how many unnamed keys of ours there may be before a rotation mints another.
const MAX_UNNAMED: usize = 6;
/// Bounds the labels of a secret before a rotation adds its own. Secrets Manager allows about 20.
const MAX_LABELS: usize = 15;
/// Says how often Graph is asked for a key that works but is not shown.
const LOOKS: u8 = 12;
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(5);

/// Names the version that a rotation replaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Replaces {
    /// This version; `None`: the secret has no value yet. If the version is no longer current, the rotation is superseded.
    Version(Option<VersionId>),
    /// The version that is current when the try begins: Secrets Manager's own rotation names none.
    Current,
}

/// Says how far a try goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// `createSecret`: minted, stored, claimed.
    Stored,
    /// `setSecret`, `testSecret`: … and proved.
    Proved,
    /// `finishSecret`, and all of a queued job: … and current.
    Promoted,
}

/// Says how a try at a rotation ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The version is stored and holds `AWSPENDING`.
    Stored(Token),
    /// … and its secret is proved.
    Proved(Token),
    /// The version is current, by this try or an earlier one.
    Promoted(Token),
    /// Another version became current meanwhile: this rotation is not needed any more.
    Superseded,
    /// The stored key is dead. The version is void, and the next sweep begins a new rotation.
    Abandoned(Token),
    /// The try could not go on.
    Stopped(Stop),
}

/// Tries to rotate a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rotate {
    terms: Terms,
    rotation: Token,
    replaces: Replaces,
    until: Until,
    rounds: u8,
    view: SecretView,
    state: State,
}

impl Rotate {
    /// Begins a try at a rotation. Its id is fixed before anything is minted.
    pub fn new(terms: Terms, rotation: Token, replaces: Replaces, until: Until) -> Self {
        Self {
            terms,
            rotation,
            replaces,
            until,
            rounds: 0,
            view: SecretView::default(),
            state: State::Describe,
        }
    }

    /// Returns the rotation of this try: its own, or the pending rotation that the try resumed.
    pub fn rotation(&self) -> &Token {
        &self.rotation
    }

    fn version(&self) -> VersionId {
        self.rotation.clone().into()
    }

    fn prove(&self, key: KeyId, stored: bool) -> State {
        let policy = &self.terms.policy;
        State::Prove { key, stored, proof: Proof::new(policy.settle, policy.promote_when_blocked) }
    }

    fn start_over(&mut self) -> State {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return State::Done(Outcome::Stopped(Stop::Contended));
        }
        State::Describe
    }

    fn stop(stop: Stop) -> State {
        State::Done(Outcome::Stopped(stop))
    }

    fn on_principal(&mut self, principal: Option<Principal>) -> State {
        let Some(principal) = principal else {
            return Self::stop(Stop::ApplicationGone);
        };
        if !principal.has_service_principal {
            return Self::stop(Stop::NoServicePrincipal);
        }
        let unknown =
            self.view.current().is_some_and(|current| self.view.key_of(current).is_none());
        if unknown && !self.terms.policy.adopt {
            return Self::stop(Stop::UnknownKey);
        }
        State::ReadValue { principal }
    }

    fn on_value(&mut self, principal: &Principal, now: DateTime<Utc>) -> State {
        let Some(key) = self.view.key_of(&self.version()) else {
            // Another try stored the value since the last read, or somebody put one.
            return match self.start_over() {
                State::Describe => State::Describe,
                _ => Self::stop(Stop::ForeignValue),
            };
        };
        let due = now + self.terms.policy.rotate_before;
        if principal.key(key).is_some_and(|key| !key.valid_at(due)) {
            return State::Abandon { key, step: AbandonStep::Void(now) };
        }
        State::EmitMinted { key }
    }

    /// Gives up a version whose value cannot be read, because the manifest's format has changed since.
    fn on_unreadable(&self, now: DateTime<Utc>) -> State {
        match self.view.key_of(&self.version()) {
            Some(key) => State::Abandon { key, step: AbandonStep::Void(now) },
            None => Self::stop(Stop::ForeignValue),
        }
    }

    fn on_no_value(&self, principal: &Principal) -> State {
        if principal.locked {
            return Self::stop(Stop::ServicePrincipalLocked);
        }
        let named = self.view.named_keys();
        let unnamed = principal
            .keys
            .iter()
            .filter(|key| {
                // A key of the secret's past life, before the secret was deleted and made again, was no failed try.
                key.minted_by(&self.terms.scope).is_some()
                    && !named.contains(&key.key_id)
                    && (self.view.created.is_none() || of_this_life(&self.view, key))
            })
            .count();
        if unnamed >= MAX_UNNAMED { Self::stop(Stop::TooManyUnnamedKeys) } else { State::Mint }
    }

    /// Says whether this try itself stored the secret's first value.
    fn stored_as_first(&self) -> bool {
        self.view.current().is_none() && self.view.key_of(&self.version()).is_none()
    }

    fn after_claim(&self, key: KeyId) -> State {
        match self.until {
            Until::Stored => State::Done(Outcome::Stored(self.rotation.clone())),
            _ => self.prove(key, true),
        }
    }

    fn claimed(&self, key: KeyId) -> State {
        if self.view.pending() == Some(&self.version()) {
            self.after_claim(key)
        } else {
            State::Claim { key }
        }
    }

    fn on_sign_in(
        &self,
        key: KeyId,
        stored: bool,
        mut proof: Proof,
        answer: SignIn,
        now: DateTime<Utc>,
    ) -> State {
        match proof.sign_in(answer, now) {
            Verdict::Proved if !stored => State::Store { key },
            Verdict::Proved if self.until == Until::Proved => {
                State::Done(Outcome::Proved(self.rotation.clone()))
            }
            Verdict::Proved => State::SeeKey { key, looks: 0 },
            Verdict::Again(pause) => State::Prove { key, stored, proof }.after(pause),
            Verdict::Doubtful if stored => State::Doubt { key, proof },
            Verdict::Expired if stored => State::Abandon { key, step: AbandonStep::Void(now) },
            Verdict::Doubtful | Verdict::Expired => Self::stop(Stop::NotProved),
            Verdict::Blocked => Self::stop(Stop::BlockedByConditionalAccess),
            Verdict::Disabled => Self::stop(Stop::PrincipalDisabled),
        }
    }

    /// Decides by a last read whether `AWSCURRENT` may move.
    fn on_last_look(&mut self, key: KeyId, secret: SecretState, now: DateTime<Utc>) -> State {
        let SecretState::Present(view) = secret else {
            return self.on_secret(secret, now);
        };
        let own = self.version();
        self.view = view;
        let as_before = self.replaces == Replaces::Version(self.view.current().cloned())
            && self.view.pending() == Some(&own)
            && self.view.key_of(&own) == Some(key)
            && self.view.void(&own).is_none()
            && self.view.since(&own).is_none();
        if as_before { State::Promote { key } } else { self.start_over() }
    }

    fn see_key(key: KeyId, looks: u8, principal: Option<Principal>) -> State {
        match principal {
            None => Self::stop(Stop::ApplicationGone),
            Some(principal) if principal.key(key).is_some() => State::LookBeforePromote { key },
            Some(_) if looks >= LOOKS => Self::stop(Stop::KeyNotSeen),
            Some(_) => State::SeeKey { key, looks: looks + 1 }.after(LOOK_AGAIN),
        }
    }

    /// Gives the rotation up. The version is void before it lets go of the lock, and the record comes last.
    fn abandon(&self, key: KeyId, step: AbandonStep, reply: &Reply) -> State {
        let holds_lock = self.view.carries(&self.version(), &Label::Pending);
        let step = match (step, reply) {
            // Another version carries the label of this second: a secret has each label once.
            (AbandonStep::Void(at), Reply::Refused) => {
                AbandonStep::Void(at + TimeDelta::seconds(1))
            }
            (AbandonStep::Void(_), _) if holds_lock => AbandonStep::Release,
            (AbandonStep::Void(_) | AbandonStep::Release, _) => AbandonStep::Emit,
            (AbandonStep::Emit, _) => {
                return State::Done(Outcome::Abandoned(self.rotation.clone()));
            }
        };
        State::Abandon { key, step }
    }
}

impl Try for Rotate {
    type Outcome = Outcome;

    fn next(&self) -> Next<Outcome> {
        match (&self.state, self.call()) {
            (State::Done(outcome), _) => Next::Done(outcome.clone()),
            (_, Some(call)) => Next::Call(call),
            (_, None) => Next::Done(Outcome::Promoted(self.rotation.clone())),
        }
    }

    fn answered(mut self, reply: Reply, now: DateTime<Utc>) -> Self {
        let state = std::mem::replace(&mut self.state, State::Describe);
        self.state = self.transition(state, reply, now);
        self
    }
}

impl Rotate {
    /// Takes in one answer. An answer that does not fit its call starts the try over.
    fn transition(&mut self, state: State, reply: Reply, now: DateTime<Utc>) -> State {
        match (state, reply) {
            (State::Describe, Reply::Secret(secret)) => self.on_secret(secret, now),
            (State::ReadPrincipal, Reply::Principal(principal)) => self.on_principal(principal),
            (State::ReadValue { principal }, Reply::Value) => self.on_value(&principal, now),
            (State::ReadValue { .. }, Reply::Unreadable) => self.on_unreadable(now),
            (State::ReadValue { principal }, Reply::NoValue) => self.on_no_value(&principal),
            // The first version is proved before it is stored, because it is current at once.
            (State::Mint, Reply::Added { key }) if self.view.current().is_none() => {
                self.prove(key, false)
            }
            (State::Mint, Reply::Added { key }) => State::Store { key },
            (State::Mint, Reply::Full) => Self::stop(Stop::NoRoomForKey),
            (State::Store { key }, Reply::Stored) => State::EmitMinted { key },
            (State::EmitMinted { key }, Reply::Emitted) => State::EmitStored { key },
            (State::EmitStored { .. }, Reply::Emitted) if self.stored_as_first() => {
                self.start_over()
            }
            (State::EmitStored { key }, Reply::Emitted) => self.claimed(key),
            (State::Claim { key }, Reply::Moved) => self.after_claim(key),
            (State::Pause { then, .. }, Reply::Waited) => *then,
            (State::Prove { key, stored, proof }, Reply::SignIn(answer)) => {
                self.on_sign_in(key, stored, proof, answer, now)
            }
            (State::Doubt { key, proof }, Reply::Principal(Some(principal))) => {
                if principal.key(key).is_some() {
                    State::Prove { key, stored: true, proof }
                } else {
                    State::Abandon { key, step: AbandonStep::Void(now) }
                }
            }
            (State::SeeKey { key, looks }, Reply::Principal(principal)) => {
                Self::see_key(key, looks, principal)
            }
            (State::LookBeforePromote { key }, Reply::Secret(secret)) => {
                self.on_last_look(key, secret, now)
            }
            (State::Promote { key }, Reply::Moved) => {
                State::Promoted(AfterPromotion::begin(self.version(), key))
            }
            (State::Promoted(after), reply) => State::Promoted(after.answered(&reply, now)),
            (State::MendPromoted(after), reply) => self.mended(after.answered(&reply, now)),
            (State::Abandon { key, step }, reply) => self.abandon(key, step, &reply),
            // Created, Taken, Refused, released: read again.
            _ => self.start_over(),
        }
    }

    fn mended(&mut self, after: AfterPromotion) -> State {
        if after.call().is_some() { State::MendPromoted(after) } else { self.start_over() }
    }
}
