//! From wire types to a manifest: defaults are filled in, and what holds between fields is checked.

mod cloud;
mod settings;

use std::collections::BTreeMap;

use crate::ids::CredentialName;

use super::decode::{At, Decode, NAMELESS, Named};
use super::names::{CREDENTIAL_CURE, SecretPattern, check_credential};
use super::notifications;
use super::problem::{Position, Problems, quoted};
use super::tree::{Node, Value};
use super::wire::{Wire, WireCredential, WireOptions, WireRule};
use super::{Credential, Manifest, Rule};

pub(super) use cloud::check_cloud;

/// Reads the wire types; a manifest of nothing at all has an error of its own.
pub(super) fn wire(tree: Node, problems: &mut Problems) -> Option<Wire> {
    if matches!(tree.value, Value::Nothing) {
        problems.add(
            tree.position,
            "the manifest is empty",
            "begin with `tenant:` and `credentials:`",
        );
        return None;
    }
    Wire::decode(tree, problems)
}

/// Puts the manifest together. `None` if something without which there is none was wrong.
pub(super) fn manifest(wire: Wire, problems: &mut Problems) -> Option<Manifest> {
    let defaults = wire.defaults.and_then(|defaults| defaults.value);
    let credentials = wire.credentials.and_then(|listed| listed.value).unwrap_or(Named(Vec::new()));
    let rules = wire.rules.and_then(|rules| rules.value).unwrap_or_default();
    check_names(&credentials, problems);
    check_secrets(&credentials, &rules, problems);
    settings::check_default_template(defaults.as_ref(), &credentials, &rules, problems);
    let told = wire.notifications.and_then(|listed| listed.value).unwrap_or_default();
    Some(Manifest {
        notifications: notifications::resolve(told, problems),
        credentials: listed(credentials, defaults.as_ref(), problems),
        rules: rules_of(rules, defaults.as_ref(), problems),
        tenant: wire.tenant.value?,
    })
}

fn listed(
    credentials: Named<WireCredential>,
    defaults: Option<&WireOptions>,
    problems: &mut Problems,
) -> BTreeMap<CredentialName, Credential> {
    let resolve = |(name, credential): (At<String>, At<WireCredential>)| {
        let wire = credential.value?;
        // What is wrong below a name that is none is told all the same.
        let step = name.value.as_deref().unwrap_or(NAMELESS);
        let settings = problems.within("credentials", |problems| {
            problems.within(step, |problems| {
                settings::resolve(&wire.only, defaults, name.position, problems)
            })
        });
        let settings = settings.ok()?;
        let name = CredentialName(name.value?);
        let credential =
            settings.credential(name.clone(), wire.application.value?, wire.secret.value?);
        Some((name, credential))
    };
    credentials.0.into_iter().filter_map(resolve).collect()
}

fn rules_of(
    rules: Vec<At<WireRule>>,
    defaults: Option<&WireOptions>,
    problems: &mut Problems,
) -> Vec<Rule> {
    let resolve = |(index, At { position, value }): (usize, At<WireRule>)| {
        let wire = value?;
        let settings = problems.within("rules", |problems| {
            problems.within(&index.to_string(), |problems| {
                settings::resolve(&wire.only, defaults, position, problems)
            })
        });
        let settings = settings.ok()?;
        Some(Rule { tag: wire.r#match.value?.tag.value?.0, secret: wire.secret.value?, settings })
    };
    rules.into_iter().enumerate().filter_map(resolve).collect()
}

fn check_names(credentials: &Named<WireCredential>, problems: &mut Problems) {
    for (name, _) in &credentials.0 {
        let Some(text) = &name.value else { continue };
        if let Err(error) = check_credential(text) {
            problems.within("credentials", |problems| {
                problems.add(name.position, error.to_string(), CREDENTIAL_CURE);
            });
        }
    }
}

const ONE_SECRET: &str = "give each credential a secret of its own";

/// No two credentials may share a secret, nor a credential be taken for one that a rule makes.
fn check_secrets(
    credentials: &Named<WireCredential>,
    rules: &[At<WireRule>],
    problems: &mut Problems,
) {
    let patterns = patterns(rules, problems);
    let mut owners: BTreeMap<&str, (&str, Position)> = BTreeMap::new();
    for (name, credential) in &credentials.0 {
        let name_text = name.value.as_deref().unwrap_or(NAMELESS);
        if let Some((_, line)) =
            patterns.iter().find(|(pattern, _)| pattern.application(name_text).is_some())
        {
            let what = format!("the name could be that of a credential of the rule at line {line}");
            problems.add(name.position, what, "name the credential otherwise");
        }
        let Some(secret) = credential.value.as_ref().map(|credential| &credential.secret) else {
            continue;
        };
        let Some(secret_name) = &secret.value else {
            continue;
        };
        if let Some((owner, position)) = owners.get(secret_name.as_str()) {
            let what = format!(
                "the credentials {} (line {}) and {} (line {}) share the secret {}",
                quoted(owner),
                position.line,
                quoted(name_text),
                name.position.line,
                quoted(secret_name.as_str()),
            );
            problems.add(secret.position, what, ONE_SECRET);
        }
        owners.entry(secret_name.as_str()).or_insert((name_text, name.position));
        if let Some((_, line)) =
            patterns.iter().find(|(pattern, _)| pattern.application(secret_name.as_str()).is_some())
        {
            let what =
                format!("the secret could be that of a credential of the rule at line {line}");
            problems.add(secret.position, what, ONE_SECRET);
        }
    }
}

/// The rules' patterns and their lines. Two rules of one pattern would share secrets.
fn patterns<'a>(
    rules: &'a [At<WireRule>],
    problems: &mut Problems,
) -> Vec<(&'a SecretPattern, u64)> {
    let mut seen: Vec<(&SecretPattern, u64)> = Vec::new();
    for rule in rules {
        let Some(At { position, value: Some(pattern) }) =
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
