//! `/_emulator`: what a test may set and see. No token is asked for.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::{Clock, SECOND, rfc3339};
use crate::faults::Faults;
use crate::http::{Reply, Request};
use crate::model::{Entity, Kind};
use crate::people;
use crate::world::{Shared, World};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    advance_seconds: f64,
}

pub(crate) fn serve(shared: &Shared, request: &Request) -> Reply {
    let path = request.path();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", [_]) => ok(&json!({"ready": true})),
        ("GET", [_, "clock"]) => ok(&clock(&shared.clock)),
        ("POST", [_, "clock"]) => step(shared, request),
        ("GET", [_, "faults"]) => ok(&json!(shared.world().faults)),
        ("POST", [_, "faults"]) => replace(shared, request),
        ("GET", [_, "struck"]) => ok(&json!(shared.world().faults.struck)),
        ("GET", [_, "state"]) => ok(&state(shared, request.query("secrets") == Some("true"))),
        ("GET", [_, "requests"]) => ok(&json!(shared.world().requests.iter().collect::<Vec<_>>())),
        ("GET", [_, "sign-ins"]) => ok(&json!(shared.world().sign_ins.iter().collect::<Vec<_>>())),
        ("POST", [_, "people"]) => people::sign_in(shared, request),
        ("GET", [_, "secrets"]) => ok(&json!(shared.world().secrets.iter().collect::<Vec<_>>())),
        _ => Reply::json(StatusCode::NOT_FOUND, &json!({"error": "no such thing"})),
    }
}

fn ok(value: &Value) -> Reply {
    Reply::json(StatusCode::OK, value)
}

fn wrong(reason: &str) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, &json!({"error": reason}))
}

fn clock(clock: &Clock) -> Value {
    json!({"now": rfc3339(clock.now()), "offset_ms": clock.offset()})
}

#[allow(clippy::cast_possible_truncation)] // Checked to be within a century.
fn step(shared: &Shared, request: &Request) -> Reply {
    const CENTURY: f64 = 3_155_760_000.0;
    match serde_json::from_slice::<Step>(&request.body) {
        Ok(Step { advance_seconds }) if advance_seconds.abs() <= CENTURY => {
            shared.clock.advance((advance_seconds * 1000.0).round() as i64);
            ok(&clock(&shared.clock))
        }
        Ok(_) => wrong("advance_seconds is out of range"),
        Err(e) => wrong(&e.to_string()),
    }
}

fn replace(shared: &Shared, request: &Request) -> Reply {
    match serde_json::from_slice::<Faults>(&request.body) {
        Ok(faults) => match set_faults(shared, faults) {
            Ok(()) => ok(&json!(shared.world().faults)),
            Err(reason) => wrong(&reason),
        },
        Err(e) => wrong(&e.to_string()),
    }
}

pub(crate) fn set_faults(shared: &Shared, faults: Faults) -> Result<(), String> {
    faults.check()?;
    shared.clock.set_skew(faults.skew());
    shared.world().faults = faults;
    Ok(())
}

/// The truth, whatever replicas say.
pub(crate) fn state(shared: &Shared, secrets: bool) -> Value {
    let world = shared.world();
    json!({
        "tenant": shared.site.tenant,
        "now": rfc3339(shared.clock.now()),
        "replicas": shared.site.replicas,
        "applications": entities(&world, Kind::Application, secrets),
        "service_principals": entities(&world, Kind::ServicePrincipal, secrets),
    })
}

fn entities(world: &World, kind: Kind, secrets: bool) -> Vec<Value> {
    world.directory.table(kind).iter().map(|entity| show(entity, secrets)).collect()
}

fn show(entity: &Entity, secrets: bool) -> Value {
    let passwords =
        entity.passwords.iter().filter(|password| password.sight.exists()).map(|password| {
            let mut shown = json!({
                "key_id": password.key_id,
                "display_name": password.name,
                "hint": password.hint(),
                "start": rfc3339(password.start),
                "end": password.end.map(rfc3339),
            });
            if secrets {
                shown["secret"] = json!(password.secret);
            }
            shown
        });
    let federated = entity.federated.iter().filter(|credential| credential.sight.exists()).map(|credential| {
        json!({
            "id": credential.id, "name": credential.name, "issuer": credential.issuer, "subject": credential.subject,
            "audiences": credential.audiences,
        })
    });
    json!({
        "id": entity.id,
        "app_id": entity.app_id,
        "display_name": entity.display_name,
        "audience": entity.audience,
        "tags": entity.tags,
        "created": rfc3339(entity.created),
        "deleted": entity.deleted.map(rfc3339),
        "enabled": entity.enabled,
        "owners": entity.owners,
        "passwords": passwords.collect::<Vec<_>>(),
        "certificates": entity.certificates.iter().map(|c| json!({"key_id": c.key_id, "end": c.end.map(rfc3339)})).collect::<Vec<_>>(),
        "federated_credentials": federated.collect::<Vec<_>>(),
        "app_role_assignments": entity.assignments.iter().map(|a| json!({"id": a.id, "role": a.role, "resource": a.resource})).collect::<Vec<_>>(),
    })
}

/// One step as a test takes it.
pub(crate) fn advance(clock: &Clock, seconds: i64) {
    clock.advance(seconds.saturating_mul(SECOND));
}
