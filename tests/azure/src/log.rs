//! What happened: requests and sign-ins, bounded, without a secret in them.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::operation::Operation;

/// Entries kept of each log; the oldest go first.
const KEPT: usize = 20_000;

/// One request.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Counts from 1, never reused: gaps at the start mean that old entries were dropped.
    pub number: u64,
    /// By the emulator's clock, RFC 3339.
    pub time: String,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent, secrets taken out.
    pub path: String,
    /// What it was understood as.
    pub operation: Option<Operation>,
    /// The status worked out, even where the answer never arrived.
    pub status: u16,
    /// Whether the whole answer was sent.
    pub delivered: bool,
    /// `request-id`, or `x-ms-request-id` at the token endpoint.
    pub request_id: Uuid,
    /// `client-request-id`, where the client sent one.
    pub client_request_id: Option<String>,
    /// Who called.
    pub caller_app_id: Option<String>,
    /// Which replica it landed on.
    pub replica: Option<usize>,
    /// The error the answer names: Graph's code, or `AADSTS…`.
    pub code: Option<String>,
    /// The AADSTS number alone.
    pub aadsts: Option<u32>,
    /// The request's body, secrets taken out.
    pub request: Value,
    /// The answer's body, secrets taken out; large ones only as their size.
    pub response: Value,
    /// Set for the parts of a `$batch`: the number of the request around them.
    pub batch: Option<u64>,
}

/// One attempt to get a token.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SignIn {
    /// By the emulator's clock, RFC 3339.
    pub time: String,
    /// The client id as sent.
    pub app_id: String,
    /// The key that matched: of a password, or the id of a federated credential. Also known of an expired password.
    pub key_id: Option<Uuid>,
    /// `secret` or `federated`.
    pub method: &'static str,
    /// 0 for success, else the AADSTS number.
    pub code: u32,
    /// Which token replica judged it.
    pub replica: usize,
}

/// The newest entries of a log.
#[derive(Debug)]
pub(crate) struct Ring<T>(VecDeque<T>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Ring<T> {
    pub(crate) fn push(&mut self, entry: T) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}
