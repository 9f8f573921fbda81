//! The manifest: which client secrets are rotated, where they are kept, and how.
//!
//! It is parsed, not validated: a [`Manifest`] that exists is valid, and whoever holds one checks
//! nothing again. Text becomes a tree with places (`tree`), the tree becomes wire types (`decode`), and these become a
//! manifest (`entries`, `settings`, `notifications`). Each stage notes what is wrong and goes on, so that all of a file's
//! errors are reported together.

mod declare;
mod decode;
mod entries;
mod format;
mod managed;
mod names;
mod notifications;
mod permission;
mod problem;
mod scalars;
mod settings;
mod source;
mod tree;

use std::collections::BTreeMap;

use crate::identity::Cloud;
use crate::ids::{AppId, CredentialName, TenantId};

pub use managed::{Managed, Origin};
pub use names::{NameError, SecretName, SecretPattern};
pub use notifications::{Notification, Pattern, Target};
pub use permission::{Allow, Approval};
pub use problem::{ManifestError, Position, Problem};
pub use settings::Settings;
pub use source::{LoadError, ManifestSource};
pub use tree::MAX_BYTES;

/// A valid manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    tenant: TenantId,
    credentials: BTreeMap<CredentialName, Credential>,
    rules: Vec<Rule>,
    notifications: Vec<Notification>,
}

/// One principal's client secret and the Secrets Manager secret that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its name in the manifest or, made by a rule, its secret's name.
    pub name: CredentialName,
    /// The application's client id.
    pub application: AppId,
    /// The Secrets Manager secret.
    pub secret: SecretName,
    /// How it is managed.
    pub settings: Settings,
}

/// A credential for every application with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    tag: String,
    secret: SecretPattern,
    settings: Settings,
}

impl Manifest {
    /// Reads a manifest. `source` says in errors where the text came from.
    pub fn parse(text: &str, source: &str) -> Result<Self, ManifestError> {
        // The global cloud has all of it.
        Self::parse_in(text, source, Cloud::Public)
    }

    /// The same, where it is known which of Microsoft's clouds the manifest is for: not every one has all that a
    /// manifest may ask for.
    pub fn parse_in(text: &str, source: &str, cloud: Cloud) -> Result<Self, ManifestError> {
        let mut problems = problem::Problems::default();
        let manifest = tree::read(text, &mut problems)
            .and_then(|tree| entries::manifest(tree, cloud, &mut problems));
        problems.settle(source, manifest)
    }

    /// The tenant that all applications are in.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The credentials that are listed, by name. Those that rules make are not among them.
    pub fn credentials(&self) -> impl ExactSizeIterator<Item = &Credential> {
        self.credentials.values()
    }

    /// The rules, in the file's order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Who is told, and of what.
    pub fn notifications(&self) -> &[Notification] {
        &self.notifications
    }

    /// The JSON Schema of manifests, for editors.
    ///
    /// It knows the fields and the shape of their values; what holds between fields only
    /// [`Manifest::parse`] knows.
    pub fn schema() -> serde_json::Value {
        entries::schema()
    }
}

impl Rule {
    /// The tag in Graph that an application must have.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What the secrets are called.
    pub fn secret(&self) -> &SecretPattern {
        &self.secret
    }

    /// The credential of one application. It is named like its secret.
    pub fn credential_for(&self, application: AppId) -> Credential {
        let secret = self.secret.secret(application);
        let name = CredentialName(secret.as_str().to_owned());
        Credential { name, application, secret, settings: self.settings.clone() }
    }
}
