//! Graph's errors.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{Millis, graph_error_date};
use crate::http::Reply;

/// An error as `OData` shapes it.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl GraphError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, headers: Vec::new() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// What the gateway before the directory finds wrong with a request.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    pub(crate) fn not_found(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Request_ResourceNotFound",
            format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
            ),
        )
    }

    pub(crate) fn no_segment(segment: &str) -> Self {
        Self::malformed(format!("Resource not found for the segment '{segment}'."))
    }

    pub(crate) fn token(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
    }

    pub(crate) fn denied() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    pub(crate) fn duplicate(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Request_MultipleObjectsWithSameKeyValue", message)
    }

    pub(crate) fn detail(mut self, code: &str, target: &str) -> Self {
        self.details = Some(json!([{"code": code, "message": self.message, "target": target}]));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn reply(
        &self,
        request_id: Uuid,
        client_request_id: Option<&str>,
        now: Millis,
    ) -> Reply {
        let id = request_id.to_string();
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "innerError": {
                "date": graph_error_date(now),
                "request-id": id,
                "client-request-id": client_request_id.unwrap_or(&id),
            },
        });
        if let Some(details) = &self.details {
            error["details"] = details.clone();
        }
        let mut reply = Reply::odata(self.status, &json!({"error": error}));
        for (name, value) in &self.headers {
            reply.set(name, value);
        }
        reply
    }
}
