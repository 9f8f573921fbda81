//! The shared client for the AWS SDK, and the SDK's failures as Keywheel reports them.

use std::time::Duration;

use ::http::header::DATE;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::{Http, Retry, SendError};
use crate::settings;

/// Loads region, credentials and endpoints as the SDK finds them: in environment variables, a profile, a web identity,
/// or the role of a container or an instance. All requests go through the shared client.
///
/// Retries are the SDK's standard retries, which are bounded. Adaptive retries would hold calls back for longer than a
/// function may run.
pub async fn config(http: &Http) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_mins(1))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client(http))
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(timeouts)
        // Bodies are read whole, in bounded time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    // The SDK takes an empty variable for the name of a region.
    if let Some(region) =
        settings::optional("AWS_REGION").or_else(|| settings::optional("AWS_DEFAULT_REGION"))
    {
        loader = loader.region(Region::new(region));
    }
    let config = loader.load().await;
    let service_config = WithoutEmpty(config.clone());
    config.into_builder().service_config(service_config).build()
}

/// The SDK's own settings for each service, without empty values.
///
/// A deployment's template sets `AWS_ENDPOINT_URL` to an empty text where there is no endpoint, and the SDK's clients
/// panic on an empty endpoint.
#[derive(Debug)]
struct WithoutEmpty(SdkConfig);

impl LoadServiceConfig for WithoutEmpty {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let value = self.0.service_config()?.load_config(key)?;
        (!value.trim().is_empty()).then_some(value)
    }
}

/// Makes an HTTP client for the SDK of the shared client.
pub fn client(http: &Http) -> SharedHttpClient {
    let http = http.clone();
    http_client_fn(move |settings, _| {
        SharedHttpConnector::new(Connector { http: http.clone(), timeout: timeout(settings) })
    })
}

#[derive(Debug)]
struct Connector {
    http: Http,
    timeout: Option<Duration>,
}

/// Gives the time that the answer may take.
///
/// reqwest has a single connect time-out for all requests ([`super::CONNECT_TIMEOUT`]), so the SDK's own counts as a
/// part of the whole.
fn timeout(settings: &HttpConnectorSettings) -> Option<Duration> {
    Some(settings.read_timeout()? + settings.connect_timeout().unwrap_or_default())
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, timeout) = (self.http.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            let mut request = to_reqwest(request).await?;
            if let Some(timeout) = timeout {
                *request.timeout_mut() = Some(timeout);
            }
            let mut answer = http.send(request).await.map_err(connector_error)?;
            let body = SdkBody::from(std::mem::take(&mut *answer.body));
            let mut response = ::http::Response::new(body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            // The SDK signs by the service's clock, and panics on a clock near the end of all times.
            if super::ahead(response.headers()).is_none() {
                response.headers_mut().remove(DATE);
            }
            HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

async fn to_reqwest(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = ByteStream::new(body).collect().await;
    let body = body.map_err(|error| ConnectorError::user(error.into()))?.into_bytes();
    reqwest::Request::try_from(::http::Request::from_parts(parts, body))
        .map_err(|error| ConnectorError::user(error.without_url().into()))
}

fn connector_error(error: SendError) -> ConnectorError {
    match error {
        SendError::NotConnected(_) => ConnectorError::io(error.into()).never_connected(),
        SendError::TimedOut => ConnectorError::timeout(error.into()),
        SendError::Cut(_) => ConnectorError::io(error.into()),
        SendError::Insecure(_) | SendError::Malformed(_) | SendError::TooLarge => {
            ConnectorError::user(error.into())
        }
    }
}

/// The failure of an AWS call, without the call's parameters, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsFailure {
    /// The service's error code, such as `AccessDeniedException`; `None`: no answer came.
    pub code: Option<String>,
    /// The service's own words, or the reason why no answer came.
    pub message: String,
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// Whether, and when, to try again.
    pub retry: Retry,
}

impl AwsFailure {
    /// Reads an error of the SDK.
    pub fn new<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + RequestId,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = metadata.and_then(|meta| meta.code()).map(str::to_owned);
        let said = metadata.and_then(|meta| meta.message()).map(str::to_owned);
        let message = said.unwrap_or_else(|| unanswered(error).to_owned());
        let request_id =
            error.as_service_error().and_then(RequestId::request_id).map(str::to_owned);
        let retry = match (code.as_deref(), status) {
            (Some(code), _) if is_transient(code) => Retry::Soon,
            (_, Some(status)) if status == 429 || status >= 500 => Retry::Soon,
            (_, Some(_)) => Retry::Never,
            (_, None) if matches!(error, SdkError::ConstructionFailure(_)) => Retry::Never,
            (_, None) => Retry::Soon,
        };
        Self { code, message, request_id, retry }
    }

    /// Makes a failure that no service told of, and that would come again.
    pub(crate) fn here(message: &str) -> Self {
        Self { code: None, message: message.to_owned(), request_id: None, retry: Retry::Never }
    }

    /// Says whether the service answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// The message of a call that was not sent, because there is nothing to sign the call with.
pub const NO_CREDENTIALS: &str = "no AWS credentials: no variable, profile or role gives any";

fn unanswered<E>(error: &SdkError<E>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::TimeoutError(_) => "no answer in time",
        // Credentials that cannot be found are a dispatch failure too.
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            "the request was refused before it was sent"
        }
        // The shared client's own failures are of the other kinds: what is left failed before the client was asked.
        SdkError::DispatchFailure(failure) if failure.is_other() => NO_CREDENTIALS,
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "the answer could not be read",
        _ => "the service gave no reason",
    }
}

pub(super) fn is_transient(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "InternalServiceError"
                | "InternalError"
                | "InternalFailure"
                | "InternalException"
                | "ServiceUnavailable"
                | "RequestTimeout"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "RequestThrottled"
                | "ExpiredTokenException"
        )
}

impl std::fmt::Display for AwsFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message)?,
            None => f.write_str(&self.message)?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}
