//! The place that a sweep has come to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::events::Digest;

/// Where a sweep goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// What is being paged through.
    pub listing: Listing,
    /// Graph's link to the next page, or the last credential that was looked at; none: from the first.
    pub next: Option<String>,
    /// Until when the directory audit is read, once that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Those of the rules' tags that an application had so far; none: nobody has looked from the first page on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged: Option<BTreeSet<String>>,
    /// What was found so far for the digest; none: it is a sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Cursor {
    /// The beginning of a listing.
    pub fn at(listing: Listing, next: Option<String>) -> Self {
        Self { listing, next, ..Self::default() }
    }

    /// Where a digest begins.
    pub fn digest() -> Self {
        Self { digest: Some(Digest::default()), ..Self::at(Listing::Applications, None) }
    }
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
    /// What others changed, by Entra's directory audit.
    DirectoryAudits,
}
