//! Checks the current version's key before another key is removed.

use chrono::{DateTime, Utc};

use super::UNNAMED_FOR;
use super::observed::{Principal, SecretView};
use super::stop::Stop;

/// Says whether another key may be removed beside the current version's key.
pub(super) enum CurrentKey {
    /// Graph shows the key, and the key is valid.
    Valid,
    /// The version became current only now, and this replica of Graph does not show the key.
    NotShownYet,
    /// No key is removed, for this reason.
    Unsafe(Stop),
}

/// Checks that Graph shows the current version's key, and that the key is valid.
pub(super) fn current_key(
    view: &SecretView,
    principal: &Principal,
    now: DateTime<Utc>,
) -> CurrentKey {
    let Some(current) = view.current() else { return CurrentKey::Unsafe(Stop::UnknownKey) };
    let Some(key) = view.key_of(current) else { return CurrentKey::Unsafe(Stop::UnknownKey) };
    match principal.key(key) {
        Some(key) if key.valid_at(now) => CurrentKey::Valid,
        None if view.since(current).is_none_or(|since| now - since < UNNAMED_FOR) => {
            CurrentKey::NotShownYet
        }
        _ => CurrentKey::Unsafe(Stop::CurrentKeyAbsent),
    }
}
