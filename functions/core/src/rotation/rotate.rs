//! A rotation: mint, store, claim, prove, promote.
//!
//! Every try begins by looking at what is there, so that it goes on wherever an earlier one was cut off.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::{Call, Event, Next, Reply, Try};
use super::names::Label;
use super::observed::{Principal, SecretState, SecretView};
use super::proof::{Proof, Verdict};
use super::stop::Stop;
use super::tail::Tail;
use super::Terms;
use crate::ids::{KeyId, RotationId, VersionId};

/// How often one try starts over because another one changed something under it.
const MAX_ROUNDS: u8 = 6;
/// How many keys of ours may go unnamed before a rotation mints no more.
const MAX_UNNAMED: usize = 6;
/// Labels that a secret may hold before a rotation adds its own; Secrets Manager allows about 20.
const MAX_LABELS: usize = 15;
/// How often, and how far apart, Graph is asked for a key that works but is not shown.
const LOOKS: u8 = 12;
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(5);

/// Which version a rotation replaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Replaces {
    /// This one; `None`: the secret has no value yet. If it is no longer current, the rotation is void.
    Version(Option<VersionId>),
    /// Whichever is current when the try begins (Secrets Manager's own rotation does not say).
    Current,
}

/// How far a try goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// `createSecret`: minted, stored, claimed.
    Stored,
    /// `setSecret`, `testSecret`: … and proved.
    Proved,
    /// `finishSecret`, and all of a queued job: … and current.
    Promoted,
}

/// How a rotation's try came out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The version is stored and holds `AWSPENDING`.
    Stored(RotationId),
    /// … and its secret is proved.
    Proved(RotationId),
    /// The version is current, by this try or an earlier one.
    Promoted(RotationId),
    /// Another version was promoted meanwhile: this rotation is not needed any more.
    Superseded,
    /// The stored key turned out dead; the version is void, and the next sweep starts afresh.
    Abandoned(RotationId),
    /// It could not go on.
    Stopped(Stop),
}

/// One try at a rotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rotate {
    terms: Terms,
    rotation: RotationId,
    replaces: Replaces,
    until: Until,
    rounds: u8,
    view: SecretView,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Describe,
    Create,
    Release { from: VersionId },
    /// The current version has no `since` label: its promotion was cut off.
    MendPromoted(Tail),
    ReadPrincipal,
    ReadValue { principal: Principal },
    Mint,
    /// The first secret of all is proved before it is stored: the first version is current at once.
    ProveUnstored { key: KeyId, proof: Proof, pause: Option<TimeDelta> },
    Store { key: KeyId },
    EmitMinted { key: KeyId },
    EmitStored { key: KeyId },
    Claim { key: KeyId },
    Prove { key: KeyId, proof: Proof, pause: Option<TimeDelta> },
    /// The secret is refused for longer than propagation takes: is its key still there?
    Doubt { key: KeyId, proof: Proof },
    SeeKey { key: KeyId, looks: u8, pause: bool },
    LookBeforePromote { key: KeyId },
    Promote { key: KeyId },
    Promoted(Tail),
    Abandon(Abandon),
    Done(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Abandon {
    key: KeyId,
    step: AbandonStep,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum AbandonStep {
    Void(DateTime<Utc>),
    Release,
    Emit,
}

impl Rotate {
    /// A try at a rotation whose id was fixed before anything was minted.
    pub fn new(terms: Terms, rotation: RotationId, replaces: Replaces, until: Until) -> Self {
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

    /// The rotation this try works on: its own, or the pending one that it found and resumed.
    pub fn rotation(&self) -> RotationId {
        self.rotation
    }

    /// A word for people on what is being done.
    pub fn step(&self) -> &'static str {
        match self.state {
            State::Describe | State::ReadPrincipal | State::ReadValue { .. } => "looking",
            State::Create => "creating the secret",
            State::Release { .. } | State::Abandon(_) => "giving up a dead rotation",
            State::Mint => "minting",
            State::Store { .. } | State::EmitMinted { .. } | State::EmitStored { .. } => "storing",
            State::Claim { .. } => "claiming",
            State::ProveUnstored { .. } | State::Prove { .. } | State::Doubt { .. } => "proving",
            State::SeeKey { .. } | State::LookBeforePromote { .. } | State::Promote { .. } => {
                "promoting"
            }
            State::Promoted(_) | State::MendPromoted(_) => "recording",
            State::Done(_) => "done",
        }
    }

    fn version(&self) -> VersionId {
        self.rotation.into()
    }

    fn proof(&self) -> Proof {
        Proof::new(self.terms.policy.settle, self.terms.policy.promote_when_blocked)
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

    fn on_secret(&mut self, secret: SecretState) -> State {
        match secret {
            SecretState::Present(view) => {
                self.view = view;
                self.orient()
            }
            SecretState::ScheduledForDeletion => Self::stop(Stop::SecretScheduledForDeletion),
            SecretState::Missing if self.replaces == Replaces::Version(None) => State::Create,
            SecretState::Missing => Self::stop(Stop::SecretMissing),
        }
    }

    /// Where this rotation stands, by the labels alone.
    fn orient(&mut self) -> State {
        let current = self.view.current().cloned();
        if let Some(current) = &current
            && let Some(key) = self.view.key_of(current)
            && self.view.since(current).is_none()
        {
            // Without it, a later retire could not tell that this version was ever current.
            return State::MendPromoted(Tail::mend(current.clone(), key));
        }
        if self.replaces == Replaces::Current {
            self.replaces = Replaces::Version(current.clone());
        }
        let own = self.version();
        if current.as_ref() == Some(&own) {
            return State::Done(match self.view.key_of(&own) {
                Some(_) => Outcome::Promoted(self.rotation),
                None => Outcome::Stopped(Stop::UnknownKey),
            });
        }
        if let Some(pending) = self.view.pending().cloned()
            && self.view.void(&pending).is_some()
        {
            return State::Release { from: pending };
        }
        let over = self.view.since(&own).is_some() || self.view.void(&own).is_some();
        if self.replaces != Replaces::Version(current) || over {
            return self.superseded(&own);
        }
        if let Some(stop) = self.join_pending(&own) {
            return Self::stop(stop);
        }
        if self.view.label_count() > MAX_LABELS {
            return Self::stop(Stop::TooManyLabels);
        }
        State::ReadPrincipal
    }

    /// A void rotation lets go of the lock, or the next sweep would resume it.
    fn superseded(&self, own: &VersionId) -> State {
        match self.view.key_of(own) {
            Some(key) if self.until == Until::Promoted && self.view.pending() == Some(own) => {
                State::Abandon(Abandon { key, step: AbandonStep::Release })
            }
            _ => State::Done(Outcome::Superseded),
        }
    }

    /// Where another rotation holds `AWSPENDING`, that one is resumed instead of starting a rival.
    fn join_pending(&mut self, own: &VersionId) -> Option<Stop> {
        let pending = self.view.pending();
        if self.until != Until::Promoted && pending != Some(own) {
            return Some(Stop::NotPending);
        }
        match pending {
            None => None,
            Some(pending) => match pending.rotation() {
                Some(rotation) => {
                    self.rotation = rotation;
                    None
                }
                None => Some(Stop::ForeignPending),
            },
        }
    }

    fn on_principal(&mut self, principal: Option<Principal>) -> State {
        let Some(principal) = principal else {
            return Self::stop(Stop::ApplicationGone);
        };
        if !principal.has_service_principal {
            return Self::stop(Stop::NoServicePrincipal);
        }
        let unknown = self.view.current().is_some_and(|current| self.view.key_of(current).is_none());
        if unknown && !self.terms.policy.adopt {
            return Self::stop(Stop::UnknownKey);
        }
        State::ReadValue { principal }
    }

    fn on_value(&mut self, principal: &Principal, now: DateTime<Utc>) -> State {
        let Some(key) = self.view.key_of(&self.version()) else {
            // Stored since we looked, or put by other hands.
            return match self.start_over() {
                State::Describe => State::Describe,
                _ => Self::stop(Stop::ForeignValue),
            };
        };
        let due = now + self.terms.policy.rotate_before;
        if principal.key(key).is_some_and(|key| !key.valid_at(due)) {
            return State::Abandon(Abandon { key, step: AbandonStep::Void(now) });
        }
        State::EmitMinted { key }
    }

    fn on_no_value(&self, principal: &Principal) -> State {
        let named = self.view.named_keys();
        let unnamed = principal
            .keys
            .iter()
            .filter(|key| key.minted_by(&self.terms.scope).is_some() && !named.contains(&key.key_id))
            .count();
        if unnamed >= MAX_UNNAMED { Self::stop(Stop::TooManyUnnamedKeys) } else { State::Mint }
    }

    /// Whether this try itself stored the secret's first value (it had not seen it before).
    fn stored_as_first(&self) -> bool {
        self.view.current().is_none() && self.view.key_of(&self.version()).is_none()
    }

    fn after_claim(&self, key: KeyId) -> State {
        match self.until {
            Until::Stored => State::Done(Outcome::Stored(self.rotation)),
            _ => State::Prove { key, proof: self.proof(), pause: None },
        }
    }

    fn claimed(&self, key: KeyId) -> State {
        if self.view.pending() == Some(&self.version()) {
            self.after_claim(key)
        } else {
            State::Claim { key }
        }
    }

    fn on_proof(&self, key: KeyId, stored: bool, mut proof: Proof, reply: &Reply, now: DateTime<Utc>) -> State {
        let Reply::SignIn(answer) = reply else {
            return State::Describe;
        };
        let verdict = proof.sign_in(*answer, now);
        match verdict {
            Verdict::Proved if !stored => State::Store { key },
            Verdict::Proved if self.until == Until::Proved => {
                State::Done(Outcome::Proved(self.rotation))
            }
            Verdict::Proved => State::SeeKey { key, looks: 0, pause: false },
            Verdict::Again(pause) if stored => State::Prove { key, proof, pause: Some(pause) },
            Verdict::Again(pause) => State::ProveUnstored { key, proof, pause: Some(pause) },
            Verdict::Doubtful if stored => State::Doubt { key, proof },
            Verdict::Doubtful => Self::stop(Stop::NotProved),
            Verdict::Expired if stored => {
                State::Abandon(Abandon { key, step: AbandonStep::Void(now) })
            }
            Verdict::Expired => Self::stop(Stop::NotProved),
            Verdict::Blocked => Self::stop(Stop::BlockedByConditionalAccess),
            Verdict::Disabled => Self::stop(Stop::PrincipalDisabled),
        }
    }

    /// The last look before `AWSCURRENT` moves.
    fn on_last_look(&mut self, key: KeyId, secret: SecretState) -> State {
        let SecretState::Present(view) = secret else {
            return self.on_secret(secret);
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

    fn see_key(&self, key: KeyId, looks: u8, principal: Option<Principal>) -> State {
        match principal {
            None => Self::stop(Stop::ApplicationGone),
            Some(principal) if principal.key(key).is_some() => State::LookBeforePromote { key },
            Some(_) if looks >= LOOKS => Self::stop(Stop::KeyNotSeen),
            Some(_) => State::SeeKey { key, looks: looks + 1, pause: true },
        }
    }

    fn abandon(&self, mut abandon: Abandon) -> State {
        abandon.step = match abandon.step {
            AbandonStep::Void(_) => AbandonStep::Release,
            AbandonStep::Release => AbandonStep::Emit,
            AbandonStep::Emit => return State::Done(Outcome::Abandoned(self.rotation)),
        };
        let holds_lock = self.view.carries(&self.version(), &Label::Pending);
        if abandon.step == AbandonStep::Release && !holds_lock {
            abandon.step = AbandonStep::Emit;
        }
        State::Abandon(abandon)
    }

    fn call(&self) -> Option<Call> {
        let own = self.version();
        Some(match &self.state {
            State::Describe | State::LookBeforePromote { .. } => Call::DescribeSecret,
            State::Create => Call::CreateSecret,
            State::Release { from } => release(from.clone()),
            State::MendPromoted(tail) | State::Promoted(tail) => tail.call()?,
            State::ReadPrincipal | State::Doubt { .. } | State::SeeKey { pause: false, .. } => {
                Call::ReadPrincipal
            }
            State::ReadValue { .. } => {
                Call::ReadValue { key: self.view.key_of(&own), version: own }
            }
            State::Mint => Call::AddPassword { rotation: self.rotation },
            State::ProveUnstored { pause: Some(pause), .. }
            | State::Prove { pause: Some(pause), .. } => Call::Wait(*pause),
            State::ProveUnstored { key, .. } | State::Prove { key, .. } => Call::SignIn { key: *key },
            State::Store { key } => Call::PutValue { rotation: self.rotation, key: *key },
            State::EmitMinted { key } => {
                Call::Emit(Event::Minted { rotation: self.rotation, key: *key })
            }
            State::EmitStored { key } => {
                Call::Emit(Event::Stored { rotation: self.rotation, key: *key })
            }
            State::Claim { .. } => Call::MoveLabel {
                label: Label::Pending,
                to: Some(own),
                from: self.view.holder(&Label::Pending).cloned(),
            },
            State::SeeKey { .. } => Call::Wait(LOOK_AGAIN),
            State::Promote { .. } => Call::MoveLabel {
                label: Label::Current,
                to: Some(own),
                from: self.view.current().cloned(),
            },
            State::Abandon(Abandon { key, step }) => match step {
                AbandonStep::Void(at) => {
                    Call::MoveLabel { label: Label::Void(*at), to: Some(own), from: None }
                }
                AbandonStep::Release => release(own),
                AbandonStep::Emit => {
                    Call::Emit(Event::Abandoned { rotation: self.rotation, key: *key })
                }
            },
            State::Done(_) => return None,
        })
    }
}

/// Takes `AWSPENDING` off a version, if it still rests there.
fn release(from: VersionId) -> Call {
    Call::MoveLabel { label: Label::Pending, to: None, from: Some(from) }
}

impl Try for Rotate {
    type Outcome = Outcome;

    fn next(&self) -> Next<Outcome> {
        match (&self.state, self.call()) {
            (State::Done(outcome), _) => Next::Done(outcome.clone()),
            (_, Some(call)) => Next::Call(call),
            (_, None) => Next::Done(Outcome::Promoted(self.rotation)),
        }
    }

    fn answered(mut self, reply: Reply, now: DateTime<Utc>) -> Self {
        let state = std::mem::replace(&mut self.state, State::Describe);
        self.state = self.transition(state, reply, now);
        self
    }
}

impl Rotate {
    /// One answer taken in. An answer that does not fit its call starts the try over.
    fn transition(&mut self, state: State, reply: Reply, now: DateTime<Utc>) -> State {
        match (state, reply) {
            (State::Describe, Reply::Secret(secret)) => self.on_secret(secret),
            (State::ReadPrincipal, Reply::Principal(principal)) => self.on_principal(principal),
            (State::ReadValue { principal }, Reply::Value) => self.on_value(&principal, now),
            (State::ReadValue { principal }, Reply::NoValue) => self.on_no_value(&principal),
            (State::Mint, Reply::Added { key }) if self.view.current().is_none() => {
                State::ProveUnstored { key, proof: self.proof(), pause: None }
            }
            (State::Mint, Reply::Added { key }) => State::Store { key },
            (
                State::ProveUnstored { key, proof, pause: Some(_) },
                Reply::Waited,
            ) => State::ProveUnstored { key, proof, pause: None },
            (State::ProveUnstored { key, proof, .. }, reply) => {
                self.on_proof(key, false, proof, &reply, now)
            }
            (State::Store { key }, Reply::Stored) => State::EmitMinted { key },
            (State::EmitMinted { key }, Reply::Emitted) => State::EmitStored { key },
            // The first version of all became current as it was stored.
            (State::EmitStored { .. }, Reply::Emitted) if self.stored_as_first() => {
                self.start_over()
            }
            (State::EmitStored { key }, Reply::Emitted) => self.claimed(key),
            (State::Claim { key }, Reply::Moved) => self.after_claim(key),
            (State::Prove { key, proof, pause: Some(_) }, Reply::Waited) => {
                State::Prove { key, proof, pause: None }
            }
            (State::Prove { key, proof, .. }, reply) => self.on_proof(key, true, proof, &reply, now),
            (State::Doubt { key, proof }, Reply::Principal(Some(principal))) => {
                if principal.key(key).is_some() {
                    State::Prove { key, proof, pause: None }
                } else {
                    State::Abandon(Abandon { key, step: AbandonStep::Void(now) })
                }
            }
            (State::SeeKey { key, looks, pause: true }, Reply::Waited) => {
                State::SeeKey { key, looks, pause: false }
            }
            (State::SeeKey { key, looks, .. }, Reply::Principal(principal)) => {
                self.see_key(key, looks, principal)
            }
            (State::LookBeforePromote { key }, Reply::Secret(secret)) => {
                self.on_last_look(key, secret)
            }
            (State::Promote { key }, Reply::Moved) => {
                State::Promoted(Tail::after_promotion(self.version(), key))
            }
            (State::MendPromoted(tail), reply) => {
                let tail = tail.answered(&reply, now);
                if tail.call().is_some() { State::MendPromoted(tail) } else { self.start_over() }
            }
            (State::Promoted(tail), reply) => State::Promoted(tail.answered(&reply, now)),
            // That second's label rests on another version: labels are one per secret.
            (State::Abandon(Abandon { key, step: AbandonStep::Void(at) }), Reply::Refused) => {
                let step = AbandonStep::Void(at + TimeDelta::seconds(1));
                State::Abandon(Abandon { key, step })
            }
            (State::Abandon(abandon), _) => self.abandon(abandon),
            // Created, Taken, Refused, released: look again.
            _ => self.start_over(),
        }
    }
}
