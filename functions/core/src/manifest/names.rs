//! The names that AWS and Keywheel allow.

use std::fmt;
use std::str::FromStr;

use crate::ids::AppId;

/// The name of a Secrets Manager secret. Secrets Manager accepts every such name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Gives the name's text.
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

/// The pattern of the names of a rule's secrets: a name with `{appId}` in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPattern(String);

/// The placeholder of the application's client id in a [`SecretPattern`].
const APP_ID: &str = "{appId}";

impl SecretPattern {
    /// Gives the pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes the name of one application's secret.
    pub fn secret(&self, application: AppId) -> SecretName {
        // The name is valid for every id, as `from_str` checked with one id: ids differ only in hexadecimal digits.
        SecretName(self.0.replace(APP_ID, &application.to_string()))
    }

    /// Gives the beginning of all names.
    pub fn prefix(&self) -> &str {
        self.0.split_once(APP_ID).map_or(self.as_str(), |(before, _)| before)
    }

    /// Finds the application whose secret has this name; `None`: the name does not fit the pattern.
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

/// A text is no name. The error does not quote the text, which may be a secret in the wrong field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("the name is empty")]
    Empty,
    /// The text is longer than the service allows.
    #[error("the name has {length} characters, more than {limit}")]
    TooLong {
        /// The number of characters.
        length: usize,
        /// The largest number.
        limit: usize,
    },
    /// The text has a character that a name must not have.
    #[error("{character:?} may not stand in the name (character {position})")]
    Character {
        /// The first such character.
        character: char,
        /// The character's position, from 1.
        position: usize,
    },
    /// The rule's pattern would give all its applications one secret.
    #[error("the pattern lacks {{appId}}: all applications of the rule would share one secret")]
    NoAppId,
    /// The name is reserved.
    #[error("the name is reserved")]
    Reserved,
}

impl NameError {
    /// Gives the problem with a secret's name, and the cure.
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
    // A name may end as an ARN does, because Secrets Manager completes only ARNs, and Keywheel asks by name.
    check(text, SECRET_LIMIT, |c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c))
}

const CREDENTIAL_LIMIT: usize = 64;

/// Words with a special meaning in place of a credential's name.
const RESERVED: &[&str] = &["all", "default", "defaults", "none"];

/// Checks the name of a credential that the manifest lists.
pub(super) fn check_credential(text: &str) -> Result<(), NameError> {
    check(text, CREDENTIAL_LIMIT, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
    // Names are used in command lines and object keys, where `-` would begin an option, and `..` would lead upwards.
    let misleading = text.starts_with(['-', '.']);
    if misleading || RESERVED.iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// The cure of a wrong credential's name.
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

/// The cure of a wrong tag.
pub(super) const TAG_CURE: &str = "use letters, digits, spaces and _.:/=+-@, at most 128 for the key and 256 for the value; `aws:` and `keywheel:` are taken";

/// Checks that a name has 1 to `limit` characters, all of them allowed.
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
