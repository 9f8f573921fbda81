//! Holds the manifest's settings of one credential that the rules need.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::ids::KeyId;

/// Says when the old key of a credential may go.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema,
)]
#[schemars(rename = "Retire", rename_all = "kebab-case")]
pub enum RetireWhen {
    /// Once the overlap is over.
    #[default]
    AfterOverlap,
    /// Once the overlap is over and Entra's report of sign-ins shows that the key is not used any more.
    WhenUnused,
}

/// Holds the settings of one credential's rotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Policy {
    /// How long before its end a key is replaced.
    pub rotate_before: TimeDelta,
    /// How long a new key lives.
    pub lifetime: TimeDelta,
    /// How long the old key lives on after its successor became current.
    pub overlap: TimeDelta,
    /// Whether the end of the overlap is enough for the old key to go.
    pub retire: RetireWhen,
    /// How long sign-ins with the new secret must succeed, without one refusal, before it counts as proved.
    pub settle: TimeDelta,
    /// Whether a current version whose key is unknown may be replaced.
    pub adopt: bool,
    /// Whether a sign-in that only Conditional Access blocked (53003) counts as a success.
    pub promote_when_blocked: bool,
    /// Foreign keys that the manifest names for removal.
    pub retire_keys: BTreeSet<KeyId>,
}
