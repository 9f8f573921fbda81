//! Everything that the checks judge: plain data, as it was read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use keywheel_core::deployment::{Concurrency, Function, Stack};
use keywheel_core::graph::FederatedCredential;
use keywheel_core::ids::{AppId, KeyOn, ObjectId, TenantId};
use keywheel_core::manifest::Manifest;
use keywheel_core::notify::NotifySecret;
use keywheel_core::request::keys::Keys;

use super::verdict::Reading;

/// The parameters of `infra/template.yaml` that checks look at, with the template's defaults.
pub(crate) const PARAMETERS: [(&str, &str); 13] = [
    ("AlarmTopicArn", ""),
    ("ClientId", ""),
    ("Cloud", "public"),
    ("GitHubAlerts", "off"),
    ("KmsKeyArn", ""),
    ("ManifestKey", "manifest.yaml"),
    ("NotifySecret", ""),
    ("RotationConcurrency", "50"),
    ("SecretPrefix", "keywheel/"),
    ("SignIn", "federated"),
    ("WatchDirectoryAudits", "true"),
    ("WebhookConcurrency", "0"),
    ("WebhookSecret", ""),
];

/// The parameters of a deployment, or of the one to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(pub(super) BTreeMap<String, String>);

impl Parameters {
    /// Gives a parameter's value. An empty value counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let default = PARAMETERS.iter().find(|(known, _)| *known == name);
        let value = self.0.get(name).map(String::as_str).or(default.map(|(_, value)| *value));
        value.filter(|value| !value.is_empty())
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    pub(super) fn number(&self, name: &str) -> u32 {
        self.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// The person or role that runs the command.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) arn: String,
    pub(super) region: String,
}

/// A secret that exists, or not.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) name: String,
    /// The KMS key of a secret that exists; `None` is `aws/secretsmanager`.
    pub(super) kms_key: Option<String>,
}

/// Keywheel's own application in Entra.
#[derive(Debug)]
pub(super) struct Own {
    /// The id of its service principal, and whether the service principal may sign in.
    pub(super) principal: Option<(ObjectId, bool)>,
}

/// A message of the queue of failed sweeps.
#[derive(Debug)]
pub(super) struct FailedSweep {
    /// When the sweep failed, where the message says when.
    pub(super) at: Option<DateTime<Utc>>,
    /// The error, in the function's own words.
    pub(super) error: String,
}

/// The traces of the last sweeps.
#[derive(Debug)]
pub(super) struct Sweeps {
    /// Up to when sweeps have read the directory audit.
    pub(super) read_to: Option<DateTime<Utc>>,
    pub(super) failed: Vec<FailedSweep>,
}

/// The objects of applications, by client id and kind.
pub(super) type Objects = BTreeMap<(AppId, KeyOn), EntraObject>;

/// An application or a service principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntraObject {
    pub(super) id: ObjectId,
    /// Whether a service principal may sign in.
    pub(super) enabled: bool,
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Seen {
    /// Whether the checks are those before the deployment.
    pub(super) pre: bool,
    /// The client id of Keywheel's application, as far as it is known.
    pub(super) client: Option<AppId>,
    /// The audience that Entra asks for in tokens of AWS.
    pub(super) audience: String,
    pub(super) caller: Reading<Caller>,
    /// The issuer of the account's tokens; `None`: the account issues none.
    pub(super) issuer: Reading<Option<String>>,
    pub(super) concurrency: Reading<Concurrency>,
    pub(super) stack: Reading<Option<Stack>>,
    pub(super) parameters: Reading<Parameters>,
    /// The functions by their names; `None`: there is no such function.
    pub(super) functions: Reading<Vec<(String, Option<Function>)>>,
    pub(super) manifest: Reading<Manifest>,
    /// The secrets of the manifest that exist.
    pub(super) secrets: Reading<Vec<Secret>>,
    /// The tenant that was signed in to.
    pub(super) tenant: Reading<TenantId>,
    pub(super) own: Reading<Option<Own>>,
    /// The ids of Microsoft Graph's permissions that the application has.
    pub(super) permissions: Reading<BTreeSet<uuid::Uuid>>,
    pub(super) federated: Reading<Vec<FederatedCredential>>,
    /// The applications and service principals of the manifest's credentials.
    pub(super) objects: Reading<Objects>,
    /// The objects that Keywheel's service principal owns.
    pub(super) owned: Reading<BTreeSet<ObjectId>>,
    pub(super) sweeps: Reading<Sweeps>,
    pub(super) webhook: Reading<Keys>,
    pub(super) notify: Reading<NotifySecret>,
    /// How many dead letters wait in the queue of each output.
    pub(super) dead_letters: Reading<Vec<(String, i32)>>,
    /// How many confirmed subscriptions the topic of alarms has.
    pub(super) subscriptions: Reading<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_have_the_templates_defaults() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/template.yaml");
        let template = std::fs::read_to_string(path).unwrap();
        for (name, default) in PARAMETERS {
            let (_, declared) = template.split_once(&format!("\n  {name}:\n")).unwrap();
            let mut lines = declared.lines().take_while(|line| line.starts_with("    "));
            let found = lines.find_map(|line| line.strip_prefix("    Default: "));
            assert_eq!(found.unwrap_or_default().trim_matches('"'), default, "{name}");
        }
    }
}
