//! Tells Keywheel's own changes of keys from those of others, by Entra's directory audit.

use std::fmt;

use super::SignedInAs;
use super::names::{Scope, minted_by};
use crate::ids::{AppId, KeyId, ObjectId};

/// Names who made a change, as the directory audit does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An application; often the audit names its service principal alone.
    App {
        /// Its client id.
        app: Option<AppId>,
        /// Its service principal.
        service_principal: Option<ObjectId>,
        /// Its name.
        display_name: Option<String>,
    },
    /// A person.
    User {
        /// Their id in the directory.
        id: Option<String>,
        /// Their user principal name.
        name: Option<String>,
    },
    /// The audit names nobody.
    Unknown,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App { app, service_principal, display_name } => {
                write!(f, "app {}", display_name.as_deref().unwrap_or("without a name"))?;
                match (app, service_principal) {
                    (Some(app), _) => write!(f, " ({app})"),
                    (None, Some(object)) => write!(f, " (service principal {object})"),
                    (None, None) => Ok(()),
                }
            }
            Self::User { id, name } => {
                write!(f, "user {}", name.as_deref().or(id.as_deref()).unwrap_or("without a name"))
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Names a key that was added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// `keyId`.
    pub id: KeyId,
    /// Its display name, where the audit tells it.
    pub display_name: Option<String>,
}

/// Describes a change of one object's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The application or service principal.
    pub object: ObjectId,
    /// Who made it.
    pub actor: Actor,
    /// The new keys.
    pub added: Vec<ChangedKey>,
    /// The keys that are gone.
    pub removed: Vec<ChangedKey>,
}

/// Names Keywheel as the directory does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ourselves {
    /// The application that Keywheel is signed in as.
    pub app: Option<AppId>,
    /// That application's service principal.
    pub service_principal: Option<ObjectId>,
}

impl Ourselves {
    /// Names Keywheel by its sign-in, and by its service principal in Graph.
    pub fn new(signed_in_as: SignedInAs, service_principal: Option<ObjectId>) -> Self {
        Self { app: signed_in_as.app, service_principal }
    }

    fn made(&self, change: &Change) -> bool {
        let Actor::App { app, service_principal, .. } = &change.actor else { return false };
        match (app, service_principal) {
            // Where the audit names both, both must be ours.
            (Some(app), Some(object)) => {
                self.app == Some(*app) && self.service_principal.is_none_or(|own| own == *object)
            }
            (Some(app), None) => self.app == Some(*app),
            (None, Some(object)) => self.service_principal == Some(*object),
            (None, None) => false,
        }
    }
}

/// Returns the part of a change that is not proved to be ours; `None`: all of the change is ours.
///
/// A change is ours if our client id made the change, and if the key carries the name of one of these scopes or the
/// manifest names the key for removal. Somebody who holds Keywheel's identity can do the same, and no more.
pub fn foreign(
    change: &Change,
    ourselves: &Ourselves,
    scopes: &[Scope],
    retire_keys: &[KeyId],
) -> Option<Change> {
    if !ourselves.made(change) {
        return Some(change.clone());
    }
    let named = |key: &&ChangedKey| {
        let name = key.display_name.as_deref().unwrap_or_default();
        scopes.iter().any(|scope| minted_by(scope, name).is_some())
    };
    let added = change.added.iter().filter(|key| !named(key)).cloned().collect::<Vec<_>>();
    let removed = change
        .removed
        .iter()
        .filter(|key| !named(key) && !retire_keys.contains(&key.id))
        .cloned()
        .collect::<Vec<_>>();
    (!added.is_empty() || !removed.is_empty()).then(|| Change {
        added,
        removed,
        object: change.object,
        actor: change.actor.clone(),
    })
}
