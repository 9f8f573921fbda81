//! The proof of a client secret: one call of the token endpoint, never from a cache.

use std::time::Duration;

use chrono::Utc;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::Endpoints;
use crate::http::{Answer, Retry, SendError, Unpooled, retry_after};
use crate::ids::{AppId, TenantId};
use crate::rotation::calls::SignIn;
use crate::secret::SecretText;

const TIMEOUT: Duration = Duration::from_secs(15);

/// The token endpoint's answer says nothing about the secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No answer came.
    #[error("the token endpoint gave no answer")]
    Unanswered(#[from] SendError),
    /// The answer is a failure of another kind.
    #[error("the token endpoint answered {status}: {error} {codes:?} (trace {trace})")]
    Refused {
        /// The status.
        status: u16,
        /// OAuth's `error`.
        error: String,
        /// AADSTS codes, without that prefix.
        codes: Vec<u32>,
        /// `trace_id`, which Microsoft's support asks for.
        trace: String,
        /// Whether, and when, to try again.
        retry: Retry,
    },
}

impl TokenError {
    /// Says whether, and when, to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unanswered(error) if error.is_transient() => Retry::Soon,
            Self::Unanswered(_) => Retry::Never,
            Self::Refused { retry, .. } => *retry,
        }
    }
}

/// A client that proves client secrets at a tenant's token endpoint.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    http: Unpooled,
    url: Url,
    /// The scope of the token: Graph, which every tenant has.
    scope: String,
}

impl TokenEndpoint {
    /// Makes a client of this tenant's endpoint.
    pub fn new(http: Unpooled, endpoints: &Endpoints, tenant: TenantId) -> Self {
        let mut url = endpoints.authority.clone();
        url.set_path(&format!("{}/{tenant}/oauth2/v2.0/token", url.path().trim_end_matches('/')));
        Self { http, url, scope: endpoints.graph_scope() }
    }

    /// Asks for a token with a client secret, once, on a fresh connection, and drops it at once
    /// (RFC 6749, section 4.4; learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
    pub async fn sign_in(&self, app: AppId, secret: &SecretText) -> Result<SignIn, TokenError> {
        let request = self
            .http
            .post(self.url.clone())
            .timeout(TIMEOUT)
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &app.to_string()),
                ("client_secret", secret.expose()),
                ("scope", &self.scope),
            ])
            .build()
            .map_err(SendError::from)?;
        read(&self.http.send(request).await?)
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_codes: Vec<u32>,
    error_description: String,
    trace_id: String,
}

fn read(answer: &Answer) -> Result<SignIn, TokenError> {
    let status = answer.status.as_u16();
    if answer.status.is_success() {
        let granted: Option<Granted> = serde_json::from_slice(&answer.body).ok();
        let token = granted.map(|granted| SecretText::new(granted.access_token));
        return match token {
            Some(token) if !token.expose().is_empty() => Ok(SignIn::Accepted),
            _ => Err(TokenError::Refused {
                status,
                error: "no token in the answer".to_owned(),
                codes: Vec::new(),
                trace: String::new(),
                retry: Retry::Soon,
            }),
        };
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let codes = codes(&refusal);
    // The answer of a busy or broken endpoint says nothing about the secret.
    if status < 500
        && status != 429
        && let Some(outcome) = codes.iter().find_map(|code| outcome(*code))
    {
        return Ok(outcome);
    }
    let retry = retry(status, &codes, &refusal.error, &answer.headers);
    let (error, trace) = (short(&refusal.error), short(&refusal.trace_id));
    Err(TokenError::Refused { status, error, codes, trace, retry })
}

/// Reads `error_codes` or, without them, the code at the beginning of the description.
fn codes(refusal: &Refusal) -> Vec<u32> {
    if !refusal.error_codes.is_empty() {
        return refusal.error_codes.clone();
    }
    let digits = refusal.error_description.strip_prefix("AADSTS").unwrap_or_default();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().into_iter().collect()
}

/// Gives the meaning of a code for the secret (learn.microsoft.com/entra/identity-platform/reference-error-codes).
fn outcome(code: u32) -> Option<SignIn> {
    match code {
        7_000_215 => Some(SignIn::WrongSecret),
        7_000_222 => Some(SignIn::Expired),
        53003 => Some(SignIn::BlockedByConditionalAccess),
        7_000_112 => Some(SignIn::Disabled),
        700_016 | 7_000_229 => Some(SignIn::UnknownApplication),
        _ => None,
    }
}

fn retry(status: u16, codes: &[u32], error: &str, headers: &HeaderMap) -> Retry {
    // 90033: a transient failure. 50196: too many equal requests in a short time.
    let transient = codes.iter().any(|code| matches!(code, 90033 | 50196));
    let busy =
        status >= 500 || status == 429 || status == 408 || error == "temporarily_unavailable";
    if !transient && !busy {
        return Retry::Never;
    }
    retry_after(headers, Utc::now()).map_or(Retry::Soon, Retry::After)
}

/// Cuts a service's own words to the length that a log line takes.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, "9".parse().unwrap())]);
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: body.as_bytes().to_vec().into() }
    }

    fn refusal(code: u32) -> String {
        format!(
            r#"{{"error":"e","error_description":"AADSTS{code}: no.\r\nTrace","error_codes":[{code}]}}"#
        )
    }

    #[test]
    fn codes_that_speak_of_the_secret_are_outcomes() {
        for (status, code, outcome) in [
            (401, 7_000_215, SignIn::WrongSecret),
            (401, 7_000_222, SignIn::Expired),
            (400, 53003, SignIn::BlockedByConditionalAccess),
            (401, 7_000_112, SignIn::Disabled),
            (400, 700_016, SignIn::UnknownApplication),
            (400, 7_000_229, SignIn::UnknownApplication),
        ] {
            assert_eq!(read(&answer(status, &refusal(code))).unwrap(), outcome, "{code}");
        }
        let without_codes = r#"{"error":"invalid_client","error_description":"AADSTS7000215: no"}"#;
        assert_eq!(read(&answer(401, without_codes)).unwrap(), SignIn::WrongSecret);
    }

    #[test]
    fn all_else_is_an_error_with_its_retry() {
        let after = Retry::After(Duration::from_secs(9));
        for (status, body, retry) in [
            (400, refusal(90002), Retry::Never),
            (400, refusal(90033), after),
            (429, refusal(7_000_215), after),
            (503, refusal(7_000_215), after),
            (502, "<html>".to_owned(), after),
            (403, "<html>".to_owned(), Retry::Never),
            (200, "{}".to_owned(), Retry::Soon),
            (200, r#"{"access_token":""}"#.to_owned(), Retry::Soon),
        ] {
            assert_eq!(read(&answer(status, &body)).unwrap_err().retry(), retry, "{status} {body}");
        }
    }

    #[test]
    fn a_token_is_all_that_counts_as_accepted() {
        let granted = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"eyJ0"}"#;
        assert_eq!(read(&answer(200, granted)).unwrap(), SignIn::Accepted);
    }
}
