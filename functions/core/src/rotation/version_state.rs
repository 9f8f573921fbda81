//! Says by its labels what a version is, and so how long its key stays.

use chrono::{DateTime, TimeDelta, Utc};

use super::live::of_version;
use super::names::Label;
use super::observed::SecretView;
use super::{CLOCK_SLACK, VOID_FOR};
use crate::ids::VersionId;

/// Says what a version is, and so how long its key stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// In use, or about to be.
    InUse,
    /// Replaced: its key may go at this time.
    Past(DateTime<Utc>),
    /// Replaced, but no label says when.
    PastUnknown,
    /// Given up: its key may go at this time.
    Void(DateTime<Utc>),
    /// Never current and not given up: its rotation was cut off.
    Unclaimed,
}

/// Returns when the successor of a version became current, if the labels tell.
///
/// After a rollback by hand the current version is older than the version before it. Its label says when it first
/// became current, which tells nothing.
fn succeeded(view: &SecretView, version: &VersionId) -> Option<DateTime<Utc>> {
    let since = |version| view.since(version);
    let own = since(version);
    let current = since(view.current()?)?;
    if own.is_some_and(|own| own >= current) {
        return None;
    }
    view.versions
        .keys()
        .filter(|other| *other != version && view.key_of(other).is_some())
        .filter_map(since)
        .filter(|other| own.is_none_or(|own| *other > own))
        .min()
        .map(|first| if own.is_none() { current } else { first })
}

/// Returns the state of a version that holds a key of ours.
pub fn version_state(view: &SecretView, version: &VersionId, overlap: TimeDelta) -> VersionState {
    let void = view.void(version);
    if of_version(view, version).is_some() {
        return VersionState::InUse;
    }
    let was_current = view.since(version).is_some() || view.carries(version, &Label::Previous);
    if was_current {
        return match succeeded(view, version) {
            Some(at) => VersionState::Past(at + overlap + CLOCK_SLACK),
            None => VersionState::PastUnknown,
        };
    }
    match void {
        // The version may have been current all the same. If its promotion was cut off before the `since` label, two
        // versions put by hand take `AWSPREVIOUS` away and leave no trace.
        Some(at) => VersionState::Void(at + VOID_FOR.max(overlap + CLOCK_SLACK)),
        None => VersionState::Unclaimed,
    }
}
