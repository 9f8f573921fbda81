//! Holds back planned work that Entra is known to refuse: each sweep would make dead letters of it.

use chrono::{DateTime, Utc};

use super::Terms;
use super::finding::Finding;
use super::observed::{Key, Principal, SecretState, SecretView};
use super::plan::{Plan, Work, is_named};
use super::room::has_room;
use super::stop::Stop;
use crate::ids::Token;

/// Holds back rotations that could not mint.
pub(super) fn mind_the_room(
    plan: &mut Plan,
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    now: DateTime<Utc>,
) {
    if principal.is_full(staying(terms, view, principal)) {
        plan.findings.push(Finding::TwoKeysOnly);
    }
    if has_room(terms, view, principal, false, now) {
        return;
    }
    let mints = |work: &Work| matches!(work, Work::Rotate { .. }) && !has_its_key(work, view);
    if plan.work.iter().any(mints) {
        plan.work.retain(|work| !mints(work));
        plan.findings.push(Finding::Stopped(Stop::NoRoomForKey));
    }
}

/// Holds back what Entra refuses for as long as the lock is on.
pub(super) fn mind_the_lock(plan: &mut Plan, secret: &SecretState) {
    plan.work.retain(|work| match secret {
        SecretState::Present(view) => has_its_key(work, view),
        SecretState::Missing | SecretState::ScheduledForDeletion => false,
    });
    // The lock comes first: the cures of the other findings do not help before it is off.
    plan.findings.insert(0, Finding::Stopped(Stop::ServicePrincipalLocked));
}

/// Says whether this is a rotation whose key is minted and stored, so that no key changes any more.
fn has_its_key(work: &Work, view: &SecretView) -> bool {
    let stored = |id: &Token| view.key_of(&id.clone().into()).is_some();
    matches!(work, Work::Rotate { rotation: Some(id), .. } if stored(id))
}

/// Counts the keys that stay whatever sweeps do: the current one, and those of others that nobody named for removal.
fn staying(terms: &Terms, view: &SecretView, principal: &Principal) -> usize {
    let current = view.current().and_then(|current| view.key_of(current));
    let stays = |key: &&Key| {
        let ours = key.minted_by(&terms.scope).is_some();
        Some(key.key_id) == current || !(ours || is_named(terms, key))
    };
    principal.keys.iter().filter(stays).count()
}
