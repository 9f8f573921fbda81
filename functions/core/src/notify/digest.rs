//! The daily digest of what expires, as it is read from its event.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::ids::{AppId, CredentialName, KeyId};

/// What expires within 60 days.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Digest {
    /// The first of them to expire; not more than an event may hold.
    pub expiring: Vec<Expiring>,
    /// How many there are.
    pub total: u64,
}

/// A key or a certificate that expires.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Expiring {
    /// The credential, where the manifest has one.
    #[serde(default)]
    pub credential: Option<CredentialName>,
    /// The application.
    pub application: AppId,
    /// Its display name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The password credential.
    #[serde(default)]
    pub key: Option<KeyId>,
    /// The certificate.
    #[serde(default)]
    pub certificate: Option<KeyId>,
    /// When.
    pub expires_on: DateTime<Utc>,
    /// Whether Keywheel replaces it in time.
    pub managed: bool,
}
