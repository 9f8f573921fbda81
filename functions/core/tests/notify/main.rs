//! What is told, to whom, and that Slack and SNS take it, whatever an event holds.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod anything;
mod block_kit;

use chrono::{DateTime, TimeDelta, Utc};
use keywheel_core::manifest::{Manifest, Target};
use keywheel_core::notify::slack::{self, Addressed};
use keywheel_core::notify::{Notice, Progress, sns};
use keywheel_core::request::delivery::Requested;
use serde_json::{Value, json};

use crate::anything::check_mail;
use crate::block_kit::check;

const APP: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";
const ID: &str = "7c5a3c4e-2f56-4f0f-9a53-0d8c2a2f9b11";
const TIME: &str = "2026-11-21T09:00:00Z";

fn at() -> DateTime<Utc> {
    TIME.parse().expect("a time")
}

fn notice_of(kind: &str, data: &Value) -> Notice {
    let event = json!({
        "specversion": "1.0", "id": ID, "source": "keywheel", "type": kind, "subject": "x", "time": TIME,
        "datacontenttype": "application/json", "data": data,
    });
    let body =
        json!({ "version": "0", "detail-type": kind, "source": "keywheel", "detail": event });
    Notice::parse(&body.to_string()).expect("a notice")
}

fn notice(kind: &str, credential: &str) -> Notice {
    notice_of(kind, &json!({ "credential": credential, "application": APP, "reason": "because" }))
}

fn manifest(targets: &str) -> Manifest {
    let text = format!("tenant: {APP}\nnotifications:\n{targets}");
    Manifest::parse(&text, "m.yaml").unwrap_or_else(|error| panic!("{error}"))
}

/// Whether each of the manifest's targets is told.
fn told(manifest: &Manifest, notice: &Notice) -> Vec<bool> {
    manifest.notifications().iter().map(|entry| notice.for_target(&[entry]).is_some()).collect()
}

/// An entry of a digest.
fn expiring(credential: Option<&str>) -> Value {
    let managed = credential.is_some();
    let mut one = json!({ "application": APP, "key": ID, "expires_on": TIME, "managed": managed });
    if let Some(credential) = credential {
        one["credential"] = credential.into();
    }
    one
}

/// A digest of four, and of `total` in the directory.
fn digest(total: usize) -> Notice {
    let listed = [Some("prod-a"), None, Some("test-a"), Some("prod-b")].map(expiring);
    notice_of("keywheel.digest.expiring", &json!({ "expiring": listed, "total": total }))
}

fn headline(message: &Value) -> &str {
    message["blocks"][0]["text"]["text"].as_str().expect("a headline")
}

#[test]
fn targets_are_told_of_what_they_are_for() {
    let manifest = manifest(
        "  - slack: default\n  - slack: all\n    on: [failures, findings, rotations, digest]\n  - slack: mine\n    on: [failures]\n    credentials: [\"prod-*\"]\n",
    );
    for (kind, credential, expected) in [
        ("keywheel.rotation.failed", "prod-a", [true, true, true]),
        ("keywheel.rotation.failed", "test-a", [true, true, false]),
        ("keywheel.finding.foreign-key", "prod-a", [true, true, false]),
        ("keywheel.rotation.promoted", "prod-a", [false, true, false]),
        ("keywheel.rotation.requested", "prod-a", [false, true, false]),
        ("keywheel.approval.granted", "prod-a", [false, true, false]),
        ("keywheel.approval.denied", "prod-a", [false, true, false]),
        ("keywheel.key.removed", "prod-a", [false, true, false]),
        ("keywheel.key.minted", "prod-a", [false, false, false]),
        ("keywheel.rotation.stored", "prod-a", [false, false, false]),
        ("keywheel.something.new", "prod-a", [false, false, false]),
    ] {
        assert_eq!(told(&manifest, &notice(kind, credential)), expected, "{kind} {credential}");
    }
}

#[test]
fn a_narrowed_target_sees_its_part_of_the_digest_and_nothing_else() {
    let manifest = manifest(
        "  - slack: all\n  - slack: mine\n    credentials: [\"prod-*\"]\n  - slack: others\n    credentials: [nobody]\n",
    );
    let digest = digest(4);
    assert_eq!(told(&manifest, &digest), [true, true, false]);
    let [all, mine, _] = manifest.notifications() else { panic!("three targets") };
    assert_eq!(digest.for_target(&[all]), Some(digest.clone()));
    let mine = digest.for_target(&[mine]).expect("told");
    let listed = [expiring(Some("prod-a")), expiring(Some("prod-b"))];
    assert_eq!(mine.event["data"], json!({ "expiring": listed, "total": 2 }));
    let message = slack::render(&mine, None).to_json();
    let text = message.to_string();
    assert!(text.contains("prod-b") && !text.contains("test-a"), "{text}");
    assert_eq!(headline(&message), "2 keys and certificates expire within 60 days");
    let nothing = notice_of("keywheel.digest.expiring", &json!({ "expiring": [], "total": 0 }));
    assert_eq!(told(&manifest, &nothing), [false, false, false]);
}

#[test]
fn a_narrowed_target_is_told_that_a_digest_was_cut() {
    let manifest = manifest(
        "  - slack: mine\n    credentials: [\"prod-*\"]\n  - slack: one\n    credentials: [test-a]\n  - slack: others\n    credentials: [nobody]\n  - slack: deaf\n    on: [failures]\n    credentials: [nobody]\n",
    );
    let digest = digest(900);
    assert_eq!(told(&manifest, &digest), [true, true, true, false]);
    let headlines = [
        "At least 2 keys and certificates expire within 60 days",
        "At least one key or certificate expires within 60 days",
        "More keys and certificates expire within 60 days than a digest lists",
    ];
    for (entry, expected) in manifest.notifications().iter().zip(headlines) {
        let part = digest.for_target(&[entry]).expect("told");
        assert_eq!(part.event["data"]["total"], 900, "more than it lists");
        let message = slack::render(&part, None).to_json();
        check(&message);
        assert_eq!(headline(&message), expected);
        let mail = sns::render(&part, None);
        check_mail(&mail);
        assert_eq!(mail.subject, format!("Keywheel: {expected}"));
        for text in [message.to_string(), mail.message] {
            assert!(text.contains("The directory has 900, more than a digest lists"), "{text}");
            assert!(!text.contains("and 89"), "whose the others are is not known: {text}");
        }
    }
}

#[test]
fn what_is_no_event_is_refused_without_a_word_of_it() {
    let event = json!({ "id": ID, "type": "keywheel.key.minted", "time": TIME, "data": { "credential": "a", "application": APP } });
    assert!(Notice::parse(&json!({ "source": "keywheel", "detail": event }).to_string()).is_ok());
    for body in [
        "PLANTED".to_owned(),
        json!({ "source": "PLANTED", "detail": event }).to_string(),
        json!({ "source": "keywheel", "detail": "PLANTED" }).to_string(),
        json!({ "source": "keywheel", "detail": [ID, "keywheel.PLANTED", TIME] }).to_string(),
        json!({ "source": "keywheel", "detail": { "id": ID, "type": "keywheel.key.minted", "time": TIME, "data": ["PLANTED", APP] } }).to_string(),
        json!({ "source": "keywheel", "detail": { "id": ID, "type": "keywheel.digest.expiring", "time": TIME, "data": { "total": "PLANTED" } } }).to_string(),
    ] {
        let error = Notice::parse(&body).expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("PLANTED"), "{error:?}");
    }
}

#[test]
fn a_turned_secret_is_told_with_when_the_old_key_goes() {
    let promoted = notice("keywheel.rotation.promoted", "monk");
    let message = slack::render(&promoted, Some(at() + TimeDelta::hours(24))).to_json();
    assert_eq!(message["blocks"][0]["text"]["text"], "monk has a new client secret");
    assert!(
        message
            .to_string()
            .contains("The old key goes with the first sweep after 2026-11-22 09:00 UTC.")
    );
    let mail = sns::render(&notice("keywheel.rotation.failed", "monk"), None);
    assert_eq!(mail.subject, "Keywheel: Rotating monk failed");
    assert!(mail.message.contains("because."), "{}", mail.message);
}

#[test]
fn several_events_are_one_message_with_a_line_each() {
    let kinds = [
        "keywheel.rotation.promoted",
        "keywheel.finding.foreign-key",
        "keywheel.rotation.failed",
        "keywheel.finding.unknown-key",
    ];
    let events = kinds.map(|kind| Addressed { notice: notice(kind, "monk"), old_key_goes: None });
    let message = slack::list(&events).to_json();
    check(&message);
    let texts: Vec<&str> = message["blocks"]
        .as_array()
        .expect("blocks")
        .iter()
        .filter_map(|block| block["text"]["text"].as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "Failures: 1, Findings: 2, Rotations: 1",
            "*Failures*\n• *Rotating monk failed* because. The current secret goes on working. The job is a message in the dead-letter queue.\n",
            "*Findings*\n• *monk: finding foreign key* because\n• *monk: finding unknown key* because\n",
            "*Rotations*\n• *monk has a new client secret* Sign-ins proved the secret, which is now AWSCURRENT. The old key goes when its overlap is over.\n",
        ]
    );
}

#[test]
fn targets_of_one_kind_are_told_apart() {
    let manifest = manifest("  - slack: a\n  - webhook: https://b.example.com/x\n    key: k\n");
    let kinds: Vec<&Target> = manifest.notifications().iter().map(|one| &one.target).collect();
    assert!(matches!(kinds.as_slice(), [Target::Slack(_), Target::Webhook { .. }]));
}

fn request(reason: &str, by: &str, revoke_old: &str) -> Requested {
    let text = json!({
        "schema": 1, "request": ID, "credential": "monk", "application": APP, "requested_by": by, "reason": reason,
        "revoke_old": revoke_old, "requested_at": TIME,
        "slack": { "response_url": "https://hooks.slack.com/commands/PLANTED", "channel": "C1", "user": "U1", "team": "T1" },
    });
    serde_json::from_value(text).expect("a request")
}

#[test]
fn progress_shows_each_step_as_it_is_done() {
    let request = request("leaked", "slack U1", "after-overlap");
    let lines = |steps: &[&str]| {
        let mut progress = Progress::default();
        for step in steps {
            progress.add(format!("keywheel.{step}").into(), at(), Some("Graph said no".into()));
        }
        let json = progress.render(&request, Some(TimeDelta::hours(24))).to_json();
        check(&json);
        json.to_string()
    };
    let begun = lines(&["key.minted"]);
    assert!(
        begun.contains("Rotating monk") && begun.contains("✓ A new key is minted · 09:00:00 UTC")
    );
    assert!(
        begun.contains("○ The new secret is stored")
            && begun.contains("○ The new secret is proved, and current")
    );
    let ended = lines(&["key.minted", "rotation.stored", "rotation.promoted"]);
    assert!(ended.contains("monk has a new client secret") && !ended.contains('○'));
    assert!(ended.contains("first sweep after 2026-11-22 09:00 UTC"), "{ended}");
    let failed = lines(&["key.minted", "rotation.failed"]);
    assert!(failed.contains("Rotating monk failed") && failed.contains("Graph said no"));
    assert!(!failed.contains('○') && !failed.contains("old key goes"));
    assert!(!format!("{request:?}").contains("PLANTED"), "a response_url is a capability");
}

/// The facts of an event, as its mail has them.
fn facts(kind: &str, data: &Value) -> Vec<String> {
    let mail = sns::render(&notice_of(kind, data), None);
    mail.message.lines().map(str::to_owned).collect()
}

#[test]
fn an_events_facts_repeat_nothing() {
    let promoted = "keywheel.rotation.promoted";
    let data = |credential: &str, reason: &str| json!({ "credential": credential, "application": APP, "reason": reason });
    let lines = facts(promoted, &data("monk", "it leaked"));
    for line in ["Credential: monk", &format!("Application: {APP}"), "Reason: it leaked"] {
        assert!(lines.contains(&line.to_owned()), "{lines:?}");
    }
    assert_eq!(lines.last(), Some(&format!("{TIME} {promoted} {ID}")));
    let ruled = facts(promoted, &data(APP, ""));
    assert!(!ruled.iter().any(|line| line.starts_with("Application: ")), "{ruled:?}");
    for (reason, sentence) in [("no", "no."), ("no.", "no."), ("why?", "why?"), ("", "")] {
        let failed = facts("keywheel.rotation.failed", &data("monk", reason));
        assert!(failed[1].starts_with(&format!("{sentence} The current secret")), "{failed:?}");
        assert!(!failed.iter().any(|line| line.starts_with("Reason: ")), "{failed:?}");
    }
}

#[test]
fn a_request_is_withdrawn_by_whoever_asked_and_denied_by_others() {
    for (by, verb) in [("slack:T1/U1", "withdrawn"), ("slack:T1/U2", "denied")] {
        let data = json!({
            "credential": "monk", "application": APP, "requested_by": "slack:T1/U1", "denied_by": by,
        });
        let lines = facts("keywheel.approval.denied", &data);
        assert_eq!(lines[0], format!("monk: a rotation was {verb}"));
    }
}

#[test]
fn a_digest_has_a_line_for_each_key_and_says_how_many_it_has_no_room_for() {
    let mail = sns::render(&digest(4), None).message;
    let (nobodys, ours) = mail.split_once("Keywheel replaces in time:\n").expect("two lists");
    assert_eq!(ours.matches(&format!("key {ID}")).count(), 3);
    assert!(nobodys.contains(&format!("Nobody replaces:\n  2026-11-21: {APP}, key")), "{mail}");
    let whole = [mail, slack::render(&digest(4), None).to_json().to_string()];
    assert!(whole.iter().all(|text| !text.contains("more: too many")), "{whole:?}");
    let only =
        notice_of("keywheel.digest.expiring", &json!({ "expiring": [expiring(None)], "total": 1 }));
    let only = sns::render(&only, None).message;
    assert!(!only.contains("Keywheel replaces in time"), "{only}");
    let many: Vec<Value> = (0..800).map(|number| expiring(Some(&format!("c{number}")))).collect();
    let many = notice_of("keywheel.digest.expiring", &json!({ "expiring": many, "total": 805 }));
    let mail = sns::render(&many, None);
    check_mail(&mail);
    assert!(mail.message.contains("c799 (") && mail.message.contains("and 5 more: too many"));
    let message = slack::render(&many, None).to_json();
    check(&message);
    let text = message.to_string();
    let left: usize = 805 - text.matches("• ").count();
    assert!(text.contains(&format!("and {left} more: too many")), "{left}");
}

#[test]
fn as_many_events_are_in_one_message_as_fit() {
    let long = |kind: &str| {
        let data = json!({ "credential": "monk", "application": APP, "reason": "x".repeat(900) });
        Addressed { notice: notice_of(kind, &data), old_key_goes: None }
    };
    let failed = "keywheel.rotation.failed";
    let groups = slack::groups((0..60).map(|_| long(failed)).collect());
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 60);
    for group in &groups {
        let message = slack::list(group).to_json();
        check(&message);
        assert_eq!(message.to_string().matches("• ").count(), group.len());
        assert_eq!(headline(&message), format!("Failures: {}", group.len()));
    }
    // A line has 500 characters and its end, and the lines of a message have 8,000 together.
    assert_eq!(sizes[0], 15, "{sizes:?}");
}
