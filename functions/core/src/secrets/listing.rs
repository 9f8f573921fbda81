//! Lists the secrets of a deployment page by page, without values.

use std::collections::BTreeSet;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::{Kind, Secrets, SecretsError, state};
use crate::rotation::observed::SecretState;

/// The most secrets of a page.
const PAGE: i32 = 100;

/// The most values that `ListSecrets` filters by.
const MAX_PREFIXES: usize = 10;

/// The beginnings of the names of the secrets that are listed; without any, all secrets are listed.
///
/// Prefixes can be collected from any number of names. A listing may then have more secrets than these, but never
/// fewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes(Vec<String>);

impl<T: Into<String>> FromIterator<T> for Prefixes {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let sorted: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        let mut prefixes: Vec<String> = Vec::new();
        for name in sorted {
            // In this order a name comes after its prefix, with only names of the same prefix in between.
            if !prefixes.last().is_some_and(|last| name.starts_with(last.as_str())) {
                prefixes.push(name);
            }
        }
        if prefixes.len() > MAX_PREFIXES || prefixes.first().is_some_and(String::is_empty) {
            prefixes.clear();
        }
        Self(prefixes)
    }
}

/// A secret as `ListSecrets` shows it, up to five minutes late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSecret {
    /// The secret's name.
    pub name: String,
    /// The secret's ARN.
    pub arn: String,
    /// The labels of the versions, or that the secret is scheduled for deletion; never [`SecretState::Missing`].
    pub state: SecretState,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsPage {
    /// The secrets, those scheduled for deletion too.
    pub items: Vec<ListedSecret>,
    /// The token of the next page, if any. A page that is empty may have a next page.
    pub next: Option<String>,
}

impl Secrets {
    /// Reads a page of the secrets whose names begin with one of these prefixes (`ListSecrets`).
    pub async fn list(
        &self,
        prefixes: &Prefixes,
        next: Option<&str>,
    ) -> Result<SecretsPage, SecretsError> {
        let prefixes = &prefixes.0;
        let names = FilterNameStringType::Name;
        let filter = Filter::builder().key(names).set_values(Some(prefixes.clone())).build();
        let request = self
            .client
            .list_secrets()
            // Without these, a secret that is scheduled for deletion would count as missing.
            .include_planned_deletion(true)
            .max_results(PAGE)
            .set_filters((!prefixes.is_empty()).then(|| vec![filter]))
            .set_next_token(next.map(str::to_owned));
        let answer = request.send().await;
        let answer = answer
            .map_err(|error| SecretsError::new("ListSecrets", &prefixes.join(", "), &error))?;
        let items = answer.secret_list.unwrap_or_default().into_iter().filter_map(|entry| {
            let state = state(
                entry.deleted_date.is_some(),
                entry.secret_versions_to_stages,
                entry.rotation_enabled,
                entry.created_date,
            );
            Some(ListedSecret { name: entry.name?, arn: entry.arn?, state })
        });
        // A sweep would read this page again until its time is over.
        if next.is_some() && answer.next_token.as_deref() == next {
            return Err(SecretsError::local("ListSecrets", &prefixes.join(", "), Kind::Endless));
        }
        Ok(SecretsPage { items: items.collect(), next: answer.next_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(names: &[&str]) -> Vec<String> {
        names.iter().copied().collect::<Prefixes>().0
    }

    #[test]
    fn no_more_prefixes_are_named_than_are_taken_and_none_is_left_out() {
        assert_eq!(prefixes(&["b/", "a/", "b/"]), ["a/", "b/"]);
        assert_eq!(prefixes(&["a/b", "a-", "a/", "a/b/c", "a"]), ["a"], "what another begins");
        assert_eq!(prefixes(&["a/", ""]), [""; 0], "every name begins with nothing");
        assert_eq!(prefixes(&[]), [""; 0]);
        let many: Vec<String> = (10..21).map(|number| format!("team-{number}/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(prefixes(&many[..10]), many[..10]);
        assert_eq!(prefixes(&many), [""; 0], "then all are listed");
        assert_eq!(prefixes(&[&many[..], &["team"]].concat()), ["team"]);
    }
}
