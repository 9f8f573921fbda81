//! Says which keys are live: a live key is not removed, whoever asks for it.

use super::Terms;
use super::observed::{Principal, SecretView};
use super::stop::Stop;
use crate::ids::{KeyId, VersionId};

/// Says for how long a key is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    /// A rotation under way may make the key's version current.
    ForNow,
    /// The key stays for this reason until somebody removes the reason.
    Because(Stop),
}

/// Says why a key must not be removed; `None`: its age and its use decide.
pub(super) fn live(
    terms: &Terms,
    view: &SecretView,
    principal: &Principal,
    key: KeyId,
) -> Option<Live> {
    if let Some(live) = by_labels(view, key) {
        return Some(live);
    }
    if terms.is_own_key(key) {
        return Some(Live::Because(Stop::OwnKey));
    }
    let of_another = principal.key(key).is_some_and(|key| terms.is_anothers(key));
    of_another.then_some(Live::Because(Stop::KeyOfAnother))
}

/// Says why a key must not be removed, as far as the labels tell.
pub(super) fn by_labels(view: &SecretView, key: KeyId) -> Option<Live> {
    let mut holders = view.versions.keys().filter(|version| view.key_of(version) == Some(key));
    holders.find_map(|version| of_version(view, version))
}

/// Says why a version's key must not be removed, as far as the labels tell.
pub(super) fn of_version(view: &SecretView, version: &VersionId) -> Option<Live> {
    if view.current() == Some(version) {
        return Some(Live::Because(Stop::KeyIsCurrent));
    }
    let pending = view.pending() == Some(version) && view.void(version).is_none();
    pending.then_some(Live::ForNow)
}
