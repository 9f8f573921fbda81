//! Answers: JSON, or a problem (RFC 9457) that tells a caller what to do and nothing of the inside.

use http::{HeaderValue, Response, StatusCode, header};
use keywheel_core::ids::RotationId;
use serde::Serialize;

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is nothing there, or nothing that the caller may know of.
    NotFound,
    /// The path has another method.
    Method(&'static str),
    /// The body is larger than any of its kind.
    TooLarge(usize),
    /// The caller asks too often; it may again after so many seconds.
    TooOften(u64),
    /// Not signed as it must be, whatever the fault is.
    Unsigned,
    /// Signed, and not what the route reads.
    Malformed(String),
    /// Signed by one who may not.
    Forbidden(String),
    /// It was sent before, or cannot be done as things stand.
    Conflict {
        detail: String,
        /// The rotation that the first sending began.
        rotation: Option<RotationId>,
    },
    /// Our own failure. It is in the log; sending the request again goes on where this ended.
    Unavailable,
}

/// RFC 9457.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the status says it all.
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
    pub(crate) fn status(&self) -> StatusCode {
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
                "there is nothing here; /openapi.json describes what there is".to_owned()
            }
            Self::Method(allowed) => format!("only {allowed} is possible here"),
            Self::TooLarge(most) => format!("the body has more than {most} bytes"),
            Self::TooOften(after) => format!("too many requests: again in {after} s"),
            Self::Unsigned => "the request is not signed as it must be".to_owned(),
            Self::Malformed(detail) | Self::Forbidden(detail) | Self::Conflict { detail, .. } => {
                detail.clone()
            }
            Self::Unavailable => {
                "it could not be done just now: send the same request again, under the same id"
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

/// An answer that is JSON.
pub(crate) fn ok<T: Serialize>(status: StatusCode, body: &T) -> Response<String> {
    respond(status, "application/json", json(body))
}

/// An answer without a body.
pub(crate) fn nothing(status: StatusCode) -> Response<String> {
    respond(status, "application/json", String::new())
}

fn json<T: Serialize>(body: &T) -> String {
    // Of our own types with text keys: they all have a JSON form.
    serde_json::to_string(body).unwrap_or_default()
}

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
