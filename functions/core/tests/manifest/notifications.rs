//! Who is told of what: the targets of a manifest.

use keywheel_core::events::Topic;
use keywheel_core::ids::CredentialName;
use keywheel_core::manifest::Target;

use super::{EXAMPLE, error, parse, with};

/// A manifest with one credential and these targets.
fn telling(targets: &str) -> String {
    with(&format!("notifications:\n{targets}"))
}

#[test]
fn the_example_says_who_is_told() {
    let manifest = parse(EXAMPLE).expect("valid");
    let [slack, sns, webhook] = manifest.notifications() else { panic!("three targets") };
    assert_eq!(slack.target, Target::Slack("platform".into()));
    assert_eq!(slack.on, [Topic::Failures, Topic::Findings, Topic::Digest].into());
    assert_eq!(sns.on, [Topic::Failures].into());
    assert!(
        matches!(&webhook.target, Target::Webhook { url, key } if url.host_str() == Some("siem.example.com") && key == "siem")
    );
    let concerns = |name: &str| webhook.concerns(&CredentialName(name.into()));
    assert!(
        concerns("terraform-runner") && concerns("partner-api") && !concerns("monk-deployment")
    );
    assert!(slack.concerns(&CredentialName("monk-deployment".into())));
}

#[test]
fn what_is_wrong_with_a_target_is_named_with_place_and_cure() {
    for (targets, expected) in [
        (
            "  - on: [failures]\n",
            "m.yaml:7:5: notifications.0: nobody is named who is to be told; add one of `slack`, `sns`, `webhook`",
        ),
        (
            "  - slack: a\n    sns: arn:aws:sns:eu-central-1:111122223333:b\n",
            "m.yaml:7:5: notifications.0: more than one of",
        ),
        (
            "  - slack: https://hooks.slack.com/services/T0/B0/secret\n",
            "m.yaml:7:12: notifications.0.slack: ':' may not stand in the name (character 6); give the name of an entry of the notify secret",
        ),
        (
            "  - slack: a\n    key: b\n",
            "m.yaml:8:10: notifications.0: `key` is given, but there is no `webhook`",
        ),
        ("  - slack: a\n    on: []\n", "m.yaml:8:9: notifications.0: told of nothing"),
        (
            "  - slack: a\n    on: [failure]\n",
            "m.yaml:8:10: notifications.0.on.0: unknown topic `failure`; did you mean `failures`?",
        ),
        (
            "  - slack: a\n    on: failures\n",
            "m.yaml:8:9: notifications.0.on: expected a list, found a text",
        ),
        (
            "  - slack: a\n    credentials: []\n",
            "m.yaml:8:18: notifications.0: told of no credential",
        ),
        (
            "  - slack: a\n    credentials: [\"a b\"]\n",
            "m.yaml:8:19: notifications.0.credentials.0: no credential has such a name",
        ),
        (
            "  - sns: alerts\n",
            "m.yaml:7:10: notifications.0.sns: this is not the ARN of an SNS topic; write it like",
        ),
        (
            "  - sns: arn:aws:sns:eu-central-1:111122223333:b.fifo\n",
            "m.yaml:7:10: notifications.0.sns: a FIFO topic",
        ),
        (
            "  - webhook: https://siem.example.com/\n",
            "m.yaml:7:14: notifications.0: the webhook has no `key`",
        ),
        (
            "  - webhook: http://siem.example.com/\n    key: a\n",
            "m.yaml:7:14: notifications.0.webhook: webhooks are sent over https only",
        ),
        (
            "  - webhook: https://10.0.0.1/\n    key: a\n",
            "m.yaml:7:14: notifications.0.webhook: the URL names no host by its full name",
        ),
        ("  - slack: a\n    colour: red\n", "m.yaml:8:5: notifications.0: unknown field `colour`"),
        ("  slack: a\n", "m.yaml:7:3: notifications: expected a list, found a mapping"),
    ] {
        let error = error(&telling(targets));
        assert!(error.starts_with(expected), "{targets}\nexpected {expected}\n     got {error}");
        assert!(!error.contains("secret\n") && !error.contains("T0/B0"), "{error}");
    }
    assert!(
        error(&telling(&"  - slack: a\n".repeat(51)))
            .starts_with("m.yaml:57:5: notifications: more than 50 targets")
    );
}
