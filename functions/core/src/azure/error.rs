//! What went wrong at a service, and what that means for another try.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;
use uuid::Uuid;

use super::call::{Call, Caller, Service};
use crate::http::{Answer, Retry, SendError, retry_after};

/// What kind of failure it was. `R` is what the service's own error codes mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<R> {
    /// The object is not there, or not yet known to this replica.
    NotFound,
    /// Keywheel lacks a permission, or a policy forbids it.
    Forbidden {
        /// What to grant.
        grant: &'static str,
    },
    /// 429: nothing was done.
    Throttled,
    /// 409, or the service's own code for it: another change is under way, and nothing was done.
    Conflict,
    /// No usable answer to a request that makes something: **it may have been made**, and what only the answer tells of
    /// it is lost.
    AnswerLost,
    /// No usable answer to a request that may be repeated.
    Unavailable,
    /// Keywheel's own sign-in failed, or the service does not take its token.
    SignIn(String),
    /// The answer is not what the service's documentation says.
    Malformed(&'static str),
    /// A refusal whose code is known.
    Known(R),
    /// Another 4xx.
    Refused,
}

/// A failed call, with all that is known of it and nothing secret.
pub struct AzureError<R>(Box<Failure<R>>);

#[derive(Debug)]
struct Failure<R> {
    service: &'static str,
    operation: &'static str,
    object: String,
    kind: Kind<R>,
    retry: Retry,
    once: Option<&'static str>,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    client_request_id: Uuid,
}

impl<R: Display> Display for Failure<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: ", self.service, self.operation, self.object)?;
        match &self.kind {
            Kind::NotFound => f.write_str("not found")?,
            Kind::Forbidden { grant } => write!(f, "forbidden; grant {grant}")?,
            Kind::Throttled => f.write_str("throttled")?,
            Kind::Conflict => f.write_str("another change is under way")?,
            Kind::AnswerLost => write!(f, "no usable answer; {}", self.once.unwrap_or_default())?,
            Kind::Unavailable => f.write_str("no usable answer")?,
            Kind::SignIn(why) => write!(f, "not signed in: {why}")?,
            Kind::Malformed(why) => write!(f, "unexpected answer: {why}")?,
            Kind::Known(refusal) => refusal.fmt(f)?,
            Kind::Refused => f.write_str("refused")?,
        }
        if let Some(status) = self.status {
            write!(f, " ({status} {})", self.code.as_deref().unwrap_or("without a code"))?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        let request = self.request_id.as_deref().unwrap_or("unknown");
        write!(f, " [request-id {request}, client-request-id {}]", self.client_request_id)
    }
}

impl<R: Display> Display for AzureError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl<R: Debug> Debug for AzureError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, f)
    }
}

impl<R: Debug + Display> std::error::Error for AzureError<R> {}

impl<R> AzureError<R> {
    /// What kind of failure it was.
    pub fn kind(&self) -> &Kind<R> {
        &self.0.kind
    }

    /// Whether the same call may be made again later. For [`Kind::AnswerLost`] that is a new try of the
    /// whole rotation, which looks first.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The status, if an answer came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The service's `error.code`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The service's `request-id`.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Ours.
    pub fn client_request_id(&self) -> Uuid {
        self.0.client_request_id
    }

    /// What was removed is still listed though the service says that it is not there: replicas disagree.
    pub(crate) fn into_unavailable(mut self) -> Self {
        self.0.kind = Kind::Unavailable;
        self.0.retry = Retry::Soon;
        self
    }
}

impl<R> Caller<R> {
    fn error(&self, call: &Call, kind: Kind<R>, retry: Retry) -> AzureError<R> {
        AzureError(Box::new(Failure {
            service: self.service.name,
            operation: call.name,
            object: call.object.clone(),
            kind,
            retry,
            once: call.once,
            status: None,
            code: None,
            message: None,
            request_id: None,
            client_request_id: call.options.client_request_id,
        }))
    }

    pub(super) fn not_signed_in(&self, call: &Call, error: &azure_core::Error) -> AzureError<R> {
        self.error(call, Kind::SignIn(short(&error.to_string())), Retry::Soon)
    }

    /// There was no time left to send it.
    pub(super) fn not_begun(&self, call: &Call) -> AzureError<R> {
        let mut error = self.error(call, Kind::Unavailable, Retry::Soon);
        error.0.message = Some("not begun: too little time left".to_owned());
        error
    }

    pub(crate) fn malformed(&self, call: &Call, why: &'static str) -> AzureError<R> {
        self.error(call, Kind::Malformed(why), Retry::Never)
    }

    /// An answer that cannot be used, though the request was carried out.
    pub(crate) fn unusable(
        &self,
        call: &Call,
        answer: &Answer,
        why: &'static str,
    ) -> AzureError<R> {
        let (kind, retry) = match call.once {
            None => (Kind::Malformed(why), Retry::Never),
            Some(_) => (Kind::AnswerLost, Retry::Soon),
        };
        let mut error = self.error(call, kind, retry);
        error.0.status = Some(answer.status.as_u16());
        error.0.message = Some(why.to_owned());
        error.0.request_id = request_id(answer);
        error
    }

    pub(super) fn unanswered(&self, call: &Call, error: &SendError) -> AzureError<R> {
        let (kind, retry) = match call.once {
            Some(_) if !error.nothing_sent() => (Kind::AnswerLost, Retry::Soon),
            _ if error.is_transient() => (Kind::Unavailable, Retry::Soon),
            _ => (Kind::Unavailable, Retry::Never),
        };
        let mut failure = self.error(call, kind, retry);
        failure.0.message = Some(error.to_string());
        failure
    }

    /// Reads an answer that is not a success.
    pub(super) fn refused(&self, call: &Call, answer: &Answer) -> AzureError<R> {
        let status = answer.status.as_u16();
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Said { code, message } = body.error;
        let after = retry_after(&answer.headers, Utc::now());
        let (kind, retry) = self.service.refusal(call, status, (&code, &message), after);
        let mut error = self.error(call, kind, retry);
        error.0.status = Some(status);
        error.0.code = Some(short(&code)).filter(|code| !code.is_empty());
        error.0.message = Some(short(&message)).filter(|message| !message.is_empty());
        error.0.request_id = request_id(answer);
        error
    }
}

impl<R> Service<R> {
    /// What a refusal is, and whether the call may be made again.
    pub(crate) fn refusal(
        &self,
        call: &Call,
        status: u16,
        (code, message): (&str, &str),
        after: Option<Duration>,
    ) -> (Kind<R>, Retry) {
        let kind = (self.meaning)(status, code, message).unwrap_or_else(|| match status {
            429 => Kind::Throttled,
            409 => Kind::Conflict,
            401 => Kind::SignIn(format!("{} does not take the token", self.name)),
            403 => Kind::Forbidden { grant: call.permission },
            // Only in the service's own words: a proxy's 404, or a wrong address, says nothing about the object.
            404 if code.ends_with("ResourceNotFound") => Kind::NotFound,
            408 | 500.. if call.once.is_some() => Kind::AnswerLost,
            408 | 500.. => Kind::Unavailable,
            _ => Kind::Refused,
        });
        let retry = match kind {
            // The object was just read: another replica does not know it yet.
            Kind::NotFound if call.once.is_some() => Retry::Soon,
            Kind::Throttled | Kind::Conflict | Kind::Unavailable | Kind::AnswerLost => {
                after.map_or(Retry::Soon, Retry::After)
            }
            Kind::SignIn(_) => Retry::Soon,
            _ => Retry::Never,
        };
        (kind, retry)
    }
}

/// `{"error": {"code": …, "message": …}}`, as Graph (`microsoft.graph.ODataErrors.ODataError`) and ARM answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Said,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: String,
    message: String,
}

/// The service's name for a request.
pub(crate) fn request_id(answer: &Answer) -> Option<String> {
    answer.headers.get("request-id")?.to_str().ok().map(short)
}

/// A service's own words, cut to what belongs in a log line.
pub(super) fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
