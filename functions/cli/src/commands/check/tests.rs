//! Each check passes where all is well, and fails with its cure where exactly its thing is broken.

mod sample;

use std::collections::{BTreeMap, BTreeSet};

use keywheel_core::deployment::{Concurrency, Function, Stack};
use keywheel_core::graph::FederatedCredential;
use keywheel_core::ids::{AppId, KeyOn};
use keywheel_core::notify::NotifySecret;
use keywheel_core::request::keys::Keys;
use sample::{
    ALL, APP, ISSUER, KMS, MANIFEST, PRINCIPAL, READ_AUDIT, ROTATE, SWEEP, TOPIC, federated, ids,
    objects, parse, ready, secret, well,
};

use super::catalogue::CHECKS;
use super::report::Checked;
use super::seen::{FailedSweep, Own, Parameters, Secret, Seen, Sweeps};
use super::verdict::{Reading, Trouble, Verdict};

fn judged(seen: &Seen, name: &str) -> Verdict {
    let check = CHECKS.iter().find(|check| check.name == name).unwrap();
    (check.judge)(seen)
}

/// Breaks one thing and gives the check's verdict.
fn broken(name: &str, by: impl FnOnce(&mut Seen)) -> Verdict {
    let mut seen = well();
    by(&mut seen);
    judged(&seen, name)
}

#[track_caller]
fn fails(name: &str, by: impl FnOnce(&mut Seen), what: &str, cure: &str) {
    match broken(name, by) {
        Verdict::Failed(trouble) => holds(&trouble, what, cure),
        other => panic!("{name}: {other:?}"),
    }
}

#[track_caller]
fn warns(name: &str, by: impl FnOnce(&mut Seen), what: &str, cure: &str) {
    match broken(name, by) {
        Verdict::Warned(trouble) => holds(&trouble, what, cure),
        other => panic!("{name}: {other:?}"),
    }
}

#[track_caller]
fn holds(trouble: &Trouble, what: &str, cure: &str) {
    assert!(trouble.what.contains(what), "{what}: {trouble:?}");
    assert!(trouble.cure.contains(cure), "{cure}: {trouble:?}");
}

#[track_caller]
fn skips(name: &str, by: impl FnOnce(&mut Seen), why: &str) {
    match broken(name, by) {
        Verdict::Skipped(said) => assert!(said.contains(why), "{why}: {said}"),
        other => panic!("{name}: {other:?}"),
    }
}

fn parameter(seen: &mut Seen, name: &str, value: &str) {
    let Reading::Read(Parameters(all)) = &mut seen.parameters else { panic!("no parameters") };
    all.insert(name.to_owned(), value.to_owned());
}

fn trouble<T>() -> Reading<T> {
    Reading::Failed(Trouble::new("no answer", "try again"))
}

#[test]
fn a_deployment_that_is_well_passes_every_check() {
    let report = Checked::new(&well());
    for check in &report.checks {
        assert_eq!(check.outcome, "passed", "{check:?}");
    }
    assert!(report.passed && report.checks.len() == CHECKS.len());
}

#[test]
fn before_the_deployment_only_what_needs_none_is_checked() {
    let report = Checked::new(&Seen { pre: true, ..well() });
    let made: Vec<_> = report.checks.iter().map(|check| check.check).collect();
    assert!(made.contains(&"concurrency") && made.contains(&"ownership"), "{made:?}");
    assert!(!made.contains(&"stack") && !made.contains(&"federated-credentials"), "{made:?}");
}

#[test]
fn a_failure_fails_and_a_warning_does_not() {
    let seen = Seen { dead_letters: Reading::Read(vec![("QueueUrl".to_owned(), 2)]), ..well() };
    assert!(Checked::new(&seen).passed);
    let seen = Seen { issuer: Reading::Read(None), ..well() };
    assert!(!Checked::new(&seen).passed);
}

#[test]
fn a_check_whose_reading_failed_fails_and_those_that_need_it_are_skipped() {
    fails("manifest", |seen| seen.manifest = trouble(), "no answer", "try again");
    skips("secret-prefix", |seen| seen.manifest = trouble(), "the manifest could not be read");
    skips("ownership", |seen| seen.objects = trouble(), "could not be read");
    skips("secret-prefix", |seen| seen.parameters = trouble(), "the stack could not be read");
    let not_tried = |seen: &mut Seen| seen.own = Reading::not_tried("nobody is signed in");
    skips("application", not_tried, "nobody is signed in");
}

#[test]
fn checks_of_the_account() {
    fails("aws-sign-in", |seen| seen.caller = trouble(), "no answer", "try again");
    let off = |seen: &mut Seen| seen.issuer = Reading::Read(None);
    fails("outbound-federation", off, "is off", "enable-outbound-web-identity-federation");
    let by_secret = |seen: &mut Seen| parameter(seen, "SignIn", "client_secret");
    skips("outbound-federation", by_secret, "SignIn");
    let few = Concurrency { limit: 10, unreserved: 10 };
    warns(
        "concurrency",
        |seen| seen.concurrency = Reading::Read(few),
        "10 functions may run at once",
        "ask AWS",
    );
    let some = Concurrency { limit: 40, unreserved: 40 };
    warns(
        "concurrency",
        |seen| seen.concurrency = Reading::Read(some),
        "take up to 60",
        "RotationConcurrency=30",
    );
    let reserving = |seen: &mut Seen| {
        seen.pre = true;
        seen.concurrency = Reading::Read(few);
        parameter(seen, "WebhookConcurrency", "5");
    };
    fails("concurrency", reserving, "may reserve 0 more", "WebhookConcurrency=0");
}

#[test]
fn checks_of_the_stack() {
    fails("stack", |seen| seen.stack = Reading::Read(None), "no such stack", "make deploy");
    let with = |status: &str| {
        let stack = Stack { status: status.to_owned(), ..Stack::default() };
        move |seen: &mut Seen| seen.stack = Reading::Read(Some(stack))
    };
    warns("stack", with("UPDATE_ROLLBACK_COMPLETE"), "the last deployment failed", "make deploy");
    fails("stack", with("UPDATE_IN_PROGRESS"), "UPDATE_IN_PROGRESS", "wait");
    fails("stack", with("ROLLBACK_COMPLETE"), "ROLLBACK_COMPLETE", "events");
    let functions = |function: Option<Function>| {
        move |seen: &mut Seen| seen.functions = Reading::Read(vec![("f".to_owned(), function)])
    };
    fails("functions", functions(None), "f is gone", "make deploy");
    let foreign = |seen: &mut Seen| {
        seen.stack = Reading::Read(Some(Stack::default()));
        seen.functions = Reading::Read(Vec::new());
    };
    fails("functions", foreign, "no outputs", "--stack");
    fails("federated-credentials", foreign, "no outputs", "--stack");
    let failed = Function { state: "Failed".to_owned(), ..ready() };
    fails("functions", functions(Some(failed)), "f is Failed", "make deploy");
    let late = Function {
        last_update_status: "Failed".to_owned(),
        last_update_status_reason: Some("KMS".to_owned()),
        ..ready()
    };
    fails("functions", functions(Some(late)), "update of the function f is Failed (KMS)", "deploy");
}

#[test]
fn checks_of_the_secrets() {
    let prefix = |seen: &mut Seen| parameter(seen, "SecretPrefix", "prod/");
    fails("secret-prefix", prefix, "keywheel/aks", "SecretPrefix");
    let rules = format!(
        "{MANIFEST}rules:\n  - match: {{ tag: keywheel }}\n    secret: \"entra/{{appId}}\"\n"
    );
    let outside = |seen: &mut Seen| seen.manifest = Reading::Read(parse(&rules));
    fails("secret-prefix", outside, "entra/{appId}", "SecretPrefix");
    let key = |seen: &mut Seen| parameter(seen, "KmsKeyArn", "");
    fails("secret-encryption", key, KMS, "KmsKeyArn");
    let wanted = MANIFEST.replace("keywheel/aks\n", "keywheel/aks\n    kms_key: \"99999999\"\n");
    let wants = |seen: &mut Seen| seen.manifest = Reading::Read(parse(&wanted));
    fails("secret-encryption", wants, "99999999", "KmsKeyArn");
    let alias = |seen: &mut Seen| {
        let kms_key = Some("alias/own".to_owned());
        seen.secrets = Reading::Read(vec![Secret { name: "keywheel/aks".to_owned(), kms_key }]);
    };
    warns("secret-encryption", alias, "alias/own", "describe-key");
}

#[test]
fn checks_of_the_application() {
    fails("entra-sign-in", |seen| seen.tenant = trouble(), "no answer", "try again");
    let own = |own: Option<Own>| move |seen: &mut Seen| seen.own = Reading::Read(own);
    fails("application", own(None), "408bf248", "setup.py");
    fails("application", own(Some(Own { principal: None })), "no service principal", "setup.py");
    let disabled = Own { principal: Some((PRINCIPAL, false)) };
    fails("application", own(Some(disabled)), "disabled", "enable");
    let granted = |texts: &'static [&'static str]| {
        move |seen: &mut Seen| seen.permissions = Reading::Read(ids(texts))
    };
    fails("permissions", granted(&READ_AUDIT), "Application.ReadWrite.OwnedBy", "setup.py");
    assert!(matches!(broken("permissions", granted(&[ALL])), Verdict::Passed(_)));
    warns(
        "audit-permissions",
        granted(&[ALL, READ_AUDIT[0]]),
        "Directory.Read.All",
        "--read-audit",
    );
    let unwatched = |seen: &mut Seen| {
        granted(&[ALL])(seen);
        parameter(seen, "WatchDirectoryAudits", "false");
    };
    skips("audit-permissions", unwatched, "nothing reads");
    let unused = MANIFEST.replace("keywheel/aks\n", "keywheel/aks\n    retire: when-unused\n");
    let watches_use = |seen: &mut Seen| {
        unwatched(seen);
        seen.manifest = Reading::Read(parse(&unused));
    };
    warns("audit-permissions", watches_use, "AuditLog.Read.All", "--read-audit");
}

#[test]
fn checks_of_the_federated_credentials() {
    let name = "federated-credentials";
    let with = |one: FederatedCredential| {
        move |seen: &mut Seen| seen.federated = Reading::Read(vec![federated(SWEEP), one])
    };
    let all = |seen: &mut Seen| {
        seen.permissions = Reading::Read(ids(&[ALL]));
        seen.federated = Reading::Read(Vec::new());
    };
    fails(name, all, "no federated credential", "--permission Application.ReadWrite.All --issuer");
    let cure = format!("--issuer {ISSUER} --subject {SWEEP} --subject {ROTATE}");
    let other = FederatedCredential { issuer: "https://other".to_owned(), ..federated(ROTATE) };
    fails(name, with(other), "has the issuer https://other, and not", &cure);
    let other = FederatedCredential { audiences: vec!["api://x".to_owned()], ..federated(ROTATE) };
    fails(name, with(other), "has the audience api://x, and not", &cure);
    let other = FederatedCredential { subject: ROTATE.to_lowercase(), ..federated(ROTATE) };
    fails(name, with(other), "in another case than", &cure);
    fails(name, with(federated("another")), &format!("has the subject {ROTATE}"), &cure);
    skips(name, |seen| seen.issuer = Reading::Read(None), "issues no tokens");
    skips(name, |seen| seen.stack = Reading::Read(None), "there is no stack");
    skips(name, |seen| parameter(seen, "SignIn", "client_secret"), "SignIn");
}

#[test]
fn checks_of_the_listed_applications() {
    let name = "listed-applications";
    let none = |seen: &mut Seen| seen.objects = Reading::Read(BTreeMap::new());
    fails(name, none, &format!("does not have aks ({APP})"), "client id");
    let alone = |seen: &mut Seen| {
        let only = |(_, on): &(AppId, KeyOn), _: &mut _| *on == KeyOn::Application;
        let mut objects = objects(true);
        objects.retain(only);
        seen.objects = Reading::Read(objects);
    };
    fails(name, alone, "no service principal", "az ad sp create");
    let disabled = |seen: &mut Seen| seen.objects = Reading::Read(objects(false));
    fails(name, disabled, &format!("disabled: aks ({APP})"), "enable each");
    let foreign = |seen: &mut Seen| seen.owned = Reading::Read(BTreeSet::new());
    let cure = format!("az ad app owner add --id {APP} --owner-object-id {PRINCIPAL}");
    fails("ownership", foreign, &format!("does not own aks ({APP})"), &cure);
    let all = |seen: &mut Seen| {
        foreign(seen);
        seen.permissions = Reading::Read(ids(&[ALL]));
    };
    skips("ownership", all, "need not own");
    let on_principal =
        MANIFEST.replace("keywheel/aks\n", "keywheel/aks\n    key_on: servicePrincipal\n");
    let principal = |seen: &mut Seen| {
        seen.manifest = Reading::Read(parse(&on_principal));
    };
    fails("ownership", principal, "does not own", "infra/entra/README.md");
}

#[test]
fn checks_of_the_sweeps() {
    let sweeps = |read_to: Option<&str>, failed: Option<&str>| {
        let time = |text: &str| text.parse().unwrap();
        let failed =
            failed.map(|at| FailedSweep { at: Some(time(at)), error: "AADSTS700213".to_owned() });
        let sweeps = Sweeps { read_to: read_to.map(time), failed: failed.into_iter().collect() };
        move |seen: &mut Seen| seen.sweeps = Reading::Read(sweeps)
    };
    let (early, late) = ("2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z");
    let name = "function-sign-in";
    fails(name, sweeps(None, Some(early)), "AADSTS700213", "checks of Entra");
    fails(name, sweeps(Some(early), Some(late)), "AADSTS700213", "checks of Entra");
    let mended = broken(name, sweeps(Some(late), Some(early)));
    assert!(matches!(mended, Verdict::Passed(_)), "{mended:?}");
    warns(name, sweeps(None, None), "no sweep has left a mark", "--function keywheel-Sweep");
    let unwatched = |seen: &mut Seen| {
        sweeps(None, None)(seen);
        parameter(seen, "WatchDirectoryAudits", "false");
    };
    skips(name, unwatched, "sweep --dry-run");
    let failed = |seen: &mut Seen| {
        sweeps(None, Some(early))(seen);
        parameter(seen, "WatchDirectoryAudits", "false");
    };
    warns(name, failed, "AADSTS700213", "sweep --dry-run");
}

#[test]
fn checks_of_the_settings() {
    let keys = |text: &str| {
        let keys = Keys::parse(&secret(text)).unwrap();
        move |seen: &mut Seen| seen.webhook = Reading::Read(keys)
    };
    let mistyped = r#"{"webhook_keys": {"ci": ["hush"]}, "slack_signing_secret": "hush"}"#;
    fails("webhook-secret", keys(mistyped), "slack_signing_secret, webhook_keys.ci", "whsec_");
    warns("webhook-secret", keys("{}"), "holds no key", "slack_signing_secret");
    let alerts = |seen: &mut Seen| parameter(seen, "GitHubAlerts", "on");
    fails("webhook-secret", alerts, "github_token", "GitHubAlerts=off");
    let not_deployed =
        |seen: &mut Seen| seen.webhook = Reading::not_tried("WebhookSecret is empty");
    skips("webhook-secret", not_deployed, "WebhookSecret is empty");
    let none = NotifySecret::parse(&secret("{}")).unwrap();
    let bare = |seen: &mut Seen| seen.notify = Reading::Read(none);
    fails("notify-secret", bare, "slack.ops", "notifications");
}

#[test]
fn checks_that_only_warn() {
    let waiting =
        vec![("DeadLetterQueueUrl".to_owned(), 3), ("AuditDeadLetterQueueUrl".to_owned(), 0)];
    let letters = |seen: &mut Seen| seen.dead_letters = Reading::Read(waiting);
    warns("dead-letters", letters, "DeadLetterQueueUrl (3)", "docs/operating.md");
    warns("alarms", |seen| seen.subscriptions = Reading::Read(0), TOPIC, "aws sns subscribe");
    let nobody = |seen: &mut Seen| {
        parameter(seen, "AlarmTopicArn", "");
        seen.subscriptions = Reading::not_tried("AlarmTopicArn is empty");
    };
    warns("alarms", nobody, "tell nobody", "AlarmTopicArn");
}
