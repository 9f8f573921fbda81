//! Graph's own error codes (learn.microsoft.com/graph/errors, and reports about single codes).

use std::fmt;

use reqwest::Url;

use crate::azure::{self, AzureError, Service};

/// The kind of a failed call of Graph.
pub type Kind = azure::Kind<Refusal>;
/// A failed call of Graph.
pub type GraphError = AzureError<Refusal>;

/// A refusal that Graph has a code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 403 `Authentication_RequestFromNonPremiumTenantOrB2CTenant`: the tenant lacks the licence that the call needs. A
    /// permission does not help.
    NotLicensed,
    /// 403 `Directory_ResourceSizeExceeded`, 400 `TooManyAppPasswords`: the object holds as many keys as it may.
    SizeExceeded,
    /// 400 `CredentialInvalidLifetimeAsPerAppPolicy`: the tenant's policy allows only shorter lives.
    LifetimeExceedsPolicy,
    /// 400 `CredentialTypeNotAllowedAsPerAppPolicy`: the tenant's policy forbids client secrets here.
    PasswordsForbidden,
    /// 400 `CannotUpdateLockedServicePrincipalProperty`: the application's instance property lock forbids keys on its
    /// service principal (Graph `servicePrincipalLockConfiguration`).
    ServicePrincipalLocked,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLicensed => {
                "the tenant has no Microsoft Entra ID P1 licence, which this needs; no permission helps"
            }
            Self::SizeExceeded => {
                "the object holds too many keys; remove some, or name them under `retire_keys`"
            }
            Self::LifetimeExceedsPolicy => {
                "the tenant's policy allows no key of that lifetime; shorten `lifetime`, or allow less with `shortest_lifetime`"
            }
            Self::PasswordsForbidden => {
                "the tenant's policy forbids client secrets on this application; exempt it (its appManagementPolicies), or \
                 take the credential out of the manifest"
            }
            Self::ServicePrincipalLocked => {
                "the application's instance property lock forbids keys on its service principal; say `key_on: application`, \
                 or turn the lock off (Entra: the application's Authentication, App instance property lock)"
            }
        })
    }
}

/// Describes the Graph at this address.
pub(super) fn service(root: Url) -> Service<Refusal> {
    Service { name: "Graph", root, meaning }
}

/// Reads Graph's own codes; `None`: the status alone has the meaning.
fn meaning(status: u16, code: &str, message: &str) -> Option<Kind> {
    let concurrent = code == "Directory_ConcurrencyViolation"
        || message.to_ascii_lowercase().contains("concurrent requests being made");
    Some(azure::Kind::Known(match (status, code) {
        (400, _) if concurrent => return Some(azure::Kind::Conflict),
        (400, "CredentialInvalidLifetimeAsPerAppPolicy") => Refusal::LifetimeExceedsPolicy,
        // The limit is two keys for an application that personal accounts may sign in to.
        (400, "TooManyAppPasswords") | (403, "Directory_ResourceSizeExceeded") => {
            Refusal::SizeExceeded
        }
        (400, "CredentialTypeNotAllowedAsPerAppPolicy") => Refusal::PasswordsForbidden,
        // Graph also uses this code with `WithEnforcementScope` at its end.
        (400, locked) if locked.starts_with("CannotUpdateLockedServicePrincipalProperty") => {
            Refusal::ServicePrincipalLocked
        }
        (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant") => Refusal::NotLicensed,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::azure::{Call, CallOptions};
    use crate::http::Retry;

    const PREMIUM: &str = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";
    const ONCE: Option<&str> = Some("a key may have been minted");

    fn refused(
        once: Option<&'static str>,
        status: u16,
        said: (&str, &str),
        after: Option<Duration>,
    ) -> (Kind, Retry) {
        let url: Url = "https://graph.microsoft.com".parse().unwrap();
        let call = Call::get("get", "x", url.clone(), &CallOptions::until(Instant::now()));
        let call = Call { once, ..call.needing("Application.Read.All") };
        service(url).refusal(&call, status, said, after)
    }

    #[test]
    fn statuses_and_codes_of_a_read_have_their_kinds() {
        let forbidden = Kind::Forbidden { grant: "Application.Read.All" };
        for (status, code, expected, again) in [
            (404, "Request_ResourceNotFound", Kind::NotFound, Retry::Never),
            (404, "", Kind::Refused, Retry::Never),
            (403, "Authorization_RequestDenied", forbidden, Retry::Never),
            (403, PREMIUM, Kind::Known(Refusal::NotLicensed), Retry::Never),
            (401, "", Kind::SignIn("Graph does not take the token".to_owned()), Retry::Soon),
            (503, "serviceNotAvailable", Kind::Unavailable, Retry::Soon),
            (429, "TooManyRequests", Kind::Throttled, Retry::Soon),
        ] {
            assert_eq!(
                refused(None, status, (code, ""), None),
                (expected, again),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn only_answers_that_prove_nothing_was_done_let_a_key_be_minted_again() {
        let lifetime = "CredentialInvalidLifetimeAsPerAppPolicy";
        let forbidden = "CredentialTypeNotAllowedAsPerAppPolicy";
        let known = Kind::Known;
        for (status, code, expected, again) in [
            (429, "TooManyRequests", Kind::Throttled, Retry::Soon),
            (409, "Directory_ConcurrencyViolation", Kind::Conflict, Retry::Soon),
            (400, "Directory_ConcurrencyViolation", Kind::Conflict, Retry::Soon),
            (403, "Directory_ResourceSizeExceeded", known(Refusal::SizeExceeded), Retry::Never),
            (400, "TooManyAppPasswords", known(Refusal::SizeExceeded), Retry::Never),
            (400, forbidden, known(Refusal::PasswordsForbidden), Retry::Never),
            (400, lifetime, known(Refusal::LifetimeExceedsPolicy), Retry::Never),
            (400, "Request_BadRequest", Kind::Refused, Retry::Never),
            (404, "Request_ResourceNotFound", Kind::NotFound, Retry::Soon),
            (500, "InternalServerError", Kind::AnswerLost, Retry::Soon),
            (503, "serviceNotAvailable", Kind::AnswerLost, Retry::Soon),
            (504, "", Kind::AnswerLost, Retry::Soon),
        ] {
            assert_eq!(
                refused(ONCE, status, (code, ""), None),
                (expected, again),
                "{status} {code}"
            );
        }
        let said = "There are too many concurrent requests being made to the tenant.";
        let concurrent = refused(ONCE, 400, ("Request_BadRequest", said), None);
        assert_eq!(concurrent, (Kind::Conflict, Retry::Soon));
    }

    #[test]
    fn what_the_service_asks_for_is_honoured() {
        let after = Duration::from_secs(7);
        for (status, retry) in [(429, Retry::After(after)), (400, Retry::Never)] {
            assert_eq!(refused(ONCE, status, ("", ""), Some(after)).1, retry, "{status}");
        }
    }
}
