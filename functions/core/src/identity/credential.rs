//! Keywheel's own sign-in, as a credential for Azure's clients.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use tokio::time::{Duration, Instant};

use super::mode::{SignInMode, environment_secret};
use super::stored::StoredSecret;
use super::{AzureTransport, Endpoints, IdentityError};
use crate::http::aws::AwsFailure;
use crate::http::{Backoff, Http, Retry};
use crate::ids::{AppId, TenantId};
use crate::rotation::{OwnKey, SignedInAs};
use crate::secret::SecretText;

/// The life of the STS token, which is exchanged at once (`DurationSeconds`, 60 to 3600).
const ASSERTION_SECONDS: i32 = 300;
const RETRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

/// Keywheel's own sign-in.
#[derive(Clone, Debug)]
pub struct Identity {
    credential: Arc<dyn TokenCredential>,
    stored: Option<Arc<StoredSecret>>,
    signed_in_as: SignedInAs,
}

impl Identity {
    /// Sets the sign-in up. Nothing is sent before the first token is needed.
    pub fn new(
        http: &Http,
        aws: &SdkConfig,
        endpoints: &Endpoints,
        tenant: TenantId,
        mode: SignInMode,
    ) -> Result<Self, IdentityError> {
        let options = || client_options(http, endpoints);
        let own = |app, key| SignedInAs { app, key };
        let (credential, signed_in_as): (Arc<dyn TokenCredential>, _) = match mode {
            SignInMode::Federated { client } => {
                let sts = StsAssertion::new(aws, endpoints.federated_audience.clone());
                let options = ClientAssertionCredentialOptions { client_options: options() };
                let (tenant, id) = (tenant.to_string(), client.to_string());
                let credential = ClientAssertionCredential::new(tenant, id, sts, Some(options));
                (credential.map_err(IdentityError::Setup)?, own(Some(client), OwnKey::None))
            }
            SignInMode::StoredSecret { client, secret_name } => {
                let stored = StoredSecret::new(aws, secret_name, tenant, client, options());
                return Ok(Self::stored(Arc::new(stored), own(Some(client), OwnKey::Unknown)));
            }
            SignInMode::EnvironmentSecret { client } => {
                let secret = environment_secret()?.into();
                let credential = client_secret(tenant, client, secret, options());
                (credential.map_err(IdentityError::Setup)?, own(Some(client), OwnKey::Unknown))
            }
            SignInMode::ManagedIdentity { client } => {
                let user_assigned_id = client.map(|id| UserAssignedId::ClientId(id.to_string()));
                let client_options = options();
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                let credential = ManagedIdentityCredential::new(Some(options));
                (credential.map_err(IdentityError::Setup)?, own(client, OwnKey::None))
            }
            SignInMode::AzureCli => {
                let tenant_id = Some(tenant.to_string());
                let options = AzureCliCredentialOptions { tenant_id, ..Default::default() };
                let credential = AzureCliCredential::new(Some(options));
                (credential.map_err(IdentityError::Setup)?, own(None, OwnKey::None))
            }
        };
        Ok(Self { credential: Arc::new(Retrying(credential)), stored: None, signed_in_as })
    }

    fn stored(stored: Arc<StoredSecret>, signed_in_as: SignedInAs) -> Self {
        let credential = Arc::new(Retrying(Arc::clone(&stored) as Arc<dyn TokenCredential>));
        Self { credential, stored: Some(stored), signed_in_as }
    }

    /// Gives the credential that Azure's clients get tokens from.
    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::clone(&self.credential)
    }

    /// Gives the name or ARN of the secret that Keywheel signs in with, if Secrets Manager holds the secret.
    pub fn stored_in(&self) -> Option<&str> {
        self.stored.as_ref().map(|stored| stored.name())
    }

    /// Checks that Keywheel can still sign in if its own secret has this value.
    pub fn reads(&self, value: &SecretText) -> Result<(), IdentityError> {
        self.stored.as_ref().map_or(Ok(()), |stored| stored.parse(value).map(drop))
    }

    /// Gives the application that Keywheel is signed in as; `None`: a person or a machine is signed in.
    pub fn app(&self) -> Option<AppId> {
        self.signed_in_as.app
    }

    /// Says who Keywheel is signed in as. Reads the secret in Secrets Manager if none is held.
    pub async fn signed_in_as(&self) -> Result<SignedInAs, IdentityError> {
        match &self.stored {
            Some(stored) => Ok(SignedInAs { key: stored.key().await?, ..self.signed_in_as }),
            None => Ok(self.signed_in_as),
        }
    }
}

/// Makes a credential over the shared client that repeats nothing by itself.
pub(super) fn client_secret(
    tenant: TenantId,
    client: AppId,
    secret: Secret,
    client_options: ClientOptions,
) -> azure_core::Result<Arc<ClientSecretCredential>> {
    let options = ClientSecretCredentialOptions { client_options };
    ClientSecretCredential::new(&tenant.to_string(), client.to_string(), secret, Some(options))
}

fn client_options(http: &Http, endpoints: &Endpoints) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = endpoints.authority.to_string();
    ClientOptions {
        // The default retries last over a minute, longer than a step may take. `Retrying` is bounded.
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(AzureTransport(http.clone())))),
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..Default::default()
    }
}

/// The token of AWS that Entra takes in place of a secret (STS `GetWebIdentityToken`).
#[derive(Debug)]
struct StsAssertion {
    sts: aws_sdk_sts::Client,
    audience: String,
}

impl StsAssertion {
    fn new(aws: &SdkConfig, audience: String) -> Self {
        Self { sts: aws_sdk_sts::Client::new(aws), audience }
    }
}

#[async_trait]
impl ClientAssertion for StsAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let failed =
            |message: String| azure_core::Error::with_message(ErrorKind::Credential, message);
        let request = self
            .sts
            .get_web_identity_token()
            .audience(&self.audience)
            // Entra verifies no other algorithm of federated credentials.
            .signing_algorithm("RS256")
            .duration_seconds(ASSERTION_SECONDS);
        let answer = request.send().await.map_err(|error| {
            let failure = AwsFailure::new(&error);
            failed(format!("STS GetWebIdentityToken: {failure}"))
        })?;
        answer.web_identity_token.ok_or_else(|| failed("STS gave no token".to_owned()))
    }
}

/// A credential that repeats a sign-in after a passing failure, a bounded number of times.
#[derive(Debug)]
struct Retrying(Arc<dyn TokenCredential>);

#[async_trait]
impl TokenCredential for Retrying {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut backoff = Backoff::new(RETRIES, Instant::now() + PATIENCE);
        loop {
            match self.0.get_token(scopes, None).await {
                Err(error) if is_passing(&error) && backoff.pause(Retry::Soon).await => {
                    tracing::debug!("Keywheel's own sign-in is tried again");
                }
                outcome => return outcome,
            }
        }
    }
}

/// Reads the AADSTS codes of a failed sign-in.
pub(super) fn aadsts(error: &azure_core::Error) -> Vec<u32> {
    let codes = wire(error).and_then(|error| match error.kind() {
        ErrorKind::HttpResponse { error_code, .. } => error_code.clone(),
        _ => None,
    });
    codes.iter().flat_map(|codes| codes.split(',')).filter_map(|code| code.parse().ok()).collect()
}

/// Gives Azure's innermost error, which says how the request ended. The outer errors only name the part that failed.
fn wire(error: &azure_core::Error) -> Option<&azure_core::Error> {
    let chain =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    chain.filter_map(|error| error.downcast_ref()).last()
}

fn is_passing(error: &azure_core::Error) -> bool {
    // Entra at times does not find a federated credential (700213, 70021), and a new one for a while.
    if aadsts(error).iter().any(|code| matches!(code, 700_213 | 70021 | 90033)) {
        return true;
    }
    match wire(error).map(azure_core::Error::kind) {
        Some(ErrorKind::Connection | ErrorKind::Io) => true,
        Some(ErrorKind::HttpResponse { status, .. }) => {
            let status = u16::from(*status);
            status == 429 || status >= 500
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::StatusCode;

    use super::*;

    fn refusal(status: u16, codes: &str) -> azure_core::Error {
        let kind = ErrorKind::HttpResponse {
            status: StatusCode::from(status),
            error_code: Some(codes.to_owned()),
            raw_response: None,
        };
        let inner = azure_core::Error::with_message(kind, "AADSTS");
        azure_core::Error::with_error(ErrorKind::Credential, inner, "authentication failed")
    }

    #[test]
    fn passing_failures_are_told_from_lasting_ones() {
        for (status, codes, passing) in [
            (400, "700213", true),
            (400, "700016", false),
            (401, "7000215", false),
            (400, "1,70021", true),
            (429, "", true),
            (503, "", true),
        ] {
            assert_eq!(is_passing(&refusal(status, codes)), passing, "{status} {codes}");
        }
        assert!(is_passing(&azure_core::Error::with_message(ErrorKind::Io, "cut")));
        assert!(!is_passing(&azure_core::Error::with_message(ErrorKind::Credential, "no az")));
        assert_eq!(aadsts(&refusal(401, "7000215,7000222")), [7_000_215, 7_000_222]);
    }
}
