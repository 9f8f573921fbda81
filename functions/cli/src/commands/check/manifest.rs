//! Checks of the manifest and of the secrets that it names.

use keywheel_core::ids::AppId;
use keywheel_core::manifest::Manifest;
use uuid::Uuid;

use super::seen::{Parameters, Seen};
use super::verdict::Verdict;
use crate::text::count;

/// So many names are listed in a sentence.
const NAMED: usize = 5;

/// Lists names in a sentence, the first few of many.
pub(super) fn named(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

pub(super) fn manifest(seen: &Seen) -> Verdict {
    seen.manifest.judge(|manifest| {
        let (credentials, rules) = (manifest.credentials().len(), manifest.rules().len());
        let (credentials, rules) = (count(credentials, "credential"), count(rules, "rule"));
        Verdict::passed(format!("the manifest is valid: {credentials}, {rules}"))
    })
}

pub(super) fn secret_prefix(seen: &Seen) -> Verdict {
    seen.manifest.given("the manifest", |manifest| {
        seen.parameters.given("the stack", |parameters| prefix(manifest, parameters))
    })
}

fn prefix(manifest: &Manifest, parameters: &Parameters) -> Verdict {
    let prefix = parameters.get("SecretPrefix").unwrap_or_default();
    let listed = manifest.credentials().map(|credential| credential.secret.as_str());
    let ruled = manifest.rules().iter().map(|rule| rule.secret().as_str());
    let outside: Vec<_> =
        listed.chain(ruled).filter(|name| !name.starts_with(prefix)).map(str::to_owned).collect();
    if outside.is_empty() {
        return Verdict::passed(format!("all secrets are named under SecretPrefix ({prefix:?})"));
    }
    Verdict::failed(
        format!(
            "the functions may not touch secrets outside SecretPrefix ({prefix:?}): {}",
            named(&outside)
        ),
        "rename the secrets in the manifest, or deploy with a SecretPrefix that all their names begin with",
    )
}

/// The standing of a KMS key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyIs {
    Allowed,
    /// An alias may stand for any key.
    Alias,
    Other,
}

/// Compares a KMS key, by its id, ARN or alias, with the key that the template was given.
fn compare(key: &str, allowed: Option<&str>) -> KeyIs {
    let is_allowed =
        |arn: &str| arn == key || (!key.contains('/') && arn.rsplit('/').next() == Some(key));
    if key.ends_with("alias/aws/secretsmanager") || allowed.is_some_and(is_allowed) {
        KeyIs::Allowed
    } else if key.contains("alias/") {
        KeyIs::Alias
    } else {
        KeyIs::Other
    }
}

pub(super) fn secret_encryption(seen: &Seen) -> Verdict {
    seen.manifest.given("the manifest", |manifest| {
        seen.parameters.given("the stack", |parameters| {
            let allowed = parameters.get("KmsKeyArn");
            seen.secrets.judge(|secrets| {
                let ruled =
                    manifest.rules().iter().map(|rule| rule.credential_for(AppId(Uuid::nil())));
                let wanted = manifest.credentials().cloned().chain(ruled);
                let wanted =
                    wanted.map(|one| (one.secret.as_str().to_owned(), one.settings.kms_key));
                let there = secrets.iter().map(|one| (one.name.clone(), one.kms_key.clone()));
                encryption(wanted.chain(there), allowed)
            })
        })
    })
}

/// Judges the KMS keys of secrets, each by the secret's name; `None` is `aws/secretsmanager`.
fn encryption(
    keys: impl Iterator<Item = (String, Option<String>)>,
    allowed: Option<&str>,
) -> Verdict {
    let keys = keys.filter_map(|(secret, key)| Some((secret, key?)));
    let mut found: Vec<_> =
        keys.map(|(secret, key)| (compare(&key, allowed), format!("{secret} ({key})"))).collect();
    found.sort();
    found.dedup();
    let of = |kind: KeyIs| -> Vec<String> {
        found.iter().filter(|(is, _)| *is == kind).map(|(_, name)| name.clone()).collect()
    };
    let (other, alias) = (of(KeyIs::Other), of(KeyIs::Alias));
    let parameter = allowed.unwrap_or("empty");
    if !other.is_empty() {
        return Verdict::failed(
            format!(
                "the functions may not use the KMS key of {}: KmsKeyArn is {parameter}",
                named(&other)
            ),
            "deploy with KmsKeyArn set to the key, or encrypt the secrets with the key that KmsKeyArn names",
        );
    }
    if !alias.is_empty() {
        return Verdict::warned(
            format!(
                "an alias does not say which KMS key encrypts {}: KmsKeyArn is {parameter}",
                named(&alias)
            ),
            "compare the alias with KmsKeyArn: `aws kms describe-key --key-id <alias>`",
        );
    }
    Verdict::passed("the functions may use the KMS key of each secret that exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn keys_are_compared_by_id_arn_and_alias() {
        for (key, allowed, is) in [
            (ARN, Some(ARN), KeyIs::Allowed),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", Some(ARN), KeyIs::Allowed),
            ("alias/aws/secretsmanager", None, KeyIs::Allowed),
            ("arn:aws:kms:eu-central-1:111122223333:alias/own", Some(ARN), KeyIs::Alias),
            ("alias/own", None, KeyIs::Alias),
            (ARN, None, KeyIs::Other),
            ("99999999-12ab-34cd-56ef-1234567890ab", Some(ARN), KeyIs::Other),
        ] {
            assert_eq!(compare(key, allowed), is, "{key} {allowed:?}");
        }
    }

    #[test]
    fn many_names_are_cut_short() {
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        assert_eq!(named(&names), "0, 1, 2, 3, 4 and 2 more");
    }
}
