//! The manifest: which client secrets are rotated, where they are kept, and how.
//!
//! Reading makes a [`Manifest`], which is always valid, so that no other code checks a manifest. Text becomes a tree
//! with positions (`tree`), the tree becomes wire types (`decode`), and the wire types become a manifest (`entries`,
//! `settings`, `notifications`). Each stage notes its problems and goes on, so that all problems of a file are reported
//! together.

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
    /// The name in the manifest. The credential of a rule is named like its secret.
    pub name: CredentialName,
    /// The application's client id.
    pub application: AppId,
    /// The Secrets Manager secret.
    pub secret: SecretName,
    /// The settings.
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
    /// Reads a manifest, whatever the cloud. `source` names the text's place in errors.
    pub fn parse(text: &str, source: &str) -> Result<Self, ManifestError> {
        // The global cloud has everything that a manifest can ask for.
        Self::parse_in(text, source, Cloud::Public)
    }

    /// Reads a manifest of this cloud. Some clouds lack parts that a manifest can ask for.
    pub fn parse_in(text: &str, source: &str, cloud: Cloud) -> Result<Self, ManifestError> {
        let mut problems = problem::Problems::default();
        let manifest = tree::read(text, &mut problems)
            .and_then(|tree| entries::manifest(tree, cloud, &mut problems));
        problems.settle(source, manifest)
    }

    /// Gives the tenant of all applications.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Gives the credentials that the manifest lists, by name. The credentials of rules are not among them.
    pub fn credentials(&self) -> impl ExactSizeIterator<Item = &Credential> {
        self.credentials.values()
    }

    /// Gives the rules, in the file's order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Gives the entries of `notifications`.
    pub fn notifications(&self) -> &[Notification] {
        &self.notifications
    }

    /// Gives the JSON Schema of manifests, for editors.
    ///
    /// The schema has the fields and the shapes of their values. Only [`Manifest::parse`] checks conditions between
    /// fields.
    pub fn schema() -> serde_json::Value {
        entries::schema()
    }
}

impl Rule {
    /// Gives the tag in Graph that an application must have.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Gives the pattern of the secrets' names.
    pub fn secret(&self) -> &SecretPattern {
        &self.secret
    }

    /// Makes the credential of one application. The credential is named like its secret.
    pub fn credential_for(&self, application: AppId) -> Credential {
        let secret = self.secret.secret(application);
        let name = CredentialName(secret.as_str().to_owned());
        Credential { name, application, secret, settings: self.settings.clone() }
    }
}
