//! `retire: when-unused`: what Entra's report of sign-ins must show before a key goes.
//!
//! The report is a day behind, so it says nothing of the last day. A key counts as unused when no sign-in with it
//! is known for a whole watch after its overlap ended, the report's own delay not counted: whoever signs in less
//! often than that is not seen.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::policy::{Policy, RetireWhen};
use crate::ids::KeyId;

/// The last known sign-in with each key of an application.
pub type LastUses = BTreeMap<KeyId, DateTime<Utc>>;

/// How far the report may be behind.
pub const REPORT_LAG: TimeDelta = TimeDelta::hours(24);
/// The shortest time for which a key must be seen unused.
const SHORTEST_WATCH: TimeDelta = TimeDelta::hours(24);

/// Why the report tells nothing of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Untold {
    /// Keywheel lacks the permission to read it.
    Forbidden,
    /// The tenant lacks the licence for it.
    NotLicensed,
    /// It could not be read, for another reason.
    Unread,
    /// It lacks sign-ins that are known to have been made.
    Behind,
}

impl Untold {
    /// What it means for a key that is out of its overlap, and what helps.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::Forbidden => {
                "Keywheel may not read Entra's report of sign-ins, so it is not removed; grant Keywheel AuditLog.Read.All, or \
                 say `retire: after-overlap`"
            }
            Self::NotLicensed => {
                "Entra gives its report of sign-ins only to tenants with a Microsoft Entra ID P1 licence, and says that this \
                 tenant has none, so it is not removed; get the licence, or say `retire: after-overlap`; a permission does not \
                 help"
            }
            Self::Unread => {
                "Entra's report of sign-ins could not be read, so it is not removed; the next sweep asks again, and the log of \
                 the rotate function says why"
            }
            Self::Behind => {
                "Entra's report of sign-ins lacks even those by which the current key was proved, so it is not removed; the \
                 next sweep asks again; say `retire: after-overlap` if the report stays behind"
            }
        }
    }
}

/// What the report tells of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has signed in with it for long enough.
    Unused,
    /// Somebody has, last at this time.
    InUse(DateTime<Utc>),
    /// It cannot be told: the report lacks sign-ins that are known to have been made.
    Unknown,
}

/// How long a key stays beyond its overlap at the least, before the report can be asked.
pub fn watch(policy: &Policy) -> TimeDelta {
    match policy.retire {
        RetireWhen::AfterOverlap => TimeDelta::zero(),
        RetireWhen::WhenUnused => SHORTEST_WATCH.max(policy.overlap) + REPORT_LAG,
    }
}

/// Names a key that is out of its overlap.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// The key.
    pub key: KeyId,
    /// The key of the current version.
    pub current: KeyId,
    /// When the overlap was over.
    pub over: DateTime<Utc>,
}

/// Says whether a key may go.
///
/// The report must show the current key: that one was signed in with before it was published, by us.
pub fn judge(uses: &LastUses, watched: Watched, policy: &Policy, now: DateTime<Utc>) -> Verdict {
    let Watched { key, current, over } = watched;
    if !uses.contains_key(&current) {
        return Verdict::Unknown;
    }
    match uses.get(&key) {
        Some(last) if now < (*last).max(over) + watch(policy) => Verdict::InUse(*last),
        _ => Verdict::Unused,
    }
}
