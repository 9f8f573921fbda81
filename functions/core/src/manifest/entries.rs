//! A whole manifest as it is written, and the conditions between its entries.

use std::collections::BTreeMap;

use super::declare::{text, wire};
use super::decode::{At, Decode, NAMELESS, Named};
use super::names::{CREDENTIAL_CURE, SecretName, SecretPattern, check, check_credential};
use super::notifications::{self, WireNotification};
use super::problem::{Position, Problems, quoted};
use super::settings::{self, WireDecisions, WireOptions};
use super::tree::{Node, Value};
use super::{Credential, Manifest, Rule, format};
use crate::identity::Cloud;
use crate::ids::{AppId, CredentialName, TenantId};

wire! {
    /// A Keywheel manifest: which Entra client secrets are rotated, where they are kept, and how.
    #[schemars(rename = "Manifest")]
    Wire {
        /// The Entra tenant (a UUID) that all applications are in.
        required tenant: TenantId,
        /// Settings of every credential and rule that does not say otherwise.
        optional defaults: WireOptions,
        /// The credentials, by name. A name has 1 to 64 letters, digits, `.`, `_` and `-`.
        optional credentials: Named<WireCredential>,
        /// Rules that make a credential of every application with a tag.
        optional rules: Vec<At<WireRule>>,
        /// The targets that are notified of failures, findings, rotations, and of keys and certificates that expire.
        optional notifications: Vec<At<WireNotification>>,
    }
}

wire! {
    /// One principal's client secret, and the Secrets Manager secret that holds it.
    #[schemars(rename = "Credential")]
    WireCredential {
        /// The application's client id (a UUID).
        required application: AppId,
        /// The name of the Secrets Manager secret. No two credentials share one.
        required secret: SecretName,
        ..only: WireDecisions,
    }
}

wire! {
    /// A credential for every application with a tag.
    #[schemars(rename = "Rule")]
    WireRule {
        /// The applications of the rule.
        required r#match: WireMatch,
        /// The names of the Secrets Manager secrets, with `{appId}` for the client id.
        required secret: SecretPattern,
        ..only: WireDecisions,
    }
}

wire! {
    /// The applications that a rule is for.
    #[schemars(rename = "Match")]
    WireMatch {
        /// A tag of the application in Graph.
        required tag: MatchTag,
    }
}

text! {
    /// A tag of an application in Graph.
    MatchTag: |text| check(text, 256, |c| !c.is_control()),
    cure "give the tag as Graph shows it, at most 256 characters",
    { "type": "string", "minLength": 1, "maxLength": 256 }
}

const ONE_SECRET: &str = "give each credential a secret of its own";

/// Puts the manifest together. `None`: a necessary part was wrong.
pub(super) fn manifest(tree: Node, cloud: Cloud, problems: &mut Problems) -> Option<Manifest> {
    if matches!(tree.value, Value::Nothing) {
        let cure = "begin with `tenant:` and `credentials:`";
        problems.add(tree.position, "the manifest is empty", cure);
        return None;
    }
    let wire = Wire::decode(tree, problems)?;
    let defaults = wire.defaults.and_then(|defaults| defaults.value);
    let credentials = wire.credentials.and_then(|listed| listed.value);
    let credentials = credentials.map(|listed| listed.0).unwrap_or_default();
    let rules = wire.rules.and_then(|rules| rules.value).unwrap_or_default();
    check_names(&credentials, problems);
    check_secrets(&credentials, &rules, problems);
    if let Some(defaults) = &defaults {
        let of_credentials =
            credentials.iter().filter_map(|(_, at)| Some(&at.value.as_ref()?.only));
        let of_rules = rules.iter().filter_map(|at| Some(&at.value.as_ref()?.only));
        let all = of_credentials.chain(of_rules).map(|only| &only.options);
        format::check_default(defaults, all, problems);
        let check = |problems: &mut Problems| settings::check_cloud(defaults, cloud, problems);
        problems.within(["defaults"], check);
    }
    let mut settings = |path: [&str; 2], position, wire: WireDecisions| {
        problems.within(path, |problems| {
            settings::check_cloud(&wire.options, cloud, problems);
            settings::resolve(wire, defaults.as_ref(), position, problems)
        })
    };
    let listed = |(name, credential): (At<String>, At<WireCredential>)| {
        let wire = credential.value?;
        // The problems below a name that is no text are reported too.
        let step = name.value.as_deref().unwrap_or(NAMELESS);
        let settings = settings(["credentials", step], name.position, wire.only)?;
        let (application, secret) = (wire.application.value?, wire.secret.value?);
        let name = CredentialName(name.value?);
        Some((name.clone(), Credential { name, application, secret, settings }))
    };
    let credentials = credentials.into_iter().filter_map(listed).collect();
    let one = |(index, rule): (usize, At<WireRule>)| {
        let wire = rule.value?;
        let settings = settings(["rules", &index.to_string()], rule.position, wire.only)?;
        let tag = wire.r#match.value?.tag.value?.0;
        Some(Rule { tag, secret: wire.secret.value?, settings })
    };
    let rules = rules.into_iter().enumerate().filter_map(one).collect();
    let told = wire.notifications.and_then(|listed| listed.value).unwrap_or_default();
    let notifications = notifications::resolve(told, problems);
    Some(Manifest { tenant: wire.tenant.value?, credentials, rules, notifications })
}

type Credentials = [(At<String>, At<WireCredential>)];

fn check_names(credentials: &Credentials, problems: &mut Problems) {
    for (name, _) in credentials {
        let checked = name.value.as_deref().map_or(Ok(()), check_credential);
        if let Err(error) = checked {
            problems.within(["credentials"], |problems| {
                problems.add(name.position, error.to_string(), CREDENTIAL_CURE);
            });
        }
    }
}

/// Notes two credentials that share a secret, and a credential that looks like one of a rule.
fn check_secrets(credentials: &Credentials, rules: &[At<WireRule>], problems: &mut Problems) {
    let patterns = patterns(rules, problems);
    let line_of_rule = |name: &str| {
        let (_, line) = patterns.iter().find(|(pattern, _)| pattern.application(name).is_some())?;
        Some(*line)
    };
    let mut owners: BTreeMap<&str, (&str, Position)> = BTreeMap::new();
    for (At { position, value: name, .. }, credential) in credentials {
        let name = name.as_deref().unwrap_or(NAMELESS);
        if let Some(line) = line_of_rule(name) {
            let what = format!("the name could be that of a credential of the rule at line {line}");
            problems.add(*position, what, "name the credential otherwise");
        }
        let Some(At { position: at, value: Some(secret), .. }) =
            credential.value.as_ref().map(|credential| &credential.secret)
        else {
            continue;
        };
        let secret = secret.as_str();
        if let Some((owner, first)) = owners.get(secret) {
            let what = format!(
                "the credentials {} (line {}) and {} (line {}) share the secret {}",
                quoted(owner),
                first.line,
                quoted(name),
                position.line,
                quoted(secret),
            );
            problems.add(*at, what, ONE_SECRET);
        }
        owners.entry(secret).or_insert((name, *position));
        if let Some(line) = line_of_rule(secret) {
            let what =
                format!("the secret could be that of a credential of the rule at line {line}");
            problems.add(*at, what, ONE_SECRET);
        }
    }
}

/// Returns the rules' patterns and their lines. Notes two rules of one pattern, because they would share secrets.
fn patterns<'a>(
    rules: &'a [At<WireRule>],
    problems: &mut Problems,
) -> Vec<(&'a SecretPattern, u64)> {
    let mut seen: Vec<(&SecretPattern, u64)> = Vec::new();
    for rule in rules {
        let Some(At { position, value: Some(pattern), .. }) =
            rule.value.as_ref().map(|rule| &rule.secret)
        else {
            continue;
        };
        if let Some((_, line)) = seen.iter().find(|(other, _)| *other == pattern) {
            let what = format!(
                "the rule at line {line} has the same pattern: an application with both tags would have two credentials on one secret"
            );
            problems.add(*position, what, "give each rule a pattern of its own");
        }
        seen.push((pattern, position.line));
    }
    seen
}

/// Returns the published schema.
pub(super) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Wire).to_value();
    remove_null(&mut schema);
    schema
}

/// Removes `null` from the schema. schemars lets an optional field be null, and a manifest must not.
fn remove_null(schema: &mut serde_json::Value) {
    let serde_json::Value::Object(object) = schema else { return };
    if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(serde_json::Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [serde_json::Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
    object.values_mut().for_each(remove_null);
}
