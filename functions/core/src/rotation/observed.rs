//! What a rotation sees of the world: plain data, as read from Secrets Manager and Graph.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::names::{self, Label, Scope};
use super::stop::Stop;
use crate::ids::{KeyId, ObjectId, Token, VersionId};

/// What `DescribeSecret` tells of a secret: the labels of each version, never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretView {
    /// `VersionIdsToStages`. A version without a label is not listed.
    pub versions: BTreeMap<VersionId, BTreeSet<Label>>,
    /// `RotationEnabled`.
    pub rotation_enabled: bool,
    /// `CreatedDate`; a secret that was deleted and made anew is younger than the keys of its past life.
    pub created: Option<DateTime<Utc>>,
}

/// What is known of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretState {
    /// There is no secret of that name.
    Missing,
    /// It is scheduled for deletion: it can be neither read nor written.
    ScheduledForDeletion,
    /// It is there, perhaps without any value yet.
    Present(SecretView),
}

impl SecretState {
    /// Returns the labels of a secret that can be read, or why there are none.
    pub(super) fn present(self) -> Result<SecretView, Stop> {
        match self {
            Self::Present(view) => Ok(view),
            Self::Missing => Err(Stop::SecretMissing),
            Self::ScheduledForDeletion => Err(Stop::SecretScheduledForDeletion),
        }
    }
}

impl SecretView {
    /// The version that carries a label; Secrets Manager lets only one.
    pub fn holder(&self, label: &Label) -> Option<&VersionId> {
        self.versions.iter().find_map(|(id, labels)| labels.contains(label).then_some(id))
    }

    /// The version under `AWSCURRENT`.
    pub fn current(&self) -> Option<&VersionId> {
        self.holder(&Label::Current)
    }

    /// The version under `AWSPENDING`, if that is not the current one: a rotation under way.
    pub fn pending(&self) -> Option<&VersionId> {
        self.holder(&Label::Pending).filter(|id| self.current() != Some(id))
    }

    /// The key whose secret a version holds, if a label says so.
    pub fn key_of(&self, version: &VersionId) -> Option<KeyId> {
        self.versions.get(version)?.iter().find_map(|label| match label {
            Label::Key(key) => Some(*key),
            _ => None,
        })
    }

    /// The rotation that a version is of, where Keywheel made it or is to make it: its id is as Keywheel writes one, or
    /// the version holds a key by a label that only Keywheel puts on (one of `RotateSecret` with another's token).
    pub fn rotation_of(&self, version: &VersionId) -> Option<Token> {
        let ours = version.rotation().is_some() || self.key_of(version).is_some();
        version.token().filter(|_| ours)
    }

    /// Since when a version is (or was) current. Where a race left two labels, the later one holds.
    pub fn since(&self, version: &VersionId) -> Option<DateTime<Utc>> {
        self.became_current(version).max()
    }

    /// Each time that a version became current, as its labels tell.
    pub fn became_current(&self, version: &VersionId) -> impl Iterator<Item = DateTime<Utc>> {
        self.versions.get(version).into_iter().flatten().filter_map(|label| match label {
            Label::Since(at) => Some(*at),
            _ => None,
        })
    }

    /// Since when a version is void: given up, and never to become current.
    pub fn void(&self, version: &VersionId) -> Option<DateTime<Utc>> {
        self.versions
            .get(version)?
            .iter()
            .filter_map(|label| match label {
                Label::Void(at) => Some(*at),
                _ => None,
            })
            .max()
    }

    /// Whether a version carries a label.
    pub fn carries(&self, version: &VersionId, label: &Label) -> bool {
        self.versions.get(version).is_some_and(|labels| labels.contains(label))
    }

    /// Every key that some version's label names.
    pub fn named_keys(&self) -> BTreeSet<KeyId> {
        self.versions.keys().filter_map(|version| self.key_of(version)).collect()
    }

    /// How many labels the secret holds in all; Secrets Manager allows about twenty.
    pub fn label_count(&self) -> usize {
        self.versions.values().map(BTreeSet::len).sum()
    }
}

/// A password credential of an application or service principal (Graph `passwordCredential`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `keyId`.
    pub key_id: KeyId,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `startDateTime`.
    pub start: Option<DateTime<Utc>>,
    /// `endDateTime`; `None` is a key that never expires.
    pub end: Option<DateTime<Utc>>,
}

impl Key {
    /// The rotation that minted it, if that was one of this scope; else the key is foreign.
    pub fn minted_by(&self, scope: &Scope) -> Option<Token> {
        names::minted_by(scope, self.display_name.as_deref()?)
    }

    /// Whether it can still be signed in with.
    pub fn valid_at(&self, now: DateTime<Utc>) -> bool {
        self.end.is_none_or(|end| end > now)
    }
}

/// The directory object that holds the keys, as one read of Graph shows it.
///
/// Replicas lag: a key minted seconds ago may be absent, one just removed may still be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// The object's id: of the application, or of the service principal for `key_on: servicePrincipal`.
    pub object_id: ObjectId,
    /// Whether the application has a service principal in this tenant; without one nobody can sign in.
    pub has_service_principal: bool,
    /// Whether the application's instance property lock forbids changes of these keys.
    pub locked: bool,
    /// How many keys it may hold, where that is few and known beforehand.
    pub most_keys: Option<usize>,
    /// `passwordCredentials`.
    pub keys: Vec<Key>,
}

/// How many keys an application may hold, by its `signInAudience`: two, where personal accounts may sign in to it.
pub fn most_keys(sign_in_audience: Option<&str>) -> Option<usize> {
    match sign_in_audience {
        Some("AzureADandPersonalMicrosoftAccount" | "PersonalMicrosoftAccount") => Some(2),
        _ => None,
    }
}

impl Principal {
    /// The key of that id, if this read shows it.
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.key_id == id)
    }

    /// Whether it holds as many keys as it may, or these of them are as many.
    pub(super) fn is_full(&self, keys: usize) -> bool {
        self.most_keys.is_some_and(|most| keys >= most)
    }
}
