//! Secrets Manager in memory: the rules of tokens and staging labels that a rotation rests on.
//!
//! The local AWS that the end-to-end tests deploy to holds to the same rules: one table of cases,
//! `tests/aws/label_rules.json`, is run against both.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use keywheel_core::ids::{KeyId, VersionId};
use keywheel_core::rotation::{Label, SecretState, SecretView};

/// What a version holds; the model knows a value by the key whose secret it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    pub(crate) value: Option<KeyId>,
    pub(crate) labels: BTreeSet<Label>,
}

/// One secret, or the place where one may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Secret {
    pub(crate) exists: bool,
    pub(crate) created: Option<DateTime<Utc>>,
    /// Versions without a label stay readable until they are deleted.
    pub(crate) versions: BTreeMap<VersionId, Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Stored,
    /// `ResourceExistsException`.
    Exists,
    /// `ResourceNotFoundException`.
    NoSecret,
}

impl Secret {
    pub(crate) fn state(&self) -> SecretState {
        if !self.exists {
            return SecretState::Missing;
        }
        let labelled = self.versions.iter().filter(|(_, version)| !version.labels.is_empty());
        let versions = labelled.map(|(id, version)| (id.clone(), version.labels.clone())).collect();
        SecretState::Present(SecretView {
            versions,
            rotation_enabled: false,
            created: self.created,
        })
    }

    pub(crate) fn holder(&self, label: &Label) -> Option<VersionId> {
        let found = self.versions.iter().find(|(_, version)| version.labels.contains(label));
        found.map(|(id, _)| id.clone())
    }

    fn attach(&mut self, label: Label, to: &VersionId) {
        let held = self.holder(&label);
        if held.as_ref() == Some(to) {
            return;
        }
        if let Some(held) = held {
            self.detach(&label, &held);
            if label == Label::Current {
                self.attach(Label::Previous, &held);
            }
        }
        self.versions.entry(to.clone()).or_default().labels.insert(label);
    }

    fn detach(&mut self, label: &Label, from: &VersionId) {
        if let Some(version) = self.versions.get_mut(from) {
            version.labels.remove(label);
        }
    }

    /// `PutSecretValue`.
    pub(crate) fn put(&mut self, token: &VersionId, value: KeyId, labels: &[Label]) -> Put {
        if !self.exists {
            return Put::NoSecret;
        }
        match self.versions.get(token).and_then(|version| version.value) {
            Some(stored) if stored == value => return Put::Stored,
            Some(_) => return Put::Exists,
            None => {}
        }
        self.versions.entry(token.clone()).or_default().value = Some(value);
        // No document says so: it was recorded from AWS.
        if labels.contains(&Label::Current)
            && let Some(current) = self.holder(&Label::Current).filter(|current| current != token)
        {
            self.detach(&Label::Pending, &current);
        }
        for label in labels {
            self.attach(label.clone(), token);
        }
        if self.holder(&Label::Current).is_none() {
            self.attach(Label::Current, token);
        }
        Put::Stored
    }

    /// What `RotateSecret` does first: `AWSPENDING` on an empty version. `false`: one is pending already.
    pub(crate) fn begin_rotation(&mut self, token: &VersionId) -> bool {
        let pending = self.holder(&Label::Pending);
        if pending.is_some() && pending != self.holder(&Label::Current) {
            return false;
        }
        self.versions.entry(token.clone()).or_default();
        self.attach(Label::Pending, token);
        true
    }

    /// `UpdateSecretVersionStage`; `false`: refused.
    pub(crate) fn move_label(
        &mut self,
        label: &Label,
        to: Option<&VersionId>,
        from: Option<&VersionId>,
    ) -> bool {
        let held = self.holder(label);
        if to.is_some_and(|to| !self.versions.contains_key(to)) {
            return false;
        }
        match (to, from, held) {
            (None, Some(from), Some(held)) if *from == held && *label != Label::Current => {
                self.detach(label, &held);
            }
            (Some(to), None, None) => self.attach(label.clone(), to),
            (Some(to), from, Some(held))
                if *to == held && from.is_none_or(|from| *from == held) => {}
            (Some(to), Some(from), Some(held)) if *from == held => self.attach(label.clone(), to),
            _ => return false,
        }
        true
    }
}
