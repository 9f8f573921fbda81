//! From a request to an answer: to whom it goes, and the record of it.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{Millis, http_date, rfc3339};
use crate::faults::{FaultKind, Mishap};
use crate::http::{Fate, Reply, Request};
use crate::log::RequestRecord;
use crate::operation::Operation;
use crate::world::{Shared, World};
use crate::{admin, graph, token};

/// What is learnt about a request on its way.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) number: u64,
    pub(crate) request_id: Uuid,
    pub(crate) client_request_id: Option<String>,
    pub(crate) operation: Option<Operation>,
    pub(crate) caller: Option<String>,
    pub(crate) replica: Option<usize>,
    pub(crate) code: Option<String>,
    pub(crate) aadsts: Option<u32>,
    pub(crate) batch: Option<u64>,
    pub(crate) lost: bool,
    pub(crate) cut: bool,
    pub(crate) delay_ms: u64,
    /// What is said beside the answer, whether it is good or not.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Trace {
    pub(crate) fn new(world: &mut World, request: &Request) -> Self {
        Self {
            number: world.next_request(),
            request_id: world.dice.uuid(),
            client_request_id: request.header("client-request-id").map(str::to_owned),
            operation: None,
            caller: None,
            replica: None,
            code: None,
            aadsts: None,
            batch: None,
            lost: false,
            cut: false,
            delay_ms: 0,
            headers: Vec::new(),
        }
    }

    /// Takes note of what befalls the answer.
    pub(crate) fn note(&mut self, mishaps: &[Mishap]) {
        for mishap in mishaps {
            match mishap.kind {
                FaultKind::LostAnswer | FaultKind::CutConnection => self.lost = true,
                FaultKind::CutBody => self.cut = true,
                FaultKind::Slow => self.delay_ms += mishap.delay_ms,
                _ => {}
            }
        }
    }
}

/// Answers a request.
pub(crate) async fn serve(shared: &Shared, request: Request) -> Reply {
    let first = request.segments.first().map(String::as_str);
    if first == Some("_emulator") {
        return admin::serve(shared, &request);
    }
    let mut trace = Trace::new(&mut shared.world(), &request);
    let mut reply = match first {
        Some("graph") if is_batch(&request) => graph::batch::serve(shared, &request, &mut trace),
        Some("graph") => graph::serve(
            &shared.site,
            &mut shared.world(),
            shared.clock.now(),
            &request,
            &mut trace,
        ),
        Some("arm") => arm(&request),
        _ => token::serve(shared, &request, &mut trace).await,
    };
    let now = shared.clock.now();
    reply.set("date", &http_date(now));
    record(&mut shared.world(), now, &request, &trace, &reply);
    reply
}

fn is_batch(request: &Request) -> bool {
    request.method == Method::POST
        && matches!(request.path().as_slice(), ["graph", "v1.0", "$batch"])
}

/// Azure Resource Manager has a place here, and nothing in it.
fn arm(request: &Request) -> Reply {
    let path = request.segments.iter().skip(1).cloned().collect::<Vec<_>>().join("/");
    let message = format!(
        "The Resource '{path}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    );
    Reply::json(
        StatusCode::NOT_FOUND,
        &json!({"error": {"code": "ResourceNotFound", "message": message}}),
    )
}

/// The path as sent, or decoded where that is needed to find a secret in it.
fn shown_path(world: &World, target: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(target).decode_utf8_lossy();
    let hidden = world.secrets.hide(&decoded);
    if hidden == decoded { world.secrets.hide(target) } else { hidden }
}

/// Writes a request into the log, without its secrets.
pub(crate) fn record(
    world: &mut World,
    now: Millis,
    request: &Request,
    trace: &Trace,
    reply: &Reply,
) {
    let entry = RequestRecord {
        number: trace.number,
        time: rfc3339(now),
        method: request.method.to_string(),
        path: shown_path(world, &request.target),
        operation: trace.operation,
        status: reply.status.as_u16(),
        delivered: reply.fate == Fate::Delivered,
        request_id: trace.request_id,
        client_request_id: trace.client_request_id.as_deref().map(|id| world.secrets.hide(id)),
        caller_app_id: trace.caller.as_deref().map(|caller| world.secrets.hide(caller)),
        replica: trace.replica,
        code: trace.code.clone(),
        aadsts: trace.aadsts,
        request: world.secrets.redact(&request.body),
        // A batch's parts are recorded each on their own.
        response: if trace.operation == Some(Operation::Batch) && trace.batch.is_none() {
            Value::Null
        } else {
            world.secrets.redact(&reply.body)
        },
        batch: trace.batch,
    };
    tracing::debug!(
        number = entry.number,
        method = entry.method,
        path = entry.path,
        status = entry.status,
        "answered"
    );
    world.requests.push(entry);
}
