//! Retires a key: decides when nobody can use the key any more, and removes the key then.

use chrono::{DateTime, Utc};

use super::after_promotion::AfterPromotion;
use super::calls::{Call, Next, Reply, Try};
use super::current_key::{CurrentKey, current_key};
use super::last_use::{LastUses, Untold, Verdict, judge, watch};
use super::live::{Live, by_labels, live};
use super::names::Label;
use super::observed::{Key, Principal, SecretState, SecretView};
use super::removal::{End, Progress, Removal};
use super::stop::Stop;
use super::version_state::{VersionState, version_state};
use super::{CLOCK_SLACK, Policy, RetireWhen, Terms};
use crate::ids::{KeyId, ObjectId, VersionId};

/// Names the key that is to go, and the version that holds its secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The version that holds the key's secret; `None` for a foreign key that the manifest names.
    pub version: Option<VersionId>,
    /// The key.
    pub key: KeyId,
}

/// Says how retiring a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Keywheel removed the key, and the version carries no label of Keywheel.
    Removed,
    /// No label said since when the key is out of use. The overlap is counted from now on.
    ClockStarted,
    /// The overlap is not over, or a rotation is under way on the key.
    NotYet,
    /// The overlap is over, but somebody signed in with the key, last at this time.
    InUse(DateTime<Utc>),
    /// The overlap is over, but this reason hides whether the key is still used.
    UseUnknown(Untold),
    /// The key is not where it should be, and Keywheel did not remove it. The version carries no label of Keywheel.
    NotFound,
    /// The version does not name the key any more.
    Nothing,
    /// The key must not be removed, or not now.
    Stopped(Stop),
}

/// Returns when a key may go, whose overlap is over at `over`.
pub fn ripe(over: DateTime<Utc>, policy: &Policy) -> DateTime<Utc> {
    over + watch(policy)
}

/// Tries to retire a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retire {
    terms: Terms,
    target: Target,
    /// `revoke_old: now`: the removal does not wait for the overlap.
    now: bool,
    view: SecretView,
    /// When the overlap was over; `None`: the key may go whether it is used or not.
    over: Option<DateTime<Utc>>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Describe,
    StartClock(AfterPromotion),
    /// The promotion is recorded, but its label tells nothing of the target.
    Since(DateTime<Utc>),
    Void {
        version: VersionId,
        at: DateTime<Utc>,
    },
    ReadPrincipal,
    ReadLastUses(ObjectId),
    Remove(Removal),
    Done(Outcome),
}

impl Retire {
    /// Begins a try. With `now` the removal of a key that was current does not wait for the overlap.
    pub fn new(terms: Terms, target: Target, now: bool) -> Self {
        let view = SecretView::default();
        Self { terms, target, now, view, over: None, state: State::Describe }
    }

    fn stop(stop: Stop) -> State {
        State::Done(Outcome::Stopped(stop))
    }

    fn on_secret(&mut self, secret: SecretState, now: DateTime<Utc>) -> State {
        self.view = match secret.present() {
            Ok(view) => view,
            Err(stop) => return Self::stop(stop),
        };
        let Some(current) = self.view.current().cloned() else {
            return Self::stop(Stop::UnknownKey);
        };
        let Some(current_key) = self.view.key_of(&current) else {
            return Self::stop(Stop::UnknownKey);
        };
        if let Some(Live::Because(stop)) = by_labels(&self.view, self.target.key) {
            return Self::stop(stop);
        }
        let Some(since) = self.view.since(&current) else {
            return State::StartClock(AfterPromotion::mend(current, current_key));
        };
        match self.target.version.clone() {
            Some(version) => self.version_due(&version, now),
            None => self.named_due(since, now),
        }
    }

    fn version_due(&mut self, version: &VersionId, now: DateTime<Utc>) -> State {
        match self.view.key_of(version) {
            Some(key) if key == self.target.key => {}
            None => {
                let left = self.removal().last_labels(&self.view);
                return left.map_or(State::Done(Outcome::Nothing), State::Remove);
            }
            Some(_) => return State::Done(Outcome::Nothing),
        }
        self.over = None;
        let due = match version_state(&self.view, version, self.terms.policy.overlap) {
            VersionState::InUse => return State::Done(Outcome::NotYet),
            VersionState::Unclaimed => {
                return State::Void { version: version.clone(), at: now };
            }
            VersionState::Past(_) | VersionState::PastUnknown if self.now => now,
            VersionState::PastUnknown => return State::Since(now),
            VersionState::Past(over) => self.ripe(over),
            // Nobody ever had this key.
            VersionState::Void(due) => due,
        };
        if now < due { State::Done(Outcome::NotYet) } else { State::ReadPrincipal }
    }

    fn ripe(&mut self, over: DateTime<Utc>) -> DateTime<Utc> {
        self.over = (self.terms.policy.retire == RetireWhen::WhenUnused).then_some(over);
        ripe(over, &self.terms.policy)
    }

    /// Decides when a foreign key goes: only by name, and only once our own successor is older than the overlap.
    fn named_due(&mut self, since: DateTime<Utc>, now: DateTime<Utc>) -> State {
        if !self.terms.policy.retire_keys.contains(&self.target.key) {
            return Self::stop(Stop::ForeignKey);
        }
        if self.view.named_keys().contains(&self.target.key) {
            return State::Done(Outcome::NotYet);
        }
        self.over = None;
        if self.now {
            return State::ReadPrincipal;
        }
        let due = self.ripe(since + self.terms.policy.overlap + CLOCK_SLACK);
        if now < due { State::Done(Outcome::NotYet) } else { State::ReadPrincipal }
    }

    fn on_principal(&self, principal: Option<&Principal>, now: DateTime<Utc>) -> State {
        let Some(principal) = principal else {
            return Self::stop(Stop::ApplicationGone);
        };
        let key = principal.key(self.target.key);
        match current_key(&self.view, principal, now) {
            CurrentKey::Valid => {}
            // Nobody ever had this key, and Graph does not show it. Only labels are left, which take the room of others.
            CurrentKey::Unsafe(_) if key.is_none() && self.is_void() => {}
            CurrentKey::NotShownYet => return State::Done(Outcome::NotYet),
            CurrentKey::Unsafe(stop) => return Self::stop(stop),
        }
        match live(&self.terms, &self.view, principal, self.target.key) {
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
        // The label says that Keywheel minted the key. So must the display name of the key.
        let ours = match &self.target.version {
            Some(version) => {
                key.minted_by(&self.terms.scope).is_some_and(|id| version.token() == Some(id))
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
        match self.over {
            Some(_) if key.valid_at(now) => State::ReadLastUses(principal.object_id),
            // Nobody signs in with an expired key.
            _ => self.remove(principal.object_id),
        }
    }

    fn is_void(&self) -> bool {
        self.target.version.as_ref().is_some_and(|version| self.view.void(version).is_some())
    }

    fn on_last_uses(
        &self,
        uses: &Result<LastUses, Untold>,
        object: ObjectId,
        now: DateTime<Utc>,
    ) -> State {
        let uses = match uses {
            Ok(uses) => uses,
            Err(why) => return State::Done(Outcome::UseUnknown(*why)),
        };
        let current = self.view.current().and_then(|current| self.view.key_of(current));
        let (Some(current), Some(over)) = (current, self.over) else {
            return State::Done(Outcome::UseUnknown(Untold::Behind));
        };
        match judge(uses, self.target.key, current, over, &self.terms.policy, now) {
            Verdict::Unused => self.remove(object),
            Verdict::InUse(last) => State::Done(Outcome::InUse(last)),
            Verdict::Unknown => State::Done(Outcome::UseUnknown(Untold::Behind)),
        }
    }

    fn removal(&self) -> Removal {
        let version = self.target.version.clone();
        let never_current = |version: &&VersionId| self.view.since(version).is_none();
        let minted = version.as_ref().filter(never_current).and_then(VersionId::token);
        Removal::new(self.target.key, version, minted)
    }

    fn remove(&self, object: ObjectId) -> State {
        State::Remove(self.removal().present(object, &self.view))
    }

    fn removing(progress: Progress) -> State {
        match progress {
            Progress::Going(removal) => State::Remove(removal),
            Progress::Undecided => State::Describe,
            Progress::Over(End::Removed) => State::Done(Outcome::Removed),
            Progress::Over(End::NotFound) => State::Done(Outcome::NotFound),
            Progress::Over(End::Unfit) => State::Done(Outcome::NotYet),
        }
    }

    /// Says whether somebody made the version current by hand and went back: `AWSPREVIOUS` without a `since` label, on a
    /// key younger than the current version's promotion. The overlap begins anew then.
    fn promoted_by_hand(&self, key: &Key) -> bool {
        let since = self.view.current().and_then(|current| self.view.since(current));
        self.target.version.as_ref().is_some_and(|version| {
            self.view.carries(version, &Label::Previous)
                && self.view.since(version).is_none()
                && key.start.is_none_or(|start| since.is_none_or(|since| start > since))
        })
    }

    fn call(&self) -> Option<Call> {
        Some(match &self.state {
            State::Describe => Call::DescribeSecret,
            State::StartClock(after) => after.call()?,
            State::Since(at) => Call::MoveLabel {
                label: Label::Since(*at),
                to: self.view.current().cloned(),
                from: None,
            },
            State::Void { version, at } => {
                Call::MoveLabel { label: Label::Void(*at), to: Some(version.clone()), from: None }
            }
            State::ReadPrincipal => Call::ReadPrincipal,
            State::ReadLastUses(_) => Call::ReadLastUses,
            State::Remove(removal) => removal.call(&self.view)?,
            State::Done(_) => return None,
        })
    }
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
            (State::StartClock(after), reply) => State::StartClock(after.answered(&reply, now)),
            (State::Since(_) | State::Void { .. }, Reply::Moved) => {
                State::Done(Outcome::ClockStarted)
            }
            (State::ReadPrincipal, Reply::Principal(principal)) => {
                self.on_principal(principal.as_ref(), now)
            }
            (State::ReadLastUses(object), Reply::LastUses(uses)) => {
                self.on_last_uses(&uses, object, now)
            }
            (State::Remove(removal), reply) => {
                Self::removing(removal.answered(&mut self.view, reply))
            }
            _ => State::Done(Outcome::NotYet),
        };
        self
    }
}
