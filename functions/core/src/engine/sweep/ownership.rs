//! The credentials that own the keys of an object.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::ids::{AppId, CredentialName, KeyOn};
use crate::manifest::Credential;
use crate::rotation::Scope;
use crate::rotation::finding::Expected;

/// The time before its end from which an unmanaged key is reported, and the longest life of a key that is not reported.
const UNMANAGED_SOON: TimeDelta = TimeDelta::days(30);
const UNMANAGED_LIFETIME: TimeDelta = TimeDelta::days(731);

/// The expectations of the manifest about the keys of an object.
pub(super) struct Ownership {
    /// The credential that findings are about.
    pub(super) credential: Option<CredentialName>,
    /// The expectations, by the strictest of the credentials' policies.
    pub(super) expected: Expected,
}

impl Ownership {
    /// Makes the expectations about an object that holds no credential's keys. Findings may still be about a
    /// credential.
    pub(super) fn by_nobody(credential: Option<CredentialName>) -> Self {
        let (soon, lifetime) = (UNMANAGED_SOON, UNMANAGED_LIFETIME);
        Self {
            credential,
            expected: Expected { scopes: Vec::new(), named: BTreeSet::new(), soon, lifetime },
        }
    }
}

/// Gives the expectations by application and object. `all`: all credentials with keys on these objects, because a
/// left-out credential's key would be reported as foreign, with the advice to remove the key.
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
