//! Decides for `retire: when-unused` whether a key is out of use, by Entra's report of sign-ins.
//!
//! The report is a day behind. A key counts as unused when the report shows no sign-in with the key for a whole watch
//! after its overlap, the report's delay not counted. A user who signs in less often than that is not seen.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::policy::{Policy, RetireWhen};
use crate::ids::KeyId;

/// Holds the last known sign-in with each key of an application.
pub type LastUses = BTreeMap<KeyId, DateTime<Utc>>;

/// Bounds how far the report may be behind.
pub const REPORT_LAG: TimeDelta = TimeDelta::hours(24);
/// Bounds from below how long a key must be unused.
const SHORTEST_WATCH: TimeDelta = TimeDelta::hours(24);

/// Says why the report tells nothing of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Untold {
    /// Keywheel lacks the permission to read the report.
    Forbidden,
    /// The tenant lacks the licence for the report.
    NotLicensed,
    /// The report could not be read, for another reason.
    Unread,
    /// The report lacks sign-ins that Keywheel made.
    Behind,
}

impl Untold {
    /// Says why a key stays after its overlap, and what to do.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::Forbidden => {
                "Keywheel may not read Entra's report of sign-ins, so the key stays; grant Keywheel AuditLog.Read.All, or \
                 say `retire: after-overlap`"
            }
            Self::NotLicensed => {
                "Entra gives its report of sign-ins only to tenants with a Microsoft Entra ID P1 licence, and says that this \
                 tenant has none, so the key stays; get the licence, or say `retire: after-overlap`; a permission does not \
                 help"
            }
            Self::Unread => {
                "Entra's report of sign-ins could not be read, so the key stays; the next sweep asks again, and the log of \
                 the rotate function says why"
            }
            Self::Behind => {
                "Entra's report of sign-ins lacks even those by which the current key was proved, so the key stays; the \
                 next sweep asks again; say `retire: after-overlap` if the report stays behind"
            }
        }
    }
}

/// Says what the report tells of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has signed in with the key for long enough.
    Unused,
    /// Somebody signed in with the key, last at this time.
    InUse(DateTime<Utc>),
    /// The report lacks sign-ins that Keywheel made, and so tells nothing.
    Unknown,
}

/// Returns how long a key stays after its overlap before the report can tell that the key is unused.
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

/// Decides whether a key is unused.
///
/// The report must show the current key, because Keywheel signed in with that key before its promotion.
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
