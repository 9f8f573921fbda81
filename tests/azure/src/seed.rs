//! The seed: what the tenant holds when the emulator starts. `README.md` beside this crate shows a whole one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::{DAY, Millis, SECOND, parse_rfc3339};
use crate::error::Error;
use crate::model::Audience;

/// A tenant as it is at the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    /// The tenant.
    pub tenant: SeedTenant,
    /// Where the keys of token issuers are, for issuers that are not on loopback themselves.
    pub issuers: BTreeMap<String, SeedIssuer>,
    /// Applications, each with its service principal.
    pub applications: Vec<SeedApplication>,
}

/// The tenant's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeedTenant {
    /// Its id; one drawn from the random seed where missing.
    pub id: Option<Uuid>,
    /// Its verified domain, usable instead of the id.
    pub domain: String,
    /// Its name.
    pub display_name: String,
}

impl Default for SeedTenant {
    fn default() -> Self {
        Self {
            id: None,
            domain: "contoso.onmicrosoft.com".to_owned(),
            display_name: "Contoso".to_owned(),
        }
    }
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedIssuer {
    /// The key set itself.
    Jwks(Value),
    /// A loopback base URL that stands for the issuer: `{url}/.well-known/openid-configuration`.
    Url(String),
}

/// An application, its service principal and all they hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own in Entra.
pub struct SeedApplication {
    /// Its appId (client id); drawn where missing.
    #[serde(default)]
    pub app_id: Option<Uuid>,
    /// The application's object id; drawn where missing.
    #[serde(default)]
    pub object_id: Option<Uuid>,
    /// The service principal's object id; drawn where missing.
    #[serde(default)]
    pub service_principal_id: Option<Uuid>,
    /// Its name.
    pub display_name: String,
    /// Tags, of the application and of the service principal.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whose accounts it serves.
    #[serde(default)]
    pub audience: Audience,
    /// Whether the application is in this tenant; false for one that is homed in another.
    #[serde(default = "yes")]
    pub application: bool,
    /// Whether it has a service principal here.
    #[serde(default = "yes")]
    pub service_principal: bool,
    /// The service principal's `accountEnabled`.
    #[serde(default = "yes")]
    pub account_enabled: bool,
    /// The application's `isDisabled`.
    #[serde(default)]
    pub disabled: bool,
    /// When it was made.
    #[serde(default = "now")]
    pub created: String,
    /// When it was soft-deleted, if it was.
    #[serde(default)]
    pub deleted: Option<String>,
    /// Passwords of the application.
    #[serde(default)]
    pub passwords: Vec<SeedPassword>,
    /// Passwords of the service principal, which the portal does not show.
    #[serde(default)]
    pub service_principal_passwords: Vec<SeedPassword>,
    /// Certificates of the application.
    #[serde(default)]
    pub certificates: Vec<SeedCertificate>,
    /// Trust in tokens of other issuers.
    #[serde(default)]
    pub federated_credentials: Vec<SeedFederatedCredential>,
    /// Owners of both, by the appId of another seeded application, or by object id.
    #[serde(default)]
    pub owners: Vec<Uuid>,
    /// Permissions on Graph granted to the service principal, by name.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Further properties of the application, given back as they are.
    #[serde(default)]
    pub properties: BTreeMap<String, Value>,
}

impl SeedApplication {
    /// An enabled application with a service principal and no credential.
    pub fn named(display_name: impl Into<String>) -> Self {
        Self {
            app_id: None,
            object_id: None,
            service_principal_id: None,
            display_name: display_name.into(),
            tags: Vec::new(),
            audience: Audience::default(),
            application: true,
            service_principal: true,
            account_enabled: true,
            disabled: false,
            created: now(),
            deleted: None,
            passwords: Vec::new(),
            service_principal_passwords: Vec::new(),
            certificates: Vec::new(),
            federated_credentials: Vec::new(),
            owners: Vec::new(),
            roles: Vec::new(),
            properties: BTreeMap::new(),
        }
    }
}

/// A client secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedPassword {
    /// Drawn where missing.
    #[serde(default)]
    pub key_id: Option<Uuid>,
    /// Its name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The secret text; drawn where missing.
    #[serde(default)]
    pub secret: Option<String>,
    /// From when it is good: RFC 3339, or relative to the start of the emulator like `-3d`.
    #[serde(default = "now")]
    pub start: String,
    /// Until when, likewise; `null` for never, two years where missing.
    #[serde(default = "two_years")]
    pub end: Option<String>,
}

impl Default for SeedPassword {
    fn default() -> Self {
        Self { key_id: None, display_name: None, secret: None, start: now(), end: two_years() }
    }
}

/// A certificate; only its dates matter, nobody can sign in with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedCertificate {
    /// Drawn where missing.
    #[serde(default)]
    pub key_id: Option<Uuid>,
    /// Its name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// From when it is good.
    #[serde(default = "now")]
    pub start: String,
    /// Until when.
    #[serde(default = "two_years")]
    pub end: Option<String>,
}

/// Trust in one subject of one issuer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedFederatedCredential {
    /// Drawn where missing.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Its name, unique in the application.
    pub name: String,
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `sub`.
    pub subject: String,
    /// The token's `aud`.
    #[serde(default = "exchange_audience")]
    pub audiences: Vec<String>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

fn yes() -> bool {
    true
}

fn now() -> String {
    "+0s".to_owned()
}

#[allow(clippy::unnecessary_wraps)] // The shape that serde's default wants.
fn two_years() -> Option<String> {
    Some("+730d".to_owned())
}

fn exchange_audience() -> Vec<String> {
    vec!["api://AzureADTokenExchange".to_owned()]
}

impl Seed {
    /// Reads a seed in YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_saphyr::from_str(text).map_err(|e| Error::seed(e.to_string()))
    }
}

/// A time in a seed: RFC 3339, or a sign, a number and one of `s m h d w y`, from `now`.
pub(crate) fn time(text: &str, now: Millis) -> Result<Millis, Error> {
    if let Some(at) = parse_rfc3339(text) {
        return Ok(at);
    }
    let wrong = || Error::seed(format!("`{text}` is neither RFC 3339 nor like -3d, +12h"));
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(wrong()),
    };
    let unit = match text.chars().last() {
        Some('s') => SECOND,
        Some('m') => 60 * SECOND,
        Some('h') => 3600 * SECOND,
        Some('d') => DAY,
        Some('w') => 7 * DAY,
        Some('y') => 365 * DAY,
        _ => return Err(wrong()),
    };
    let number: i64 =
        text.get(1..text.len() - 1).and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(sign * unit).and_then(|by| now.checked_add(by)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        assert_eq!(time("-3d", 10 * DAY).unwrap(), 7 * DAY);
        assert_eq!(time("1970-01-02T00:00:00Z", 5).unwrap(), DAY);
        for wrong in ["3d", "-d", "+5x", "", "+", "+99999999999999999y"] {
            assert!(time(wrong, 0).is_err(), "{wrong}");
        }
    }

    #[test]
    fn refuses_unknown_fields() {
        assert!(Seed::parse("applications: [{display_name: a, pasword: []}]").is_err());
        assert!(
            Seed::parse("applications: [{display_name: a, passwords: [{end: null}, {}]}]").is_ok()
        );
    }
}
