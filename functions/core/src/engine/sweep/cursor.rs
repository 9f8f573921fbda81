//! The place where a sweep goes on.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::events::Digest;

/// The place where a sweep goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The part of the sweep.
    pub listing: Listing,
    /// Graph's link to the next page, or the name of the last credential that was swept; `None`: the beginning of the
    /// part.
    pub next: Option<String>,
    /// The end of the time of which the directory audit is read, once the reading has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The rules' tags that an application had so far; `None`: the sweep did not begin at the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged: Option<BTreeSet<String>>,
    /// The entries of the digest so far; `None`: a sweep and no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Cursor {
    /// Makes the cursor of a place in a part.
    pub fn at(listing: Listing, next: Option<String>) -> Self {
        Self { listing, next, ..Self::default() }
    }

    /// Makes the cursor of the beginning of a digest.
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
    /// The changes by others, from Entra's directory audit.
    DirectoryAudits,
}
