//! The parsers of texts: jobs, cursors, manifests, stored values, labels.

use keywheel_core::engine::sweep::Cursor;
use keywheel_core::identity::Cloud;
use keywheel_core::ids::{AppId, KeyId, SubscriptionId, TenantId};
use keywheel_core::manifest::Manifest;
use keywheel_core::queue::Job;
use keywheel_core::rotation::names::Label;
use keywheel_core::secret::SecretText;
use keywheel_core::value::{Facts, Foreign, Format};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::material::{
    SECRET, bytes, config, error_tells_nothing, event, in_time, tells_nothing, text,
};

const ID: &str = "a1b2c3d4-0000-4000-8000-000000000001";

fn jobs() -> Vec<String> {
    let job = |work: Value| {
        json!({
            "schema": 1, "credential": "monk", "application": ID, "work": work,
            "requested_by": "sweep", "requested_at": "2026-01-02T03:04:05.678Z", "continuation": 3,
        })
        .to_string()
    };
    vec![
        job(
            json!({ "kind": "rotate", "rotation": ID, "replaces": null, "reason": "expiring", "revoke_old": "now" }),
        ),
        job(json!({ "kind": "retire", "version": ID, "key": ID })),
        job(json!({ "kind": "resolve", "rotation": ID, "key": ID })),
    ]
}

fn formats() -> Vec<Format> {
    let template = "a {{ {tenant_id} {key_id}: '{client_secret}' {expires_on} {client_id} }}é";
    vec![
        Format::default(),
        Format::SdkAuth,
        Format::Env,
        Format::Dstack,
        Format::Raw,
        Format::Template(template.parse().unwrap()),
    ]
}

fn facts() -> Facts {
    Facts {
        cloud: Cloud::China,
        tenant: TenantId(Uuid::from_u128(1)),
        application: AppId(Uuid::from_u128(2)),
        subscription: Some(SubscriptionId(Uuid::from_u128(3))),
        key_id: KeyId(Uuid::from_u128(4)),
        expires_on: "2026-11-21T09:00:00Z".parse().unwrap(),
    }
}

fn stored_values() -> Vec<String> {
    let secret = SecretText::new(SECRET.to_owned());
    let render = |format: &Format| {
        format.render(&facts(), &secret, &Foreign::default()).unwrap().expose().to_owned()
    };
    formats().iter().map(render).collect()
}

/// The example with a secret in each place where somebody may paste one.
fn manifests() -> Vec<String> {
    let example = event("manifest.example.yaml");
    let pasted = format!(
        "{example}\n  - match: {{ tag: x, secret: \"{SECRET}\" }}\n    secret: y/{{appId}}\n    format: \"{SECRET}\"\n    lifetime: \"{SECRET}\"\n    kms_key: \"{SECRET}\"\n    template: \"{{{SECRET}}}\"\n"
    );
    vec![example, pasted]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_job(body in text(jobs())) {
        match in_time(|| Job::parse(&body)) {
            Ok(job) => {
                prop_assert_eq!(&Job::parse(&job.to_json().unwrap()).unwrap(), &job);
                prop_assert!(job.group_id().len() <= 128 && job.deduplication_id().unwrap().len() <= 128);
                prop_assert!(job.continued().continuation >= job.continuation);
                prop_assert!(!job.id().is_empty());
            }
            Err(error) => prop_assert!(error.to_string().len() < 200),
        }
    }

    #[test]
    fn fuzz_cursor(detail in bytes(vec![
        json!({ "listing": "applications", "next": "https://graph.microsoft.com/v1.0/applications?$skiptoken=a" }).to_string(),
        json!({ "listing": "credentials", "next": null }).to_string(),
    ])) {
        if let Ok(cursor) = in_time(|| serde_json::from_slice::<Cursor>(&detail)) {
            let again: Cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
            prop_assert_eq!(again, cursor);
        }
    }

    #[test]
    fn fuzz_manifest(file in text(manifests())) {
        match in_time(|| Manifest::parse(&file, "m.yaml")) {
            Ok(manifest) => {
                for credential in manifest.credentials() {
                    let secret = credential.secret.as_str();
                    let found = manifest.by_secret(secret).unwrap();
                    prop_assert_eq!(&found.credential.name, &credential.name);
                    prop_assert!(credential.settings.policy.lifetime > credential.settings.policy.rotate_before);
                }
            }
            Err(error) => {
                error_tells_nothing(&error);
                prop_assert!(!error.problems().is_empty());
                prop_assert!(error.to_string().len() < 100_000, "an error of {} bytes", error.to_string().len());
            }
        }
    }

    #[test]
    fn fuzz_stored_value(value in text(stored_values()), format in proptest::sample::select(formats())) {
        let stored = SecretText::new(value);
        tells_nothing(&stored);
        match in_time(|| format.client_secret(&stored)) {
            Ok(secret) => {
                tells_nothing(&secret);
                prop_assert!(!secret.expose().is_empty());
                // What was found can be stored again, and is found again.
                if let Ok(again) = format.render(&facts(), &secret, &Foreign::default()) {
                    let again = format.client_secret(&again).unwrap();
                    prop_assert_eq!(again.expose(), secret.expose());
                }
            }
            Err(error) => error_tells_nothing(&error),
        }
        match in_time(|| format.read_back(&stored, &facts(), &Foreign::default())) {
            Ok(secret) => {
                let found = format.client_secret(&stored).unwrap();
                prop_assert_eq!(secret.expose(), found.expose());
            }
            Err(error) => error_tells_nothing(&error),
        }
    }

    #[test]
    fn fuzz_label(label in text(vec![
        "AWSCURRENT".to_owned(),
        format!("keywheel:key:{ID}"),
        "keywheel:since:1790000000".to_owned(),
        "keywheel:void:8210266876799".to_owned(),
        "keywheel:since:-8334601228800".to_owned(),
    ])) {
        let parsed = in_time(|| Label::parse(&label));
        prop_assert_eq!(parsed.to_string(), label.clone());
        prop_assert_eq!(&Label::parse(&parsed.to_string()), &parsed);
        if let Label::Since(at) | Label::Void(at) = parsed {
            // The rules add overlaps to it.
            prop_assert!(at.checked_add_signed(chrono::TimeDelta::days(800)).is_some(), "{label}");
            prop_assert!(at.checked_sub_signed(chrono::TimeDelta::days(800)).is_some(), "{label}");
        }
    }
}
