//! Makes room for another key on an object that holds as many keys as Entra allows.

use chrono::{DateTime, Utc};

use super::live::live;
use super::observed::{Principal, SecretView};
use super::plan::{Work, removals};
use super::retire::Target;
use super::version_state::{VersionState, version_state};
use super::{CLOCK_SLACK, Terms};

/// Names a removal that makes room for another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// Removing a key that is due.
    Due(Work),
    /// Removing a past key within its overlap.
    Early(Target),
}

/// Says whether another key can be minted: the object is not full, or a removal makes room.
pub fn has_room(
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    urgent: bool,
    now: DateTime<Utc>,
) -> bool {
    !principal.is_full(principal.keys.len())
        || make_room(terms, view, principal, urgent, now).is_some()
}

/// Returns the removal that comes before another key can be minted; `None`: no key may go.
///
/// A secret that was current works for its whole overlap. With `urgent` somebody asked for the removal of the old keys at
/// once: then the key that was replaced first may go early, because its successor is proved and current. An expired key
/// may go too, because nobody signs in with it.
pub fn make_room(
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    urgent: bool,
    now: DateTime<Utc>,
) -> Option<Room> {
    let shown = |work: &Work| match work {
        Work::Retire(Target { key, .. }) | Work::Resolve { key, .. } => {
            principal.key(*key).is_some()
        }
        Work::Rotate { .. } => false,
    };
    if let Some(due) = removals(terms, view, principal, now).into_iter().find(shown) {
        return Some(Room::Due(due));
    }
    let past = view.versions.keys().filter_map(|version| {
        let key = principal.key(view.key_of(version)?)?;
        let VersionState::Past(over) = version_state(view, version, terms.policy.overlap) else {
            return None;
        };
        let stays = key.minted_by(&terms.scope).is_none()
            || live(terms, view, principal, key.key_id).is_some();
        let may_go = !stays && (urgent || !key.valid_at(now - CLOCK_SLACK));
        may_go.then(|| (over, Target { version: Some(version.clone()), key: key.key_id }))
    });
    past.min_by_key(|(over, _)| *over).map(|(_, target)| Room::Early(target))
}
