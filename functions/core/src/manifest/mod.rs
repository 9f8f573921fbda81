//! The manifest: which client secrets are rotated, where they are kept, and how.
//!
//! It is parsed, not validated: a [`Manifest`] that exists is valid, and whoever holds one checks
//! nothing again. Text becomes a tree with places (`tree`), the tree becomes wire types (`wire`, by way
//! of `decode`), and these become a manifest (`resolve`). Each stage notes what is wrong and goes on, so
//! that all of a file's errors are reported together.

mod decode;
mod lasting;
mod managed;
mod names;
mod notifications;
mod problem;
mod resolve;
mod source;
mod tree;
mod wire;

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::identity::Cloud;
use crate::ids::{AppId, CredentialName, KeyOn, SubscriptionId, TenantId};
use crate::request::permission::{Allow, Approval};
use crate::rotation::plan::Trigger;
use crate::rotation::policy::Policy;
use crate::value::Format;

pub use managed::{Managed, Origin};
pub use names::{NameError, SecretName, SecretPattern};
pub use notifications::{Notification, Pattern, Target};
pub use problem::{ManifestError, Position, Problem};
pub use source::{LoadError, ManifestSource, SourceError};
pub use tree::MAX_BYTES;

/// A valid manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    tenant: TenantId,
    credentials: BTreeMap<CredentialName, Credential>,
    rules: Vec<Rule>,
    notifications: Vec<Notification>,
}

/// What a credential and a rule have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    subscription: Option<SubscriptionId>,
    key_on: KeyOn,
    format: Format,
    trigger: Trigger,
    approval: Approval,
    allow: Allow,
    policy: Policy,
    shortest_lifetime: TimeDelta,
    kms_key: Option<String>,
    tags: BTreeMap<String, String>,
}

/// One principal's client secret and the Secrets Manager secret that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its name in the manifest or, made by a rule, its secret's name.
    pub name: CredentialName,
    /// The application's client id.
    pub application: AppId,
    /// The subscription that is written into the secret; there whenever the format needs one.
    pub subscription: Option<SubscriptionId>,
    /// The Secrets Manager secret.
    pub secret: SecretName,
    /// Where its keys are put.
    pub key_on: KeyOn,
    /// What the secret's value looks like.
    pub format: Format,
    /// Who starts its rotations.
    pub trigger: Trigger,
    /// Whether a second person must agree to a rotation that somebody asked for.
    pub approval: Approval,
    /// Who may ask for a rotation.
    pub allow: Allow,
    /// When and how it is rotated.
    pub policy: Policy,
    /// The shortest life of a key to accept where the tenant's policy refuses the policy's `lifetime`.
    pub shortest_lifetime: TimeDelta,
    /// The KMS key of a secret that the first rotation creates.
    pub kms_key: Option<String>,
    /// The tags of a secret that the first rotation creates.
    pub tags: BTreeMap<String, String>,
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
            .and_then(|tree| resolve::wire(tree, &mut problems))
            .and_then(|wire| {
                resolve::check_cloud(&wire, cloud, &mut problems);
                resolve::manifest(wire, &mut problems)
            });
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
        wire::schema()
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
        self.settings.clone().credential(name, application, secret)
    }
}

impl Settings {
    fn credential(
        self,
        name: CredentialName,
        application: AppId,
        secret: SecretName,
    ) -> Credential {
        let Self {
            subscription,
            key_on,
            format,
            trigger,
            approval,
            allow,
            policy,
            shortest_lifetime,
            kms_key,
            tags,
        } = self;
        Credential {
            name,
            application,
            subscription,
            secret,
            key_on,
            format,
            trigger,
            approval,
            allow,
            policy,
            shortest_lifetime,
            kms_key,
            tags,
        }
    }
}
