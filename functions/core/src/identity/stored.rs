//! The sign-in by a client secret that Keywheel keeps, and rotates, in Secrets Manager.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::ClientOptions;
use azure_identity::ClientSecretCredential;
use serde::Deserialize;
use tokio::time::Duration;

use super::IdentityError;
use super::credential::{aadsts, client_secret};
use crate::ids::{AppId, KeyId, TenantId, VersionId};
use crate::rotation::OwnKey;
use crate::secret::SecretText;
use crate::secrets::{Age, Cache, Current, Secrets};

/// The time for which a value is held before the secret is read again.
///
/// A function's process may outlive a rotation of its own secret, and must not hold on to a key that is about to be
/// retired.
const HELD_FOR: Duration = Duration::from_mins(10);

/// A client secret in Secrets Manager that is read when needed.
#[derive(Debug)]
pub(super) struct StoredSecret {
    cache: Cache<HeldCredential>,
    tenant: TenantId,
    client: AppId,
    options: ClientOptions,
}

#[derive(Clone)]
struct HeldCredential {
    version: VersionId,
    key: OwnKey,
    credential: Arc<ClientSecretCredential>,
}

/// The fields of the format `json` that a sign-in needs.
#[derive(Deserialize)]
pub(super) struct Value {
    client_id: Option<AppId>,
    client_secret: String,
    key_id: Option<KeyId>,
}

impl StoredSecret {
    pub(super) fn new(
        aws: &SdkConfig,
        name: String,
        tenant: TenantId,
        client: AppId,
        options: ClientOptions,
    ) -> Self {
        let cache = Cache::new(Secrets::new(aws), name);
        Self { cache, tenant, client, options }
    }

    /// Gives the secret's name in Secrets Manager, or its ARN.
    pub(super) fn name(&self) -> &str {
        self.cache.name()
    }

    fn wrong(&self, problem: &'static str) -> IdentityError {
        IdentityError::Value { name: self.name().to_owned(), problem }
    }

    /// Reads a value as the sign-in does.
    pub(super) fn parse(&self, text: &SecretText) -> Result<Value, IdentityError> {
        let value: Value = serde_json::from_str(text.expose())
            .map_err(|_| self.wrong("not of the format `json` with a client_secret"))?;
        if value.client_id.is_some_and(|id| id != self.client) {
            return Err(self.wrong("of another application than KEYWHEEL_CLIENT_ID"));
        }
        Ok(value)
    }

    /// Gives the key of the held secret.
    pub(super) async fn key(&self) -> Result<OwnKey, IdentityError> {
        Ok(self.current(None).await?.key)
    }

    /// Gives the held credential. Reads the secret again if the held one is old or was refused just now.
    async fn current(
        &self,
        refused: Option<&VersionId>,
    ) -> Result<Arc<HeldCredential>, IdentityError> {
        let suffices =
            |held: &HeldCredential, age: Age| age.read < HELD_FOR && refused != Some(&held.version);
        self.cache.value(suffices, |current, before| self.hold(current, before)).await
    }

    fn hold(
        &self,
        current: Current,
        before: Option<&HeldCredential>,
    ) -> Result<HeldCredential, IdentityError> {
        let version = current.version.ok_or_else(|| self.wrong("without a version"))?;
        if let Some(same) = before.filter(|held| held.version == version) {
            // The credential is kept together with its cached tokens.
            return Ok(same.clone());
        }
        let value = self.parse(&current.text)?;
        let key = value.key_id.map_or(OwnKey::Unknown, OwnKey::Known);
        let secret = value.client_secret.into();
        let credential = client_secret(self.tenant, self.client, secret, self.options.clone());
        Ok(HeldCredential { version, key, credential: credential.map_err(IdentityError::Setup)? })
    }
}

#[async_trait]
impl TokenCredential for StoredSecret {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let held = self.current(None).await.map_err(unread)?;
        let outcome = held.credential.get_token(scopes, None).await;
        let Err(error) = outcome else { return outcome };
        // The key has expired or was removed. The secret may have a newer one.
        if !aadsts(&error).iter().any(|code| matches!(code, 7_000_215 | 7_000_222)) {
            return Err(error);
        }
        let newer = self.current(Some(&held.version)).await.map_err(unread)?;
        if newer.version == held.version {
            return Err(error);
        }
        newer.credential.get_token(scopes, None).await
    }
}

fn unread(error: IdentityError) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Credential, error)
}
