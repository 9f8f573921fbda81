//! The values of secrets: written for Secrets Manager, and read back.
//!
//! A value can be read back by its format alone, so that a rotation that was cut off goes on with the client secret
//! that it finds stored.

mod cloud;
mod env;
mod foreign;
mod json;
mod template;
mod text;

use std::fmt;
use std::ops::RangeInclusive;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::identity::Cloud;
use crate::ids::{AppId, KeyId, SubscriptionId, TenantId};
use crate::secret::SecretText;

use foreign::text_of;
use text::Buffer;

pub use foreign::Foreign;
pub use json::FieldNames;
pub use template::{Template, TemplateError};

/// The largest value that Secrets Manager stores in one version.
pub const MAX_VALUE_BYTES: usize = 65_536;
/// The lengths that Graph's `secretText` may have.
pub const SECRET_TEXT: RangeInclusive<usize> = 16..=64;

/// The shape of a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object of the tenant's id, the client id, the client secret, the key's id and the time at which the key
    /// expires.
    Json(FieldNames),
    /// The SDK auth file that `az ad sp create-for-rbac --sdk-auth` writes.
    SdkAuth,
    /// Lines of `AZURE_*` and `ARM_*` variables.
    Env,
    /// The `creds` of a dstack Azure backend.
    Dstack,
    /// The client secret's text alone.
    Raw,
    /// A text of the manifest's own.
    Template(Template),
}

/// The parts of a value besides the client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The cloud.
    pub cloud: Cloud,
    /// The tenant.
    pub tenant: TenantId,
    /// The application's client id.
    pub application: AppId,
    /// The subscription, if the manifest names one.
    pub subscription: Option<SubscriptionId>,
    /// The key that the client secret belongs to.
    pub key_id: KeyId,
    /// The time at which the key expires.
    pub expires_on: DateTime<Utc>,
}

impl Facts {
    /// Writes the time at which the key expires: RFC 3339 in seconds, always twenty characters.
    fn expiry(&self) -> String {
        self.expires_on.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    fn subscription(&self) -> String {
        self.subscription.map(|id| id.to_string()).unwrap_or_default()
    }
}

/// A value cannot be written or read back. The error holds nothing of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The client secret is empty.
    #[error("the client secret is empty")]
    NoSecret,
    /// The format names a subscription, and the credential has none.
    #[error("format {format} needs a subscription: add `subscription` to the credential")]
    NoSubscription {
        /// The format's name.
        format: &'static str,
    },
    /// The value is larger than Secrets Manager stores.
    #[error(
        "a value of {bytes} bytes in format {format} is more than Secrets Manager stores ({MAX_VALUE_BYTES}); where it is json, keys that others added are part of it: remove some of them"
    )]
    TooLarge {
        /// The format's name.
        format: &'static str,
        /// The value's size.
        bytes: usize,
    },
    /// The stored value is not of this format.
    #[error("the stored value is not of format {format}: {why}")]
    Mismatch {
        /// The format's name.
        format: &'static str,
        /// The cause.
        why: &'static str,
    },
}

impl Default for Format {
    fn default() -> Self {
        Self::Json(FieldNames::default())
    }
}

impl Format {
    /// The format's name in the manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::SdkAuth => "sdk-auth",
            Self::Env => "env",
            Self::Dstack => "dstack",
            Self::Raw => "raw",
            Self::Template(_) => "template",
        }
    }

    /// Says whether a value of this format names a subscription.
    pub fn needs_subscription(&self) -> bool {
        match self {
            Self::SdkAuth => true,
            Self::Template(template) => template.needs_subscription(),
            _ => false,
        }
    }

    /// Returns the names of Keywheel's own fields; `None`: the format has no fields of others.
    pub fn field_names(&self) -> Option<[&str; 5]> {
        match self {
            Self::Json(fields) => Some(fields.names()),
            _ => None,
        }
    }

    /// Takes the fields that are not Keywheel's out of the value that is replaced. Only `json` carries fields over, and
    /// only from a JSON object.
    pub fn foreign(&self, replaced: &SecretText) -> Foreign {
        self.field_names().map_or_else(Foreign::default, |own| Foreign::of(replaced.expose(), &own))
    }

    /// Writes the value that is stored for a client secret, with the fields that are carried over.
    pub fn render(
        &self,
        facts: &Facts,
        secret: &SecretText,
        foreign: &Foreign,
    ) -> Result<SecretText, FormatError> {
        let secret = secret.expose();
        if secret.is_empty() {
            return Err(FormatError::NoSecret);
        }
        // A secret that is too large is refused before a value of its size is written.
        self.fits(secret.len())?;
        if self.needs_subscription() && facts.subscription.is_none() {
            return Err(FormatError::NoSubscription { format: self.name() });
        }
        let value = match self {
            Self::Json(fields) => json::plain(fields, facts, secret, foreign),
            Self::Dstack => json::dstack(facts, secret),
            Self::SdkAuth => json::sdk_auth(facts, secret),
            Self::Env => env::render(facts, secret, env::Tilde::Bare),
            Self::Raw => Buffer::of(secret),
            Self::Template(template) => template.render(facts, secret),
        };
        self.fits(value.len())?;
        Ok(value.into_secret())
    }

    /// Reads the client secret in a value, if the value is the one that these facts make of the secret.
    ///
    /// Any other value was written for a manifest that has changed since (another format, subscription or application),
    /// or beside fields of others that have changed since. To publish such a value would undo that change.
    ///
    /// The time at which the key expires is not compared, because only the try that minted the key knew the time.
    pub fn read_back(
        &self,
        value: &SecretText,
        facts: &Facts,
        foreign: &Foreign,
    ) -> Result<SecretText, FormatError> {
        let secret = self.client_secret(value)?;
        // In these formats only the secret's own shape shows where it ends. Any other format's value would do
        // otherwise.
        if matches!(self, Self::Raw | Self::Template(_)) && !is_secret_text(secret.expose()) {
            return Err(self.mismatch("what stands in the client secret's place is none"));
        }
        let again = self.render(facts, &secret, foreign)?;
        let is_of_today = same_but_for_time(again.expose(), value.expose(), &facts.expiry());
        if !is_of_today && !self.was_written_once(value, facts, &secret) {
            return Err(self.mismatch("it is not what the manifest asks for now"));
        }
        Ok(secret)
    }

    /// Reads the client secret in a value of this format, or in a similar value that people made.
    pub fn client_secret(&self, value: &SecretText) -> Result<SecretText, FormatError> {
        const NO_FIELD: &str = "it is not a JSON object with a text by the client secret's name";
        let value = value.expose();
        let found = match self {
            Self::Json(fields) => text_of(value, fields.client_secret()).ok_or(NO_FIELD),
            Self::Dstack => text_of(value, "client_secret").ok_or(NO_FIELD),
            Self::SdkAuth => text_of(value, "clientSecret").ok_or(NO_FIELD),
            Self::Env => env::client_secret(value),
            Self::Raw => Ok(Buffer::of(value)),
            Self::Template(template) => {
                let found = template.client_secret(value).map(Buffer::of);
                found.ok_or("it does not follow the manifest's template")
            }
        };
        match found {
            Ok(text) if text.len() > 0 => Ok(text.into_secret()),
            Ok(_) => Err(self.mismatch("the client secret in it is empty")),
            Err(why) => Err(self.mismatch(why)),
        }
    }

    /// Says whether an earlier version of Keywheel wrote the value with the same content.
    fn was_written_once(&self, value: &SecretText, facts: &Facts, secret: &SecretText) -> bool {
        let spelling = || env::render(facts, secret.expose(), env::Tilde::Quoted);
        matches!(self, Self::Env) && spelling().into_secret().expose() == value.expose()
    }

    fn mismatch(&self, why: &'static str) -> FormatError {
        FormatError::Mismatch { format: self.name(), why }
    }

    fn fits(&self, bytes: usize) -> Result<(), FormatError> {
        if bytes > MAX_VALUE_BYTES {
            return Err(FormatError::TooLarge { format: self.name(), bytes });
        }
        Ok(())
    }
}

/// Says whether Graph can have made a text. Today's have forty letters, digits and `~._-`. Only characters that other
/// formats write around a secret are refused here.
fn is_secret_text(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '{' | '}');
    SECRET_TEXT.contains(&text.len()) && text.chars().all(fits)
}

/// Says whether two texts are the same, apart from the time of day that stands where `time` does in the first.
fn same_but_for_time(written: &str, found: &str, time: &str) -> bool {
    let mut rest = Some(found);
    for (index, piece) in written.split(time).enumerate() {
        if index > 0 {
            let split = rest.and_then(|rest| rest.split_at_checked(time.len()));
            rest = split
                .filter(|(other, _)| DateTime::parse_from_rfc3339(other).is_ok())
                .map(|(_, after)| after);
        }
        rest = rest.and_then(|rest| rest.strip_prefix(piece));
    }
    rest == Some("")
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
