//! Answers: JSON, or a problem (RFC 9457) that tells a caller what to do and nothing of Keywheel's inside.

use http::{HeaderValue, Response, StatusCode, header};
use keywheel_core::asking::AskingError;
use keywheel_core::ids::RotationId;
use serde::Serialize;
use tracing::error;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The path leads nowhere, or to something that the caller may not know of.
    NotFound,
    /// The path takes only this method.
    Method(&'static str),
    /// The body has more than this many bytes.
    TooLarge(usize),
    /// The caller asks too often, and may ask again after this many seconds.
    TooOften(u64),
    /// The signature does not fit, for whatever reason.
    Unsigned,
    /// The request is signed, and the route cannot read it.
    Malformed(String),
    /// The manifest does not allow the request to whoever signed it.
    Forbidden(String),
    /// The request was sent before, or the secret's state forbids the rotation.
    Conflict {
        detail: String,
        /// The rotation that the first sending began.
        rotation: Option<RotationId>,
    },
    /// Keywheel failed. The failure is in the log; sending the request again goes on where the failure ended it.
    Unavailable,
}

impl From<AskingError> for Refused {
    /// Tells whoever asked of a secret's state that forbids a rotation. Any other failure is Keywheel's own.
    fn from(failure: AskingError) -> Self {
        match failure {
            AskingError::Stopped(stop) => {
                Self::Conflict { detail: stop.explanation().to_owned(), rotation: None }
            }
            failure => own_failure(failure),
        }
    }
}

/// Writes a failure of Keywheel's own into the log, and nothing of the failure into the answer.
#[allow(clippy::needless_pass_by_value, reason = "map_err hands over a value")]
pub(crate) fn own_failure<E: std::fmt::Display>(failure: E) -> Refused {
    error!(%failure, "a request could not be done");
    Refused::Unavailable
}

/// A problem as RFC 9457 describes it.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the status says everything.
    r#type: &'static str,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What to do about it.
    detail: String,
    /// The rotation that an earlier sending of this request began.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationId>,
}

impl Refused {
    /// Refuses a body that the route cannot read.
    #[allow(clippy::needless_pass_by_value, reason = "map_err hands over a value")]
    pub(crate) fn malformed(error: impl std::fmt::Display) -> Self {
        Self::Malformed(error.to_string())
    }

    /// Refuses a request that was done before, and the rotation that the request began.
    pub(crate) fn replayed(rotation: Option<RotationId>) -> Self {
        let detail = "this very request was received and done before".to_owned();
        Self::Conflict { detail, rotation }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NotFound => {
                "there is nothing at this path; /openapi.json describes every path".to_owned()
            }
            Self::Method(allowed) => format!("this path takes only {allowed}"),
            Self::TooLarge(most) => format!("the body has more than {most} bytes"),
            Self::TooOften(after) => format!("too many requests: try again in {after} s"),
            Self::Unsigned => "the request is not signed as it must be".to_owned(),
            Self::Malformed(detail) | Self::Forbidden(detail) | Self::Conflict { detail, .. } => {
                detail.clone()
            }
            Self::Unavailable => {
                "the request could not be done just now: send the same request again, under the same id"
                    .to_owned()
            }
        }
    }

    pub(crate) fn response(&self) -> Response<String> {
        let status = self.status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.detail(),
            rotation: match self {
                Self::Conflict { rotation, .. } => *rotation,
                _ => None,
            },
        };
        let mut response = respond(status, "application/problem+json", json(&problem));
        let headers = response.headers_mut();
        match self {
            Self::Method(allowed) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            Self::TooOften(after) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*after));
            }
            Self::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::Unsigned => {
                let scheme = HeaderValue::from_static("Signature realm=\"keywheel\"");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            _ => {}
        }
        response
    }
}

/// Makes an answer that is JSON.
pub(crate) fn ok<T: Serialize>(status: StatusCode, body: &T) -> Response<String> {
    respond(status, "application/json", json(body))
}

/// Makes an answer without a body.
pub(crate) fn nothing(status: StatusCode) -> Response<String> {
    respond(status, "application/json", String::new())
}

fn json<T: Serialize>(body: &T) -> String {
    // Every body is a type of Keywheel's with text keys, which has a JSON form.
    serde_json::to_string(body).unwrap_or_default()
}

/// Makes an answer that nobody stores and no browser guesses the type of.
pub(crate) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
