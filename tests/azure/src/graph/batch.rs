//! `$batch`: up to twenty requests, each with a status of its own.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::graph::auth::Caller;
use crate::graph::error::GraphError;
use crate::http::{Fate, Reply, Request};
use crate::operation::Operation;
use crate::service::{Trace, record};
use crate::world::Shared;

const MAX: usize = 20;

#[derive(Debug, Deserialize)]
struct Batch {
    requests: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
}

pub(crate) fn serve(shared: &Shared, request: &Request, trace: &mut Trace) -> Reply {
    trace.operation = Some(Operation::Batch);
    let mut reply = answer(shared, request, trace).unwrap_or_else(|error| {
        trace.code = Some(error.code.to_owned());
        error.reply(trace.request_id, trace.client_request_id.as_deref(), shared.clock.now())
    });
    super::decorate(&mut reply, trace);
    reply.delay_ms = trace.delay_ms;
    if trace.lost {
        reply.fate = Fate::Lost;
    } else if trace.cut {
        reply.fate = Fate::Cut;
    }
    reply
}

fn answer(shared: &Shared, request: &Request, trace: &mut Trace) -> Result<Reply, GraphError> {
    let now = shared.clock.now();
    let mishaps = {
        let mut world = shared.world();
        trace.caller = Some(Caller::of(request, &shared.site, &world, now)?.app_id.to_string());
        let crate::world::World { faults, dice, .. } = &mut *world;
        faults.strike(Operation::Batch, &[], dice)
    };
    trace.note(&mishaps);
    super::before_work(&mishaps)?;
    let batch: Batch = serde_json::from_slice(&request.body)
        .map_err(|e| GraphError::malformed(format!("Invalid batch payload format. {e}")))?;
    check(&batch.requests)?;
    let mut statuses: HashMap<&str, u16> = HashMap::new();
    let mut responses = Vec::new();
    for part in &batch.requests {
        let failed = part
            .depends_on
            .iter()
            .any(|id| statuses.get(id.as_str()).is_none_or(|status| *status >= 400));
        let response =
            if failed { failed_dependency(part) } else { run(shared, request, part, trace) };
        let status = response["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(500);
        statuses.insert(&part.id, status);
        trace.delay_ms = trace.delay_ms.max(response["delay"].as_u64().unwrap_or(0));
        responses.push(response);
    }
    for response in &mut responses {
        if let Some(fields) = response.as_object_mut() {
            fields.remove("delay");
        }
    }
    if mishaps.iter().any(|mishap| mishap.kind == crate::faults::FaultKind::ServerErrorAfterWork) {
        return Err(super::server_error());
    }
    Ok(Reply::json(StatusCode::OK, &json!({"responses": responses})))
}

fn check(parts: &[Part]) -> Result<(), GraphError> {
    if parts.len() > MAX {
        return Err(GraphError::malformed(format!(
            "Number of batch request steps exceeds the maximum value of '{MAX}'."
        )));
    }
    for (at, part) in parts.iter().enumerate() {
        let earlier = &parts[..at];
        if earlier.iter().any(|other| other.id == part.id) {
            return Err(GraphError::malformed(format!(
                "Request id '{}' has been used more than once.",
                part.id
            )));
        }
        if let Some(id) =
            part.depends_on.iter().find(|id| !earlier.iter().any(|other| other.id == **id))
        {
            return Err(GraphError::malformed(format!(
                "The dependsOn id '{id}' does not name an earlier request."
            )));
        }
        if part.body.is_some()
            && !part.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"))
        {
            return Err(GraphError::malformed(format!(
                "Write request id : {} does not contain Content-Type header.",
                part.id
            )));
        }
    }
    Ok(())
}

fn failed_dependency(part: &Part) -> Value {
    json!({
        "id": part.id,
        "status": 424,
        "headers": {"Content-Type": "application/json"},
        "body": {"error": {"code": "FailedDependency", "message": "A request that this one depends on failed."}},
    })
}

fn run(shared: &Shared, outer: &Request, part: &Part, trace: &Trace) -> Value {
    let now = shared.clock.now();
    let mut world = shared.world();
    let mut own = Trace::new(&mut world, outer);
    own.batch = Some(trace.number);
    let request = inner(outer, part);
    let mut reply = super::serve(&shared.site, &mut world, now, &request, &mut own);
    record(&mut world, now, &request, &own, &reply);
    drop(world);
    if reply.fate != Fate::Delivered {
        // A part has no connection to lose: what the gateway in front would say of one.
        reply.status = StatusCode::GATEWAY_TIMEOUT;
        reply.body = Bytes::from_static(br#"{"error":{"code":"UnknownError","message":""}}"#);
    }
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((title(name.as_str()), json!(value.to_str().ok()?))))
        .collect();
    let mut response = json!({"id": part.id, "status": reply.status.as_u16(), "headers": headers, "delay": reply.delay_ms});
    if !reply.body.is_empty() {
        response["body"] = serde_json::from_slice(&reply.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&reply.body).into_owned()));
    }
    response
}

/// The part as a request: with its own headers, and the token of the batch.
fn inner(outer: &Request, part: &Part) -> Request {
    let mut headers = HeaderMap::new();
    for (name, value) in &part.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value))
        {
            headers.insert(name, value);
        }
    }
    if let Some(token) = outer.headers.get("authorization") {
        headers.insert("authorization", token.clone());
    }
    let target = format!("/graph/v1.0/{}", part.url.trim_start_matches('/'));
    let body = part.body.as_ref().map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let method =
        Method::from_bytes(part.method.to_ascii_uppercase().as_bytes()).unwrap_or(Method::GET);
    Request::new(method, &target, headers, body)
}

/// Header names in a batch's answer are written with capitals.
fn title(name: &str) -> String {
    if name.starts_with("x-ms") || name.ends_with("request-id") {
        return name.to_owned();
    }
    let capital = |word: &str| {
        word.chars()
            .take(1)
            .flat_map(char::to_uppercase)
            .chain(word.chars().skip(1))
            .collect::<String>()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}
