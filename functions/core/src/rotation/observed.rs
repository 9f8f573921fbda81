//! Holds what a rotation sees of Secrets Manager and Graph, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::names::{self, Label, Scope};
use super::stop::Stop;
use crate::ids::{KeyId, ObjectId, Token, VersionId};

/// Holds what `DescribeSecret` tells of a secret: the labels of each version, and no value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretView {
    /// `VersionIdsToStages`. A version without a label is not listed.
    pub versions: BTreeMap<VersionId, BTreeSet<Label>>,
    /// `RotationEnabled`.
    pub rotation_enabled: bool,
    /// `CreatedDate`. A secret that was deleted and made again is younger than the keys of its past life.
    pub created: Option<DateTime<Utc>>,
}

/// Says what is known of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretState {
    /// There is no secret of that name.
    Missing,
    /// The secret is scheduled for deletion, and can be neither read nor written.
    ScheduledForDeletion,
    /// The secret exists, perhaps without any value yet.
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
    /// Returns the version that carries a label. Secrets Manager allows one version for each label.
    pub fn holder(&self, label: &Label) -> Option<&VersionId> {
        self.versions.iter().find_map(|(id, labels)| labels.contains(label).then_some(id))
    }

    /// Returns the version under `AWSCURRENT`.
    pub fn current(&self) -> Option<&VersionId> {
        self.holder(&Label::Current)
    }

    /// Returns the version of the rotation under way: under `AWSPENDING`, and not current.
    pub fn pending(&self) -> Option<&VersionId> {
        self.holder(&Label::Pending).filter(|id| self.current() != Some(id))
    }

    /// Returns the key whose secret a version holds, by its label.
    pub fn key_of(&self, version: &VersionId) -> Option<KeyId> {
        self.versions.get(version)?.iter().find_map(|label| match label {
            Label::Key(key) => Some(*key),
            _ => None,
        })
    }

    /// Returns the rotation of a version that Keywheel made or is to make.
    ///
    /// Such a version has an id as Keywheel writes ids, or a key's label, which only Keywheel writes: `RotateSecret` with
    /// the token of somebody else makes a version with a foreign id.
    pub fn rotation_of(&self, version: &VersionId) -> Option<Token> {
        let ours = version.rotation().is_some() || self.key_of(version).is_some();
        version.token().filter(|_| ours)
    }

    /// Returns since when a version is or was current. Where a race left two labels, the later label holds.
    pub fn since(&self, version: &VersionId) -> Option<DateTime<Utc>> {
        self.became_current(version).max()
    }

    /// Returns each time at which a version became current, by its labels.
    pub fn became_current(&self, version: &VersionId) -> impl Iterator<Item = DateTime<Utc>> {
        self.versions.get(version).into_iter().flatten().filter_map(|label| match label {
            Label::Since(at) => Some(*at),
            _ => None,
        })
    }

    /// Returns since when a version is void: given up, and never current again.
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

    /// Says whether a version carries a label.
    pub fn carries(&self, version: &VersionId, label: &Label) -> bool {
        self.versions.get(version).is_some_and(|labels| labels.contains(label))
    }

    /// Returns every key that a version's label names.
    pub fn named_keys(&self) -> BTreeSet<KeyId> {
        self.versions.keys().filter_map(|version| self.key_of(version)).collect()
    }

    /// Counts all labels of the secret. Secrets Manager allows about twenty.
    pub fn label_count(&self) -> usize {
        self.versions.values().map(BTreeSet::len).sum()
    }
}

/// Describes a password credential of an application or service principal (Graph `passwordCredential`).
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
    /// Returns the rotation of this scope that minted the key; `None`: the key is foreign.
    pub fn minted_by(&self, scope: &Scope) -> Option<Token> {
        names::minted_by(scope, self.display_name.as_deref()?)
    }

    /// Says whether Entra still accepts the key at this time.
    pub fn valid_at(&self, now: DateTime<Utc>) -> bool {
        self.end.is_none_or(|end| end > now)
    }
}

/// Describes the directory object that holds the keys, as one read of Graph shows the object.
///
/// Replicas lag: a key that was minted seconds ago may be absent, and a removed key may still be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// The object's id: of the application, or of the service principal for `key_on: servicePrincipal`.
    pub object_id: ObjectId,
    /// Whether the application has a service principal in this tenant, without which nobody can sign in.
    pub has_service_principal: bool,
    /// Whether the application's instance property lock forbids changes of these keys.
    pub locked: bool,
    /// How many keys the object may hold, where that is few and known beforehand.
    pub most_keys: Option<usize>,
    /// `passwordCredentials`.
    pub keys: Vec<Key>,
}

/// Returns how many keys an application may hold, by its `signInAudience`: two, if personal accounts may sign in.
pub fn most_keys(sign_in_audience: Option<&str>) -> Option<usize> {
    match sign_in_audience {
        Some("AzureADandPersonalMicrosoftAccount" | "PersonalMicrosoftAccount") => Some(2),
        _ => None,
    }
}

impl Principal {
    /// Returns the key of that id, if this read shows the key.
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.key_id == id)
    }

    /// Says whether so many keys are as many as the object may hold.
    pub(super) fn is_full(&self, keys: usize) -> bool {
        self.most_keys.is_some_and(|most| keys >= most)
    }
}
