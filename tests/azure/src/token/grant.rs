//! The client credentials grant.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::clock::{Millis, SECOND, rfc3339};
use crate::faults::{FaultKind, Mishap};
use crate::http::{Reply, Request};
use crate::keys::{Claims, TOKEN_LIFE};
use crate::log::SignIn;
use crate::model::{Entity, Kind, View};
use crate::operation::Operation;
use crate::reports::Use;
use crate::service::Trace;
use crate::token::aadsts::Aadsts;
use crate::token::assertion::Assertion;
use crate::token::known;
use crate::well_known::{GRAPH_APP_ID, Permission};
use crate::world::{Shared, Site, World};

/// What the form asks for.
struct Wish {
    client: String,
    resource: String,
    credential: Credential,
}

enum Credential {
    Secret(String),
    Assertion(Box<Assertion>),
}

/// A client that may have a token.
struct Client {
    app_id: Uuid,
    object_id: Uuid,
    roles: Vec<String>,
    audience: String,
}

pub(crate) async fn answer(
    shared: &Shared,
    request: &Request,
    tenant: &str,
    trace: &mut Trace,
) -> Result<Reply, Aadsts> {
    known(&shared.site, tenant)?;
    let wish = Wish::read(request)?;
    trace.caller = Some(wish.client.clone());
    let now = shared.clock.now();
    let (view, mishaps) = {
        let mut world = shared.world();
        let view = world.token_view(now);
        let ids = [wish.client.clone()];
        let World { faults, dice, .. } = &mut *world;
        (view, faults.strike(Operation::Token, &ids, dice))
    };
    trace.replica = Some(view.replica - shared.site.replicas);
    trace.note(&mishaps);
    before_work(&mishaps)?;
    let mut key = None;
    let outcome = admit(shared, &wish, view, &mishaps, &mut key).await;
    let mut world = shared.world();
    if let (Ok(client), Some(key)) = (&outcome, key) {
        let delay = world.faults.lag.sign_in_activity;
        let shown_from = world.dice.propagation(now, &delay, 1);
        let used = Use {
            at: now,
            shown_from: shown_from.and_then(|times| times.first().copied()).unwrap_or(now),
            app_id: client.app_id,
            secret: matches!(wish.credential, Credential::Secret(_)),
            request_id: trace.request_id,
        };
        world.uses.push(key, used);
    }
    // A client may send its secret where its id belongs.
    let app_id = world.secrets.hide(&wish.client);
    world.sign_ins.push(SignIn {
        time: rfc3339(now),
        app_id,
        key_id: key,
        method: if matches!(wish.credential, Credential::Secret(_)) {
            "secret"
        } else {
            "federated"
        },
        code: outcome.as_ref().err().map_or(0, |error| error.code),
        replica: view.replica - shared.site.replicas,
    });
    drop(world);
    let reply = issue(&shared.site, &outcome?, &wish, trace.request_id, now)?;
    match mishaps.iter().find(|mishap| mishap.kind == FaultKind::ServerErrorAfterWork) {
        Some(_) => Err(Aadsts::transient(StatusCode::INTERNAL_SERVER_ERROR, None)),
        None => Ok(reply),
    }
}

impl Wish {
    fn read(request: &Request) -> Result<Self, Aadsts> {
        let form: HashMap<String, String> =
            form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.get(name).filter(|value| !value.is_empty());
        let grant = field("grant_type").ok_or_else(|| Aadsts::missing("grant_type"))?;
        if grant != "client_credentials" {
            return Err(Aadsts::grant_type(grant));
        }
        let client = field("client_id").ok_or_else(|| Aadsts::missing("client_id"))?.clone();
        let scope = field("scope").ok_or_else(|| Aadsts::missing("scope"))?;
        let resource = scope.strip_suffix("/.default").filter(|resource| !resource.contains(' '));
        let resource = resource.ok_or_else(|| Aadsts::scope(scope))?.to_owned();
        let credential = match (field("client_secret"), field("client_assertion")) {
            (_, Some(text)) => {
                let kind = field("client_assertion_type").map(String::as_str);
                Credential::Assertion(Box::new(Assertion::read(text, kind)?))
            }
            (Some(secret), None) => Credential::Secret(secret.clone()),
            (None, None) => return Err(Aadsts::no_credential()),
        };
        Ok(Self { client, resource, credential })
    }
}

fn before_work(mishaps: &[Mishap]) -> Result<(), Aadsts> {
    for mishap in mishaps {
        match mishap.kind {
            FaultKind::TooManyRequests => {
                return Err(Aadsts::throttled(mishap.retry_after.unwrap_or(1)));
            }
            FaultKind::ServerError => {
                return Err(Aadsts::transient(StatusCode::INTERNAL_SERVER_ERROR, None));
            }
            FaultKind::Unavailable | FaultKind::CutConnection => {
                return Err(Aadsts::transient(StatusCode::SERVICE_UNAVAILABLE, mishap.retry_after));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the client gets a token. Leaves in `key` what it proved itself with, even where that does not help it.
async fn admit(
    shared: &Shared,
    wish: &Wish,
    view: View,
    mishaps: &[Mishap],
    key: &mut Option<Uuid>,
) -> Result<Client, Aadsts> {
    {
        let world = shared.world();
        let pair = find(&world, &shared.site, wish, view)?;
        enabled(&wish.client, pair)?;
        *key = Some(match &wish.credential {
            Credential::Secret(secret) => secret_of(&wish.client, secret, pair, view, key)?,
            Credential::Assertion(assertion) => {
                if mishaps.iter().any(|mishap| mishap.kind == FaultKind::NoMatchingFederation) {
                    return Err(Aadsts::federation(700_213, "subject", assertion.subject()));
                }
                assertion.trusted_by(pair.0, &wish.client, view)?
            }
        });
    }
    if let Credential::Assertion(assertion) = &wish.credential {
        assertion.verify(&shared.issuers, view.now).await?;
    }
    // Looked up again: the issuer was asked without holding the lock.
    let world = shared.world();
    let (_, principal) = find(&world, &shared.site, wish, view)?;
    let principal =
        principal.ok_or_else(|| Aadsts::no_service_principal(&wish.client, shared.site.tenant))?;
    if mishaps.iter().any(|mishap| mishap.kind == FaultKind::ConditionalAccess) {
        return Err(Aadsts::conditional_access());
    }
    let audience = audience(&world, &shared.site, &wish.resource)?;
    let roles =
        if is_graph(&shared.site, &audience) { graph_roles(&world, principal) } else { Vec::new() };
    Ok(Client { app_id: principal.app_id, object_id: principal.id, roles, audience })
}

type Pair<'a> = (Option<&'a Entity>, Option<&'a Entity>);

/// The application and its service principal, as the replica knows them.
fn find<'a>(world: &'a World, site: &Site, wish: &Wish, view: View) -> Result<Pair<'a>, Aadsts> {
    let unknown = || Aadsts::no_application(&wish.client, &site.tenant_name);
    let app_id = Uuid::parse_str(&wish.client).map_err(|_| unknown())?;
    let seen = |kind| world.directory.table(kind).seen_by_app(app_id, view);
    match (seen(Kind::Application), seen(Kind::ServicePrincipal)) {
        (None, None) => Err(unknown()),
        pair => Ok(pair),
    }
}

fn enabled(client: &str, (application, principal): Pair<'_>) -> Result<(), Aadsts> {
    match application.into_iter().chain(principal).find(|entity| !entity.enabled) {
        Some(entity) => Err(Aadsts::disabled(client, &entity.display_name)),
        None => Ok(()),
    }
}

/// The password that the secret is; those of the application and of the service principal count alike.
fn secret_of(
    client: &str,
    secret: &str,
    (application, principal): Pair<'_>,
    view: View,
    key: &mut Option<Uuid>,
) -> Result<Uuid, Aadsts> {
    let started = |start: Millis| start <= view.now;
    let passwords =
        application.into_iter().chain(principal).flat_map(|entity| entity.visible_passwords(view));
    let matching: Vec<_> =
        passwords.filter(|password| password.secret == secret && started(password.start)).collect();
    *key = matching.first().map(|password| password.key_id);
    match matching.iter().find(|password| !password.expired(view.now)) {
        Some(password) => Ok(password.key_id),
        None if matching.is_empty() => Err(Aadsts::wrong_secret(client)),
        None => Err(Aadsts::expired_secret(client)),
    }
}

/// The `aud` of a token for a resource: the resource as asked for, once it is known.
fn audience(world: &World, site: &Site, resource: &str) -> Result<String, Aadsts> {
    if is_graph(site, resource) || is_arm(site, resource) {
        return Ok(resource.to_owned());
    }
    let app_id = Uuid::parse_str(resource.trim_start_matches("api://")).ok();
    app_id
        .filter(|id| world.directory.table(Kind::ServicePrincipal).by_app(*id).is_some())
        .map(|id| id.to_string())
        .ok_or_else(|| Aadsts::no_resource(resource, &site.tenant_name))
}

/// Whether a token's audience, or a scope's resource, is Graph: Microsoft's in any cloud, or the emulator's.
pub(crate) fn is_graph(site: &Site, audience: &str) -> bool {
    let audience = audience.trim_end_matches('/');
    audience == site.graph()
        || [
            "https://graph.microsoft.com",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "https://microsoftgraph.chinacloudapi.cn",
        ]
        .contains(&audience)
        || Uuid::parse_str(audience).is_ok_and(|id| id == GRAPH_APP_ID)
}

fn is_arm(site: &Site, audience: &str) -> bool {
    let audience = audience.trim_end_matches('/');
    audience == site.arm()
        || [
            "https://management.azure.com",
            "https://management.core.windows.net",
            "https://management.usgovcloudapi.net",
            "https://management.chinacloudapi.cn",
        ]
        .contains(&audience)
}

fn graph_roles(world: &World, principal: &Entity) -> Vec<String> {
    let graph =
        world.directory.table(Kind::ServicePrincipal).by_app(GRAPH_APP_ID).map(|graph| graph.id);
    let granted =
        principal.assignments.iter().filter(|assignment| Some(assignment.resource) == graph);
    granted
        .filter_map(|assignment| {
            Permission::ALL.into_iter().find(|permission| permission.app_role() == assignment.role)
        })
        .map(|permission| permission.name().to_owned())
        .collect()
}

fn issue(
    site: &Site,
    client: &Client,
    wish: &Wish,
    request_id: Uuid,
    now: Millis,
) -> Result<Reply, Aadsts> {
    let seconds = now / SECOND;
    let issuer = format!("https://sts.windows.net/{}/", site.tenant);
    let claims = Claims {
        aud: client.audience.clone(),
        iss: issuer.clone(),
        iat: seconds,
        nbf: seconds,
        exp: seconds + TOKEN_LIFE,
        appid: client.app_id.to_string(),
        appidacr: if matches!(wish.credential, Credential::Secret(_)) { "1" } else { "2" }
            .to_owned(),
        idp: issuer,
        idtyp: "app".to_owned(),
        oid: client.object_id.to_string(),
        roles: client.roles.clone(),
        sub: client.object_id.to_string(),
        tid: site.tenant.to_string(),
        upn: None,
        uti: request_id.simple().to_string(),
        ver: "1.0".to_owned(),
    };
    let token = site
        .keys
        .sign(&claims)
        .map_err(|_| Aadsts::transient(StatusCode::INTERNAL_SERVER_ERROR, None))?;
    Ok(Reply::json(
        StatusCode::OK,
        &json!({"token_type": "Bearer", "expires_in": TOKEN_LIFE, "ext_expires_in": TOKEN_LIFE, "access_token": token}),
    ))
}
