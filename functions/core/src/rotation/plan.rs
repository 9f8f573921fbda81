//! Plans what a sweep does about one credential, and what a sweep only reports.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::held::{mind_the_lock, mind_the_room};
use super::observed::{Key, Principal, SecretState, SecretView};
use super::resolve::{of_this_life, unnamed_due};
use super::retire::{Target, ripe};
use super::stop::Stop;
use super::version_state::{VersionState, version_state};
use super::{CLOCK_SLACK, LEEWAY, Terms, UNNAMED_FOR};
use crate::ids::{KeyId, Token, VersionId};

/// Who starts a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum Trigger {
    /// Keywheel's own sweep, by queued jobs.
    Sweep,
    /// Secrets Manager's rotation schedule.
    Native,
}

/// Says why a rotation is to run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The secret has no value yet.
    First,
    /// The current key expires within `rotate_before`, or has expired.
    Expiring,
    /// The current key is not on the application any more, so the secret does not work.
    KeyAbsent,
    /// An earlier rotation was cut off.
    Resume,
    /// The current version's key is unknown, and the manifest adopts it.
    Adopt,
    /// A promotion was cut off before its record and its `since` label.
    Record,
    /// Somebody asked for the rotation.
    Requested,
}

/// Names one thing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Replace the secret.
    Rotate {
        /// The rotation to resume; `None`: a new rotation gets its id in the queue.
        rotation: Option<Token>,
        /// The version that the rotation replaces.
        replaces: Option<VersionId>,
        /// Why.
        reason: Reason,
    },
    /// Remove a key that is out of use.
    Retire(Target),
    /// Remove a key that no version names.
    Resolve {
        /// The rotation that minted the key.
        rotation: Token,
        /// The key.
        key: KeyId,
    },
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotate { reason, .. } => write!(f, "rotate ({reason})"),
            Self::Retire(target) => write!(f, "retire key {}", target.key),
            Self::Resolve { key, .. } => write!(f, "resolve key {key}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Expiring => "expiring",
            Self::KeyAbsent => "key absent",
            Self::Resume => "resume",
            Self::Adopt => "adopt",
            Self::Record => "record",
            Self::Requested => "requested",
        })
    }
}

/// Holds what a sweep queues and reports for one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The jobs, in their order.
    pub work: Vec<Work>,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Plan {
    fn stop(stop: Stop) -> Self {
        Self { work: Vec::new(), findings: vec![Finding::Stopped(stop)] }
    }
}

/// Compares one credential's secret with its application's keys.
///
/// The labels may come from `ListSecrets` and be minutes old. The keys may come from a replica that lags. The rotation
/// therefore reads both again before it changes anything.
pub fn plan(
    terms: &Terms,
    trigger: Trigger,
    secret: &SecretState,
    principal: Option<&Principal>,
    now: DateTime<Utc>,
) -> Plan {
    let Some(principal) = principal else {
        return Plan::stop(Stop::ApplicationGone);
    };
    if !principal.has_service_principal {
        return Plan::stop(Stop::NoServicePrincipal);
    }
    let mut plan = match secret {
        SecretState::ScheduledForDeletion => Plan::stop(Stop::SecretScheduledForDeletion),
        SecretState::Missing => {
            let work = vec![rotate(Reason::First, None, None)];
            let mut plan = Plan { work, findings: Vec::new() };
            mind_the_room(&mut plan, terms, &SecretView::default(), principal, now);
            if !plan.work.is_empty() {
                plan.findings.push(Finding::Stopped(Stop::SecretMissing));
            }
            plan
        }
        SecretState::Present(view) => {
            let mut plan = plan_rotation(terms, trigger, view, principal, now);
            plan.work.extend(plan_removals(terms, view, principal, &plan.work, now));
            plan.findings.extend(named_of_another(terms, principal));
            mind_the_room(&mut plan, terms, view, principal, now);
            plan
        }
    };
    if principal.locked {
        mind_the_lock(&mut plan, secret);
    }
    plan
}

fn rotate(reason: Reason, rotation: Option<Token>, replaces: Option<&VersionId>) -> Work {
    Work::Rotate { rotation, replaces: replaces.cloned(), reason }
}

fn plan_rotation(
    terms: &Terms,
    trigger: Trigger,
    view: &SecretView,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Plan {
    let mut plan = Plan::default();
    let current = view.current();
    let key = current.and_then(|current| view.key_of(current));
    if current.is_some() && key.is_none() && !terms.policy.adopt {
        plan.findings.push(Finding::Stopped(Stop::UnknownKey));
        return plan;
    }
    if let Some(pending) = view.pending().filter(|pending| view.void(pending).is_none()) {
        match view.rotation_of(pending).or_else(|| minted_for(terms, pending, principal)) {
            Some(id) => plan.work.push(rotate(Reason::Resume, Some(id), current)),
            None => plan.findings.push(Finding::Stopped(Stop::ForeignPending)),
        }
        return plan;
    }
    let reason = match (current, key) {
        (None, _) => Some(Reason::First),
        (Some(_), None) => Some(Reason::Adopt),
        (Some(current), Some(key)) => due(terms, view, current, principal.key(key), now),
    };
    match reason {
        None => {}
        Some(Reason::Record) => {
            let id = current.and_then(VersionId::token);
            plan.work.extend(id.map(|id| rotate(Reason::Record, Some(id), current)));
        }
        Some(Reason::Expiring) if trigger == Trigger::Native => {
            plan.findings.extend(native_late(terms, principal, key, now));
        }
        Some(Reason::Expiring) if held_back(terms, view, principal, now) => {
            plan.findings.push(Finding::RolledBack);
        }
        Some(reason) => {
            if reason == Reason::KeyAbsent {
                plan.findings.push(Finding::Stopped(Stop::CurrentKeyAbsent));
            }
            let id = unclaimed(terms, view, principal, now);
            plan.work.push(rotate(reason, id, current));
        }
    }
    plan
}

/// Returns the rotation of a pending version that names no key, if a key on the object was minted for that rotation.
///
/// Somebody called `RotateSecret` with that token, and Keywheel's try was cut off before it stored the secret.
fn minted_for(terms: &Terms, pending: &VersionId, principal: &Principal) -> Option<Token> {
    let token = pending.token()?;
    let minted = |key: &Key| key.minted_by(&terms.scope).as_ref() == Some(&token);
    principal.keys.iter().any(minted).then_some(token)
}

fn due(
    terms: &Terms,
    view: &SecretView,
    current: &VersionId,
    key: Option<&Key>,
    now: DateTime<Utc>,
) -> Option<Reason> {
    match key {
        // The version became current only now, and the page may come from a replica that lags. The next sweep decides.
        None if view.since(current).is_some_and(|since| now - since < UNNAMED_FOR) => None,
        None => Some(Reason::KeyAbsent),
        Some(key) if !key.valid_at(now + terms.policy.rotate_before) => Some(Reason::Expiring),
        Some(_) if view.since(current).is_none() => Some(Reason::Record),
        Some(_) => None,
    }
}

/// Reports a late schedule with `trigger: native`: half of `rotate_before` has passed.
fn native_late(
    terms: &Terms,
    principal: &Principal,
    key: Option<KeyId>,
    now: DateTime<Utc>,
) -> Option<Finding> {
    let key = principal.key(key?)?;
    let late = !key.valid_at(now + terms.policy.rotate_before / 2);
    late.then(|| Finding::NativeRotationLate(key.key_id, key.end.unwrap_or(now)))
}

/// Says whether the current version stays for now, because somebody went back to it by hand.
///
/// Its successor may have been broken. The version is replaced all the same once half of `rotate_before` has passed, or
/// once no more than the overlap is left.
fn held_back(terms: &Terms, view: &SecretView, principal: &Principal, now: DateTime<Utc>) -> bool {
    let policy = &terms.policy;
    let least = (policy.rotate_before / 2).max(policy.overlap + LEEWAY);
    view.current().is_some_and(|current| {
        let key = view.key_of(current).and_then(|key| principal.key(key));
        gone_back_to(view, current) && key.is_some_and(|key| key.valid_at(now + least))
    })
}

/// Says whether a version is current again, after another version was.
fn gone_back_to(view: &SecretView, current: &VersionId) -> bool {
    let Some(first) = view.became_current(current).min() else { return false };
    // The labels of a race are no further apart than a try lives.
    let again = view.became_current(current).any(|at| at - first > UNNAMED_FOR);
    let others = view.versions.keys().filter(|version| *version != current);
    again || others.flat_map(|other| view.became_current(other)).any(|at| at > first)
}

/// Returns a rotation that was cut off between store and claim, if its key is as good as a new key.
fn unclaimed(
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Option<Token> {
    view.versions.keys().find_map(|version| {
        let key = principal.key(view.key_of(version)?)?;
        let usable = version_state(view, version, terms.policy.overlap) == VersionState::Unclaimed
            && key.valid_at(now + terms.policy.rotate_before);
        version.token().filter(|_| usable)
    })
}

/// Returns the removals that are due, if no rotation is under way.
pub(super) fn removals(
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Vec<Work> {
    plan_removals(terms, view, principal, &[], now)
}

fn plan_removals(
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    queued: &[Work],
    now: DateTime<Utc>,
) -> Vec<Work> {
    let current = view.current();
    // Beside a current version whose key is unknown, only keys go that were never anybody's.
    let known = current.is_none_or(|current| view.key_of(current).is_some());
    let resumed: BTreeSet<VersionId> = queued
        .iter()
        .filter_map(|work| match work {
            Work::Rotate { rotation: Some(id), .. } => Some(id.clone().into()),
            _ => None,
        })
        .collect();
    let past = view
        .versions
        .keys()
        .filter(|version| current.is_some() && known && !resumed.contains(*version))
        .filter_map(|version| retire_due(terms, view, version, principal, now))
        .map(Work::Retire);
    let named = view.named_keys();
    let loose = principal.keys.iter().filter(|key| !named.contains(&key.key_id));
    let loose = loose.filter_map(|key| {
        if let Some(rotation) = key.minted_by(&terms.scope) {
            let due = unnamed_due(view, key, terms.policy.overlap);
            return due
                .filter(|_| known || minted_in_vain(view, key, &rotation))
                .is_some_and(|due| now >= due)
                .then_some(Work::Resolve { rotation, key: key.key_id });
        }
        let over = named_due(terms, view).is_some_and(|due| now >= due);
        (over && is_named(terms, key))
            .then_some(Work::Retire(Target { version: None, key: key.key_id }))
    });
    past.chain(loose).collect()
}

/// Says whether the manifest names this foreign key for removal.
pub fn is_named(terms: &Terms, key: &Key) -> bool {
    let foreign = key.minted_by(&terms.scope).is_none() && !terms.is_anothers(key);
    foreign && terms.policy.retire_keys.contains(&key.key_id)
}

/// Returns when a sweep may remove the foreign keys that the manifest names; `None`: Keywheel's own secret is not current
/// yet, or no label says since when.
pub fn named_due(terms: &Terms, view: &SecretView) -> Option<DateTime<Utc>> {
    let current = view.current().filter(|current| view.key_of(current).is_some())?;
    let over = view.since(current)? + terms.policy.overlap + CLOCK_SLACK;
    Some(ripe(over, &terms.policy))
}

/// Says whether a key was minted and never stored. A version of its rotation without a key's label may hold the key.
fn minted_in_vain(view: &SecretView, key: &Key, rotation: &Token) -> bool {
    let version = rotation.clone().into();
    let stored = view.versions.contains_key(&version) && view.key_of(&version).is_none();
    of_this_life(view, key) && !stored
}

/// Reports the keys in `retire_keys` that belong to another credential of the manifest.
fn named_of_another(terms: &Terms, principal: &Principal) -> Vec<Finding> {
    let named = |key: &&Key| terms.policy.retire_keys.contains(&key.key_id);
    let named = principal.keys.iter().filter(named).filter(|key| terms.is_anothers(key));
    named.map(|key| Finding::NamedKeyOfAnother(key.key_id)).collect()
}

fn retire_due(
    terms: &Terms,
    view: &SecretView,
    version: &VersionId,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Option<Target> {
    let key = view.key_of(version)?;
    let due = match version_state(view, version, terms.policy.overlap) {
        VersionState::InUse => false,
        VersionState::PastUnknown => true,
        VersionState::Past(over) => now >= ripe(over, &terms.policy),
        VersionState::Void(at) => now >= at,
        VersionState::Unclaimed => principal
            .key(key)
            .and_then(|key| key.start)
            .is_none_or(|start| now - start >= UNNAMED_FOR),
    };
    due.then(|| Target { version: Some(version.clone()), key })
}
