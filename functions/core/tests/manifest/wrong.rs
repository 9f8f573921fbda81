//! Each single thing that can be wrong with a credential is named with its place and its cure.

use keywheel_core::identity::Cloud;
use keywheel_core::manifest::Manifest;

use super::{error, with};

/// What is added to a manifest, and how the error begins.
const WRONG: &[(&str, &str)] = &[
    (
        "    approval: maybe\n",
        "m.yaml:6:15: credentials.one.approval: unknown approval `maybe`; one of `none`, `required`",
    ),
    (
        "    allow: everybody\n",
        "m.yaml:6:12: credentials.one.allow: expected a mapping, found a text",
    ),
    (
        "    allow: { github: true }\n",
        "m.yaml:6:14: credentials.one.allow: unknown field `github`; one of `slack`, `webhook`",
    ),
    (
        "    allow:\n      slack:\n        - users: [U1]\n",
        "m.yaml:8:11: credentials.one.allow.slack.0: `team` is missing; add it",
    ),
    (
        "    allow:\n      slack:\n        - team: T1\n",
        "m.yaml:8:11: credentials.one.allow.slack.0: `users` is missing; add it",
    ),
    (
        "    allow:\n      slack: [{ team: T1, users: [] }]\n",
        "m.yaml:7:34: credentials.one: no user is named; name users, or remove the entry",
    ),
    (
        "    allow:\n      slack: [{ team: acme, users: [U1] }]\n",
        "m.yaml:7:23: credentials.one.allow.slack.0.team: 'a' may not stand in the name (character 1); give the workspace's id",
    ),
    (
        "    allow:\n      slack: [{ team: T, users: [U1] }]\n",
        "m.yaml:7:23: credentials.one.allow.slack.0.team: 'T' may not stand in the name (character 1); give the workspace's id",
    ),
    (
        "    allow:\n      slack: [{ team: T1, users: [T1] }]\n",
        "m.yaml:7:35: credentials.one.allow.slack.0.users.0: 'T' may not stand in the name (character 1); give the user's id",
    ),
    (
        "    allow: { webhook: [a/b] }\n",
        "m.yaml:6:24: credentials.one.allow.webhook.0: '/' may not stand in the name (character 2); give the name of the keys",
    ),
    (
        "    overlapp: 1h\n",
        "m.yaml:6:5: credentials.one: unknown field `overlapp`; did you mean `overlap`?",
    ),
    (
        "    consumers: []\n",
        "m.yaml:6:5: credentials.one: `consumers` is not possible here; consumers are not supported by this version yet",
    ),
    (
        "    overlap: 1 fortnight\n",
        "m.yaml:6:14: credentials.one.overlap: this is not a duration; write it like `30d`",
    ),
    (
        "    overlap: 0s\n",
        "m.yaml:6:14: credentials.one.overlap: a duration of zero is not possible",
    ),
    ("    overlap: -1h\n", "m.yaml:6:14: credentials.one.overlap: a duration cannot be negative"),
    (
        "    settle: 5m\n",
        "m.yaml:6:13: credentials.one.settle: the duration is too long; at most 4m is possible here",
    ),
    (
        "    lifetime: 3y\n",
        "m.yaml:6:15: credentials.one.lifetime: the duration is too long; at most 731d is possible here",
    ),
    ("    lifetime: 99999999999y\n", "m.yaml:6:15: credentials.one.lifetime:"),
    (
        "    lifetime: 180\n",
        "m.yaml:6:15: credentials.one.lifetime: expected a text, found a number; give it a unit, like `180d`",
    ),
    (
        "    lifetime: 30d\n",
        "m.yaml:6:15: credentials.one: rotate_before (30d) is not shorter than lifetime (30d)",
    ),
    (
        "    lifetime: 31d\n",
        "m.yaml:6:15: credentials.one: rotate_before (30d) and overlap (24h) do not fit into lifetime (31d)",
    ),
    (
        "    rotate_before: 50d\ndefaults: { lifetime: 40d }\n",
        "m.yaml:6:20: credentials.one: rotate_before (50d) is not shorter than lifetime (40d)",
    ),
    (
        "    overlap: 31d\n",
        "m.yaml:6:14: credentials.one: overlap (31d) is not two hours shorter than rotate_before (30d)",
    ),
    (
        "    rotate_before: 24h\n",
        "m.yaml:6:20: credentials.one: overlap (24h) is not two hours shorter than rotate_before (24h)",
    ),
    (
        "    shortest_lifetime: 200d\n",
        "m.yaml:6:24: credentials.one: shortest_lifetime (200d) is longer than lifetime (180d); shorten it",
    ),
    (
        "    shortest_lifetime: 31d\n",
        "m.yaml:6:24: credentials.one: rotate_before and overlap (31d together) do not fit into shortest_lifetime (31d)",
    ),
    (
        "    adopt: yes\n",
        "m.yaml:6:12: credentials.one.adopt: expected `true` or `false`, found a text; write one of them",
    ),
    (
        "    adopt:\n",
        "m.yaml:6:5: credentials.one.adopt: there is no value; give one, or remove the line",
    ),
    (
        "    key_on: service-principal\n",
        "m.yaml:6:13: credentials.one.key_on: unknown place for a key `service-principal`; did you mean `servicePrincipal`?",
    ),
    (
        "    format: sdk_auth\n",
        "m.yaml:6:13: credentials.one.format: unknown format `sdk_auth`; did you mean `sdk-auth`?",
    ),
    (
        "    format: sdk-auth\n",
        "m.yaml:6:13: credentials.one: format `sdk-auth` names a subscription, and there is none; add `subscription:`",
    ),
    ("    format: template\n", "m.yaml:6:13: credentials.one: `format: template` has no template"),
    (
        "    template: \"{client_secret}\"\n",
        "m.yaml:6:15: credentials.one: `template` is given, but the format is not `template`",
    ),
    (
        "    format: template\n    template: \"x\"\n",
        "m.yaml:7:15: credentials.one.template: the template lacks {client_secret}",
    ),
    (
        "    format: template\n    template: \"{client_secret}{secret}\"\n",
        "m.yaml:7:15: credentials.one.template: the template has an unknown placeholder `secret`",
    ),
    (
        "    trigger: nativ\n",
        "m.yaml:6:14: credentials.one.trigger: unknown trigger `nativ`; did you mean `native`?",
    ),
    ("    retire_keys: [x]\n", "m.yaml:6:19: credentials.one.retire_keys.0: this is not a UUID"),
    (
        "    retire_keys: x\n",
        "m.yaml:6:18: credentials.one.retire_keys: expected a list, found a text",
    ),
    (
        "    kms_key: a b\n",
        "m.yaml:6:14: credentials.one.kms_key: ' ' may not stand in the name (character 2)",
    ),
    (
        "    tags: { \"aws:x\": y }\n",
        "m.yaml:6:13: credentials.one: this tag is not possible: the name is reserved",
    ),
    (
        "    tags: { x: 1.10 }\n",
        "m.yaml:6:16: credentials.one.tags.x: expected a text, found a number; put it in quotes",
    ),
    (
        "    secret: again\n",
        "m.yaml:6:5: `secret` is given twice in one mapping; keep one of the two",
    ),
    ("  two: text\n", "m.yaml:6:8: credentials.two: expected a mapping, found a text"),
    (
        "rules:\n  - match: { tag: x }\n    secret: entra/x\n",
        "m.yaml:8:13: rules.0.secret: the pattern lacks {appId}",
    ),
    (
        "rules:\n  - match: { name: x, tag: y }\n    secret: entra/{appId}\n",
        "m.yaml:7:14: rules.0.match: unknown field `name`; one of `tag`",
    ),
    (
        "defaults: { adopt: true }\n",
        "m.yaml:6:13: defaults: `adopt` is not possible here; it is a decision on one credential",
    ),
    (
        "    settle: true\n",
        "m.yaml:6:13: credentials.one.settle: expected a text, found true or false; give it a unit",
    ),
    (
        "    retire: false\n",
        "m.yaml:6:13: credentials.one.retire: expected a text, found true or false; write one of `after-overlap`, `when-unused`",
    ),
    (
        "    subscription: 7\n",
        "m.yaml:6:19: credentials.one.subscription: expected a text, found a number; write it like `408bf248",
    ),
    (
        "    allow:\n      slack: [{ team: 1, users: [U1] }]\n",
        "m.yaml:7:23: credentials.one.allow.slack.0.team: expected a text, found a number; give the workspace's id",
    ),
    (
        "    true: x\n",
        "m.yaml:6:5: credentials.one: a field has a name, and this is `true`; remove it, or write one of `application`",
    ),
    (
        "    7: x\n",
        "m.yaml:6:5: credentials.one: a field has a name, and this is a number; remove it",
    ),
    (
        "    tags: { 7: x }\n",
        "m.yaml:6:13: credentials.one.tags: a name is a text, and this is a number; put it in quotes",
    ),
    (
        "    tags: { true: x }\n",
        "m.yaml:6:13: credentials.one.tags: a name is a text, and this is `true`; put the word that was meant in quotes",
    ),
    (
        "    [a]: x\n",
        "m.yaml:6:5: credentials.one: a field has a name, and this is a list; remove it",
    ),
    (
        "notifications:\n  - slack: ops\n    true: [failures]\n",
        "m.yaml:8:5: notifications.0: a field has a name, and this is `true`; write `on:`, which tools that read YAML 1.1 replace",
    ),
    (
        "notifications:\n  - slack: ops\n    on: [true]\n",
        "m.yaml:8:10: notifications.0.on.0: expected a text, found true or false; write one of `failures`",
    ),
    (
        "    fields: { client_secret: key_id }\n",
        "m.yaml:6:13: credentials.one: two of the fields have the same name; give each field a name of its own",
    ),
    (
        "    fields: { client_secrt: password }\n",
        "m.yaml:6:15: credentials.one.fields: unknown field `client_secrt`; did you mean `client_secret`?",
    ),
    (
        "    fields: { client_secret: \"\" }\n",
        "m.yaml:6:30: credentials.one.fields.client_secret: the name is empty; give the name of a key",
    ),
    (
        "    format: env\n    fields: { client_secret: password }\n",
        "m.yaml:7:13: credentials.one: `fields` is given, but the format is not `json`; write `format: json`",
    ),
    ("---\n", "m.yaml:6:4: a second YAML document begins"),
];

#[test]
fn one_wrong_thing_is_named_with_place_and_cure() {
    for (more, expected) in WRONG {
        let error = error(&with(more));
        assert!(error.starts_with(expected), "{more}\nexpected {expected}\n     got {error}");
    }
}

#[test]
fn what_only_just_fits_is_valid_and_one_mistake_is_one_problem() {
    let is_valid = |more: &str| Manifest::parse(&with(more), "m.yaml").is_ok();
    assert!(is_valid("    overlap: 22h\n    rotate_before: 24h\n"));
    let same = Manifest::parse(&with("    rotate_before: 24h\n    lifetime: 24h\n"), "m.yaml");
    assert_eq!(same.expect_err("not valid").problems().len(), 1);
    assert!(is_valid("defaults:\n  format: template\n  template: \"{client_secret}\"\n"));
    for (count, fits) in [(50, true), (51, false), (52, false)] {
        let tags: Vec<_> = (0..count).map(|number| format!("t{number}: x")).collect();
        let tags = format!("    tags: {{ {} }}\n", tags.join(", "));
        assert_eq!(is_valid(&tags), fits, "{count}");
    }
}

/// Nothing would ever be removed there: the report of sign-ins is the global cloud's alone.
#[test]
fn when_unused_is_refused_where_there_is_no_report() {
    let text = with(
        "    retire: when-unused\nrules:\n  - match: { tag: x }\n    secret: \"r/{appId}\"\n    retire: when-unused\ndefaults:\n  retire: when-unused\n",
    );
    assert!(Manifest::parse_in(&text, "m.yaml", Cloud::Public).is_ok());
    for cloud in [Cloud::UsGovernment, Cloud::China] {
        let error = Manifest::parse_in(&text, "m.yaml", cloud).expect_err("not valid");
        let paths: Vec<_> = error.problems().iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["credentials.one", "rules.0", "defaults"]);
        let said = error.to_string();
        assert!(
            said.starts_with("m.yaml:6:13: credentials.one: `when-unused` cannot work"),
            "{said}"
        );
        assert!(Manifest::parse_in(&with("    retire: after-overlap\n"), "m.yaml", cloud).is_ok());
    }
}
