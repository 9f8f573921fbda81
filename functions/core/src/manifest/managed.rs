//! Finds the credentials of names, secrets and applications, and the manifest's entries that make them.

use super::{Credential, Manifest, Rule};
use crate::ids::{AppId, CredentialName};

/// The entry of the manifest that makes a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest lists the credential.
    Listed,
    /// A rule makes the credential of each application with this tag.
    Rule {
        /// The tag.
        tag: String,
    },
}

/// A credential and the entry that makes it.
///
/// The credential of a rule may be one in name alone: only Graph knows whether its application has the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// The credential.
    pub credential: Credential,
    /// The entry.
    pub origin: Origin,
}

impl Managed {
    fn listed(credential: &Credential) -> Self {
        Self { credential: credential.clone(), origin: Origin::Listed }
    }

    fn ruled(rule: &Rule, application: AppId) -> Self {
        let origin = Origin::Rule { tag: rule.tag().to_owned() };
        Self { credential: rule.credential_for(application), origin }
    }

    /// Says whether the manifest lists the credential by itself.
    pub fn is_listed(&self) -> bool {
        self.origin == Origin::Listed
    }

    /// Says whether the rule of this tag makes the credential.
    pub fn is_of_rule(&self, wanted: &str) -> bool {
        matches!(&self.origin, Origin::Rule { tag } if tag == wanted)
    }
}

impl Manifest {
    /// Gives the credentials that are listed for an application.
    pub fn listed(&self, application: AppId) -> impl Iterator<Item = &Credential> {
        self.credentials().filter(move |one| one.application == application)
    }

    /// Finds the credential of this name. The credential of a rule is named like its secret.
    pub fn by_name(&self, name: &CredentialName) -> Option<Managed> {
        if let Some(listed) = self.credentials.get(name) {
            return Some(Managed::listed(listed));
        }
        self.by_secret(&name.0).filter(|managed| managed.credential.name == *name)
    }

    /// Finds the credential of this name whose application was known to be this one.
    ///
    /// A listed credential is found by its name alone: the manifest may name another application since.
    pub fn by_name_of(&self, name: &CredentialName, application: AppId) -> Option<Managed> {
        let managed = self.by_name(name);
        managed.filter(|one| one.is_listed() || one.credential.application == application)
    }

    /// Finds the credential that keeps its secret under this name.
    pub fn by_secret(&self, secret: &str) -> Option<Managed> {
        let listed = self.credentials().find(|listed| listed.secret.as_str() == secret);
        let ruled = |rule: &Rule| Some(Managed::ruled(rule, rule.secret().application(secret)?));
        let listed = listed.map(Managed::listed);
        listed.or_else(|| self.rules().iter().find_map(ruled))
    }

    /// Finds the credential that a rule makes of an application with these tags. Rules are for applications that are not
    /// listed, and the first rule that fits makes the credential.
    pub fn by_tags(&self, application: AppId, tags: &[String]) -> Option<Managed> {
        let rule = self.rules().iter().find(|rule| tags.iter().any(|tag| tag == rule.tag()))?;
        let unlisted = self.listed(application).next().is_none();
        unlisted.then(|| Managed::ruled(rule, application))
    }

    /// Gives all credentials of an application with these tags.
    pub fn of_application(&self, application: AppId, tags: &[String]) -> Vec<Managed> {
        let listed = self.listed(application).map(Managed::listed);
        listed.chain(self.by_tags(application, tags)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";
    const OTHER: &str = "8a1f6a6e-44d5-4d4e-9f57-0d9a4a6a7b10";

    fn manifest() -> Manifest {
        let text = format!(
            "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  monk: {{ application: {LISTED}, secret: prod/monk }}
  again: {{ application: {LISTED}, secret: prod/again, key_on: servicePrincipal }}
rules:
  - {{ match: {{ tag: first }}, secret: \"one/{{appId}}\" }}
  - {{ match: {{ tag: second }}, secret: \"two/{{appId}}\" }}
"
        );
        Manifest::parse(&text, "m.yaml").unwrap()
    }

    fn shown(managed: Option<Managed>) -> Option<(String, Option<String>)> {
        let tag = |origin| match origin {
            Origin::Listed => None,
            Origin::Rule { tag } => Some(tag),
        };
        managed.map(|one| (one.credential.name.0, tag(one.origin)))
    }

    fn ruled(name: &str, tag: &str) -> (String, Option<String>) {
        (name.to_owned(), Some(tag.to_owned()))
    }

    #[test]
    fn a_credential_goes_by_one_name() {
        let manifest = manifest();
        let found = |name: &str| shown(manifest.by_name(&CredentialName(name.to_owned())));
        assert_eq!(found("monk"), Some(("monk".to_owned(), None)));
        let second = format!("two/{OTHER}");
        assert_eq!(found(&second), Some(ruled(&second, "second")));
        for other in ["prod/monk", "Monk", "", "two/x", &second.to_uppercase()] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_listed_name_stays_when_its_application_changes_and_a_ruled_one_does_not() {
        let (manifest, other): (_, AppId) = (manifest(), OTHER.parse().unwrap());
        let listed: AppId = LISTED.parse().unwrap();
        let found =
            |name: &str, of| shown(manifest.by_name_of(&CredentialName(name.to_owned()), of));
        assert_eq!(found("monk", other), Some(("monk".to_owned(), None)));
        let first = format!("one/{OTHER}");
        assert_eq!(found(&first, other), Some(ruled(&first, "first")));
        assert_eq!(found(&first, listed), None);
    }

    #[test]
    fn a_secret_is_of_the_credential_that_is_listed_or_of_a_rule() {
        let manifest = manifest();
        assert_eq!(shown(manifest.by_secret("prod/monk")), Some(("monk".to_owned(), None)));
        let second = format!("two/{OTHER}");
        assert_eq!(shown(manifest.by_secret(&second)), Some(ruled(&second, "second")));
        assert_eq!(shown(manifest.by_secret("monk")), None);
    }

    #[test]
    fn the_first_rule_that_fits_takes_an_application_that_is_not_listed() {
        let (manifest, other): (_, AppId) = (manifest(), OTHER.parse().unwrap());
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let first = format!("one/{OTHER}");
        assert_eq!(
            shown(manifest.by_tags(other, &tags(&["second", "first"]))),
            Some(ruled(&first, "first"))
        );
        assert_eq!(manifest.by_tags(other, &tags(&["First", "x"])), None);
        let listed: AppId = LISTED.parse().unwrap();
        assert_eq!(manifest.by_tags(listed, &tags(&["first"])), None);
        let all = manifest.of_application(listed, &tags(&["first"]));
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(Managed::is_listed));
        assert_eq!(manifest.of_application(other, &tags(&["second"])).len(), 1);
    }
}
