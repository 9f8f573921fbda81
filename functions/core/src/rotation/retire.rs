//! Retiring a key: removing it once nobody can still be using it.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::{Call, Event, Next, Reply, Try};
use super::names::Label;
use super::observed::{Key, Principal, SecretState, SecretView};
use super::stop::Stop;
use super::tail::Tail;
use super::{CLOCK_SLACK, Terms, VOID_FOR};
use crate::ids::{KeyId, RotationId, VersionId};

/// Which key is to go, and where its secret lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The version that holds the key's secret; `None` for a foreign key that the manifest names.
    pub version: Option<VersionId>,
    /// The key.
    pub key: KeyId,
}

/// How retiring a key came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The key is gone and its version carries no label of ours.
    Removed,
    /// There was no telling since when the key is out of use; it is written down from now on.
    ClockStarted,
    /// It is too early, or a rotation is under way on it.
    NotYet,
    /// There is nothing to retire any more.
    Nothing,
    /// It must not be removed, or not now.
    Stopped(Stop),
}

/// What a version was, and so how long its key stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use, or about to be.
    InUse,
    /// Current once: its key may go at this time.
    Past(DateTime<Utc>),
    /// Current once, but its successor's promotion left no time.
    PastUnknown,
    /// Given up; its key may go at this time.
    Void(DateTime<Utc>),
    /// Never current and not given up: a rotation that was cut off.
    Unclaimed,
}

/// When the successor of a version became current, if the labels tell.
///
/// After a rollback by hand the current version is older than the one it succeeded: its label says
/// when it first became current, which tells nothing.
fn succeeded(view: &SecretView, version: &VersionId) -> Option<DateTime<Utc>> {
    let since = |version| view.since(version);
    let own = since(version);
    let current = since(view.current()?)?;
    if own.is_some_and(|own| own >= current) {
        return None;
    }
    view.versions
        .keys()
        .filter(|other| *other != version && view.key_of(other).is_some())
        .filter_map(since)
        .filter(|other| own.is_none_or(|own| *other > own))
        .min()
        .map(|first| if own.is_none() { current } else { first })
}

/// How a version stands that holds a key of ours.
pub fn standing(view: &SecretView, version: &VersionId, overlap: TimeDelta) -> Standing {
    let void = view.void(version);
    if view.current() == Some(version) || (view.pending() == Some(version) && void.is_none()) {
        return Standing::InUse;
    }
    let was_current = view.since(version).is_some() || view.carries(version, &Label::Previous);
    if was_current {
        return match succeeded(view, version) {
            Some(at) => Standing::Past(at + overlap + CLOCK_SLACK),
            None => Standing::PastUnknown,
        };
    }
    match void {
        // It may have been current all the same: a promotion that was cut off before its `since` label, then
        // a version put by hand, and another, take `AWSPREVIOUS` away and leave no trace.
        Some(at) => Standing::Void(at + VOID_FOR.max(overlap + CLOCK_SLACK)),
        None => Standing::Unclaimed,
    }
}

/// One try at retiring a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retire {
    terms: Terms,
    target: Target,
    /// `revoke_old: now`: somebody asked for it, the overlap is not waited for.
    now: bool,
    view: SecretView,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Describe,
    StartClock(Tail),
    /// The promotion is recorded already, but its label tells nothing of the target.
    Since(DateTime<Utc>),
    Void {
        version: VersionId,
        at: DateTime<Utc>,
    },
    ReadPrincipal,
    LookAgain,
    /// The try that stored a version that was never current may not have lived to say what it minted.
    EmitMinted {
        rotation: RotationId,
        present: bool,
    },
    Remove,
    Emit,
    TakeOff(Vec<Label>),
    Done(Outcome),
}

impl Retire {
    /// A try. With `now`, a key that was current is removed without waiting for the overlap.
    pub fn new(terms: Terms, target: Target, now: bool) -> Self {
        Self { terms, target, now, view: SecretView::default(), state: State::Describe }
    }

    fn stop(stop: Stop) -> State {
        State::Done(Outcome::Stopped(stop))
    }

    fn on_secret(&mut self, secret: SecretState, now: DateTime<Utc>) -> State {
        let SecretState::Present(view) = secret else {
            return Self::stop(match secret {
                SecretState::Missing => Stop::SecretMissing,
                _ => Stop::SecretScheduledForDeletion,
            });
        };
        self.view = view;
        let Some(current) = self.view.current().cloned() else {
            return Self::stop(Stop::UnknownKey);
        };
        let Some(current_key) = self.view.key_of(&current) else {
            return Self::stop(Stop::UnknownKey);
        };
        if current_key == self.target.key {
            return Self::stop(Stop::KeyIsCurrent);
        }
        let Some(since) = self.view.since(&current) else {
            return State::StartClock(Tail::mend(current, current_key));
        };
        match self.target.version.clone() {
            Some(version) => self.version_due(&version, now),
            None => self.named_due(since, now),
        }
    }

    fn version_due(&self, version: &VersionId, now: DateTime<Utc>) -> State {
        match self.view.key_of(version) {
            Some(key) if key == self.target.key => {}
            // An earlier try was cut off between its last two labels.
            None if self.view.void(version).is_some() => return self.after_emit(),
            _ => return State::Done(Outcome::Nothing),
        }
        let due = match standing(&self.view, version, self.terms.policy.overlap) {
            Standing::InUse => return State::Done(Outcome::NotYet),
            Standing::Unclaimed => {
                return State::Void { version: version.clone(), at: now };
            }
            Standing::Past(_) | Standing::PastUnknown if self.now => now,
            Standing::PastUnknown => return State::Since(now),
            Standing::Past(due) | Standing::Void(due) => due,
        };
        if now < due { State::Done(Outcome::NotYet) } else { State::ReadPrincipal }
    }

    /// A foreign key goes only by name, and only once our own successor is older than the overlap.
    fn named_due(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> State {
        if !self.terms.policy.retire_keys.contains(&self.target.key) {
            return Self::stop(Stop::ForeignKey);
        }
        if self.view.named_keys().contains(&self.target.key) {
            return State::Done(Outcome::NotYet);
        }
        let due = since + self.terms.policy.overlap + CLOCK_SLACK;
        if now < due && !self.now { State::Done(Outcome::NotYet) } else { State::ReadPrincipal }
    }

    fn on_principal(&self, principal: Option<&Principal>, now: DateTime<Utc>) -> State {
        let Some(principal) = principal else {
            return Self::stop(Stop::ApplicationGone);
        };
        if let Some(stop) = current_key_absent(&self.view, principal, now) {
            return Self::stop(stop);
        }
        if self.terms.is_own_key(self.target.key) {
            return Self::stop(Stop::OwnKey);
        }
        let Some(key) = principal.key(self.target.key) else {
            // Removed by an earlier try that was cut off before it could say so.
            return self.remove(false);
        };
        // The label says that we minted it; so must the key itself.
        let ours = match &self.target.version {
            Some(version) => {
                key.minted_by(&self.terms.scope).is_some_and(|id| version.rotation() == Some(id))
            }
            None => key.minted_by(&self.terms.scope).is_none(),
        };
        let named = self.terms.policy.retire_keys.contains(&key.key_id);
        if !ours && !named {
            return Self::stop(Stop::ForeignKey);
        }
        if self.promoted_by_hand(key) && !self.now {
            return State::Since(now);
        }
        State::LookAgain
    }

    /// The last look: the labels were read before Graph was, and Graph may have taken its time.
    fn look_again(&self, view: &SecretView) -> State {
        if *view == self.view { self.remove(true) } else { State::Describe }
    }

    fn remove(&self, present: bool) -> State {
        let never_current = |version: &&VersionId| self.view.since(version).is_none();
        match self.target.version.as_ref().filter(never_current).and_then(VersionId::rotation) {
            Some(rotation) => State::EmitMinted { rotation, present },
            None if present => State::Remove,
            None => State::Emit,
        }
    }

    /// `AWSPREVIOUS` without a `since` label, on a key younger than the current version's promotion:
    /// somebody made it current by hand and went back. The overlap begins anew.
    fn promoted_by_hand(&self, key: &Key) -> bool {
        let since = self.view.current().and_then(|current| self.view.since(current));
        self.target.version.as_ref().is_some_and(|version| {
            self.view.carries(version, &Label::Previous)
                && self.view.since(version).is_none()
                && key.start.is_none_or(|start| since.is_none_or(|since| start > since))
        })
    }

    /// Until its key's label is off, a later try goes on. `AWSPENDING` goes before that and `void` after it:
    /// a version that has its key's label and is not void may be resumed, and lagging replicas would still
    /// accept the dead key's secret.
    fn labels_to_take_off(&self) -> Vec<Label> {
        let Some(labels) = self.target.version.as_ref().and_then(|id| self.view.versions.get(id))
        else {
            return Vec::new();
        };
        let of = |kind: fn(&Label) -> bool| labels.iter().filter(move |label| kind(label)).cloned();
        // Taken from the end.
        let mut ours: Vec<Label> = of(|label| matches!(label, Label::Void(_))).collect();
        ours.push(Label::Key(self.target.key));
        ours.extend(of(|label| matches!(label, Label::Since(_))));
        ours.extend(of(|label| matches!(label, Label::Previous | Label::Pending)));
        ours
    }

    fn take_off(mut labels: Vec<Label>) -> State {
        labels.pop();
        if labels.is_empty() { State::Done(Outcome::Removed) } else { State::TakeOff(labels) }
    }

    fn after_emit(&self) -> State {
        let labels = self.labels_to_take_off();
        if labels.is_empty() { State::Done(Outcome::Removed) } else { State::TakeOff(labels) }
    }

    fn call(&self) -> Option<Call> {
        Some(match &self.state {
            State::Describe | State::LookAgain => Call::DescribeSecret,
            State::StartClock(tail) => tail.call()?,
            State::Since(at) => Call::MoveLabel {
                label: Label::Since(*at),
                to: self.view.current().cloned(),
                from: None,
            },
            State::Void { version, at } => {
                Call::MoveLabel { label: Label::Void(*at), to: Some(version.clone()), from: None }
            }
            State::ReadPrincipal => Call::ReadPrincipal,
            State::EmitMinted { rotation, .. } => {
                Call::Emit(Event::Minted { rotation: *rotation, key: self.target.key })
            }
            State::Remove => Call::RemovePassword { key: self.target.key },
            State::Emit => Call::Emit(Event::Removed {
                version: self.target.version.clone(),
                key: self.target.key,
            }),
            State::TakeOff(labels) => Call::MoveLabel {
                label: labels.last()?.clone(),
                to: None,
                from: self.target.version.clone(),
            },
            State::Done(_) => return None,
        })
    }
}

/// The current version's key must be there, and valid, before any other is removed beside it.
pub(super) fn current_key_absent(
    view: &SecretView,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Option<Stop> {
    let Some(key) = view.current().and_then(|current| view.key_of(current)) else {
        return Some(Stop::UnknownKey);
    };
    let valid = principal.key(key).is_some_and(|key| key.valid_at(now));
    (!valid).then_some(Stop::CurrentKeyAbsent)
}

impl Try for Retire {
    type Outcome = Outcome;

    fn next(&self) -> Next<Outcome> {
        match (&self.state, self.call()) {
            (State::Done(outcome), _) => Next::Done(*outcome),
            (_, Some(call)) => Next::Call(call),
            (_, None) => Next::Done(Outcome::ClockStarted),
        }
    }

    fn answered(mut self, reply: Reply, now: DateTime<Utc>) -> Self {
        let state = std::mem::replace(&mut self.state, State::Describe);
        self.state = match (state, reply) {
            (State::Describe, Reply::Secret(secret)) => self.on_secret(secret, now),
            (State::StartClock(tail), reply) => State::StartClock(tail.answered(&reply, now)),
            (State::Since(_) | State::Void { .. }, Reply::Moved) => {
                State::Done(Outcome::ClockStarted)
            }
            (State::ReadPrincipal, Reply::Principal(principal)) => {
                self.on_principal(principal.as_ref(), now)
            }
            (State::LookAgain, Reply::Secret(SecretState::Present(view))) => self.look_again(&view),
            (State::EmitMinted { present: true, .. }, Reply::Emitted) => State::Remove,
            (State::EmitMinted { present: false, .. }, Reply::Emitted)
            | (State::Remove, Reply::Removed) => State::Emit,
            (State::Emit, Reply::Emitted) => self.after_emit(),
            // Refused: the label is off already.
            (State::TakeOff(labels), _) => Self::take_off(labels),
            _ => State::Done(Outcome::NotYet),
        };
        self
    }
}
