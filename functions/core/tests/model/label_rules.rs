//! The model of Secrets Manager, held to the same table of cases as the local AWS.

use std::collections::{BTreeMap, BTreeSet};

use keywheel_core::ids::{KeyId, VersionId};
use keywheel_core::rotation::Label;
use serde::Deserialize;
use uuid::Uuid;

use crate::secrets::{Put, Secret};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/aws/label_rules.json");

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    op: String,
    version: Option<String>,
    value: Option<String>,
    stage: Option<String>,
    stages: Option<Vec<String>>,
    label: Option<String>,
    to: Option<String>,
    from: Option<String>,
    expect: String,
    labels: BTreeMap<String, BTreeSet<String>>,
    deprecated: Option<BTreeSet<String>>,
}

fn value(name: &str) -> KeyId {
    KeyId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
}

fn version(name: &str) -> VersionId {
    VersionId(name.to_owned())
}

/// What the model answers, in Secrets Manager's words. `None`: the table asks what it does not know.
fn answer(secret: &mut Secret, step: &Step) -> Option<&'static str> {
    let labels =
        |stages: &[String]| stages.iter().map(|stage| Label::parse(stage)).collect::<Vec<_>>();
    Some(match step.op.as_str() {
        "create" if secret.exists => return None,
        "create" => {
            secret.exists = true;
            if let (Some(id), Some(text)) = (&step.version, &step.value) {
                secret.put(&version(id), value(text), &[]);
            }
            "ok"
        }
        "put" => {
            let id = version(step.version.as_ref().unwrap());
            let stages = step.stages.as_ref().map_or(vec![Label::Current], |stages| labels(stages));
            match secret.put(&id, value(step.value.as_ref().unwrap()), &stages) {
                Put::Stored => "ok",
                Put::Exists => "ResourceExistsException",
                Put::NoSecret => "ResourceNotFoundException",
            }
        }
        "move" => {
            let (to, from) = (step.to.as_deref().map(version), step.from.as_deref().map(version));
            let label = Label::parse(step.label.as_ref().unwrap());
            let known = to.as_ref().is_none_or(|to| secret.versions.contains_key(to));
            match secret.move_label(&label, to.as_ref(), from.as_ref()) {
                true => "ok",
                false if known => "InvalidParameterException",
                false => "ResourceNotFoundException",
            }
        }
        "get" => {
            let by_stage =
                step.stage.as_ref().and_then(|stage| secret.holder(&Label::parse(stage)));
            let id = step.version.as_deref().map(version).or(by_stage);
            let held = id.and_then(|id| secret.versions.get(&id)?.value);
            match held {
                Some(held) => {
                    assert_eq!(Some(held), step.value.as_deref().map(value));
                    "ok"
                }
                None => "ResourceNotFoundException",
            }
        }
        "pending" => {
            if secret.begin_rotation(&version(step.version.as_ref().unwrap())) {
                "ok"
            } else {
                "InvalidRequestException"
            }
        }
        other => panic!("the table has an operation {other} that this runner does not know"),
    })
}

#[test]
fn the_model_holds_to_the_table() {
    let table: Table = serde_json::from_str(&std::fs::read_to_string(TABLE).unwrap()).unwrap();
    assert!(table.cases.len() > 20);
    let mut checked = 0;
    for case in &table.cases {
        let mut secret = Secret::default();
        for (index, step) in case.steps.iter().enumerate() {
            let place = format!("{}, step {}", case.name, index + 1);
            // A second create is the only thing that Keywheel's rules never look at.
            let Some(answered) = answer(&mut secret, step) else {
                continue;
            };
            assert_eq!(answered, step.expect, "{place}");
            let shown = |deprecated: bool| {
                secret
                    .versions
                    .iter()
                    .filter(move |(_, version)| version.labels.is_empty() == deprecated)
            };
            let labels: BTreeMap<String, BTreeSet<String>> = shown(false)
                .map(|(id, version)| {
                    (id.0.clone(), version.labels.iter().map(ToString::to_string).collect())
                })
                .collect();
            assert_eq!(labels, step.labels, "{place}");
            if let Some(expected) = &step.deprecated {
                let deprecated: BTreeSet<String> =
                    shown(true).map(|(id, _)| id.0.clone()).collect();
                assert_eq!(&deprecated, expected, "{place}");
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} steps were checked");
}
