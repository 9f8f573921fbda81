//! Old keys that `--now-revoke-old` cannot remove: Keywheel does not know the key, or does not find it.

use keywheel_core::ids::{KeyId, VersionId};
use keywheel_core::rotation::Principal;
use serde::{Serialize, Serializer};

use crate::exit::{Exit, Failure};

/// Why Keywheel cannot remove the replaced version's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unremovable {
    /// No label names the key: somebody made the secret by hand.
    Unknown,
    /// The key is not where the manifest says that the credential's keys are.
    NotFound(KeyId),
}

impl Unremovable {
    /// Says why Keywheel could not remove the replaced version's key; `None`: the key can be removed, or there is none.
    pub(super) fn of(
        replaces: Option<&VersionId>,
        old_key: Option<KeyId>,
        principal: Option<&Principal>,
    ) -> Option<Self> {
        replaces?;
        let Some(key) = old_key else { return Some(Self::Unknown) };
        let shown = principal.is_some_and(|principal| principal.key(key).is_some());
        (!shown).then_some(Self::NotFound(key))
    }

    /// Says which key is not removed, and why.
    pub(super) fn why(self) -> String {
        match self {
            Self::Unknown => "Keywheel did not mint the old key and does not know which key it is, so the key is not \
                 removed: unless the key is gone already, it still works until somebody removes it in Entra"
                .to_owned(),
            Self::NotFound(key) => format!(
                "the old key {key} is not on the application (or service principal) that the manifest names, so \
                 Keywheel cannot remove the key: unless the key is gone already, it still works until somebody removes \
                 it in Entra"
            ),
        }
    }

    /// Makes the failure that the program ends with, once the credential is `queued` or `rotated`.
    pub(super) fn failure(self, name: &str, done: &str) -> Failure {
        let what = format!("{name} is {done}, but {}", self.why());
        Failure::new(Exit::Refused, what, self.cure(name))
    }

    fn cure(self, name: &str) -> String {
        match self {
            Self::Unknown => format!(
                "remove it in Entra by hand; `keywheel status {name}` shows the key among the foreign keys"
            ),
            Self::NotFound(_) => {
                "if `application` or `key_on` was changed in the manifest, remove the key in Entra by hand where the \
                 manifest pointed before"
                    .to_owned()
            }
        }
    }
}

impl Serialize for Unremovable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Unknown => "unknown",
            Self::NotFound(_) => "not-found",
        })
    }
}

#[cfg(test)]
mod tests {
    use keywheel_core::ids::ObjectId;
    use keywheel_core::rotation::Key;
    use uuid::Uuid;

    use super::*;

    fn key(number: u128) -> KeyId {
        KeyId(Uuid::from_u128(number))
    }

    fn holder(keys: &[KeyId]) -> Principal {
        let keyed = |key: &KeyId| Key { key_id: *key, display_name: None, start: None, end: None };
        Principal {
            most_keys: None,
            locked: false,
            object_id: ObjectId(Uuid::from_u128(9)),
            has_service_principal: true,
            keys: keys.iter().map(keyed).collect(),
        }
    }

    #[test]
    fn only_a_known_key_that_is_on_the_object_can_be_removed() {
        let version = VersionId("00000000-0000-0000-0000-00000000000a".to_owned());
        let (replaces, principal) = (Some(&version), holder(&[key(1)]));
        let there = Some(&principal);
        assert_eq!(Unremovable::of(replaces, Some(key(1)), there), None);
        assert_eq!(Unremovable::of(replaces, None, there), Some(Unremovable::Unknown), "adopted");
        let moved = Some(Unremovable::NotFound(key(2)));
        assert_eq!(Unremovable::of(replaces, Some(key(2)), there), moved, "`key_on` was changed");
        assert_eq!(Unremovable::of(replaces, Some(key(2)), None), moved);
        assert_eq!(Unremovable::of(None, None, there), None, "there was no secret before");
    }

    #[test]
    fn a_key_that_stays_is_a_failure_that_names_the_thing_the_cause_and_the_cure() {
        for (unremovable, cause) in [
            (Unremovable::Unknown, "did not mint"),
            (Unremovable::NotFound(key(2)), "00000000-0000-0000-0000-000000000002 is not on"),
        ] {
            let failure = unremovable.failure("aks", "rotated");
            assert_eq!(failure.exit, Exit::Refused);
            assert!(failure.what.starts_with("aks is rotated, but "), "{}", failure.what);
            assert!(failure.what.contains(cause), "{}", failure.what);
            assert!(failure.what.contains("still works until"), "{}", failure.what);
            assert!(failure.cure.is_some_and(|cure| cure.contains("in Entra by hand")));
        }
    }
}
