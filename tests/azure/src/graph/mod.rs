//! Microsoft Graph v1.0, as far as rotating credentials needs it.
//!
//! In this order: the URL, the token, the budgets, faults, permissions, the work. Reads show what the replica they land on knows.
//! Writes reach for their target through a replica too, so a fresh object may be 404 to them, and then act on the one truth.

mod audited;
mod auth;
pub(crate) mod batch;
mod deleted;
mod error;
mod filter;
mod filter_syntax;
mod list;
mod objects;
mod parts;
mod passwords;
mod query;
mod render;
mod reports;
mod route;

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::clock::Millis;
use crate::faults::{FaultKind, Mishap};
use crate::http::{Fate, Reply, Request};
use crate::model::{Entity, View};
use crate::operation::Operation;
use crate::service::Trace;
use crate::throttle::{Cost, Exceeded};
use crate::world::{Site, World};
use auth::Caller;
use error::GraphError;
use passwords::Target;
use route::{Key, Route};

/// The good end of a request.
type Answer = Result<Reply, GraphError>;

/// One request at work.
struct Call<'a> {
    site: &'a Site,
    world: &'a mut World,
    request: &'a Request,
    route: Route,
    caller: Caller,
    view: View,
}

/// Serves `/graph/…`, all but `$batch`.
pub(crate) fn serve(
    site: &Site,
    world: &mut World,
    now: Millis,
    request: &Request,
    trace: &mut Trace,
) -> Reply {
    world.directory.expire(now);
    let mut reply = work(site, world, now, request, trace).unwrap_or_else(|error| {
        trace.code = Some(error.code.to_owned());
        error.reply(trace.request_id, trace.client_request_id.as_deref(), now)
    });
    for (name, value) in &trace.headers {
        reply.set(name, value);
    }
    if trace.cut {
        reply.fate = Fate::Cut;
    }
    if trace.lost {
        reply.fate = Fate::Lost;
    }
    reply.delay_ms = trace.delay_ms;
    decorate(&mut reply, trace);
    reply
}

/// The headers on every answer of Graph's.
pub(crate) fn decorate(reply: &mut Reply, trace: &Trace) {
    let id = trace.request_id.to_string();
    reply.set("request-id", &id);
    reply.set("client-request-id", trace.client_request_id.as_deref().unwrap_or(&id));
    let replica = trace.replica.unwrap_or(0);
    let diagnostic = format!(
        "{{\"ServerInfo\":{{\"DataCenter\":\"Loopback\",\"Slice\":\"E\",\"Ring\":\"1\",\"ScaleUnit\":\"000\",\"RoleInstance\":\"EMU{replica:05}\"}}}}"
    );
    reply.set("x-ms-ags-diagnostic", &diagnostic);
    reply.set("cache-control", "no-cache");
}

fn work(
    site: &Site,
    world: &mut World,
    now: Millis,
    request: &Request,
    trace: &mut Trace,
) -> Answer {
    let path = request.path();
    let segments = match path.as_slice() {
        // Of beta there are only the reports, which v1.0 lacks.
        ["graph", "v1.0", "reports", ..] => return Err(GraphError::no_segment("reports")),
        ["graph", "v1.0", ..] | ["graph", "beta", "reports", ..] => &path[2..],
        ["graph", version, ..] => {
            return Err(GraphError::malformed(format!("Invalid version: {version}")));
        }
        _ => return Err(GraphError::malformed("Invalid version")),
    };
    let route = Route::of(request.method.as_str(), segments)?;
    trace.operation = Some(route.operation);
    let caller = Caller::of(request, site, world, now)?;
    trace.caller = Some(caller.app_id.to_string());
    let view = world.graph_view(now);
    trace.replica = Some(view.replica);
    let mut call = Call { site, world, request, route, caller, view };
    call.charge(&mut trace.headers)?;

    let ids = call.concerned();
    let World { faults, dice, .. } = &mut *call.world;
    let mishaps = faults.strike(call.route.operation, &ids, dice);
    trace.note(&mishaps);
    before_work(&mishaps)?;
    call.caller.may(&call.route)?;
    let reply = call.audited()?;
    if mishaps.iter().any(|mishap| mishap.kind == FaultKind::ServerErrorAfterWork) {
        return Err(server_error());
    }
    Ok(reply)
}

fn before_work(mishaps: &[Mishap]) -> Result<(), GraphError> {
    const CONCURRENT: &str =
        "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.";
    for mishap in mishaps {
        match mishap.kind {
            FaultKind::TooManyRequests => return Err(too_many(mishap.retry_after.unwrap_or(1))),
            FaultKind::ServerError => return Err(server_error()),
            FaultKind::Unavailable | FaultKind::CutConnection => {
                let message = "The service is temporarily unavailable. Please retry after the time in the Retry-After header.";
                let error = GraphError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "serviceNotAvailable",
                    message,
                );
                return Err(match mishap.retry_after {
                    Some(seconds) => error.header("retry-after", seconds.to_string()),
                    None => error,
                });
            }
            FaultKind::ConcurrencyViolation => {
                return Err(GraphError::new(
                    StatusCode::CONFLICT,
                    "Directory_ConcurrencyViolation",
                    CONCURRENT,
                ));
            }
            FaultKind::NoPremiumLicense => {
                return Err(GraphError::new(
                    StatusCode::FORBIDDEN,
                    "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                    "Neither tenant is B2C or tenant doesn't have premium license",
                ));
            }
            FaultKind::LockedWithEnforcementScope => {
                return Err(GraphError::new(
                    StatusCode::BAD_REQUEST,
                    "CannotUpdateLockedServicePrincipalPropertyWithEnforcementScope",
                    "Property passwordCredentials on the service principal is locked.",
                ));
            }
            FaultKind::ConcurrentRequests => return Err(GraphError::bad_request(CONCURRENT)),
            _ => {}
        }
    }
    Ok(())
}

fn too_many(retry_after: u32) -> GraphError {
    GraphError::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests.")
        .header("retry-after", retry_after.to_string())
}

fn server_error() -> GraphError {
    GraphError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Service_InternalServerError",
        "Encountered an internal server error.",
    )
}

impl Call<'_> {
    /// Takes what the request costs from the budgets, and tells how they stand.
    fn charge(&mut self, headers: &mut Vec<(&'static str, String)>) -> Result<(), GraphError> {
        let (operation, app) = (self.route.operation, self.caller.app_id);
        let lists = matches!(operation, Operation::List | Operation::ListDeleted);
        let report = operation.is_report();
        let cost = Cost { report, ..query::cost(self.request, operation.is_read(), lists) };
        headers.push(("x-ms-resource-unit", cost.units.to_string()));
        let World { budgets, faults, .. } = &mut *self.world;
        let share =
            budgets.charge(app, cost, &faults.throttle, self.view.now).map_err(|exceeded| {
                let Exceeded { retry_after, information, scope } = exceeded;
                too_many(retry_after)
                    .header("x-ms-throttle-scope", format!("{scope}/{app}/{}", self.site.tenant))
                    .header("x-ms-throttle-information", information)
                    .header("x-ms-throttle-limit-percentage", "1.8")
            })?;
        // Said only once most of the budget is gone.
        if share >= 0.8 {
            headers.push(("x-ms-throttle-limit-percentage", format!("{:.1}", share.min(1.8))));
        }
        Ok(())
    }

    fn answer(&mut self) -> Answer {
        use Operation as Op;
        let kind = self.route.kind.ok_or_else(|| GraphError::malformed("No collection"));
        match self.route.operation {
            Op::List => self.list(kind?),
            Op::Count => self.count(kind?),
            Op::Get => self.get(kind?),
            Op::Create => self.create(kind?),
            Op::Update => self.update(kind?),
            Op::Delete => self.delete(kind?),
            Op::AddPassword => self.add_password(),
            Op::RemovePassword => self.remove_password(),
            Op::ListOwners => self.list_owners(),
            Op::ListOwnedObjects => self.list_owned(),
            Op::AddOwner => self.add_owner(),
            Op::RemoveOwner => self.remove_owner(),
            Op::ListFederatedCredentials => self.list_federated(),
            Op::GetFederatedCredential => self.get_federated(),
            Op::CreateFederatedCredential => self.create_federated(),
            Op::UpdateFederatedCredential => self.update_federated(),
            Op::DeleteFederatedCredential => self.delete_federated(),
            Op::ListAppRoleAssignments => self.list_assignments(),
            Op::CreateAppRoleAssignment => self.create_assignment(),
            Op::DeleteAppRoleAssignment => self.delete_assignment(),
            Op::ListDeleted => self.list_deleted(kind?),
            Op::GetDeleted => self.get_deleted(),
            Op::Restore => self.restore(),
            Op::DeletePermanently => self.delete_permanently(),
            Op::Organization => Ok(self.organization()),
            Op::DirectoryObject => self.directory_object(),
            Op::SignInActivity => self.sign_in_activity(),
            Op::DirectoryAudits => self.list_directory_audits(),
            Op::Batch | Op::Any | Op::Graph | Op::Read | Op::Write | Op::Token => {
                Err(GraphError::malformed("A batch cannot be part of a batch."))
            }
        }
    }

    /// Every id by which a fault may name what this request works on.
    fn concerned(&self) -> Vec<String> {
        let Some(key) = &self.route.key else {
            return Vec::new();
        };
        let mut ids = vec![key.text()];
        if let Some(entity) = self.found().or_else(|| match key {
            Key::Id(id) => self.world.directory.any(*id),
            _ => None,
        }) {
            ids.extend([entity.id.to_string(), entity.app_id.to_string()]);
        }
        ids
    }

    fn found(&self) -> Option<&Entity> {
        let table = self.world.directory.table(self.route.kind?);
        match self.route.key.as_ref()? {
            Key::Id(id) => table.seen_by_id(*id, self.view),
            Key::App(app_id) => table.seen_by_app(*app_id, self.view),
            Key::Nothing(_) => None,
        }
    }

    /// What the URL names, as the replica knows it.
    fn target(&self) -> Result<&Entity, GraphError> {
        self.found().ok_or_else(|| {
            GraphError::not_found(&self.route.key.as_ref().map(Key::text).unwrap_or_default())
        })
    }

    /// What the URL names, once it exists in truth too and the caller may change it.
    fn writable(&self) -> Result<Target, GraphError> {
        let entity = self.target()?;
        if entity.deleted.is_some() {
            return Err(GraphError::not_found(&entity.id.to_string()));
        }
        self.caller.may_write(entity)?;
        Ok(Target::of(entity))
    }

    fn writable_mut(&mut self) -> Result<&mut Entity, GraphError> {
        let target = self.writable()?;
        let table = self.world.directory.table_mut(target.kind);
        table.by_id_mut(target.id).ok_or_else(|| GraphError::not_found(&target.id.to_string()))
    }

    fn part(&self) -> &str {
        self.route.part.as_deref().unwrap_or_default()
    }

    /// When each replica learns of something removed now.
    fn deletion_spread(&mut self) -> Option<Box<[Millis]>> {
        let delay = self.world.faults.propagation.deletions;
        self.world.spread(self.view.now, delay)
    }

    fn body<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        serde_json::from_slice(&self.request.body).map_err(|e| {
            GraphError::malformed(format!(
                "Unable to read JSON request payload. Please ensure it is valid. {e}"
            ))
        })
    }
}
