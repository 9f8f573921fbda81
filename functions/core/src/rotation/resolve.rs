//! Removes an unnamed key: a key that a try minted and lost, because the try was cut off or another try stored first.
//!
//! No version's label names such a key, so nobody has its secret.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::{Call, Next, Reply, Try};
use super::current_key::{CurrentKey, current_key};
use super::live::{Live, live};
use super::names::Label;
use super::observed::{Key, Principal, SecretState, SecretView};
use super::removal::{End, Progress, Removal};
use super::stop::Stop;
use super::{CLOCK_SLACK, Terms, UNNAMED_FOR};
use crate::ids::{KeyId, ObjectId, Token};

/// Says how resolving a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Keywheel removed the key.
    Removed,
    /// The key is not there, and Keywheel did not remove it.
    Gone,
    /// A version names the key after all.
    Named,
    /// The key is too young, for the try that minted it may still be alive; or no other valid key is left.
    NotYet,
    /// The key must not be removed, or not now.
    Stopped(Stop),
}

/// Returns when a key that Keywheel minted and no version names may go; `None`: what is known does not allow it.
///
/// Nobody has a key that was minted since the secret was made. Such a key waits for the try that may still store it.
/// An older key may be of the secret's past life, before the secret was deleted and made again. Somebody may still use
/// that key, so the key waits for the overlap.
pub fn unnamed_due(view: &SecretView, key: &Key, overlap: TimeDelta) -> Option<DateTime<Utc>> {
    let lost = key.start? + UNNAMED_FOR;
    if of_this_life(view, key) { Some(lost) } else { Some(lost.max(read_until(view, overlap)?)) }
}

/// Says whether a key was minted since the secret was made.
pub(super) fn of_this_life(view: &SecretView, key: &Key) -> bool {
    key.start.zip(view.created).is_some_and(|(start, created)| start >= created)
}

/// Returns until when somebody may use the version that was current before the present version.
fn read_until(view: &SecretView, overlap: TimeDelta) -> Option<DateTime<Utc>> {
    Some(view.since(view.current()?)? + overlap + CLOCK_SLACK)
}

/// Tries to resolve a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolve {
    terms: Terms,
    rotation: Token,
    key: KeyId,
    view: SecretView,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Describe,
    ReadPrincipal,
    /// Reads whether the rotation that minted the key has a version whose label somebody took off.
    ReadValue {
        object: ObjectId,
        /// Why the key stays if there is such a version.
        published: Option<Outcome>,
    },
    /// There is such a version: the key stays, unless the version was stored since the last read and names another key.
    LookForLabel(Outcome),
    Remove(Removal),
    Done(Outcome),
}

impl Resolve {
    /// Begins a try at the key that `rotation` minted, by its display name.
    pub fn new(terms: Terms, rotation: Token, key: KeyId) -> Self {
        Self { terms, rotation, key, view: SecretView::default(), state: State::Describe }
    }

    fn stop(stop: Stop) -> State {
        State::Done(Outcome::Stopped(stop))
    }

    fn on_secret(&mut self, secret: SecretState) -> State {
        self.view = match secret.present() {
            Ok(view) => view,
            Err(stop) => return Self::stop(stop),
        };
        if self.view.named_keys().contains(&self.key) {
            return State::Done(Outcome::Named);
        }
        State::ReadPrincipal
    }

    fn on_principal(&self, principal: Option<&Principal>, now: DateTime<Utc>) -> State {
        let Some(principal) = principal else {
            return Self::stop(Stop::ApplicationGone);
        };
        let key = principal.key(self.key);
        let published = match current_key(&self.view, principal, now) {
            CurrentKey::Valid => None,
            CurrentKey::NotShownYet => Some(Outcome::NotYet),
            CurrentKey::Unsafe(stop) => Some(Outcome::Stopped(stop)),
        };
        if let (Some(key), Some(published)) = (key, published)
            && let Some(why) = self.stays(key, published, principal, now)
        {
            return State::Done(why);
        }
        match live(&self.terms, &self.view, principal, self.key) {
            Some(Live::Because(stop)) => return Self::stop(stop),
            Some(Live::ForNow) => return State::Done(Outcome::NotYet),
            None => {}
        }
        let Some(key) = key else {
            return State::Remove(self.removal().absent(principal.object_id, &self.view));
        };
        if principal.locked {
            return Self::stop(Stop::ServicePrincipalLocked);
        }
        if key.minted_by(&self.terms.scope).as_ref() != Some(&self.rotation) {
            return Self::stop(Stop::ForeignKey);
        }
        match unnamed_due(&self.view, key, self.terms.policy.overlap) {
            Some(due) if now >= due => self.unread(principal.object_id, published),
            _ => State::Done(Outcome::NotYet),
        }
    }

    /// Decides by the version of the rotation. A version that names another key came first. A version without a key's
    /// label may have held this key.
    fn unread(&self, object: ObjectId, published: Option<Outcome>) -> State {
        match self.view.key_of(&self.rotation.clone().into()) {
            Some(_) => self.remove(object),
            None => State::ReadValue { object, published },
        }
    }

    /// Treats the key as replaced: the version exists, so the key may have been published.
    fn published(&self, object: ObjectId, now: DateTime<Utc>) -> State {
        match read_until(&self.view, self.terms.policy.overlap) {
            Some(due) if now >= due => self.remove(object),
            _ => State::Done(Outcome::NotYet),
        }
    }

    fn removal(&self) -> Removal {
        Removal::new(self.key, None, Some(self.rotation.clone()))
    }

    fn remove(&self, object: ObjectId) -> State {
        State::Remove(self.removal().present(object, &self.view))
    }

    fn removing(progress: Progress) -> State {
        match progress {
            Progress::Going(removal) => State::Remove(removal),
            Progress::Undecided => State::Describe,
            Progress::Over(End::Removed) => State::Done(Outcome::Removed),
            Progress::Over(End::NotFound) => State::Done(Outcome::Gone),
            Progress::Over(End::Unfit) => State::Done(Outcome::NotYet),
        }
    }

    /// Says why a key stays while the current key is absent, dead or unknown, or while there is no current version.
    ///
    /// Nobody has a key that was minted in vain since the secret was made. Such keys go, else they would fill the object.
    /// The last valid key stays. If all were minted in vain, the youngest stays, so that the choice does not depend on
    /// which removed keys a replica still shows.
    fn stays(
        &self,
        key: &Key,
        published: Outcome,
        principal: &Principal,
        now: DateTime<Utc>,
    ) -> Option<Outcome> {
        if self.view.current().is_some() && !of_this_life(&self.view, key) {
            return Some(published);
        }
        if self.view.holder(&Label::Removing(principal.object_id, self.key)).is_some() {
            // An earlier try may have removed the key already. Stopping here would leave no record of that.
            return None;
        }
        let named = self.view.named_keys();
        let in_vain = |other: &Key| {
            other.minted_by(&self.terms.scope).is_some() && !named.contains(&other.key_id)
        };
        let younger = |other: &Key| (other.start, other.key_id) > (key.start, key.key_id);
        let survives = |other: &Key| other.valid_at(now) && (!in_vain(other) || younger(other));
        (!principal.keys.iter().any(survives)).then_some(Outcome::NotYet)
    }
}

impl Try for Resolve {
    type Outcome = Outcome;

    fn next(&self) -> Next<Outcome> {
        let call = match &self.state {
            State::Describe | State::LookForLabel(_) => Some(Call::DescribeSecret),
            State::ReadPrincipal => Some(Call::ReadPrincipal),
            State::ReadValue { .. } => {
                Some(Call::ReadValue { version: self.rotation.clone().into(), key: None })
            }
            State::Remove(removal) => removal.call(&self.view),
            State::Done(outcome) => return Next::Done(*outcome),
        };
        call.map_or(Next::Done(Outcome::NotYet), Next::Call)
    }

    fn answered(mut self, reply: Reply, now: DateTime<Utc>) -> Self {
        let state = std::mem::replace(&mut self.state, State::Describe);
        self.state = match (state, reply) {
            (State::Describe, Reply::Secret(secret)) => self.on_secret(secret),
            (State::ReadPrincipal, Reply::Principal(principal)) => {
                self.on_principal(principal.as_ref(), now)
            }
            (State::ReadValue { object, .. }, Reply::NoValue) => self.remove(object),
            (State::ReadValue { published: Some(why), .. }, Reply::Value) => {
                State::LookForLabel(why)
            }
            (State::ReadValue { object, .. }, Reply::Value) => self.published(object, now),
            (State::LookForLabel(why), Reply::Secret(SecretState::Present(view)))
                if view == self.view =>
            {
                State::Done(why)
            }
            // The labels have changed since.
            (State::LookForLabel(_), Reply::Secret(_)) => State::Describe,
            (State::Remove(removal), reply) => {
                Self::removing(removal.answered(&mut self.view, reply))
            }
            _ => State::Done(Outcome::NotYet),
        };
        self
    }
}
