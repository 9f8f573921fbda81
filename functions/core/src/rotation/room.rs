//! Room for another key, where an object holds as many as it may.

use chrono::{DateTime, Utc};

use super::live::live;
use super::observed::{Principal, SecretView};
use super::plan::{Work, removals};
use super::retire::Target;
use super::version_state::{VersionState, version_state};
use super::{CLOCK_SLACK, Terms};

/// What makes room for another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// Removing a key that is due.
    Due(Work),
    /// Removing a past key within its overlap.
    Early(Target),
}

/// What is to be removed first so that another key can be minted; `None`: nothing may go.
///
/// A secret that was current works for its whole overlap. With `urgent` somebody asked for the old keys to go at once:
/// then the one that was replaced first may go early, for its successor is proved and current. So may one that has
/// expired, for nobody signs in with it.
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
