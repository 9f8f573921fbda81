//! Finds a credential by what a person calls it.

use keywheel_core::engine::Engine;
use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::manifest::{Credential, Managed, Manifest, Rule};
use keywheel_core::rotation::finding::Finding;
use strsim::levenshtein;

use crate::exit::{Exit, Failure};
use crate::session::soon;
use crate::text::plain;

/// How many names an error lists.
const SHOWN: usize = 10;

/// Finds the credential of this name, of this application, or of both.
pub(crate) async fn find(
    engine: &Engine,
    name: Option<&str>,
    application: Option<AppId>,
) -> Result<Credential, Failure> {
    let manifest = engine.manifest();
    if let Some(name) = name
        && let Some(listed) = listed(manifest, name)
    {
        return of_application(listed, application);
    }
    let application = match (name, application) {
        (None, Some(application)) => match listed_of(manifest, application).as_slice() {
            [] => application,
            [only] => return Ok((*only).clone()),
            several => return Err(ambiguous(application, several)),
        },
        (Some(name), given) => {
            // The name of a rule's credential holds its application's id.
            let ruled = manifest.by_secret(name).ok_or_else(|| unknown(manifest, name))?;
            of_application(ruled.credential, given)?.application
        }
        (None, None) => {
            let cure = "give a credential's name, or --application";
            return Err(Failure::new(Exit::Usage, "no credential is given", cure));
        }
    };
    if let [listed, ..] = listed_of(manifest, application).as_slice() {
        return Err(elsewhere(application, &listed.name, name));
    }
    // A rule's pattern fits every application. Only the tag in Graph shows that the rule covers this application.
    let ruled = engine.ruled(application, soon()).await?;
    let Some(ruled) = ruled else {
        return Err(match engine.object_id_given(application, soon()).await? {
            Some(given) => not_a_client_id(application, &given),
            None => untagged(manifest, application),
        });
    };
    match name {
        Some(given) if ruled.name.0 != given => Err(elsewhere(application, &ruled.name, name)),
        _ => Ok(ruled),
    }
}

/// Finds a credential that the manifest lists, by its name or its secret's.
fn listed(manifest: &Manifest, name: &str) -> Option<Credential> {
    let named = manifest.by_name(&CredentialName(name.to_owned()));
    let found = named.into_iter().chain(manifest.by_secret(name)).find(Managed::is_listed);
    found.map(|managed| managed.credential)
}

fn listed_of(manifest: &Manifest, application: AppId) -> Vec<&Credential> {
    manifest.listed(application).collect()
}

fn of_application(found: Credential, wanted: Option<AppId>) -> Result<Credential, Failure> {
    match wanted {
        Some(wanted) if wanted != found.application => Err(Failure::new(
            Exit::Refused,
            format!(
                "credential {} is of application {}, not {wanted}",
                found.name, found.application
            ),
            "leave --application out, or mend the manifest",
        )),
        _ => Ok(found),
    }
}

/// Refuses a name that a rule's pattern fits, where the application's credential has another name.
fn elsewhere(application: AppId, actual: &CredentialName, given: Option<&str>) -> Failure {
    let given = plain(given.unwrap_or_default());
    let what = format!("application {application} is the credential {actual}, not {given}");
    Failure::new(Exit::Refused, what, format!("name {actual}"))
}

fn ambiguous(application: AppId, several: &[&Credential]) -> Failure {
    let names: Vec<&str> = several.iter().map(|one| one.name.0.as_str()).collect();
    let what = format!("application {application} has several credentials");
    Failure::new(Exit::Refused, what, format!("name one of {}", list(&names)))
}

/// Refuses an object id. The portal shows object id and client id side by side.
pub(crate) fn not_a_client_id(application: AppId, given: &Finding) -> Failure {
    let what = format!("{application} is not a client id");
    Failure::new(Exit::Refused, what, given.explanation())
}

fn untagged(manifest: &Manifest, application: AppId) -> Failure {
    let tags: Vec<&str> = manifest.rules().iter().map(Rule::tag).collect();
    let what = format!("application {application} has no credential in the manifest");
    let cure = if tags.is_empty() {
        "add a credential to the manifest".to_owned()
    } else {
        format!(
            "tag the application in Entra with one of {}, or list it in the manifest",
            list(&tags)
        )
    };
    Failure::new(Exit::Refused, what, cure)
}

fn unknown(manifest: &Manifest, name: &str) -> Failure {
    let names: Vec<&str> = manifest.credentials().map(|one| one.name.0.as_str()).collect();
    let cure = match nearest(name, &names) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => {
            "the manifest lists no credential; give the secret of a rule's credential, or --application"
                .to_owned()
        }
        None => format!("name one of {}", list(&names)),
    };
    let what = format!("the manifest has no credential {}", plain(name));
    Failure::new(Exit::Refused, what, cure)
}

/// Lists the first names, and counts the rest.
pub(crate) fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| plain(name)).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Guesses the name that was meant: the only name that contains the given text, or the nearest name, if at most a third
/// of the given letters are wrong.
fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let within = |name: &&&str| name.to_lowercase().contains(&given);
    if let [only] = names.iter().filter(within).collect::<Vec<_>>().as_slice() {
        return Some(only);
    }
    let scored = names.iter().map(|name| (levenshtein(&given, &name.to_lowercase()), *name));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= given.chars().count()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_guessed_and_a_far_one_is_not() {
        let names = ["monk-deployment", "aks-prod", "aks-test"];
        assert_eq!(nearest("monk-deploymnet", &names), Some("monk-deployment"));
        assert_eq!(nearest("Monk", &names), Some("monk-deployment"));
        assert_eq!(nearest("aks-prd", &names), Some("aks-prod"));
        assert_eq!(nearest("vault", &names), None);
        assert_eq!(nearest("aks", &names), None);
    }

    #[test]
    fn long_lists_are_cut_short() {
        let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(list(&names).ends_with("n9 and 2 more"));
    }
}
