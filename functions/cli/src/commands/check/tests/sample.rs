//! A deployment with nothing to find fault with.

use std::collections::{BTreeMap, BTreeSet};

use keywheel_core::deployment::{Concurrency, Function, Stack};
use keywheel_core::graph::FederatedCredential;
use keywheel_core::ids::{KeyOn, ObjectId};
use keywheel_core::manifest::Manifest;
use keywheel_core::notify::NotifySecret;
use keywheel_core::request::keys::Keys;
use keywheel_core::secret::SecretText;
use uuid::Uuid;

use super::super::seen::{Caller, EntraObject, Objects, Own, Parameters, Secret, Seen, Sweeps};
use super::super::verdict::Reading;

pub(super) const ISSUER: &str = "https://abc.tokens.sts.global.api.aws";
pub(super) const SWEEP: &str = "arn:aws:iam::111122223333:role/keywheel-SweepRole";
pub(super) const ROTATE: &str = "arn:aws:iam::111122223333:role/keywheel-RotateRole";
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";
pub(super) const KMS: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
pub(super) const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:alarms";
pub(super) const OWNED_BY: &str = "18a4783c-866b-4cc7-a460-3d5e5662c884";
pub(super) const ALL: &str = "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9";
pub(super) const READ_AUDIT: [&str; 2] =
    ["b0afded3-3588-46d8-8b3d-9842eff778da", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"];
pub(super) const APP: &str = "559513bd-0c19-4c1a-87cd-851a26afd5fc";
pub(super) const MANIFEST: &str = "\
tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  aks:
    application: 559513bd-0c19-4c1a-87cd-851a26afd5fc
    secret: keywheel/aks
notifications:
  - slack: ops
";
pub(super) const PRINCIPAL: ObjectId = ObjectId(Uuid::from_u128(2));
pub(super) const HOLDER: ObjectId = ObjectId(Uuid::from_u128(3));

pub(super) fn parse(text: &str) -> Manifest {
    Manifest::parse(text, "m.yaml").unwrap()
}

pub(super) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn ids(texts: &[&str]) -> BTreeSet<Uuid> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

pub(super) fn federated(subject: &str) -> FederatedCredential {
    FederatedCredential {
        name: "of-keywheel".to_owned(),
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
    }
}

pub(super) fn ready() -> Function {
    Function {
        state: "Active".to_owned(),
        last_update_status: "Successful".to_owned(),
        ..Function::default()
    }
}

/// A deployment with nothing to find fault with.
pub(super) fn well() -> Seen {
    let outputs = [
        ("SweepRoleArn", SWEEP),
        ("RotateRoleArn", ROTATE),
        ("SweepFunctionName", "keywheel-Sweep"),
    ];
    let parameters = map(&[("KmsKeyArn", KMS), ("AlarmTopicArn", TOPIC)]);
    let stack = Stack {
        status: "CREATE_COMPLETE".to_owned(),
        parameters: parameters.clone(),
        outputs: map(&outputs),
        ..Stack::default()
    };
    let manifest = parse(MANIFEST);
    let keys = r#"{"github_webhook_secret": "It's a Secret to Everybody"}"#;
    let hooks = r#"{"slack": {"ops": "https://hooks.slack.com/services/x"}}"#;
    Seen {
        pre: false,
        client: "408bf248-dd4e-4be5-919a-7f6207a307ab".parse().ok(),
        audience: AUDIENCE.to_owned(),
        caller: Reading::Read(Caller {
            arn: "arn:aws:iam::111122223333:user/ada".to_owned(),
            region: "eu-central-1".to_owned(),
        }),
        issuer: Reading::Read(Some(ISSUER.to_owned())),
        concurrency: Reading::Read(Concurrency { limit: 1000, unreserved: 1000 }),
        stack: Reading::Read(Some(stack)),
        parameters: Reading::Read(Parameters(parameters)),
        functions: Reading::Read(vec![("keywheel-Sweep".to_owned(), Some(ready()))]),
        secrets: Reading::Read(vec![Secret {
            name: "keywheel/aks".to_owned(),
            kms_key: Some(KMS.to_owned()),
        }]),
        tenant: Reading::Read(manifest.tenant()),
        manifest: Reading::Read(manifest),
        own: Reading::Read(Some(Own { principal: Some((PRINCIPAL, true)) })),
        permissions: Reading::Read(ids(&[OWNED_BY, READ_AUDIT[0], READ_AUDIT[1]])),
        federated: Reading::Read(vec![federated(SWEEP), federated(ROTATE)]),
        objects: Reading::Read(objects(true)),
        owned: Reading::Read(BTreeSet::from([HOLDER])),
        sweeps: Reading::Read(Sweeps {
            read_to: Some("2026-11-21T10:00:00Z".parse().unwrap()),
            failed: Vec::new(),
        }),
        webhook: Reading::Read(Keys::parse(&secret(keys)).unwrap()),
        notify: Reading::Read(NotifySecret::parse(&secret(hooks)).unwrap()),
        dead_letters: Reading::Read(vec![("DeadLetterQueueUrl".to_owned(), 0)]),
        subscriptions: Reading::Read(1),
    }
}

/// The application of the manifest and its service principal.
pub(super) fn objects(enabled: bool) -> Objects {
    let object = |on, id, enabled| ((APP.parse().unwrap(), on), EntraObject { id, enabled });
    [object(KeyOn::Application, HOLDER, true), object(KeyOn::ServicePrincipal, PRINCIPAL, enabled)]
        .into()
}
