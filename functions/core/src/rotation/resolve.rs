//! Resolving an unnamed key: one that a try minted and then lost, because it was cut off or its put
//! came second. No version's label names it, so nobody has its secret.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::{Call, Event, Next, Reply, Try};
use super::observed::{Key, Principal, SecretState, SecretView};
use super::retire::current_key_absent;
use super::stop::Stop;
use super::{CLOCK_SLACK, Terms, UNNAMED_FOR};
use crate::ids::{KeyId, RotationId};

/// How resolving a key came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The key is gone.
    Removed,
    /// A version names it after all.
    Named,
    /// It is too young: the try that minted it may still be alive.
    NotYet,
    /// It must not be removed, or not now.
    Stopped(Stop),
}

/// When a key of ours that no version names may go; `None`: not on what is known.
///
/// A key minted since the secret was made was never anybody's: it waits for the try that may still store it.
/// An older one may be of the secret's past life, before it was deleted and made anew: whoever read that may
/// hold it still, so it waits for the overlap.
pub fn unnamed_due(view: &SecretView, key: &Key, overlap: TimeDelta) -> Option<DateTime<Utc>> {
    let start = key.start?;
    let lost = start + UNNAMED_FOR;
    if view.created.is_some_and(|created| start >= created) {
        return Some(lost);
    }
    let since = view.since(view.current()?)?;
    Some(lost.max(since + overlap + CLOCK_SLACK))
}

/// One try at resolving a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolve {
    terms: Terms,
    rotation: RotationId,
    key: KeyId,
    view: SecretView,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Describe,
    ReadPrincipal,
    /// The try that minted the key may not have lived to say so.
    EmitMinted {
        present: bool,
    },
    /// The last look before the key goes: have the labels changed since they were read?
    LookAgain,
    Remove,
    EmitRemoved,
    Done(Outcome),
}

impl Resolve {
    /// A try at the key that `rotation` minted, by its display name.
    pub fn new(terms: Terms, rotation: RotationId, key: KeyId) -> Self {
        Self { terms, rotation, key, view: SecretView::default(), state: State::Describe }
    }

    fn on_secret(&mut self, secret: SecretState) -> State {
        let SecretState::Present(view) = secret else {
            return State::Done(Outcome::Stopped(match secret {
                SecretState::Missing => Stop::SecretMissing,
                _ => Stop::SecretScheduledForDeletion,
            }));
        };
        self.view = view;
        if self.view.named_keys().contains(&self.key) {
            return State::Done(Outcome::Named);
        }
        State::ReadPrincipal
    }

    fn on_principal(&self, principal: Option<&Principal>, now: DateTime<Utc>) -> State {
        let stop = |stop| State::Done(Outcome::Stopped(stop));
        let Some(principal) = principal else {
            return stop(Stop::ApplicationGone);
        };
        let key = principal.key(self.key);
        if let Some(why) = self.unsafe_beside(principal, key, now) {
            return stop(why);
        }
        if self.terms.is_own_key(self.key) {
            return stop(Stop::OwnKey);
        }
        let Some(key) = key else {
            return State::EmitMinted { present: false };
        };
        if key.minted_by(&self.terms.scope) != Some(self.rotation) {
            return stop(Stop::ForeignKey);
        }
        match unnamed_due(&self.view, key, self.terms.policy.overlap) {
            Some(due) if now >= due => State::LookAgain,
            _ => State::Done(Outcome::NotYet),
        }
    }

    /// Beside a current version its key must be there. Before the first one, nobody was given any key, but
    /// the last valid one stays all the same.
    fn unsafe_beside(
        &self,
        principal: &Principal,
        key: Option<&Key>,
        now: DateTime<Utc>,
    ) -> Option<Stop> {
        if self.view.current().is_some() {
            return current_key_absent(&self.view, principal, now);
        }
        let other = |other: &&Key| Some(other.key_id) != key.map(|key| key.key_id);
        let another = principal.keys.iter().filter(other).any(|other| other.valid_at(now));
        (key.is_some() && !another).then_some(Stop::LastKey)
    }
}

impl Try for Resolve {
    type Outcome = Outcome;

    fn next(&self) -> Next<Outcome> {
        Next::Call(match &self.state {
            State::Describe | State::LookAgain => Call::DescribeSecret,
            State::ReadPrincipal => Call::ReadPrincipal,
            State::EmitMinted { .. } => {
                Call::Emit(Event::Minted { rotation: self.rotation, key: self.key })
            }
            State::Remove => Call::RemovePassword { key: self.key },
            State::EmitRemoved => {
                Call::Emit(Event::Removed { version: Some(self.rotation.into()), key: self.key })
            }
            State::Done(outcome) => return Next::Done(*outcome),
        })
    }

    fn answered(mut self, reply: Reply, now: DateTime<Utc>) -> Self {
        let state = std::mem::replace(&mut self.state, State::Describe);
        self.state = match (state, reply) {
            (State::Describe, Reply::Secret(secret)) => self.on_secret(secret),
            (State::ReadPrincipal, Reply::Principal(principal)) => {
                self.on_principal(principal.as_ref(), now)
            }
            (State::LookAgain, Reply::Secret(SecretState::Present(view))) if view == self.view => {
                State::EmitMinted { present: true }
            }
            (State::LookAgain, Reply::Secret(_)) => State::Describe,
            (State::EmitMinted { present: true }, Reply::Emitted) => State::Remove,
            (State::EmitMinted { present: false }, Reply::Emitted)
            | (State::Remove, Reply::Removed) => State::EmitRemoved,
            (State::EmitRemoved, Reply::Emitted) => State::Done(Outcome::Removed),
            _ => State::Done(Outcome::NotYet),
        };
        self
    }
}
