//! Resolving an unnamed key: one that a try minted and then lost, because it was cut off or its put
//! came second. No version's label names it, so nobody has its secret.

use chrono::{DateTime, Utc};

use super::calls::{Call, Event, Next, Reply, Try};
use super::observed::{Principal, SecretState, SecretView};
use super::retire::current_key_absent;
use super::stop::Stop;
use super::{Terms, UNNAMED_FOR};
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
        if let Some(why) = current_key_absent(&self.view, principal, now) {
            return stop(why);
        }
        if self.terms.is_own_key(self.key) {
            return stop(Stop::OwnKey);
        }
        let Some(key) = principal.key(self.key) else {
            return State::EmitMinted { present: false };
        };
        if key.minted_by(&self.terms.scope) != Some(self.rotation) {
            return stop(Stop::ForeignKey);
        }
        // A key without a start was not minted by Graph's own default; it cannot be told how old it is.
        match key.start {
            Some(start) if now - start >= UNNAMED_FOR => State::EmitMinted { present: true },
            _ => State::Done(Outcome::NotYet),
        }
    }
}

impl Try for Resolve {
    type Outcome = Outcome;

    fn next(&self) -> Next<Outcome> {
        Next::Call(match &self.state {
            State::Describe => Call::DescribeSecret,
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
            (State::EmitMinted { present: true }, Reply::Emitted) => State::Remove,
            (State::EmitMinted { present: false }, Reply::Emitted)
            | (State::Remove, Reply::Removed) => State::EmitRemoved,
            (State::EmitRemoved, Reply::Emitted) => State::Done(Outcome::Removed),
            _ => State::Done(Outcome::NotYet),
        };
        self
    }
}
