//! What must hold of the key in use before another is removed.

use chrono::{DateTime, Utc};

use super::UNNAMED_FOR;
use super::observed::{Principal, SecretView};
use super::stop::Stop;

/// How the current version's key stands, beside which another is to be removed.
pub(super) enum CurrentKey {
    /// It is there, and valid.
    Valid,
    /// It became current only now, and this replica of Graph does not show it.
    NotShownYet,
    /// Nothing is removed beside it.
    Unsafe(Stop),
}

/// The current version's key must be there, and valid, before any other is removed beside it.
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
