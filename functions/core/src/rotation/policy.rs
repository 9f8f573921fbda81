//! What the manifest asks of one credential, as far as a rotation's decisions need it.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::ids::KeyId;

/// The rules of one credential's rotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Policy {
    /// A key with less than this left is replaced.
    pub rotate_before: TimeDelta,
    /// How long a new key lives.
    pub lifetime: TimeDelta,
    /// How long the old key lives on after its successor became current.
    pub overlap: TimeDelta,
    /// How long sign-ins with the new secret must succeed, without one refusal, before it counts as proved.
    pub settle: TimeDelta,
    /// Whether a current version whose key is unknown may be replaced.
    pub adopt: bool,
    /// Whether a sign-in that only Conditional Access blocked (53003) counts as a success.
    pub promote_when_blocked: bool,
    /// Foreign keys that the manifest names for removal.
    pub retire_keys: BTreeSet<KeyId>,
}
