//! Graph's own shapes, and what Keywheel makes of them.
//!
//! What was selected must be in the answer: a missing `passwordCredentials` is not an empty one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use super::KeyOn;
use crate::ids::{AppId, KeyId, ObjectId};
use crate::rotation::observed::Key;

/// What a read of a key's holder selects.
pub(super) const HOLDER: &str = "id,appId,signInAudience,passwordCredentials";

/// An object that is of an application.
pub(super) trait OfApp {
    fn app_id(&self) -> AppId;
}

/// `microsoft.graph.application` or `servicePrincipal`, with its keys.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holder {
    pub(super) id: ObjectId,
    pub(super) app_id: AppId,
    pub(super) sign_in_audience: Option<String>,
    pub(super) password_credentials: Vec<PasswordCredential>,
}

impl OfApp for Holder {
    fn app_id(&self) -> AppId {
        self.app_id
    }
}

/// What a read of the application's other object selects.
pub(super) fn other(on: KeyOn) -> &'static str {
    match on {
        KeyOn::Application => "id,appId,servicePrincipalLockConfiguration",
        KeyOn::ServicePrincipal => "id,appId",
    }
}

/// The application's other object: the one that does not hold the keys.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Other {
    app_id: AppId,
    #[serde(
        rename = "servicePrincipalLockConfiguration",
        default,
        deserialize_with = "locks_passwords"
    )]
    pub(super) locks_principal: bool,
}

impl OfApp for Other {
    fn app_id(&self) -> AppId {
        self.app_id
    }
}

/// An application or service principal, as far as it says of which application it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Belonging {
    /// `id`.
    pub id: ObjectId,
    /// `appId`.
    pub app_id: AppId,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `tags`.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
}

/// `microsoft.graph.passwordCredential`, as listed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PasswordCredential {
    key_id: Option<KeyId>,
    display_name: Option<String>,
    #[serde(default, deserialize_with = "read_time")]
    start_date_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "read_time")]
    end_date_time: Option<DateTime<Utc>>,
}

/// `microsoft.graph.passwordCredential`, as `addPassword` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Minted {
    pub(super) key_id: KeyId,
    pub(super) secret_text: String,
    #[serde(default, deserialize_with = "read_time")]
    pub(super) start_date_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "read_time")]
    pub(super) end_date_time: Option<DateTime<Utc>>,
}

/// The keys that can be spoken of. One without a `keyId` can be neither named nor removed.
pub(super) fn keys(listed: Vec<PasswordCredential>) -> Vec<Key> {
    let key = |listed: PasswordCredential| {
        Some(Key {
            key_id: listed.key_id?,
            display_name: listed.display_name,
            start: listed.start_date_time,
            end: listed.end_date_time,
        })
    };
    listed.into_iter().filter_map(key).collect()
}

/// A time of Graph's. Its type ends with the year 9999, ours much later: what lies beyond is moved to the end,
/// so that the rules may add a life to any time without overflow.
pub(super) fn read_time<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    let within = |at: DateTime<Utc>| match at.timestamp() {
        FIRST..=LAST => Some(at),
        seconds => DateTime::from_timestamp(seconds.clamp(FIRST, LAST), 0),
    };
    Ok(Option::<DateTime<Utc>>::deserialize(from)?.and_then(within))
}

/// Graph writes null where there is nothing.
pub(super) fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A client secret's usage is `Verify`: the locks of `Sign` and of `tokenEncryptionKeyId` do not concern it.
///
/// A lock in another shape is none: it only warns, and takes nothing from the application's other properties.
fn locks_passwords<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let lock = serde_json::Value::deserialize(from)?;
    let on = |name: &str| lock.get(name).and_then(serde_json::Value::as_bool) == Some(true);
    Ok(on("isEnabled") && (on("allProperties") || on("credentialsWithUsageVerify")))
}

fn read_keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Key>, D::Error> {
    Vec::deserialize(from).map(keys)
}

/// A certificate (`microsoft.graph.keyCredential`): its life, not its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// `keyId`.
    pub key_id: Option<KeyId>,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `customKeyIdentifier`: the same of both entries, private and public, of one signing certificate.
    pub custom_key_identifier: Option<String>,
    /// `endDateTime`.
    #[serde(rename = "endDateTime", default, deserialize_with = "read_time")]
    pub end: Option<DateTime<Utc>>,
}

/// An application (`microsoft.graph.application`), as a sweep lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// `id`.
    #[serde(rename = "id")]
    pub object_id: ObjectId,
    /// `appId`.
    pub app_id: AppId,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `tags`.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
    /// `createdDateTime`.
    #[serde(rename = "createdDateTime", default, deserialize_with = "read_time")]
    pub created: Option<DateTime<Utc>>,
    /// `signInAudience`: personal accounts limit an application to two keys.
    pub sign_in_audience: Option<String>,
    /// `servicePrincipalLockConfiguration`: whether passwords of its service principals may not be changed.
    #[serde(
        rename = "servicePrincipalLockConfiguration",
        default,
        deserialize_with = "locks_passwords"
    )]
    pub locks_principal: bool,
    /// `passwordCredentials`.
    #[serde(rename = "passwordCredentials", deserialize_with = "read_keys")]
    pub keys: Vec<Key>,
    /// `keyCredentials`; `None` where they were not asked for.
    #[serde(rename = "keyCredentials")]
    pub certificates: Option<Vec<Certificate>>,
}

/// A service principal (`microsoft.graph.servicePrincipal`), as a sweep lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipal {
    /// `id`.
    #[serde(rename = "id")]
    pub object_id: ObjectId,
    /// `appId`.
    pub app_id: AppId,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `tags`.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
    /// `accountEnabled`: whether it may sign in.
    pub account_enabled: Option<bool>,
    /// `servicePrincipalType`, such as `Application` or `ManagedIdentity`.
    pub service_principal_type: Option<String>,
    /// `passwordCredentials`.
    #[serde(rename = "passwordCredentials", deserialize_with = "read_keys")]
    pub keys: Vec<Key>,
    /// `keyCredentials`; `None` where they were not asked for.
    #[serde(rename = "keyCredentials")]
    pub certificates: Option<Vec<Certificate>>,
}
