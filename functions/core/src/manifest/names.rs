//! Names as AWS and Keywheel allow them.

use std::fmt;
use std::str::FromStr;

use crate::ids::AppId;

/// The name of a Secrets Manager secret; always one that Secrets Manager accepts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_secret(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// What a rule's secrets are called: a name with `{appId}` in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPattern(String);

/// What stands for the application's client id in a [`SecretPattern`].
const APP_ID: &str = "{appId}";

impl SecretPattern {
    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of one application's secret.
    pub fn secret(&self, application: AppId) -> SecretName {
        // Valid for every id, as it was for the one that `from_str` tried: they only differ in hex digits.
        SecretName(self.0.replace(APP_ID, &application.to_string()))
    }

    /// What all names begin with.
    pub fn prefix(&self) -> &str {
        self.0.split_once(APP_ID).map_or(self.as_str(), |(before, _)| before)
    }

    /// The application whose secret has this name, if it is of this pattern.
    pub fn application(&self, name: &str) -> Option<AppId> {
        let id = name.get(self.prefix().len()..)?.get(..36)?;
        let id = id.parse().ok()?;
        (self.secret(id).as_str() == name).then_some(id)
    }
}

impl fmt::Display for SecretPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SecretPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if !text.contains(APP_ID) {
            return Err(NameError::NoAppId);
        }
        let sample = AppId(uuid::Uuid::nil());
        check_secret(&text.replace(APP_ID, &sample.to_string()))?;
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is no name. The text itself is left out: it may be a secret in the wrong field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// Longer than the service allows.
    #[error("the name has {length} characters, more than {limit}")]
    TooLong {
        /// Its characters.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A character that may not stand in the name.
    #[error("{character:?} may not stand in the name (character {position})")]
    Character {
        /// The first such character.
        character: char,
        /// Its position, from one.
        position: usize,
    },
    /// A rule's pattern that would give all its applications one secret.
    #[error("the pattern lacks {{appId}}: all applications of the rule would share one secret")]
    NoAppId,
    /// A name that means something else.
    #[error("the name is reserved")]
    Reserved,
}

impl NameError {
    /// Says what is wrong with a secret's name and what to do about it.
    pub(super) fn of_secret(self) -> (String, String) {
        let cure = match self {
            Self::NoAppId => "write it like `entra/{appId}`",
            Self::Character { character: ':', .. } => "give the secret's name, not its ARN",
            _ => {
                "name the Secrets Manager secret (not the client secret's text) with 1 to 512 letters, digits and /_+=.@-"
            }
        };
        (self.to_string(), cure.to_owned())
    }
}

const SECRET_LIMIT: usize = 512;

fn check_secret(text: &str) -> Result<(), NameError> {
    // A name that ends as an ARN does is one: Secrets Manager only ever completes an ARN, and Keywheel asks by name.
    check(text, SECRET_LIMIT, |c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c))
}

const CREDENTIAL_LIMIT: usize = 64;

/// These mean something else where a credential's name is asked for.
const RESERVED: &[&str] = &["all", "default", "defaults", "none"];

/// Checks the name of a credential that the manifest lists.
pub(super) fn check_credential(text: &str) -> Result<(), NameError> {
    check(text, CREDENTIAL_LIMIT, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
    // A name stands in command lines and object keys: neither an option nor a step up.
    let misleading = text.starts_with(['-', '.']);
    if misleading || RESERVED.iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// What to do about a credential's name.
pub(super) const CREDENTIAL_CURE: &str = "use 1 to 64 letters, digits and ._- with neither of `.` and `-` first, and not `all`, `default`, `defaults` or `none`";

/// Checks one tag of a secret.
pub(super) fn check_tag(key: &str, value: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    check(key, 128, allowed)?;
    if ["aws:", "keywheel:"].iter().any(|prefix| key.to_ascii_lowercase().starts_with(prefix)) {
        return Err(NameError::Reserved);
    }
    if value.is_empty() { Ok(()) } else { check(value, 256, allowed) }
}

/// What to do about a tag.
pub(super) const TAG_CURE: &str = "use letters, digits, spaces and _.:/=+-@, at most 128 for the key and 256 for the value; `aws:` and `keywheel:` are taken";

/// Checks a name of at most so many characters, all of them allowed.
pub(super) fn check(
    text: &str,
    limit: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some((index, character)) = text.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        return Err(NameError::Character { character, position: index + 1 });
    }
    match text.chars().count() {
        length if length > limit => Err(NameError::TooLong { length, limit }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";

    #[test]
    fn secrets_are_named_as_the_service_allows() {
        for good in [
            "a",
            "prod/azure/monk",
            "/leading",
            "a_b+c=d.e@f-g",
            "x-1234567",
            "x-12345",
            "a-b/c.de",
            "prod/client-secret",
            "prod-AbC123",
            "prod-AbC123-dEf456",
        ] {
            assert!(good.parse::<SecretName>().is_ok(), "{good}");
        }
        assert_eq!("".parse::<SecretName>(), Err(NameError::Empty));
        assert_eq!(
            "a~b".parse::<SecretName>(),
            Err(NameError::Character { character: '~', position: 2 })
        );
        assert!("a".repeat(512).parse::<SecretName>().is_ok());
        let length = 513;
        assert_eq!(
            "a".repeat(length).parse::<SecretName>(),
            Err(NameError::TooLong { length, limit: 512 })
        );
    }

    #[test]
    fn a_pattern_renders_and_recognises_its_names() {
        let pattern: SecretPattern = "entra/{appId}/{appId}".parse().expect("pattern");
        let app: AppId = APP.parse().expect("id");
        let name = pattern.secret(app);
        assert_eq!(name.as_str(), format!("entra/{APP}/{APP}"));
        assert_eq!(
            pattern.application(name.as_str()).map(|id| id.to_string()).as_deref(),
            Some(APP)
        );
        assert_eq!(pattern.application("entra/x"), None);
        assert_eq!(pattern.application(&format!("entra/{APP}/{}", uuid::Uuid::nil())), None);
        assert_eq!("entra/x".parse::<SecretPattern>(), Err(NameError::NoAppId));
    }

    #[test]
    fn credentials_have_plain_names() {
        for good in ["monk-deployment", "aks.prod_2", "_x", &"n".repeat(64)] {
            assert_eq!(check_credential(good), Ok(()), "{good}");
        }
        for bad in ["", "a/b", "ALL", "-x", "..", "é", &"n".repeat(65)] {
            assert!(check_credential(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_keep_out_of_reserved_prefixes() {
        assert_eq!(check_tag("team", ""), Ok(()));
        assert_eq!(check_tag("AWS:x", "y"), Err(NameError::Reserved));
        assert!(check_tag("team", "a*b").is_err());
    }
}
