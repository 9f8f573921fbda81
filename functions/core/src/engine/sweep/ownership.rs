//! Whose keys an object's are, before any of them is called foreign.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::ids::{AppId, CredentialName, KeyOn};
use crate::manifest::Credential;
use crate::rotation::Scope;
use crate::rotation::finding::Expected;

/// Keys that nobody manages are reported so long before they expire, or if they live longer than this.
const UNMANAGED_SOON: TimeDelta = TimeDelta::days(30);
const UNMANAGED_LIFETIME: TimeDelta = TimeDelta::days(731);

/// Joins what the manifest expects of the keys on one object.
pub(super) struct Ownership {
    /// Whose finding it is.
    pub(super) credential: Option<CredentialName>,
    /// What is expected by the strictest of their policies.
    pub(super) expected: Expected,
}

impl Ownership {
    /// Of an object where no credential keeps its keys, though one may be told of it.
    pub(super) fn by_nobody(credential: Option<CredentialName>) -> Self {
        let (soon, lifetime) = (UNMANAGED_SOON, UNMANAGED_LIFETIME);
        Self {
            credential,
            expected: Expected { scopes: Vec::new(), named: BTreeSet::new(), soon, lifetime },
        }
    }
}

/// By application, and by which of its two objects. `all` must be all that keep keys there: the key of one
/// that is left out would be told as foreign, with the advice to have it removed.
pub(super) fn ownership(
    all: &[Credential],
    scope: impl Fn(&Credential) -> Scope,
) -> BTreeMap<(AppId, KeyOn), Ownership> {
    let mut owned = BTreeMap::new();
    for credential in all {
        let policy = &credential.settings.policy;
        let (soon, lifetime) = (policy.rotate_before, policy.lifetime);
        let entry = owned.entry((credential.application, credential.settings.key_on));
        let Ownership { expected, .. } = entry.or_insert_with(|| Ownership {
            credential: Some(credential.name.clone()),
            expected: Expected { scopes: Vec::new(), named: BTreeSet::new(), soon, lifetime },
        });
        expected.scopes.push(scope(credential));
        expected.named.extend(&policy.retire_keys);
        expected.soon = expected.soon.max(soon);
        expected.lifetime = expected.lifetime.min(lifetime);
    }
    owned
}
