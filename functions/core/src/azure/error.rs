//! The errors of Azure's services, and whether another try helps.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;
use uuid::Uuid;

use super::call::{Call, Caller, Service};
use crate::http::{Answer, Retry, SendError, retry_after};

/// The kind of a failure. `R`: the meanings of the service's own error codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<R> {
    /// The object does not exist, or this replica does not know the object yet.
    NotFound,
    /// Keywheel lacks a permission, or a policy forbids the call.
    Forbidden {
        /// The permission to grant.
        grant: &'static str,
    },
    /// 429: too many requests. Nothing was done.
    Throttled,
    /// 409, or the service's own code for a conflict: another change is under way, and nothing was done.
    Conflict,
    /// No usable answer to a request that makes something: **the thing may have been made**, and the details that only
    /// the answer holds are lost.
    AnswerLost,
    /// No usable answer to a request that may be repeated.
    Unavailable,
    /// Keywheel's own sign-in failed, or the service does not take Keywheel's token.
    SignIn(String),
    /// The answer is not what the service's documentation says.
    Malformed(&'static str),
    /// A refusal whose code is known.
    Known(R),
    /// Another 4xx.
    Refused,
}

/// A failed call with all that is known, and without secrets.
#[derive(Debug)]
pub struct AzureError<R>(Box<Failure<R>>);

#[derive(Debug)]
struct Failure<R> {
    service: &'static str,
    call: Call,
    kind: Kind<R>,
    retry: Retry,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl<R: Debug + Display> std::error::Error for AzureError<R> {}

impl<R: Display> Display for AzureError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { service, call, kind, status, code, message, request_id, .. } = &*self.0;
        write!(f, "{service}: {} {}: ", call.name, call.object)?;
        match kind {
            Kind::NotFound => f.write_str("not found")?,
            Kind::Forbidden { grant } => write!(f, "forbidden; grant {grant}")?,
            Kind::Throttled => f.write_str("throttled")?,
            Kind::Conflict => f.write_str("another change is under way")?,
            Kind::AnswerLost => write!(f, "no usable answer; {}", call.once.unwrap_or_default())?,
            Kind::Unavailable => f.write_str("no usable answer")?,
            Kind::SignIn(why) => write!(f, "not signed in: {why}")?,
            Kind::Malformed(why) => write!(f, "unexpected answer: {why}")?,
            Kind::Known(refusal) => refusal.fmt(f)?,
            Kind::Refused => f.write_str("refused")?,
        }
        if let Some(status) = status {
            write!(f, " ({status} {})", code.as_deref().unwrap_or("without a code"))?;
        }
        if let Some(message) = message {
            write!(f, ": {message}")?;
        }
        let (request, own) = (request_id.as_deref().unwrap_or("unknown"), self.client_request_id());
        write!(f, " [request-id {request}, client-request-id {own}]")
    }
}

impl<R> AzureError<R> {
    /// Gives the kind of the failure.
    pub fn kind(&self) -> &Kind<R> {
        &self.0.kind
    }

    /// Says whether the same call may be made again later. For [`Kind::AnswerLost`] that is a new try of the whole
    /// rotation, which looks first.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Gives the answer's status; `None`: no answer came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Gives the service's `request-id`.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Gives Keywheel's `client-request-id`.
    pub fn client_request_id(&self) -> Uuid {
        self.0.call.options.client_request_id
    }

    /// Turns the failure into one that passes: a replica lags, because the object is still listed although the service
    /// says that the object is gone.
    pub(crate) fn into_unavailable(mut self) -> Self {
        self.0.kind = Kind::Unavailable;
        self.0.retry = Retry::Soon;
        self
    }
}

impl<R> Caller<R> {
    fn error(&self, call: &Call, (kind, retry): (Kind<R>, Retry)) -> Failure<R> {
        let (service, call) = (self.service.name, call.clone());
        Failure {
            service,
            call,
            kind,
            retry,
            status: None,
            code: None,
            message: None,
            request_id: None,
        }
    }

    pub(super) fn not_signed_in(&self, call: &Call, error: &azure_core::Error) -> AzureError<R> {
        let why = short(&error.to_string());
        AzureError(Box::new(self.error(call, (Kind::SignIn(why), Retry::Soon))))
    }

    /// Makes the error of a call for which no time was left.
    pub(super) fn not_begun(&self, call: &Call) -> AzureError<R> {
        let message = Some("not begun: too little time left".to_owned());
        let error = self.error(call, (Kind::Unavailable, Retry::Soon));
        AzureError(Box::new(Failure { message, ..error }))
    }

    pub(crate) fn malformed(&self, call: &Call, why: &'static str) -> AzureError<R> {
        AzureError(Box::new(self.error(call, (Kind::Malformed(why), Retry::Never))))
    }

    /// Makes the error of an answer that cannot be used, although the request was carried out.
    pub(crate) fn unusable(
        &self,
        call: &Call,
        answer: &Answer,
        why: &'static str,
    ) -> AzureError<R> {
        let error = self.error(
            call,
            match call.once {
                None => (Kind::Malformed(why), Retry::Never),
                Some(_) => (Kind::AnswerLost, Retry::Soon),
            },
        );
        let (status, message) = (Some(answer.status.as_u16()), Some(why.to_owned()));
        AzureError(Box::new(Failure { status, message, request_id: request_id(answer), ..error }))
    }

    pub(super) fn unanswered(&self, call: &Call, error: &SendError) -> AzureError<R> {
        let message = Some(error.to_string());
        let error = self.error(call, no_answer(call.once.is_some(), error));
        AzureError(Box::new(Failure { message, ..error }))
    }

    /// Reads an answer that is not a success.
    pub(super) fn refused(&self, call: &Call, answer: &Answer) -> AzureError<R> {
        let status = answer.status.as_u16();
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Said { code, message } = body.error;
        let after = retry_after(&answer.headers, Utc::now());
        let error = self.error(call, self.service.refusal(call, status, (&code, &message), after));
        let said = |text: &str| Some(short(text)).filter(|text| !text.is_empty());
        AzureError(Box::new(Failure {
            status: Some(status),
            code: said(&code),
            message: said(&message),
            request_id: request_id(answer),
            ..error
        }))
    }
}

impl<R> Service<R> {
    /// Gives the meaning of a refusal, and whether the call may be made again.
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
            // Only the service's own code counts. A proxy's 404, or a wrong address, says nothing about the object.
            404 if code.ends_with("ResourceNotFound") => Kind::NotFound,
            408 | 500.. if call.once.is_some() => Kind::AnswerLost,
            408 | 500.. => Kind::Unavailable,
            _ => Kind::Refused,
        });
        let retry = match kind {
            // The object was read just now, so another replica does not know it yet.
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

/// Gives the meaning of a missing answer. `once`: the call must not be carried out twice.
fn no_answer<R>(once: bool, error: &SendError) -> (Kind<R>, Retry) {
    match error {
        _ if once && !error.nothing_sent() => (Kind::AnswerLost, Retry::Soon),
        _ if error.is_transient() => (Kind::Unavailable, Retry::Soon),
        _ => (Kind::Unavailable, Retry::Never),
    }
}

/// Reads the service's id of a request.
pub(crate) fn request_id(answer: &Answer) -> Option<String> {
    answer.headers.get("request-id")?.to_str().ok().map(short)
}

/// The longest text of a service in a log line, in characters.
const LONGEST: usize = 300;

/// Cuts a service's own words at the end of a word, to the length that a log line takes.
pub(super) fn short(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let short: String = text.chars().map(plain).take(LONGEST).collect();
    match short.rsplit_once(' ') {
        Some((words, _)) if text.chars().nth(LONGEST).is_some() => format!("{words} …"),
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_nothing_was_sent_may_a_key_be_minted_again() {
        let of = no_answer::<()>;
        for lost in [SendError::TimedOut, SendError::TooLarge] {
            assert_eq!(of(true, &lost), (Kind::AnswerLost, Retry::Soon), "{lost}");
        }
        let insecure = SendError::Insecure("http://x".to_owned());
        assert_eq!(of(true, &insecure), (Kind::Unavailable, Retry::Never));
        assert_eq!(of(false, &SendError::TimedOut), (Kind::Unavailable, Retry::Soon));
        assert_eq!(of(false, &SendError::TooLarge), (Kind::Unavailable, Retry::Never));
    }

    #[test]
    fn words_are_cut_at_a_word() {
        assert_eq!(short("a\tfew words"), "a few words");
        let cut = short(&"word ".repeat(100));
        assert!(cut.ends_with("word …") && cut.chars().count() <= LONGEST + 2, "{cut}");
    }
}
