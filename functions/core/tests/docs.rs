//! The tables of `docs/` and the schemas of `events/` that follow from the code.
//!
//! `KEYWHEEL_UPDATE_SCHEMAS=1 cargo test --workspace --test docs` writes them anew.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use keywheel_core::events::{CloudEvent, DigestEvent, FindingKind};
use keywheel_core::ids::{AppId, KeyId, KeyOn};
use keywheel_core::manifest::Manifest;
use keywheel_core::queue::Job;
use keywheel_core::rotation::finding::{Finding, ForeignChange};
use keywheel_core::rotation::{Stop, Untold};
use schemars::schema_for;
use serde_json::Value;
use uuid::Uuid;

/// Holds the part of a page between its two marks to the text, or writes it.
fn publish(page: &str, part: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let whole = std::fs::read_to_string(&path).expect("a page of docs/");
    let (begin, end) = (format!("<!-- generated: {part} -->\n"), format!("<!-- end: {part} -->"));
    let (before, rest) = whole.split_once(&begin).expect("the mark before a generated part");
    let (published, after) = rest.split_once(&end).expect("the mark after a generated part");
    if updates() {
        std::fs::write(&path, format!("{before}{begin}{text}{end}{after}")).expect("written");
    } else {
        assert!(published == text, "docs/{page} has drifted: run with KEYWHEEL_UPDATE_SCHEMAS=1");
    }
}

/// Says whether to write the generated files anew.
fn updates() -> bool {
    std::env::var_os("KEYWHEEL_UPDATE_SCHEMAS").is_some_and(|value| value == "1")
}

fn row(cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

// ---- Findings -----------------------------------------------------------------------------------

/// Lists a sample of every finding of the rules.
fn findings() -> Vec<Finding> {
    let (key, at) = (KeyId(Uuid::nil()), DateTime::<Utc>::UNIX_EPOCH);
    let change = ForeignChange {
        key,
        added: true,
        actor: "ACTOR".to_owned(),
        at,
        audit: String::new(),
        correlation: None,
    };
    let mut all = vec![
        Finding::ForeignKey(key),
        Finding::UnlistedKey(key),
        Finding::NamedKeyOfAnother(key),
        Finding::NamedKeyElsewhere(key, KeyOn::ServicePrincipal),
        Finding::NamedKeyNowhere(key),
        Finding::EndlessKey(key),
        Finding::LifetimeOverPolicy(key),
        Finding::ExpiringKey(key, at),
        Finding::ExpiringCertificate(key, at),
        Finding::NativeRotationLate(key, at),
        Finding::KeyInUse(key, at),
        Finding::LastUseUnknown(key, Untold::Forbidden),
        Finding::LastUseUnknown(key, Untold::NotLicensed),
        Finding::LastUseUnknown(key, Untold::Unread),
        Finding::LastUseUnknown(key, Untold::Behind),
        Finding::KeyNotFound(key),
        Finding::TwoKeysOnly,
        Finding::ObjectIdGiven(KeyOn::Application, AppId(Uuid::nil())),
        Finding::RuleMatchesNobody("TAG".to_owned()),
        Finding::RolledBack,
        Finding::ReplacedKeyUnknown,
        Finding::ForeignChange(change),
        Finding::AuditNotPermitted,
        Finding::AuditNotLicensed,
        Finding::AuditNotInCloud,
        Finding::AuditUnread(at),
        Finding::UnreadableObject { object: "OBJECT".to_owned(), why: "WHY".to_owned() },
    ];
    all.extend(stops().into_iter().map(Finding::Stopped));
    all
}

/// The findings that no rule makes: those of requests and of leaks.
const OF_REQUESTS: [FindingKind; 6] = [
    FindingKind::LeakedSecret,
    FindingKind::LeakedSecretUnmatched,
    FindingKind::LeakedSecretUnread,
    FindingKind::LeakedSecretNotCompared,
    FindingKind::RequestUnreadable,
    FindingKind::WebhookKeyUnusable,
];

/// Lists every reason to stop, from its own JSON Schema.
fn stops() -> Vec<Stop> {
    let schema = serde_json::to_value(schemars::schema_for!(Stop)).expect("JSON");
    let names = schema["oneOf"].as_array().expect("a reason to stop is one of several");
    let read =
        |one: &Value| serde_json::from_value(one["const"].clone()).expect("a reason to stop");
    names.iter().map(read).collect()
}

/// Writes a table of findings, each by its name and explanation.
fn findings_table<'a>(findings: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: BTreeSet<_> = findings.into_iter().collect();
    let mut text = row(&["finding", "what it means", "what to do"]) + "|---|---|---|\n";
    for (name, explanation) in rows {
        let samples = [
            ("1970-01-01 00:00:00 UTC", "*time*"),
            ("1970-01-01", "*date*"),
            ("00000000-0000-0000-0000-000000000000", "CLIENT-ID"),
            ("<", "\\<"),
            ("`TAG`", "*tag*"),
            ("ACTOR", "*somebody*"),
            ("OBJECT", "*object*"),
            ("WHY", "*cause*"),
        ];
        let text_of = |text: String, (from, to): (&str, &str)| text.replace(from, to);
        let explanation = samples.into_iter().fold(explanation, text_of);
        let (means, act) = explanation.split_once("; ").unwrap_or((&explanation, ""));
        text += &row(&[&format!("`{name}`"), means, act]);
    }
    format!("\n{text}\n")
}

#[test]
fn the_tables_of_findings_are_the_code_s() {
    let (rules, requests) = (findings(), OF_REQUESTS);
    let listed: BTreeSet<_> = rules.iter().map(Finding::kind).chain(requests).collect();
    assert_eq!(listed, FindingKind::ALL.iter().copied().collect(), "each finding is in a table");
    let rules = rules.iter().map(|finding| (finding.name(), finding.explanation()));
    publish("findings.md", "findings", &findings_table(rules));
    let requests = requests.map(|kind| (kind.name(), kind.explanation().to_owned()));
    publish("findings.md", "findings of requests", &findings_table(requests));
}

// ---- Schemas ------------------------------------------------------------------------------------

#[test]
fn the_schemas_are_the_code_s() {
    for (name, schema) in [
        ("audit-event", schema_for!(CloudEvent)),
        ("digest-event", schema_for!(DigestEvent)),
        ("job", schema_for!(Job)),
    ] {
        let path = format!("{}/../../events/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let schema = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        if updates() {
            std::fs::write(&path, &schema).expect("written");
        }
        let published = std::fs::read_to_string(&path).expect("a schema of events/");
        assert!(published == schema, "{name} has drifted: run with KEYWHEEL_UPDATE_SCHEMAS=1");
    }
}

// ---- The manifest -------------------------------------------------------------------------------

#[test]
fn the_tables_of_the_manifest_are_its_schema_s() {
    let schema = Manifest::schema();
    let defs = &schema["$defs"];
    let (credential, rule) = (&defs["Credential"], &defs["Rule"]);
    let defaults = &defs["WireOptions"]["properties"];
    let all = |_: &str, _: &Value| true;
    let mut text = String::from("\n");
    let mut part = |title: &str, object: &Value, which: &dyn Fn(&str, &Value) -> bool| {
        write!(text, "### {title}\n\n{}", table(object, defs, which)).expect("written");
    };
    part("The whole manifest", &schema, &all);
    part("A credential: fields that may stand in `defaults` too", credential, &|name, _| {
        defaults.get(name).is_some()
    });
    part("A credential: fields of its own", credential, &|name, _| defaults.get(name).is_none());
    part("A rule: fields that differ from a credential's", rule, &|name, field| {
        credential["properties"].get(name) != Some(field)
    });
    for (title, name) in [
        ("`match`", "Match"),
        ("`allow`", "Allow"),
        ("`allow.slack`", "SlackUsers"),
        ("`fields`", "Fields"),
        ("`notifications`", "Notification"),
    ] {
        part(title, &defs[name], &all);
    }
    publish("manifest.md", "fields", &text);
}

fn table(object: &Value, defs: &Value, which: &dyn Fn(&str, &Value) -> bool) -> String {
    let mut text = row(&["field", "value", "meaning"]) + "|---|---|---|\n";
    let required = object["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = object["properties"].as_object().expect("fields");
    for (name, field) in fields.iter().filter(|(name, field)| which(name, field)) {
        let must = if required.iter().any(|one| one == name) { " Required." } else { "" };
        let means = field["description"].as_str().unwrap_or_default();
        text += &row(&[&format!("`{name}`"), &values(field, defs), &format!("{means}{must}")]);
    }
    text + "\n"
}

/// Says which values a field takes.
fn values(field: &Value, defs: &Value) -> String {
    if let Some(name) = field["$ref"].as_str() {
        return values(&defs[name.trim_start_matches("#/$defs/")], defs);
    }
    if let Some(each) = field["oneOf"].as_array().filter(|each| each[0].get("const").is_some()) {
        let one = |value: &Value| {
            let means = value["description"].as_str().unwrap_or_default();
            format!("`{}`: {means}", value["const"].as_str().unwrap_or_default())
        };
        return each.iter().map(one).collect::<Vec<_>>().join("<br>");
    }
    match field["type"].as_str() {
        Some("array") => format!("list of: {}", values(&field["items"], defs)),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("object") => "object".to_owned(),
        _ if field["format"] == "uuid" => "UUID".to_owned(),
        _ if field.get("examples").is_some() => "duration: `30d`, `24h`, `60s`".to_owned(),
        _ => "text".to_owned(),
    }
}
