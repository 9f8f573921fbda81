//! Sends a call, with its token, its headers and its tries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{AzureError, Kind};
use crate::http::{Answer, Backoff, Http, Retry, SendError, ahead};

const RETRIES: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);
/// The least time in which a call begins that makes something.
const LEAST_FOR_ONCE: Duration = Duration::from_secs(5);

/// The options of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// `client-request-id`, which names the call in audit events even if its answer is lost.
    pub client_request_id: Uuid,
    /// The time at which all tries together must end.
    pub deadline: Instant,
}

impl CallOptions {
    /// Makes options with an id of their own.
    pub fn until(deadline: Instant) -> Self {
        Self { client_request_id: Uuid::new_v4(), deadline }
    }

    /// Makes the options of a further request, with an id that follows from this one.
    pub(crate) fn further(self, name: &str) -> Self {
        let client_request_id = Uuid::new_v5(&self.client_request_id, name.as_bytes());
        Self { client_request_id, ..self }
    }
}

/// A call, as it is sent and as its errors name it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) object: String,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Value>,
    /// The least permission that the call needs.
    pub(crate) permission: &'static str,
    /// The words of an error if the answer of a call that makes something is lost; `None`: the call may be sent twice.
    pub(crate) once: Option<&'static str>,
    pub(crate) options: CallOptions,
}

impl Call {
    /// Makes a call that reads something.
    pub(crate) fn get(name: &'static str, object: &str, url: Url, options: &CallOptions) -> Self {
        Self {
            name,
            object: object.to_owned(),
            method: Method::GET,
            url,
            body: None,
            permission: "",
            once: None,
            options: *options,
        }
    }

    /// Makes the call a POST of this body.
    pub(crate) fn posting(self, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..self }
    }

    /// Makes the call a PATCH of this body, which replaces what it names.
    pub(crate) fn patching(self, body: Value) -> Self {
        Self { method: Method::PATCH, body: Some(body), ..self }
    }

    /// Names the least permission that the call needs.
    pub(crate) fn needing(self, permission: &'static str) -> Self {
        Self { permission, ..self }
    }

    /// Makes a further call, to another address.
    pub(super) fn at(&self, url: Url) -> Self {
        let options = self.options.further(url.as_str());
        Self { url, options, ..self.clone() }
    }
}

/// A service of Azure.
#[derive(Clone, Debug)]
pub(crate) struct Service<R> {
    /// The service's name in errors.
    pub(crate) name: &'static str,
    /// The service's address. All calls go to addresses below.
    pub(crate) root: Url,
    /// Reads the service's own meaning of a status, an `error.code` and an `error.message`; `None`: the meaning is that
    /// of all services.
    pub(crate) meaning: fn(u16, &str, &str) -> Option<Kind<R>>,
}

/// Gives the scope of a token for a service at this address.
pub(crate) fn scope(root: &Url) -> String {
    format!("{}/.default", root.as_str().trim_end_matches('/'))
}

/// A client of one service. Clones share everything. `R`: the meanings of the service's own error codes.
#[derive(Clone, Debug)]
pub(crate) struct Caller<R> {
    pub(super) service: Service<R>,
    http: Http,
    credential: Arc<dyn TokenCredential>,
    /// The seconds by which the service's clock is ahead of this machine's, by the `Date` of the last answer.
    ahead: Arc<AtomicI64>,
    /// Whether the service has answered 401 to a token. The cached tokens are of no use then.
    refused: Arc<AtomicBool>,
}

impl<R: fmt::Display> Caller<R> {
    pub(crate) fn new(
        http: Http,
        credential: Arc<dyn TokenCredential>,
        service: Service<R>,
    ) -> Self {
        Self { service, http, credential, ahead: Arc::default(), refused: Arc::default() }
    }

    /// Gives the time by the service's clock, as of its last answer.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Says whether the service has refused a token.
    pub(crate) fn token_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Makes an address below the service's, of fixed words and typed ids.
    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.service.root.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        if !query.is_empty() {
            let pairs: Vec<String> =
                query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }

    /// Reads the JSON of an answer. Sends the call again as long as that may help.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, AzureError<R>> {
        let answer = self.call(call).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.unusable(call, &answer, "it is not what was asked for"))
    }

    /// Sends a call until the answer is a success or will not change, or no time is left.
    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, AzureError<R>> {
        let mut backoff = Backoff::new(RETRIES, call.options.deadline);
        loop {
            let error = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // After a lost answer the call is not sent again if it makes something, because there might be two.
            let retry = match error.kind() {
                Kind::AnswerLost | Kind::SignIn(_) => Retry::Never,
                _ => error.retry(),
            };
            if !backoff.pause(retry).await {
                return Err(error);
            }
            tracing::debug!(operation = call.name, %error, "tried again");
        }
    }

    /// Sends a call once.
    pub(crate) async fn attempt(&self, call: &Call) -> Result<Answer, AzureError<R>> {
        let authorization = self.authorization(call).await?;
        let left = call.options.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || (call.once.is_some() && left < LEAST_FOR_ONCE) {
            return Err(self.not_begun(call));
        }
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .timeout(left.min(TIMEOUT))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header("client-request-id", call.options.client_request_id.to_string());
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let sent = match request.build() {
            Ok(request) => self.http.send(request).await,
            Err(error) => Err(SendError::from(error)),
        };
        let answer = sent.map_err(|error| self.unanswered(call, &error))?;
        if let Some(ahead) = ahead(&answer.headers) {
            self.set_clock(ahead.num_seconds());
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            self.refused.store(true, Ordering::Relaxed);
        }
        if answer.status.is_success() { Ok(answer) } else { Err(self.refused(call, &answer)) }
    }

    /// Gets a token. The credential keeps its tokens, so this seldom sends a request.
    async fn authorization(&self, call: &Call) -> Result<HeaderValue, AzureError<R>> {
        let scope = scope(&self.service.root);
        let scopes = [scope.as_str()];
        let token = self.credential.get_token(&scopes, None);
        let token = tokio::time::timeout_at(call.options.deadline, token).await;
        let token = token.map_err(|_| self.not_begun(call))?;
        let token = token.map_err(|error| self.not_signed_in(call, &error))?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.token.secret()));
        let mut value =
            value.map_err(|_| self.malformed(call, "the token does not fit a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Notes how far the service's clock is ahead.
    ///
    /// A small difference counts as none, because a `Date` counts whole seconds, and the answer took its time.
    fn set_clock(&self, ahead: i64) {
        self.ahead.store(if ahead.abs() <= 5 { 0 } else { ahead }, Ordering::Relaxed);
    }
}
