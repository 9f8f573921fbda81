//! Graph, Secrets Manager, the bus and the clock as one value, and ghosts that remember what the promises speak of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use keywheel_core::ids::{AppId, KeyId, ObjectId, RotationId, Token, VersionId};
use keywheel_core::rotation::names::display_name;
use keywheel_core::rotation::{
    Call, Event, Key, Label, LastUses, Policy, Principal, Reply, RetireWhen, Scope, SecretState,
    SignIn, Terms, Untold,
};
use uuid::Uuid;

use crate::secrets::{Put, Secret};

pub(crate) const OVERLAP: TimeDelta = TimeDelta::hours(24);

pub(crate) fn rotation(n: u128) -> Token {
    RotationId(Uuid::from_u128(n)).into()
}

/// Another one's spellings of a rotation's id: each is a version of its own.
pub(crate) fn spellings() -> [Token; 2] {
    let id = Uuid::from_u128(0x00ab_cdef);
    let upper = id.hyphenated().to_string().to_uppercase();
    [upper, id.simple().to_string()].map(|text| text.parse().unwrap())
}

pub(crate) fn key_id(n: u128) -> KeyId {
    KeyId(Uuid::from_u128(n << 64))
}

pub(crate) fn terms(adopt: bool) -> Terms {
    Terms {
        application: AppId(Uuid::nil()),
        scope: Scope::of("000000000000", "eu-central-1", "prod/azure/model"),
        policy: Policy {
            rotate_before: TimeDelta::days(30),
            lifetime: TimeDelta::days(180),
            overlap: OVERLAP,
            retire: RetireWhen::AfterOverlap,
            settle: TimeDelta::zero(),
            adopt,
            promote_when_blocked: false,
            retire_keys: BTreeSet::new(),
        },
        signed_in_as: None,
        listed: Arc::default(),
    }
}

/// A key in Graph. What changed since the clock last moved is known to some replicas only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and they go together freely")]
pub(crate) struct GraphKey {
    pub(crate) key: Key,
    pub(crate) young: bool,
    pub(crate) removed: bool,
    /// Removed since the clock last moved: some replicas still show it and accept its secret.
    pub(crate) fading: bool,
    /// It lives on another object than the manifest says by now: neither shown nor removed here.
    pub(crate) elsewhere: bool,
}

/// Which replica answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Replica {
    UpToDate,
    Behind,
}

/// What is a credential's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Side {
    pub(crate) terms: Terms,
    pub(crate) secret: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct World {
    pub(crate) now: DateTime<Utc>,
    pub(crate) terms: Terms,
    pub(crate) secret: Secret,
    pub(crate) keys: BTreeMap<KeyId, GraphKey>,
    pub(crate) events: BTreeSet<Event>,
    pub(crate) minted: u128,
    /// Ghost: keys that enough sign-ins in a row have proved.
    pub(crate) proved: BTreeSet<KeyId>,
    /// Ghost: since when a version that was once current is not any more.
    pub(crate) replaced: BTreeMap<VersionId, (KeyId, DateTime<Utc>)>,
    /// Ghost: every version that was ever current.
    pub(crate) promoted: BTreeSet<VersionId>,
    /// Ghost: versions that became current before the scenario, or by a person's hand.
    pub(crate) unrecorded: BTreeSet<VersionId>,
    /// Ghost: keys that somebody asked to be removed without an overlap.
    pub(crate) waived: BTreeSet<KeyId>,
    /// What Entra's report of sign-ins says of each key, however late; `None`: it cannot be read.
    pub(crate) last_uses: Option<LastUses>,
    /// Ghost: keys that a person removed, past Keywheel.
    pub(crate) by_hand: BTreeSet<KeyId>,
    /// How many keys the application may hold.
    pub(crate) most_keys: Option<usize>,
    /// The application's lock is on: Entra refuses every change of the keys.
    pub(crate) locked: bool,
    /// Another credential on the same application.
    pub(crate) other: Option<Box<Side>>,
    /// What is broken, in words.
    pub(crate) violation: Option<String>,
}

impl World {
    /// A world whose secret is missing and whose application has one foreign key.
    pub(crate) fn new(terms: Terms) -> Self {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut world = Self {
            now,
            terms,
            secret: Secret::default(),
            keys: BTreeMap::new(),
            events: BTreeSet::new(),
            minted: 0,
            proved: BTreeSet::new(),
            replaced: BTreeMap::new(),
            promoted: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            waived: BTreeSet::new(),
            last_uses: None,
            by_hand: BTreeSet::new(),
            most_keys: None,
            locked: false,
            other: None,
            violation: None,
        };
        world.seed_key(key_id(900), Some("terraform".into()), now + TimeDelta::days(300));
        world
    }

    pub(crate) fn seed_key(&mut self, id: KeyId, display_name: Option<String>, end: DateTime<Utc>) {
        let start = Some(self.now - TimeDelta::days(100));
        let key = Key { key_id: id, display_name, start, end: Some(end) };
        self.keys.insert(
            id,
            GraphKey { key, young: false, removed: false, fading: false, elsewhere: false },
        );
    }

    /// A version in use for long, whose key expires in ten days.
    pub(crate) fn with_current(self, labelled: bool) -> Self {
        self.with_version(rotation(1), key_id(901), labelled)
    }

    fn with_version(mut self, id: Token, key: KeyId, labelled: bool) -> Self {
        let name = display_name(&self.terms.scope, &id);
        self.seed_key(key, labelled.then_some(name), self.now + TimeDelta::days(10));
        self.secret.exists = true;
        self.secret.created = Some(self.now - TimeDelta::days(100));
        let version = VersionId::from(id);
        self.secret.put(&version, key, &[]);
        if labelled {
            let since = Label::Since(self.now - TimeDelta::days(100));
            self.secret.move_label(&Label::Key(key), Some(&version), None);
            self.secret.move_label(&since, Some(&version), None);
        }
        self.proved.insert(key);
        self.unrecorded.insert(version.clone());
        self.promoted.insert(version);
        self
    }

    /// A second credential on the application, with a version 11 in use of key 911.
    pub(crate) fn with_other(mut self) -> Self {
        let mut terms = self.terms.clone();
        terms.scope = Scope::of("000000000000", "eu-central-1", "prod/azure/other");
        let both = Arc::new([self.terms.scope.clone(), terms.scope.clone()].into());
        self.terms.listed = Arc::clone(&both);
        terms.listed = both;
        self.other = Some(Box::new(Side { terms, secret: Secret::default() }));
        self.turn();
        let mut both = self.with_version(rotation(11), key_id(911), true);
        both.turn();
        both
    }

    pub(crate) fn has_aside(&self) -> bool {
        self.other.is_some()
    }

    /// Turns to the other credential.
    pub(crate) fn turn(&mut self) {
        if let Some(other) = &mut self.other {
            std::mem::swap(&mut self.terms, &mut other.terms);
            std::mem::swap(&mut self.secret, &mut other.secret);
        }
    }

    /// Does something to this credential, or to the other one.
    pub(crate) fn aside<T>(&mut self, aside: bool, run: impl FnOnce(&mut Self) -> T) -> T {
        if aside {
            self.turn();
        }
        let done = run(self);
        if aside {
            self.turn();
        }
        done
    }

    pub(crate) fn current(&self) -> Option<VersionId> {
        self.secret.holder(&Label::Current)
    }

    /// Lets time pass: all replicas agree again.
    pub(crate) fn tick(&mut self, by: TimeDelta) {
        self.now += by;
        for key in self.keys.values_mut() {
            key.young = false;
            key.fading = false;
        }
    }

    pub(crate) fn principal(&self, replica: Replica) -> Principal {
        let here = self.keys.values().filter(|key| !key.elsewhere);
        let shown = here.filter(|key| match replica {
            Replica::UpToDate => !key.removed,
            Replica::Behind => (!key.removed && !key.young) || key.fading,
        });
        Principal {
            object_id: ObjectId(Uuid::nil()),
            has_service_principal: true,
            locked: self.locked,
            most_keys: self.most_keys,
            keys: shown.map(|key| key.key.clone()).collect(),
        }
    }

    /// Whether an answer depends on which replica gives it.
    pub(crate) fn replicas_differ(&self, call: &Call) -> bool {
        match call {
            Call::ReadPrincipal => self.keys.values().any(|key| key.young || key.fading),
            Call::SignIn { key } => self.keys.get(key).is_some_and(|key| key.young || key.fading),
            _ => false,
        }
    }

    /// Does what a call asks for.
    pub(crate) fn carry_out(&mut self, call: &Call, replica: Replica) -> Option<Reply> {
        Some(match call {
            Call::DescribeSecret => Reply::Secret(self.secret.state()),
            Call::CreateSecret => {
                if !self.secret.exists {
                    self.secret.created = Some(self.now);
                }
                self.secret.exists = true;
                Reply::Created
            }
            Call::ReadValue { version, .. } => {
                match self.secret.versions.get(version).and_then(|version| version.value) {
                    Some(_) => Reply::Value,
                    None => Reply::NoValue,
                }
            }
            Call::ReadPrincipal => Reply::Principal(Some(self.principal(replica))),
            Call::AddPassword { rotation } => self.add_password(rotation),
            Call::RemovePassword { key } => self.remove_password(*key),
            Call::PutValue { rotation, key, pending } => {
                let mut labels = vec![Label::Key(*key)];
                labels.extend(pending.then_some(Label::Pending));
                let before = self.current();
                let put = self.secret.put(&rotation.clone().into(), *key, &labels);
                self.current_moved(before);
                match put {
                    Put::Stored => Reply::Stored,
                    Put::Exists => Reply::Taken,
                    Put::NoSecret => return None,
                }
            }
            Call::MoveLabel { label, to, from } => {
                let taken = from.as_ref().filter(|_| *label == Label::Pending && to.is_some());
                if let Some(taken) = taken.filter(|id| self.is_foreign(id)) {
                    self.violation.get_or_insert(format!("AWSPENDING was taken from {taken}"));
                }
                let before = self.current();
                let moved = self.secret.move_label(label, to.as_ref(), from.as_ref());
                self.current_moved(before);
                if moved { Reply::Moved } else { Reply::Refused }
            }
            Call::SignIn { key } => Reply::SignIn(self.sign_in(*key, replica)),
            Call::ReadLastUses => Reply::LastUses(self.last_uses.clone().ok_or(Untold::Unread)),
            Call::Wait(_) => Reply::Waited,
            Call::Emit(event) => {
                // A record is looked at when it is made: what is true at rest may not have been true then.
                if let Event::Removed { key, .. } = event
                    && self.keys.get(key).is_some_and(|key| !key.removed)
                {
                    self.violation.get_or_insert(format!(
                        "promise 6: {key} is said to be removed, and is there"
                    ));
                }
                self.events.insert(event.clone());
                Reply::Emitted
            }
        })
    }

    /// Whether a version's id is none of Keywheel's own, and no label says that it holds a key of ours.
    fn is_foreign(&self, version: &VersionId) -> bool {
        let labels = self.secret.versions.get(version).map(|version| &version.labels);
        let named =
            labels.is_some_and(|labels| labels.iter().any(|label| matches!(label, Label::Key(_))));
        version.rotation().is_none() && !named
    }

    fn add_password(&mut self, rotation: &Token) -> Reply {
        self.mind_the_lock();
        let held = self.keys.values().filter(|key| !key.removed && !key.elsewhere).count();
        if self.most_keys.is_some_and(|most| held >= most) {
            return Reply::Full;
        }
        self.minted += 1;
        let id = key_id(self.minted);
        let key = Key {
            key_id: id,
            display_name: Some(display_name(&self.terms.scope, rotation)),
            start: Some(self.now),
            end: Some(self.now + self.terms.policy.lifetime),
        };
        self.keys.insert(
            id,
            GraphKey { key, young: true, removed: false, fading: false, elsewhere: false },
        );
        Reply::Added { key: id }
    }

    fn mind_the_lock(&mut self) {
        if self.locked {
            self.violation.get_or_insert("Entra refuses changes of locked keys".to_owned());
        }
    }

    fn remove_password(&mut self, id: KeyId) -> Reply {
        self.mind_the_lock();
        if let Some(key) = self.keys.get_mut(&id).filter(|key| !key.removed && !key.elsewhere) {
            key.removed = true;
            key.fading = true;
            let named = self.terms.policy.retire_keys.contains(&id);
            if key.key.minted_by(&self.terms.scope).is_none() && !named {
                self.violation.get_or_insert(format!("promise 3: foreign key {id} was removed"));
            }
            if self
                .other
                .as_ref()
                .is_some_and(|other| key.key.minted_by(&other.terms.scope).is_some())
            {
                self.violation.get_or_insert(format!("promise 3: another's key {id} was removed"));
            }
        }
        self.check();
        self.aside(true, Self::check);
        Reply::Removed
    }

    fn sign_in(&self, key: KeyId, replica: Replica) -> SignIn {
        let accepted = self.keys.get(&key).is_some_and(|key| match replica {
            Replica::UpToDate => !key.removed,
            Replica::Behind => (!key.removed && !key.young) || key.fading,
        });
        if accepted { SignIn::Accepted } else { SignIn::WrongSecret }
    }

    pub(crate) fn key_in(&self, version: &VersionId) -> Option<KeyId> {
        self.secret.versions.get(version)?.value
    }

    fn current_moved(&mut self, before: Option<VersionId>) {
        let after = self.current();
        if before == after {
            return;
        }
        if let Some((version, key)) = before.and_then(|id| Some((id.clone(), self.key_in(&id)?))) {
            self.replaced.insert(version, (key, self.now));
        }
        self.promoted.extend(after);
        self.check();
    }

    pub(crate) fn alive(&self, key: KeyId) -> bool {
        self.keys.get(&key).is_some_and(|key| !key.removed)
    }

    /// Promises 1, 2 and 3 of the ones a rotation must keep at every moment.
    pub(crate) fn check(&mut self) {
        self.violation = self.violation.take().or_else(|| self.broken());
    }

    pub(crate) fn secret_state(&self) -> SecretState {
        self.secret.state()
    }
}
