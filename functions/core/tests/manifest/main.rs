//! Manifests that are read, and manifests that are not: with the position, the fault and the cure.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bounds;
mod notifications;
mod schema;
mod source;
mod wrong;

use chrono::TimeDelta;
use keywheel_core::ids::{AppId, CredentialName, KeyOn};
use keywheel_core::manifest::{Allow, Approval, Manifest, ManifestError};
use keywheel_core::request::permission::Caller;
use keywheel_core::rotation::plan::Trigger;
use keywheel_core::value::Format;

const EXAMPLE: &str = include_str!("../../../../events/manifest.example.yaml");
const APP: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";
const OTHER: &str = "559513bd-0c19-4c1a-87cd-851a26afd5fc";

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, "m.yaml")
}

/// A manifest with one credential; `more` is added to its lines.
fn with(more: &str) -> String {
    format!(
        "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48\ncredentials:\n  one:\n    application: {APP}\n    secret: prod/one\n{more}"
    )
}

/// The one error of a manifest, written out.
fn error(text: &str) -> String {
    let error = parse(text).expect_err("not valid");
    assert_eq!(error.problems().len(), 1, "{error}");
    error.to_string()
}

fn id(text: &str) -> AppId {
    text.parse().expect("id")
}

#[test]
fn the_example_is_valid() {
    let manifest =
        Manifest::parse(EXAMPLE, "manifest.example.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.credentials().len(), 5);
    let named = |name: &str| manifest.by_name(&CredentialName(name.into())).expect(name).credential;
    assert_eq!(named("monk-deployment").settings.format, Format::SdkAuth);
    let terraform = named("terraform-runner");
    assert_eq!(terraform.settings.policy.lifetime, TimeDelta::days(14));
    assert_eq!(terraform.settings.policy.overlap, TimeDelta::hours(24));
    assert_eq!(terraform.settings.kms_key.as_deref(), Some("alias/terraform"));
    assert_eq!(terraform.settings.tags.len(), 2);
    let partner = named("partner-api");
    assert_eq!(
        (partner.settings.key_on, partner.settings.policy.adopt),
        (KeyOn::ServicePrincipal, true)
    );
    assert_eq!(partner.settings.policy.retire_keys.len(), 1);
    assert_eq!(named("legacy-service").settings.trigger, Trigger::Native);
}

#[test]
fn what_is_left_out_is_built_in() {
    let manifest = parse(&with("")).expect("valid");
    let one = manifest.credentials().next().expect("one");
    assert_eq!(
        (one.settings.key_on, one.settings.trigger, &one.settings.format),
        (KeyOn::Application, Trigger::Sweep, &Format::default())
    );
    let policy = &one.settings.policy;
    assert_eq!(policy.rotate_before, TimeDelta::days(30));
    assert_eq!(policy.lifetime, TimeDelta::days(180));
    assert_eq!(policy.overlap, TimeDelta::hours(24));
    assert_eq!(policy.settle, TimeDelta::seconds(60));
    assert!(!policy.adopt && !policy.promote_when_blocked && policy.retire_keys.is_empty());
    assert!(
        one.settings.kms_key.is_none()
            && one.settings.tags.is_empty()
            && one.settings.subscription.is_none()
    );
}

#[test]
fn a_rule_makes_a_credential_of_an_application() {
    let manifest = parse(EXAMPLE).expect("valid");
    let [rule] = manifest.rules() else { panic!("one rule") };
    assert_eq!(rule.tag(), "keywheel");
    let made = rule.credential_for(id(APP));
    assert_eq!(made.secret.as_str(), format!("keywheel/entra/{APP}"));
    assert_eq!(made.name.0, made.secret.as_str());
    assert_eq!(made.settings.tags.get("managed-by").map(String::as_str), Some("keywheel"));
    let managed = manifest.by_name_of(&made.name, id(APP)).unwrap();
    assert_eq!(managed.credential, made);
    assert!(!managed.is_listed());
    assert_eq!(manifest.by_name_of(&made.name, id(OTHER)), None);
}

#[test]
fn one_application_may_have_two_credentials() {
    let text = with(&format!("  two:\n    application: {APP}\n    secret: prod/two\n"));
    assert_eq!(parse(&text).expect("valid").credentials().len(), 2);
}

#[test]
fn anchors_and_merges_work() {
    let text = with(&format!(
        "    <<: &short {{ lifetime: 10d, rotate_before: 5d }}\n  two:\n    application: {OTHER}\n    secret: prod/two\n    <<: *short\n"
    ));
    let manifest = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    assert!(manifest.credentials().all(|one| one.settings.policy.lifetime == TimeDelta::days(10)));
}

#[test]
fn who_may_ask_is_named_and_the_nearest_word_counts() {
    let defaults = "defaults:\n  approval: required\n  allow: { slack: [{ team: T1, users: [U1, W2] }, { team: E9, users: [U1] }], webhook: [ci] }\n";
    let own = "    approval: none\n    allow: { webhook: [pager] }\n";
    let of = |text: &str| {
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        manifest.credentials().next().cloned().expect("one")
    };
    let person =
        |team: &str, user: &str| Caller::Slack { team: team.to_owned(), user: user.to_owned() };
    let system = |key: &str| Caller::Webhook { key: key.to_owned() };
    let inherited = of(&format!("{defaults}{}", with("")));
    assert_eq!(inherited.settings.approval, Approval::Required);
    for (caller, named) in [
        (person("T1", "U1"), true),
        (person("T1", "W2"), true),
        (person("E9", "U1"), true),
        (person("E9", "W2"), false),
        (person("U1", "T1"), false),
        (system("ci"), true),
        (system("T1"), false),
    ] {
        assert_eq!(inherited.settings.allow.names(&caller), named, "{caller}");
    }
    let its_own = of(&format!("{defaults}{}", with(own)));
    assert_eq!(its_own.settings.approval, Approval::None);
    assert!(
        its_own.settings.allow.names(&system("pager"))
            && !its_own.settings.allow.names(&system("ci"))
    );
    assert!(
        !its_own.settings.allow.names(&person("T1", "U1")),
        "its own list takes the place of the defaults'"
    );
    let nobody = of(&with(""));
    assert_eq!(
        (nobody.settings.approval, nobody.settings.allow),
        (Approval::None, Allow::default())
    );
}

#[test]
fn the_top_of_a_manifest_is_checked() {
    for (text, expected) in [
        ("", "m.yaml:1:1: the manifest is empty; begin with `tenant:`"),
        ("# nothing\n", "the manifest is empty"),
        ("---\n", "the manifest is empty"),
        ("a text", "m.yaml:1:1: expected a mapping, found a text"),
        ("- x\n", "m.yaml:1:1: expected a mapping, found a list"),
        ("credentials: {}\n", "m.yaml:1:1: `tenant` is missing; add it"),
        ("tenant: 72f988bf\n", "m.yaml:1:9: tenant: this is not a UUID; write it like"),
        ("tenant: 72f988bf86f141af91ab2d7cd011db48\n", "m.yaml:1:9: tenant: this is not a UUID"),
        ("tenant: [\n", "the YAML cannot be read"),
        ("tenant: \"\\ud800\"\n", "the YAML cannot be read"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn secrets_are_not_shared() {
    let two = |secret: &str| format!("  two:\n    application: {OTHER}\n    secret: {secret}\n");
    let shared = error(&with(&two("prod/one")));
    assert!(shared.starts_with("m.yaml:8:13: the credentials `one` (line 3) and `two` (line 6) share the secret `prod/one`;"), "{shared}");
    let rule = "rules:\n  - match: { tag: x }\n    secret: entra/{appId}\n";
    let by_rule = error(&with(&format!("{}{rule}", two(&format!("entra/{OTHER}")))));
    assert!(
        by_rule.contains("the secret could be that of a credential of the rule at line 11"),
        "{by_rule}"
    );
    let again =
        error(&with(&format!("{rule}  - match: {{ tag: y }}\n    secret: entra/{{appId}}\n")));
    assert!(again.starts_with("m.yaml:10:13: the rule at line 8 has the same pattern"), "{again}");
    let name = format!(
        "rules:\n  - match: {{ tag: x }}\n    secret: \"{{appId}}\"\ncredentials:\n  {OTHER}:\n    application: {APP}\n    secret: s\ntenant: {APP}\n"
    );
    assert!(error(&name).contains("the name could be that of a credential of the rule at line 3"));
}

#[test]
fn names_are_checked() {
    for name in ["all", "..", "a/b", "\"\"", "Defaults"] {
        let text = format!(
            "tenant: {APP}\ncredentials:\n  {name}:\n    application: {APP}\n    secret: s\n"
        );
        assert!(error(&text).starts_with("m.yaml:3:3: credentials: "), "{name}");
    }
    for (secret, expected) in [
        ("a~b", "'~' may not stand in the name (character 2); name the Secrets Manager secret"),
        (
            "arn:aws:secretsmanager",
            "':' may not stand in the name (character 4); give the secret's name, not its ARN",
        ),
    ] {
        let text = with("").replace("prod/one", secret);
        assert!(error(&text).contains(expected), "{secret}");
    }
}

#[test]
fn all_that_is_wrong_is_reported_at_once() {
    let text = format!(
        "tenant: nonsense\ndefaults:\n  settle: 10m\n  formt: json\ncredentials:\n  one:\n    application: {APP}\n    secret: a b\n    overlap: never\n  two:\n    secret: prod/two\n    secret: prod/three\n    lifetime: 1d\nrules:\n  - secret: x\n"
    );
    let error = parse(&text).expect_err("not valid");
    let lines: Vec<u64> = error.problems().iter().map(|problem| problem.position.line).collect();
    assert_eq!(lines, [1, 3, 4, 8, 9, 11, 12, 13, 15, 15], "{error}");
}

/// A key that is no text is one problem among others.
#[test]
fn a_key_that_is_no_text_hides_nothing() {
    let text = format!(
        "tenant: nonsense\n7: x\ncredentials:\n  8:\n    application: {APP}\n    secret: a b\n    lifetime: 1d\n    true: x\n    tags: {{ 9: y }}\n  two:\n    application: {APP}\n    secret: prod/client-secret\n    ? [a]\n    : x\n    overlap: never\nnotifications:\n  - slack: ops\n    true: [digest]\n    of: x\n"
    );
    let error = parse(&text).expect_err("not valid");
    let lines: Vec<u64> = error.problems().iter().map(|problem| problem.position.line).collect();
    assert_eq!(lines, [1, 2, 4, 6, 7, 8, 9, 13, 15, 18, 19], "{error}");
}

#[test]
fn fields_may_be_named_otherwise() {
    let format = |more: &str| {
        let manifest = parse(&with(more)).unwrap_or_else(|error| panic!("{error}"));
        manifest.credentials().next().expect("one").settings.format.clone()
    };
    let own = format("    fields: { client_secret: password, key_id: id }\n");
    assert_eq!(own.name(), "json");
    let names = ["tenant_id", "client_id", "password", "id", "expires_on"];
    assert_eq!(own.field_names(), Some(names));
    let defaults = "defaults: { fields: { client_secret: password, key_id: id } }\n";
    assert_eq!(format(defaults), own);
    assert_eq!(format(&format!("    format: env\n{defaults}")), Format::Env);
    assert_eq!(format("    fields: { client_secret: client_secret }\n"), Format::default());
    assert_eq!(format("    fields: {}\n"), Format::default());
}

/// AWS takes such a name, and by name it is never taken for an ARN.
#[test]
fn a_secret_may_be_named_as_an_arn_ends() {
    for name in ["prod/client-secret", "prod-AbC123", "-a1B2c3"] {
        let manifest = parse(&with("").replace("prod/one", name)).expect(name);
        assert!(manifest.by_secret(name).is_some(), "{name}");
    }
    let rule = "rules:\n  - match: { tag: x }\n    secret: entra/{appId}/client-secret\n";
    let manifest = parse(&with(rule)).expect("valid");
    assert!(manifest.by_secret(&format!("entra/{OTHER}/client-secret")).is_some());
}

#[test]
fn a_wrong_default_is_reported_once() {
    let text = with(&format!(
        "  two:\n    application: {OTHER}\n    secret: prod/two\ndefaults: {{ lifetime: 20d }}\n"
    ));
    assert!(error(&text).starts_with("m.yaml:9:23: "));
    let unused = with("defaults:\n  template: \"{client_secret}\"\n");
    assert!(error(&unused).contains("no credential uses the template of the defaults"));
}

#[test]
fn a_pasted_client_secret_is_not_repeated() {
    let pasted = "Zq8Q~pastedSecretText.abcdefgh-ijklmnopq";
    let fields = "secret application subscription overlap template kms_key format trigger key_on adopt retire_keys tags zzz";
    for field in fields.split(' ') {
        let text = format!(
            "tenant: {APP}\ncredentials:\n  one:\n    {field}: \"{pasted}\"\n    {pasted}: x\n"
        );
        let error = parse(&text).expect_err("not valid");
        assert!(!format!("{error} {error:?}").contains(pasted), "{field}: {error}");
    }
}
