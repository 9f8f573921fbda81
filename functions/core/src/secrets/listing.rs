//! All secrets of a deployment, by the page, without a value.

use std::collections::BTreeSet;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::{Kind, Secrets, SecretsError, state};
use crate::rotation::observed::SecretState;

/// The most that `ListSecrets` gives at once.
const PAGE: i32 = 100;

/// `ListSecrets` filters by at most this many values.
const MAX_PREFIXES: usize = 10;

/// What the names of the secrets begin with that are listed; none: all secrets are. Collected from any number of
/// names, it never leaves one of them out: it may list more than was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes(Vec<String>);

impl<T: Into<String>> FromIterator<T> for Prefixes {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let sorted: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        let mut prefixes: Vec<String> = Vec::new();
        for name in sorted {
            // In this order, what begins with another comes right after it, or after others that do.
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

/// A secret as `ListSecrets` shows it: up to five minutes late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its versions' labels, or that it is about to be deleted; never [`SecretState::Missing`].
    pub state: SecretState,
}

/// A part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its secrets, those scheduled for deletion among them.
    pub items: Vec<Listed>,
    /// Where it goes on, if it does. A page may be empty and yet not be the last.
    pub next: Option<String>,
}

impl Secrets {
    /// A page of `ListSecrets`: of the secrets whose name begins with one of these, or of all.
    pub async fn list(
        &self,
        prefixes: &Prefixes,
        next: Option<&str>,
    ) -> Result<Page, SecretsError> {
        let prefixes = &prefixes.0;
        let names = FilterNameStringType::Name;
        let filter = Filter::builder().key(names).set_values(Some(prefixes.clone())).build();
        let request = self
            .client
            .list_secrets()
            // Else a secret that somebody is about to delete would pass for one that is not there yet.
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
            Some(Listed { name: entry.name?, arn: entry.arn?, state })
        });
        // A sweep would read the same page until its time is over.
        if next.is_some() && answer.next_token.as_deref() == next {
            return Err(SecretsError::local("ListSecrets", &prefixes.join(", "), Kind::Endless));
        }
        Ok(Page { items: items.collect(), next: answer.next_token })
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
