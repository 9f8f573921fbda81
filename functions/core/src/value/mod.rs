//! What a credential's secret looks like in Secrets Manager, written and read back.
//!
//! Every format can be read back without knowing anything but itself: a rotation that was cut off
//! resumes with the client secret that it finds stored.

mod env;
mod fields;
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

use text::Buffer;

pub use fields::FieldNames;
pub(crate) use fields::OWN;
pub use foreign::Foreign;
pub use template::{Template, TemplateError};

/// The most that Secrets Manager stores in one version.
pub const MAX_VALUE_BYTES: usize = 65_536;
/// How many characters Graph's `secretText` has.
pub const SECRET_TEXT: RangeInclusive<usize> = 16..=64;

/// The shape of a secret's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An object of `tenant_id`, `client_id`, `client_secret`, `key_id` and `expires_on`.
    #[default]
    Json,
    /// The same object, in which these fields have other names.
    JsonAs(FieldNames),
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

/// What stands in a value beside the client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFacts {
    /// The tenant.
    pub tenant: TenantId,
    /// The application's client id.
    pub application: AppId,
    /// The subscription, where the manifest names one.
    pub subscription: Option<SubscriptionId>,
    /// The key that the client secret belongs to.
    pub key_id: KeyId,
    /// When the key expires.
    pub expires_on: DateTime<Utc>,
}

impl ValueFacts {
    /// RFC 3339 to the second, always in the same twenty characters.
    fn expiry(&self) -> String {
        self.expires_on.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

/// What a value says of the cloud, in the spelling of the Azure CLI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudFacts {
    /// `activeDirectoryEndpointUrl`.
    pub active_directory: &'static str,
    /// `resourceManagerEndpointUrl`.
    pub resource_manager: &'static str,
    /// `activeDirectoryGraphResourceId`.
    pub graph_resource: &'static str,
    /// `sqlManagementEndpointUrl`.
    pub sql_management: &'static str,
    /// `galleryEndpointUrl`.
    pub gallery: &'static str,
    /// `managementEndpointUrl`.
    pub management: &'static str,
    /// `ARM_ENVIRONMENT`, where it is not the default.
    pub arm_environment: Option<&'static str>,
}

impl CloudFacts {
    /// Azure's public cloud.
    pub const PUBLIC: Self = Self {
        active_directory: "https://login.microsoftonline.com",
        resource_manager: "https://management.azure.com/",
        graph_resource: "https://graph.windows.net/",
        sql_management: "https://management.core.windows.net:8443/",
        gallery: "https://gallery.azure.com/",
        management: "https://management.core.windows.net/",
        arm_environment: None,
    };
    /// Azure for the government of the United States.
    pub const US_GOVERNMENT: Self = Self {
        active_directory: "https://login.microsoftonline.us",
        resource_manager: "https://management.usgovcloudapi.net/",
        graph_resource: "https://graph.microsoftazure.us/",
        sql_management: "https://management.core.usgovcloudapi.net:8443/",
        gallery: "https://gallery.usgovcloudapi.net/",
        management: "https://management.core.usgovcloudapi.net/",
        arm_environment: Some("usgovernment"),
    };
    /// Azure in China.
    pub const CHINA: Self = Self {
        active_directory: "https://login.chinacloudapi.cn",
        resource_manager: "https://management.chinacloudapi.cn",
        graph_resource: "https://graph.chinacloudapi.cn/",
        sql_management: "https://management.core.chinacloudapi.cn:8443/",
        gallery: "https://gallery.chinacloudapi.cn/",
        management: "https://management.core.chinacloudapi.cn/",
        arm_environment: Some("china"),
    };
}

impl From<Cloud> for CloudFacts {
    fn from(cloud: Cloud) -> Self {
        match cloud {
            Cloud::Public => Self::PUBLIC,
            Cloud::UsGovernment => Self::US_GOVERNMENT,
            Cloud::China => Self::CHINA,
        }
    }
}

/// Why a value cannot be written, or not be read back. Never holds any of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There is no client secret to write.
    #[error("the client secret is empty")]
    NoSecret,
    /// The format names a subscription and there is none.
    #[error("format {format} needs a subscription: add `subscription` to the credential")]
    NoSubscription {
        /// The format's name.
        format: &'static str,
    },
    /// Secrets Manager would refuse it.
    #[error(
        "a value of {bytes} bytes in format {format} is more than Secrets Manager stores ({MAX_VALUE_BYTES}); where it is json, keys that others added are part of it: remove some of them"
    )]
    TooLarge {
        /// The format's name.
        format: &'static str,
        /// The size it would have.
        bytes: usize,
    },
    /// The stored value is not of this format.
    #[error("the stored value is not of format {format}: {why}")]
    Mismatch {
        /// The format's name.
        format: &'static str,
        /// What is missing or amiss.
        why: &'static str,
    },
}

impl Format {
    /// The format's name in the manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json | Self::JsonAs(_) => "json",
            Self::SdkAuth => "sdk-auth",
            Self::Env => "env",
            Self::Dstack => "dstack",
            Self::Raw => "raw",
            Self::Template(_) => "template",
        }
    }

    /// Whether a value of this format names a subscription.
    pub fn needs_subscription(&self) -> bool {
        match self {
            Self::SdkAuth => true,
            Self::Template(template) => template.needs_subscription(),
            _ => false,
        }
    }

    /// The names of Keywheel's own fields, where those of others are kept beside them.
    pub fn field_names(&self) -> Option<[&str; 5]> {
        match self {
            Self::Json => Some(OWN),
            Self::JsonAs(fields) => Some(fields.names()),
            _ => None,
        }
    }

    /// What is carried over from the value that is replaced: the fields that are not Keywheel's. Only `json` carries any,
    /// and only from a JSON object.
    pub fn foreign(&self, replaced: &SecretText) -> Foreign {
        self.field_names().map_or_else(Foreign::default, |own| Foreign::of(replaced.expose(), &own))
    }

    /// The value to store for a client secret, where nothing is carried over.
    pub fn render(
        &self,
        facts: &ValueFacts,
        cloud: &CloudFacts,
        secret: &SecretText,
    ) -> Result<SecretText, FormatError> {
        self.render_beside(facts, cloud, secret, &Foreign::default())
    }

    /// The value to store for a client secret, with what is carried over.
    pub fn render_beside(
        &self,
        facts: &ValueFacts,
        cloud: &CloudFacts,
        secret: &SecretText,
        foreign: &Foreign,
    ) -> Result<SecretText, FormatError> {
        let secret = secret.expose();
        if secret.is_empty() {
            return Err(FormatError::NoSecret);
        }
        // Refused before anything of its size is written.
        self.fits(secret.len())?;
        let value = match self {
            Self::Json => json::plain(OWN, facts, secret, foreign),
            Self::JsonAs(fields) => json::plain(fields.names(), facts, secret, foreign),
            Self::Dstack => json::dstack(facts, secret),
            Self::SdkAuth => json::sdk_auth(facts, self.subscription(facts)?, cloud, secret),
            Self::Env => env::render(facts, cloud, secret, env::Tilde::Bare),
            Self::Raw => Buffer::of(secret),
            Self::Template(template) => {
                let subscription = template.needs_subscription().then(|| self.subscription(facts));
                template.render(facts, subscription.transpose()?, secret)
            }
        };
        self.fits(value.len())?;
        Ok(value.into_secret())
    }

    /// The client secret in a value, if it is the value that these facts make of it. Any other was written for a
    /// manifest that has changed since: for another format, another subscription, another application.
    ///
    /// When the key expires is not compared: only the try that minted it knew.
    pub fn read_back(
        &self,
        value: &SecretText,
        facts: &ValueFacts,
        cloud: &CloudFacts,
    ) -> Result<SecretText, FormatError> {
        self.read_back_beside(value, facts, cloud, &Foreign::default())
    }

    /// The same of a value with what was carried over. Where that has changed since in the version it is taken from,
    /// publishing the value would undo the change: it is not what these facts make.
    pub fn read_back_beside(
        &self,
        value: &SecretText,
        facts: &ValueFacts,
        cloud: &CloudFacts,
        foreign: &Foreign,
    ) -> Result<SecretText, FormatError> {
        let mismatch = |why| Err(FormatError::Mismatch { format: self.name(), why });
        let secret = self.client_secret(value)?;
        // Nothing but its own shape tells where a bare text ends: any other format's value would do.
        if matches!(self, Self::Raw | Self::Template(_)) && !is_secret_text(secret.expose()) {
            return mismatch("what stands in the client secret's place is none");
        }
        let again = self.render_beside(facts, cloud, &secret, foreign)?;
        let is_of_today = same_but_for_time(again.expose(), value.expose(), &facts.expiry());
        if !is_of_today && !self.was_written_once(value, facts, cloud, &secret) {
            return mismatch("it is not what the manifest asks for now");
        }
        Ok(secret)
    }

    /// The client secret in a value of this format, or in one much like it that people made.
    pub fn client_secret(&self, value: &SecretText) -> Result<SecretText, FormatError> {
        let value = value.expose();
        let found = match self {
            Self::Json | Self::Dstack => json::snake_case_secret(value),
            Self::JsonAs(fields) => json::named_secret(value, fields.client_secret()),
            Self::SdkAuth => json::camel_case_secret(value),
            Self::Env => env::client_secret(value),
            Self::Raw => Ok(Buffer::of(value)),
            Self::Template(template) => template.client_secret(value).map(Buffer::of),
        };
        let found = found.and_then(|text| {
            if text.len() == 0 { Err("the client secret in it is empty") } else { Ok(text) }
        });
        found
            .map(Buffer::into_secret)
            .map_err(|why| FormatError::Mismatch { format: self.name(), why })
    }

    /// Whether a value says the same in the spelling of an earlier Keywheel.
    fn was_written_once(
        &self,
        value: &SecretText,
        facts: &ValueFacts,
        cloud: &CloudFacts,
        secret: &SecretText,
    ) -> bool {
        let spelling = || env::render(facts, cloud, secret.expose(), env::Tilde::Quoted);
        matches!(self, Self::Env) && spelling().into_secret().expose() == value.expose()
    }

    fn subscription(&self, facts: &ValueFacts) -> Result<SubscriptionId, FormatError> {
        facts.subscription.ok_or(FormatError::NoSubscription { format: self.name() })
    }

    fn fits(&self, bytes: usize) -> Result<(), FormatError> {
        if bytes > MAX_VALUE_BYTES {
            return Err(FormatError::TooLarge { format: self.name(), bytes });
        }
        Ok(())
    }
}

/// Whether a text can be one that Graph made. Today's have forty characters, of letters, digits and `~._-`;
/// what is held against a text here is only what other formats write around it.
fn is_secret_text(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '{' | '}');
    SECRET_TEXT.contains(&text.len()) && text.chars().all(fits)
}

/// Whether two texts are the same, but for the time of day that stands where `time` does in the first.
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
