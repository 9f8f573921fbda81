//! Whose keys an object's are, before any of them is called foreign.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::ids::{AppId, CredentialName, KeyId, KeyOn};
use crate::manifest::Credential;
use crate::rotation::Scope;

/// What nobody manages is reported this long before it expires, and if it lives longer than this.
const UNMANAGED_SOON: TimeDelta = TimeDelta::days(30);
const UNMANAGED_LIFETIME: TimeDelta = TimeDelta::days(731);

/// What the credentials that keep their keys on one object say of them.
pub(super) struct Ownership {
    /// Whose finding it is.
    pub(super) credential: Option<CredentialName>,
    /// The credentials' scopes.
    pub(super) scopes: Vec<Scope>,
    /// Foreign keys that one of them names for removal.
    pub(super) named: BTreeSet<KeyId>,
    /// The strictest of their policies: from when on an end is near, and how long a key may live.
    pub(super) soon: TimeDelta,
    pub(super) lifetime: TimeDelta,
}

impl Ownership {
    /// Of an object where no credential keeps its keys, though one may be told of it.
    pub(super) fn by_nobody(credential: Option<CredentialName>) -> Self {
        Self {
            credential,
            scopes: Vec::new(),
            named: BTreeSet::new(),
            soon: UNMANAGED_SOON,
            lifetime: UNMANAGED_LIFETIME,
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
        let entry = owned.entry((credential.application, credential.settings.key_on));
        let entry = entry.or_insert_with(|| Ownership {
            credential: Some(credential.name.clone()),
            scopes: Vec::new(),
            named: BTreeSet::new(),
            soon: policy.rotate_before,
            lifetime: policy.lifetime,
        });
        entry.scopes.push(scope(credential));
        entry.named.extend(&policy.retire_keys);
        entry.soon = entry.soon.max(policy.rotate_before);
        entry.lifetime = entry.lifetime.min(policy.lifetime);
    }
    owned
}
