//! One call: its token, its headers, its tries.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

use super::error::{GraphError, Kind};
use super::{CallOptions, Graph};
use crate::http::{Answer, Backoff, Retry, SendError};

const RETRIES: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);
/// With less time left nothing that must not be lost is begun.
const LEAST_FOR_ONCE: Duration = Duration::from_secs(5);

/// What happens if it is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing more than if it is sent once.
    Repeatable,
    /// Each time that it is carried out, something is made.
    Once,
}

/// A call, as its errors name it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) object: String,
    pub(super) effect: Effect,
    /// The least that it needs.
    pub(super) permission: &'static str,
}

impl Operation {
    pub(super) fn read(name: &'static str, object: String) -> Self {
        Self { name, object, effect: Effect::Repeatable, permission: "Application.Read.All" }
    }

    pub(super) fn report(name: &'static str, object: &'static str) -> Self {
        let permission =
            "AuditLog.Read.All (and Directory.Read.All, which Microsoft names beside it)";
        Self { name, object: object.to_owned(), effect: Effect::Repeatable, permission }
    }

    pub(super) fn write(name: &'static str, object: String) -> Self {
        let permission = "Application.ReadWrite.OwnedBy (and make Keywheel an owner), or Application.ReadWrite.All";
        Self { name, object, effect: Effect::Repeatable, permission }
    }

    pub(super) fn once(name: &'static str, object: String) -> Self {
        Self { effect: Effect::Once, ..Self::write(name, object) }
    }
}

impl Graph {
    /// A GET, tried again as long as that may help.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        url: Url,
        options: &CallOptions,
    ) -> Result<T, GraphError> {
        let answer = self.call(operation, Method::GET, url, None, options).await?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            GraphError::unusable(operation, options, &answer, "it is not what was asked for")
        })
    }

    /// Sends until there is a success, an answer that will not change, or no time left.
    pub(super) async fn call(
        &self,
        operation: &Operation,
        method: Method,
        url: Url,
        body: Option<&Value>,
        options: &CallOptions,
    ) -> Result<Answer, GraphError> {
        let mut backoff = Backoff::new(RETRIES, options.deadline);
        loop {
            let error =
                match self.attempt(operation, method.clone(), url.clone(), body, options).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
            // A lost answer of `addPassword` must not be asked for again: there would be two keys.
            let retry = match error.kind() {
                Kind::AnswerLost | Kind::SignIn(_) => Retry::Never,
                _ => error.retry(),
            };
            if !backoff.pause(retry).await {
                return Err(error);
            }
            tracing::debug!(operation = operation.name, %error, "tried again");
        }
    }

    /// Sends once.
    pub(super) async fn attempt(
        &self,
        operation: &Operation,
        method: Method,
        url: Url,
        body: Option<&Value>,
        options: &CallOptions,
    ) -> Result<Answer, GraphError> {
        let authorization = self.authorization(operation, options).await?;
        let left = options.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || (operation.effect == Effect::Once && left < LEAST_FOR_ONCE) {
            return Err(GraphError::not_begun(operation, options));
        }
        let mut request = self
            .http
            .request(method, url)
            .timeout(left.min(TIMEOUT))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header("client-request-id", options.client_request_id.to_string());
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = match request.build() {
            Ok(request) => self.http.send(request).await,
            Err(error) => Err(SendError::from(error)),
        };
        if let Ok(answer) = &sent {
            self.set_clock(&answer.headers);
            if answer.status == StatusCode::UNAUTHORIZED {
                self.refused.store(true, Ordering::Relaxed);
            }
        }
        match sent {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(GraphError::refused(operation, options, &answer)),
            Err(error) => Err(GraphError::unanswered(operation, options, &error)),
        }
    }

    /// The credential keeps its tokens, so this seldom sends anything.
    async fn authorization(
        &self,
        operation: &Operation,
        options: &CallOptions,
    ) -> Result<HeaderValue, GraphError> {
        let scope = format!("{}/.default", self.root.as_str().trim_end_matches('/'));
        let scopes = [scope.as_str()];
        let token =
            tokio::time::timeout_at(options.deadline, self.credential.get_token(&scopes, None));
        let token = token.await.map_err(|_| GraphError::not_begun(operation, options))?;
        let token = token.map_err(|error| GraphError::sign_in(operation, options, &error))?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.token.secret()));
        let mut value = value.map_err(|_| {
            GraphError::malformed(operation, options, "the token does not fit a header")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}
