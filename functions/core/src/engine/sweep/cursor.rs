//! The place that a sweep has come to.

use serde::{Deserialize, Serialize};

/// Where a sweep goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// What is being paged through.
    pub listing: Listing,
    /// Graph's link to the next page, or the last credential that was looked at; none: from the first.
    pub next: Option<String>,
}

impl Cursor {
    /// The `detail-type` of the event that makes a sweep go on.
    pub const CONTINUED: &str = "keywheel.sweep.continued";
}

/// The parts of a sweep, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// The credentials that the manifest lists.
    #[default]
    Credentials,
    /// All applications.
    Applications,
    /// All service principals.
    ServicePrincipals,
}
