//! The sign-in with a client secret that Keywheel keeps, and rotates, in Secrets Manager.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::ClientOptions;
use azure_identity::ClientSecretCredential;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::IdentityError;
use super::credential::{aadsts, client_secret};
use crate::http::aws::AwsFailure;
use crate::ids::{AppId, KeyId, TenantId};
use crate::rotation::OwnKey;
use crate::secret::SecretText;

/// How long a value is held before it is read anew: a function's process may outlive a rotation of its own
/// secret, and would otherwise hold on to a key that is to be retired.
const HELD_FOR: Duration = Duration::from_mins(10);

/// A client secret in Secrets Manager, read when it is needed.
pub(super) struct StoredSecret {
    secrets: aws_sdk_secretsmanager::Client,
    name: String,
    tenant: TenantId,
    client: AppId,
    options: ClientOptions,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    version: String,
    key: OwnKey,
    credential: Arc<ClientSecretCredential>,
    read: Instant,
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The part of the format `json` that a sign-in needs.
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
        let secrets = aws_sdk_secretsmanager::Client::new(aws);
        Self { secrets, name, tenant, client, options, held: Mutex::new(None) }
    }

    /// Its name in Secrets Manager, or its ARN.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads a value as the sign-in does.
    pub(super) fn parse(&self, text: &SecretText) -> Result<Value, IdentityError> {
        let wrong = |problem| IdentityError::Value { name: self.name.clone(), problem };
        let value: Value = serde_json::from_str(text.expose())
            .map_err(|_| wrong("not of the format `json` with a client_secret"))?;
        if value.client_id.is_some_and(|id| id != self.client) {
            return Err(wrong("of another application than KEYWHEEL_CLIENT_ID"));
        }
        Ok(value)
    }

    /// The key that the held secret belongs to.
    pub(super) async fn key(&self) -> Result<OwnKey, IdentityError> {
        Ok(self.current(None).await?.key)
    }

    /// The held credential; read anew where it is old, or is the one that was just refused.
    async fn current(&self, refused: Option<&str>) -> Result<Held, IdentityError> {
        let mut held = self.held.lock().await;
        if let Some(now) = held.as_ref()
            && now.read.elapsed() < HELD_FOR
            && refused != Some(now.version.as_str())
        {
            return Ok(now.clone());
        }
        let read = self.read(held.as_ref()).await?;
        *held = Some(read.clone());
        Ok(read)
    }

    async fn read(&self, before: Option<&Held>) -> Result<Held, IdentityError> {
        let wrong = |problem| IdentityError::Value { name: self.name.clone(), problem };
        let request = self.secrets.get_secret_value().secret_id(&self.name);
        let answer = request.send().await.map_err(|error| IdentityError::Read {
            name: self.name.clone(),
            failure: AwsFailure::new(&error),
        })?;
        let text = SecretText::new(answer.secret_string.ok_or_else(|| wrong("not a text"))?);
        let version = answer.version_id.ok_or_else(|| wrong("without a version"))?;
        let read = Instant::now();
        if let Some(same) = before.filter(|held| held.version == version) {
            // The credential is kept, and with it the tokens it holds.
            return Ok(Held { read, ..same.clone() });
        }
        let value = self.parse(&text)?;
        let key = value.key_id.map_or(OwnKey::Unknown, OwnKey::Known);
        let secret = value.client_secret.into();
        let credential = client_secret(self.tenant, self.client, secret, self.options.clone());
        Ok(Held { version, key, credential: credential.map_err(IdentityError::Setup)?, read })
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
        // Expired or removed meanwhile: perhaps there is a newer one.
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
