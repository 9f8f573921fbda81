//! Graph's own shapes, and the types that Keywheel makes of them.
//!
//! A property that was selected must be in the answer: a missing `passwordCredentials` is not an empty one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use super::KeyOn;
use crate::ids::{AppId, KeyId, ObjectId};
use crate::null::or_default;
use crate::rotation::finding::Certificate;
use crate::rotation::observed::Key;

/// The properties that are read of the object that holds the keys.
pub(super) const HOLDER: &str = "id,appId,signInAudience,passwordCredentials";

/// An object together with the client id of its application.
#[derive(Deserialize)]
pub(super) struct OfApp<T> {
    #[serde(rename = "appId")]
    pub(super) app_id: AppId,
    #[serde(flatten)]
    pub(super) object: T,
}

/// The object that holds the keys: `microsoft.graph.application` or `servicePrincipal`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holder {
    pub(super) id: ObjectId,
    pub(super) sign_in_audience: Option<String>,
    #[serde(rename = "passwordCredentials", deserialize_with = "read_keys")]
    pub(super) keys: Vec<Key>,
}

/// Gives the properties that are read of the application's other object.
pub(super) fn other(on: KeyOn) -> &'static str {
    match on {
        KeyOn::Application => "id,appId,servicePrincipalLockConfiguration",
        KeyOn::ServicePrincipal => "id,appId",
    }
}

/// The application's other object, which does not hold the keys.
#[derive(Deserialize)]
pub(super) struct Other {
    #[serde(
        rename = "servicePrincipalLockConfiguration",
        default,
        deserialize_with = "locks_passwords"
    )]
    pub(super) locks_principal: bool,
}

/// An application or a service principal without its keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSummary {
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

/// An application or a service principal, as a listing shows the object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "ListedObject")]
pub struct DirectoryObject {
    /// `id`.
    pub id: ObjectId,
    /// `appId`.
    pub app_id: AppId,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `tags`.
    pub tags: Vec<String>,
    /// `signInAudience` of an application: personal accounts limit an application to two keys.
    pub sign_in_audience: Option<String>,
    /// Whether an application forbids changes of its service principal's keys (`servicePrincipalLockConfiguration`).
    pub locks_principal: bool,
    /// Whether a service principal may sign in (`accountEnabled`; Graph writes null where nobody ever decided).
    pub enabled: bool,
    /// `passwordCredentials`, without the passwords of certificates' files.
    pub keys: Vec<Key>,
    /// `keyCredentials`, each certificate once. Azure renews the certificates of a managed identity, so such an identity
    /// has none here.
    pub certificates: Vec<Certificate>,
}

/// `microsoft.graph.application` or `servicePrincipal`, in a listing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedObject {
    id: ObjectId,
    app_id: AppId,
    display_name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<String>,
    sign_in_audience: Option<String>,
    #[serde(
        rename = "servicePrincipalLockConfiguration",
        default,
        deserialize_with = "locks_passwords"
    )]
    locks_principal: bool,
    account_enabled: Option<bool>,
    service_principal_type: Option<String>,
    #[serde(rename = "passwordCredentials", deserialize_with = "read_keys")]
    keys: Vec<Key>,
    key_credentials: Option<Vec<KeyCredential>>,
}

/// `microsoft.graph.keyCredential`, without its bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyCredential {
    key_id: Option<KeyId>,
    /// The identifier that all entries of one signing certificate share.
    custom_key_identifier: Option<String>,
    #[serde(rename = "endDateTime", default, deserialize_with = "read_time")]
    end: Option<DateTime<Utc>>,
}

impl From<ListedObject> for DirectoryObject {
    /// Tells keys and certificates apart.
    ///
    /// For a signing certificate Graph lists the private key, the public key and the password of the file that holds both
    /// (`servicePrincipal: addTokenSigningCertificate`). They are one certificate, and no client secret.
    fn from(listed: ListedObject) -> Self {
        let entries = listed.key_credentials.unwrap_or_default();
        let of_files: BTreeSet<KeyId> = entries.iter().filter_map(|entry| entry.key_id).collect();
        let is_managed = listed.service_principal_type.as_deref() == Some("ManagedIdentity");
        let mut seen = BTreeSet::new();
        let certificates = entries.into_iter().filter_map(|entry| {
            let again = entry.custom_key_identifier.is_some_and(|id| !seen.insert(id));
            let key_id = entry.key_id.filter(|_| !again && !is_managed)?;
            Some(Certificate { key_id, end: entry.end })
        });
        Self {
            id: listed.id,
            app_id: listed.app_id,
            display_name: listed.display_name,
            tags: listed.tags,
            sign_in_audience: listed.sign_in_audience,
            locks_principal: listed.locks_principal,
            enabled: listed.account_enabled != Some(false),
            certificates: certificates.collect(),
            keys: listed.keys.into_iter().filter(|key| !of_files.contains(&key.key_id)).collect(),
        }
    }
}

/// `microsoft.graph.passwordCredential` in a listing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordCredential {
    key_id: Option<KeyId>,
    display_name: Option<String>,
    #[serde(default, deserialize_with = "read_time")]
    start_date_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "read_time")]
    end_date_time: Option<DateTime<Utc>>,
}

/// `microsoft.graph.passwordCredential` in the answer of `addPassword`.
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

/// Reads the keys of an object. A key without a `keyId` is left out: nobody can name or remove such a key.
fn read_keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Key>, D::Error> {
    let listed: Vec<PasswordCredential> = Vec::deserialize(from)?;
    let key = |listed: PasswordCredential| {
        Some(Key {
            key_id: listed.key_id?,
            display_name: listed.display_name,
            start: listed.start_date_time,
            end: listed.end_date_time,
        })
    };
    Ok(listed.into_iter().filter_map(key).collect())
}

/// Reads a time.
///
/// Graph's times end with the year 9999, and chrono's much later. A time beyond that year is moved to its end, so that the
/// rules may add a life to any time without an overflow.
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

/// Reads a lock of an application: whether the lock covers client secrets on the service principal.
///
/// The usage of a client secret is `Verify`, so the locks of `Sign` and of `tokenEncryptionKeyId` do not matter. A lock in
/// another shape counts as no lock, because the lock is only reported, and the object's other properties must stay
/// readable.
fn locks_passwords<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let lock = serde_json::Value::deserialize(from)?;
    let on = |name: &str| lock.get(name).and_then(serde_json::Value::as_bool) == Some(true);
    Ok(on("isEnabled") && (on("allProperties") || on("credentialsWithUsageVerify")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn principal(kind: &str, more: &[Value]) -> DirectoryObject {
        let id = |number: u128| Uuid::from_u128(number);
        let end = "2029-11-21T09:00:00Z";
        let entry = |number, usage: &str, both: &str| json!({ "keyId": id(number), "usage": usage, "customKeyIdentifier": both, "endDateTime": end });
        let mut certificates =
            vec![entry(1, "Sign", "QQ=="), entry(2, "Verify", "QQ=="), entry(3, "Verify", "Qg==")];
        certificates.extend_from_slice(more);
        let password = |number| json!({ "keyId": id(number), "endDateTime": end });
        serde_json::from_value(json!({
            "id": id(8), "appId": id(9), "tags": [], "servicePrincipalType": kind,
            "keyCredentials": certificates, "passwordCredentials": [password(1), password(4)],
        }))
        .expect("as Graph lists it")
    }

    fn ids(certificates: &[Certificate]) -> Vec<u128> {
        certificates.iter().map(|certificate| certificate.key_id.0.as_u128()).collect()
    }

    #[test]
    fn a_signing_certificate_is_one_and_no_client_secret() {
        let unnamed = json!({ "keyId": Uuid::from_u128(5), "customKeyIdentifier": null });
        let object = principal("Application", &[unnamed.clone(), unnamed]);
        assert_eq!(ids(&object.certificates), [1, 3, 5, 5]);
        assert_eq!(object.keys.iter().map(|key| key.key_id.0.as_u128()).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_managed_identitys_certificates_are_azures_own() {
        let object = principal("ManagedIdentity", &[]);
        assert!(object.certificates.is_empty());
        assert_eq!(object.keys.len(), 1, "a password on it is somebody's");
    }
}
