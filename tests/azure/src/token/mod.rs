//! Entra's token endpoint and the documents around it.
//!
//! What is checked, in this order: the tenant, the form, the scope, faults, whether the application is known to the replica that the
//! request landed on, whether it is disabled, its credential, whether it has a service principal, the resource. The first failure is
//! the answer. Entra does not document its own order; where an error could be either of two, this one is a choice.

pub(crate) mod aadsts;
mod assertion;
mod grant;
pub(crate) mod issuers;

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::http::{Fate, Reply, Request};
use crate::operation::Operation;
use crate::service::Trace;
use crate::world::{Shared, Site};
use aadsts::Aadsts;
pub(crate) use grant::is_graph;

/// Serves a path of the authority: `/{tenant}/…`.
pub(crate) async fn serve(shared: &Shared, request: &Request, trace: &mut Trace) -> Reply {
    let path = request.path();
    let site = &shared.site;
    let answer = match (request.method.as_str(), path.as_slice()) {
        ("GET", ["common", "discovery", "instance"]) => Ok(instance(site)),
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
            known(site, tenant).map(|()| configuration(site))
        }
        ("GET", [tenant, "discovery", "v2.0", "keys"]) => {
            known(site, tenant).map(|()| Reply::json(StatusCode::OK, &site.keys.jwks()))
        }
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => {
            trace.operation = Some(Operation::Token);
            grant::answer(shared, request, tenant, trace).await
        }
        _ => return Reply::typed(StatusCode::NOT_FOUND, "text/plain", ""),
    };
    let mut reply = answer.unwrap_or_else(|error| {
        trace.aadsts = Some(error.code);
        trace.code = Some(format!("AADSTS{}", error.code));
        error.reply(trace.request_id, correlation(request, trace.request_id), shared.clock.now())
    });
    if trace.lost {
        reply.fate = Fate::Lost;
    }
    if trace.cut {
        reply.fate = Fate::Cut;
    }
    reply.delay_ms = trace.delay_ms;
    reply.set("cache-control", "no-store, no-cache");
    reply.set("pragma", "no-cache");
    reply.set("x-ms-request-id", &trace.request_id.to_string());
    reply.set("x-ms-ests-server", "2.1.0 - emulator");
    reply
}

fn correlation(request: &Request, fallback: Uuid) -> Uuid {
    request.header("client-request-id").and_then(|id| Uuid::parse_str(id).ok()).unwrap_or(fallback)
}

/// Whether a tenant segment of a URL names this tenant.
fn known(site: &Site, tenant: &str) -> Result<(), Aadsts> {
    if Uuid::parse_str(tenant).is_ok_and(|id| id == site.tenant)
        || tenant.eq_ignore_ascii_case(&site.domain)
    {
        return Ok(());
    }
    Err(match tenant {
        "common" | "organizations" | "consumers" => Aadsts::no_tenant_named(),
        other if other.contains('.') || Uuid::parse_str(other).is_ok() => Aadsts::no_tenant(other),
        other => Aadsts::not_a_tenant(other),
    })
}

fn configuration(site: &Site) -> Reply {
    let base = format!("{}/{}", site.origin, site.tenant);
    Reply::json(
        StatusCode::OK,
        &json!({
            "issuer": format!("{base}/v2.0"),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        }),
    )
}

fn instance(site: &Site) -> Reply {
    let host = site.origin.trim_start_matches("https://");
    Reply::json(
        StatusCode::OK,
        &json!({
            "tenant_discovery_endpoint": format!("{}/{}/v2.0/.well-known/openid-configuration", site.origin, site.tenant),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }),
    )
}
