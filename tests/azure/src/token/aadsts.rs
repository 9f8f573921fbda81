//! The token endpoint's errors, worded as Entra words them.

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::clock::{Millis, entra};
use crate::http::Reply;

/// An error with an AADSTS number.
#[derive(Debug, Clone)]
pub(crate) struct Aadsts {
    pub(crate) code: u32,
    /// OAuth's `error`.
    pub(crate) error: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u32>,
}

impl Aadsts {
    fn new(code: u32, error: &'static str, message: impl Into<String>) -> Self {
        // Entra answers 401 where the client's credentials are at fault, else 400.
        let status = if error == "invalid_client" {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        Self { code, error, status, message: message.into(), retry_after: None }
    }

    pub(crate) fn wrong_secret(app: &str) -> Self {
        Self::new(
            7_000_215,
            "invalid_client",
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
                 client secret ID, for a secret added to app '{app}'."
            ),
        )
    }

    pub(crate) fn expired_secret(app: &str) -> Self {
        Self::new(
            7_000_222,
            "invalid_client",
            format!(
                "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys for your \
                 app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: \
                 https://aka.ms/certCreds."
            ),
        )
    }

    pub(crate) fn no_application(app: &str, tenant: &str) -> Self {
        Self::new(
            700_016,
            "unauthorized_client",
            format!(
                "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the application \
                 has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have \
                 sent your authentication request to the wrong tenant."
            ),
        )
    }

    pub(crate) fn no_service_principal(app: &str, tenant: Uuid) -> Self {
        Self::new(
            7_000_229,
            "invalid_client",
            format!(
                "The client application {app} is missing service principal in the tenant {tenant}. See instructions here: \
                 https://go.microsoft.com/fwlink/?linkid=2225119"
            ),
        )
    }

    pub(crate) fn no_tenant(tenant: &str) -> Self {
        Self::new(
            90_002,
            "invalid_request",
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct \
                 cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the \
                 tenant."
            ),
        )
    }

    pub(crate) fn not_a_tenant(tenant: &str) -> Self {
        Self::new(
            900_023,
            "invalid_request",
            format!(
                "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."
            ),
        )
    }

    pub(crate) fn no_tenant_named() -> Self {
        Self::new(
            50_059,
            "invalid_request",
            "No tenant-identifying information found in either the request or implied by any provided credentials.",
        )
    }

    pub(crate) fn disabled(app: &str, name: &str) -> Self {
        Self::new(
            7_000_112,
            "unauthorized_client",
            format!("Application '{app}'({name}) is disabled."),
        )
    }

    pub(crate) fn conditional_access() -> Self {
        Self::new(
            53_003,
            "invalid_grant",
            "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        )
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            900_144,
            "invalid_request",
            format!("The request body must contain the following parameter: '{parameter}'."),
        )
    }

    pub(crate) fn no_credential() -> Self {
        Self::new(
            7_000_216,
            "invalid_client",
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        )
    }

    pub(crate) fn grant_type(grant: &str) -> Self {
        Self::new(
            70_003,
            "unsupported_grant_type",
            format!("The app requested an unsupported grant type '{grant}'."),
        )
    }

    pub(crate) fn scope(scope: &str) -> Self {
        Self::new(
            1_002_012,
            "invalid_scope",
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default \
                 suffixed to the resource identifier (application ID URI)."
            ),
        )
    }

    pub(crate) fn no_resource(resource: &str, tenant: &str) -> Self {
        Self::new(
            500_011,
            "invalid_resource",
            format!(
                "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the \
                 application has not been installed by the administrator of the tenant or consented to by any user in the tenant. \
                 You might have sent your authentication request to the wrong tenant."
            ),
        )
    }

    pub(crate) fn malformed_assertion() -> Self {
        Self::new(50_027, "invalid_request", "JWT token is invalid or malformed.")
    }

    pub(crate) fn algorithm(algorithm: &str) -> Self {
        Self::new(
            5_002_738,
            "invalid_request",
            format!(
                "Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms are: 'RS256, \
                 HS256'"
            ),
        )
    }

    pub(crate) fn assertion_type() -> Self {
        Self::new(
            50_027,
            "invalid_request",
            "JWT token is invalid or malformed. The client_assertion_type must be \
             'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'.",
        )
    }

    pub(crate) fn signature(reason: &str) -> Self {
        Self::new(
            700_027,
            "invalid_client",
            format!("Client assertion failed signature validation. [Reason - {reason}]"),
        )
    }

    pub(crate) fn issuer_unreachable(issuer: &str) -> Self {
        Self::new(
            50_166,
            "invalid_request",
            format!("Request to External OIDC endpoint failed. Issuer: '{issuer}'."),
        )
    }

    pub(crate) fn outside_valid_time(now: Millis, from: Option<i64>, until: i64) -> Self {
        let shown = |seconds: i64| {
            crate::clock::graph_error_date(seconds.saturating_mul(1000)) + ".0000000Z"
        };
        Self::new(
            700_024,
            "invalid_client",
            format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of \
                 assertion {}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
                crate::clock::rfc3339(now),
                shown(from.unwrap_or(0)),
                shown(until),
            ),
        )
    }

    pub(crate) fn no_federation(app: &str, name: &str) -> Self {
        Self::new(
            70_025,
            "invalid_client",
            format!("The client '{app}'({name}) has no configured federated identity credentials."),
        )
    }

    /// Issuer, subject or audience alone does not match: 700211, 700213, 700212.
    pub(crate) fn federation(code: u32, part: &str, value: &str) -> Self {
        Self::new(
            code,
            "invalid_client",
            format!(
                "No matching federated identity record found for presented assertion {part} '{value}'. Check your federated identity \
                 credential Subject, Audience and Issuer against the presented assertion. \
                 https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            ),
        )
    }

    pub(crate) fn federation_case(subject: &str) -> Self {
        Self::new(
            7_002_138,
            "invalid_client",
            format!(
                "No matching federated identity record found for presented assertion subject '{subject}'. The subject matches with \
                 case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity credential \
                 Subject, Audience and Issuer against the presented assertion. \
                 https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            ),
        )
    }

    pub(crate) fn federation_at_all(issuer: &str, subject: &str, audience: &str) -> Self {
        Self::new(
            70_021,
            "invalid_client",
            format!(
                "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. Assertion \
                 Subject: '{subject}'. Assertion Audience: '{audience}'. \
                 https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            ),
        )
    }

    pub(crate) fn throttled(retry_after: u32) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(retry_after),
            ..Self::new(
                90_055,
                "temporarily_unavailable",
                "There are too many incoming requests for the tenant.",
            )
        }
    }

    pub(crate) fn transient(status: StatusCode, retry_after: Option<u32>) -> Self {
        let error = if status == StatusCode::SERVICE_UNAVAILABLE {
            "temporarily_unavailable"
        } else {
            "server_error"
        };
        Self {
            status,
            retry_after,
            ..Self::new(90_033, error, "A transient error has occurred. Please try again.")
        }
    }

    pub(crate) fn reply(&self, trace: Uuid, correlation: Uuid, now: Millis) -> Reply {
        let stamp = entra(now);
        let description = format!(
            "AADSTS{}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {stamp}",
            self.code, self.message
        );
        let mut reply = Reply::json(
            self.status,
            &json!({
                "error": self.error,
                "error_description": description,
                "error_codes": [self.code],
                "timestamp": stamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
            }),
        );
        if let Some(seconds) = self.retry_after {
            reply.set("retry-after", &seconds.to_string());
        }
        reply
    }
}
