//! All secrets of a deployment, by the page, without a value.

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::{Kind, Secrets, SecretsError, state};
use crate::rotation::observed::SecretState;

/// The most that `ListSecrets` gives at once.
const PAGE: i32 = 100;

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
        prefixes: &[String],
        next: Option<&str>,
    ) -> Result<Page, SecretsError> {
        let names = FilterNameStringType::Name;
        let filter = Filter::builder().key(names).set_values(Some(prefixes.to_vec())).build();
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
