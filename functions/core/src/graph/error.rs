//! What went wrong at Graph, and what that means for another try.

use std::fmt::Write;
use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;
use uuid::Uuid;

use super::CallOptions;
use super::exchange::{Effect, Operation};
use crate::http::{Answer, Retry, SendError, retry_after};

/// What kind of failure it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The object is not there, or not yet known to this replica.
    NotFound,
    /// Keywheel lacks a permission, or a policy forbids it.
    Forbidden {
        /// What to grant.
        grant: &'static str,
    },
    /// 403 `Authentication_RequestFromNonPremiumTenantOrB2CTenant`: the tenant has no licence for what was asked. No
    /// permission helps.
    NotLicensed,
    /// 403 `Directory_ResourceSizeExceeded`, 400 `TooManyAppPasswords`: the object holds as many keys as it may.
    SizeExceeded,
    /// 400 `CredentialInvalidLifetimeAsPerAppPolicy`: the tenant's policy wants shorter lives.
    LifetimeExceedsPolicy,
    /// 400 `CredentialTypeNotAllowedAsPerAppPolicy`: the tenant's policy forbids client secrets here.
    PasswordsForbidden,
    /// 400 `CannotUpdateLockedServicePrincipalProperty`: the application's instance property lock forbids keys on its
    /// service principal (Graph `servicePrincipalLockConfiguration`).
    ServicePrincipalLocked,
    /// 429: nothing was done.
    Throttled,
    /// 409, or 400 with "concurrent requests": nothing was done.
    Conflict,
    /// No usable answer to `addPassword`: **a key may have been minted**, whose text is lost.
    AnswerLost,
    /// No usable answer to a request that may be repeated.
    Unavailable,
    /// Keywheel's own sign-in failed, or Graph does not take its token.
    SignIn(String),
    /// The answer is not what Graph's documentation says.
    Malformed(&'static str),
    /// Another 4xx.
    Refused,
}

/// A failed call, with all that is known of it and nothing secret.
#[derive(Debug, thiserror::Error)]
#[error("Graph: {} {}: {}", .0.operation, .0.object, .0.describe())]
pub struct GraphError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    operation: &'static str,
    object: String,
    kind: Kind,
    retry: Retry,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    client_request_id: Uuid,
}

impl Failure {
    fn describe(&self) -> String {
        let mut text = match &self.kind {
            Kind::NotFound => "not found".to_owned(),
            Kind::Forbidden { grant } => format!("forbidden; grant {grant}"),
            Kind::NotLicensed => "the tenant has no Microsoft Entra ID P1 licence, which this needs; no permission helps".to_owned(),
            Kind::SizeExceeded => "the object holds too many keys; remove some, or name them under `retire_keys`".to_owned(),
            Kind::LifetimeExceedsPolicy => {
                "the tenant's policy allows no key of that lifetime; shorten `lifetime`, or allow less with `shortest_lifetime`".to_owned()
            }
            Kind::PasswordsForbidden => {
                "the tenant's policy forbids client secrets on this application; exempt it (its appManagementPolicies), or take the credential out of the manifest".to_owned()
            }
            Kind::ServicePrincipalLocked => {
                "the application's instance property lock forbids keys on its service principal; say `key_on: application`, or turn the lock off (Entra: the application's Authentication, App instance property lock)".to_owned()
            }
            Kind::Throttled => "throttled".to_owned(),
            Kind::Conflict => "another change is under way".to_owned(),
            Kind::AnswerLost => "no usable answer; a key may have been minted".to_owned(),
            Kind::Unavailable => "no usable answer".to_owned(),
            Kind::SignIn(why) => format!("not signed in: {why}"),
            Kind::Malformed(why) => format!("unexpected answer: {why}"),
            Kind::Refused => "refused".to_owned(),
        };
        if let Some(status) = self.status {
            let code = self.code.as_deref().unwrap_or("without a code");
            let _ = write!(text, " ({status} {code})");
        }
        if let Some(message) = &self.message {
            let _ = write!(text, ": {message}");
        }
        let request = self.request_id.as_deref().unwrap_or("unknown");
        text + &format!(" [request-id {request}, client-request-id {}]", self.client_request_id)
    }
}

impl GraphError {
    /// What kind of failure it was.
    pub fn kind(&self) -> &Kind {
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

    /// Graph's `error.code`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Graph's `request-id`.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Ours.
    pub fn client_request_id(&self) -> Uuid {
        self.0.client_request_id
    }

    fn new(operation: &Operation, options: &CallOptions, kind: Kind, retry: Retry) -> Self {
        Self(Box::new(Failure {
            operation: operation.name,
            object: operation.object.clone(),
            kind,
            retry,
            status: None,
            code: None,
            message: None,
            request_id: None,
            client_request_id: options.client_request_id,
        }))
    }

    pub(super) fn sign_in(
        operation: &Operation,
        options: &CallOptions,
        error: &azure_core::Error,
    ) -> Self {
        let why = short(&error.to_string());
        Self::new(operation, options, Kind::SignIn(why), Retry::Soon)
    }

    /// There was no time left to send it.
    pub(super) fn not_begun(operation: &Operation, options: &CallOptions) -> Self {
        let mut error = Self::new(operation, options, Kind::Unavailable, Retry::Soon);
        error.0.message = Some("not begun: too little time left".to_owned());
        error
    }

    pub(super) fn malformed(
        operation: &Operation,
        options: &CallOptions,
        why: &'static str,
    ) -> Self {
        Self::new(operation, options, Kind::Malformed(why), Retry::Never)
    }

    /// An answer that cannot be used, though the request was carried out.
    pub(super) fn unusable(
        operation: &Operation,
        options: &CallOptions,
        answer: &Answer,
        why: &'static str,
    ) -> Self {
        let (kind, retry) = match operation.effect {
            Effect::Repeatable => (Kind::Malformed(why), Retry::Never),
            Effect::Once => (Kind::AnswerLost, Retry::Soon),
        };
        let mut error = Self::new(operation, options, kind, retry);
        error.0.status = Some(answer.status.as_u16());
        error.0.message = Some(why.to_owned());
        error.0.request_id = request_id(answer);
        error
    }

    pub(super) fn unanswered(
        operation: &Operation,
        options: &CallOptions,
        error: &SendError,
    ) -> Self {
        let (kind, retry) = match operation.effect {
            Effect::Once if !error.nothing_sent() => (Kind::AnswerLost, Retry::Soon),
            _ if error.is_transient() => (Kind::Unavailable, Retry::Soon),
            _ => (Kind::Unavailable, Retry::Never),
        };
        let mut failure = Self::new(operation, options, kind, retry);
        failure.0.message = Some(error.to_string());
        failure
    }

    /// Reads an answer that is not a success.
    pub(super) fn refused(operation: &Operation, options: &CallOptions, answer: &Answer) -> Self {
        let status = answer.status.as_u16();
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Said { code, message } = body.error;
        let kind = kind(operation, status, &code, &message);
        let retry = retry(operation, &kind, retry_after(&answer.headers, Utc::now()));
        let mut error = Self::new(operation, options, kind, retry);
        error.0.status = Some(status);
        error.0.code = Some(short(&code)).filter(|code| !code.is_empty());
        error.0.message = Some(short(&message)).filter(|message| !message.is_empty());
        error.0.request_id = request_id(answer);
        error
    }

    /// The key is still listed though Graph says there is no such key: replicas disagree.
    pub(super) fn into_unavailable(mut self) -> Self {
        self.0.kind = Kind::Unavailable;
        self.0.retry = Retry::Soon;
        self
    }
}

/// `microsoft.graph.ODataErrors.ODataError`.
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

/// learn.microsoft.com/graph/errors, and what is reported of single codes.
fn kind(operation: &Operation, status: u16, code: &str, message: &str) -> Kind {
    let concurrent = code == "Directory_ConcurrencyViolation"
        || message.to_ascii_lowercase().contains("concurrent requests being made");
    match status {
        429 => Kind::Throttled,
        409 => Kind::Conflict,
        400 if concurrent => Kind::Conflict,
        400 if code == "CredentialInvalidLifetimeAsPerAppPolicy" => Kind::LifetimeExceedsPolicy,
        // An application that personal accounts may sign in to holds two.
        400 if code == "TooManyAppPasswords" => Kind::SizeExceeded,
        400 if code == "CredentialTypeNotAllowedAsPerAppPolicy" => Kind::PasswordsForbidden,
        // One code has `WithEnforcementScope` at its end.
        400 if code.starts_with("CannotUpdateLockedServicePrincipalProperty") => {
            Kind::ServicePrincipalLocked
        }
        401 => Kind::SignIn("Graph does not take the token".to_owned()),
        403 if code == "Directory_ResourceSizeExceeded" => Kind::SizeExceeded,
        403 if code == "Authentication_RequestFromNonPremiumTenantOrB2CTenant" => Kind::NotLicensed,
        403 => Kind::Forbidden { grant: operation.permission },
        // Only in Graph's own words: a proxy's 404, or a wrong address, says nothing about the object.
        404 if code.ends_with("ResourceNotFound") => Kind::NotFound,
        408 | 500.. if operation.effect == Effect::Once => Kind::AnswerLost,
        408 | 500.. => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

fn retry(operation: &Operation, kind: &Kind, after: Option<Duration>) -> Retry {
    match kind {
        // The object was just read: another replica does not know it yet.
        Kind::NotFound if operation.effect == Effect::Once => Retry::Soon,
        Kind::Throttled | Kind::Conflict | Kind::Unavailable | Kind::AnswerLost => {
            after.map_or(Retry::Soon, Retry::After)
        }
        Kind::SignIn(_) => Retry::Soon,
        _ => Retry::Never,
    }
}

/// Graph's name for a request.
pub(super) fn request_id(answer: &Answer) -> Option<String> {
    answer.headers.get("request-id")?.to_str().ok().map(short)
}

/// A service's own words, cut to what belongs in a log line.
pub(super) fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREMIUM: &str = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";

    #[test]
    fn statuses_and_codes_of_a_read_have_their_kinds() {
        let read = Operation::read("get", "applications".to_owned());
        let forbidden = Kind::Forbidden { grant: read.permission };
        for (status, code, expected, again) in [
            (404, "Request_ResourceNotFound", Kind::NotFound, Retry::Never),
            (404, "", Kind::Refused, Retry::Never),
            (403, "Authorization_RequestDenied", forbidden, Retry::Never),
            (403, PREMIUM, Kind::NotLicensed, Retry::Never),
            (503, "serviceNotAvailable", Kind::Unavailable, Retry::Soon),
            (429, "TooManyRequests", Kind::Throttled, Retry::Soon),
        ] {
            let kind = kind(&read, status, code, "");
            assert_eq!(retry(&read, &kind, None), again, "{status} {code}");
            assert_eq!(kind, expected, "{status} {code}");
        }
    }

    #[test]
    fn only_answers_that_prove_nothing_was_done_let_a_key_be_minted_again() {
        let add = Operation::once("addPassword", "applications/x".to_owned());
        let lifetime = "CredentialInvalidLifetimeAsPerAppPolicy";
        for (status, code, expected, again) in [
            (429, "TooManyRequests", Kind::Throttled, Retry::Soon),
            (409, "Directory_ConcurrencyViolation", Kind::Conflict, Retry::Soon),
            (400, "Directory_ConcurrencyViolation", Kind::Conflict, Retry::Soon),
            (403, "Directory_ResourceSizeExceeded", Kind::SizeExceeded, Retry::Never),
            (400, "TooManyAppPasswords", Kind::SizeExceeded, Retry::Never),
            (400, "CredentialTypeNotAllowedAsPerAppPolicy", Kind::PasswordsForbidden, Retry::Never),
            (400, lifetime, Kind::LifetimeExceedsPolicy, Retry::Never),
            (400, "Request_BadRequest", Kind::Refused, Retry::Never),
            (404, "Request_ResourceNotFound", Kind::NotFound, Retry::Soon),
            (500, "InternalServerError", Kind::AnswerLost, Retry::Soon),
            (503, "serviceNotAvailable", Kind::AnswerLost, Retry::Soon),
            (504, "", Kind::AnswerLost, Retry::Soon),
        ] {
            let kind = kind(&add, status, code, "");
            assert_eq!(retry(&add, &kind, None), again, "{status} {code}");
            assert_eq!(kind, expected, "{status} {code}");
        }
        let said = "There are too many concurrent requests being made to the tenant.";
        assert_eq!(kind(&add, 400, "Request_BadRequest", said), Kind::Conflict);
    }

    #[test]
    fn only_where_nothing_was_sent_may_a_key_be_minted_again() {
        let options = CallOptions::until(tokio::time::Instant::now());
        let add = Operation::once("addPassword", "applications/x".to_owned());
        let read = Operation::read("get", "applications".to_owned());
        let of = |operation: &Operation, error: &SendError| {
            let error = GraphError::unanswered(operation, &options, error);
            (error.kind().clone(), error.retry())
        };
        let insecure = SendError::Insecure("http://x".to_owned());
        for lost in [SendError::TimedOut, SendError::TooLarge] {
            assert_eq!(of(&add, &lost), (Kind::AnswerLost, Retry::Soon), "{lost}");
        }
        assert_eq!(of(&add, &insecure), (Kind::Unavailable, Retry::Never));
        assert_eq!(of(&read, &SendError::TimedOut), (Kind::Unavailable, Retry::Soon));
        assert_eq!(of(&read, &SendError::TooLarge), (Kind::Unavailable, Retry::Never));
    }

    #[test]
    fn what_the_service_asks_for_is_honoured() {
        let add = Operation::once("addPassword", "applications/x".to_owned());
        let after = Duration::from_secs(7);
        assert_eq!(retry(&add, &Kind::Throttled, Some(after)), Retry::After(after));
        assert_eq!(retry(&add, &Kind::Refused, Some(after)), Retry::Never);
    }
}
