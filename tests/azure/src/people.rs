//! Persons, as far as a test needs them: they have no password here, the admin API signs them in.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::clock::SECOND;
use crate::http::{Reply, Request};
use crate::keys::{Claims, TOKEN_LIFE};
use crate::world::Shared;

/// The Azure portal's client id: what a person uses.
const PORTAL: Uuid = uuid::uuid!("c44b4083-3bb0-49c1-b47d-974e53cbdf3c");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    user_principal_name: String,
}

/// A token for Graph with which a person may do everything. The same name is the same person.
pub(crate) fn sign_in(shared: &Shared, request: &Request) -> Reply {
    let wanted = match serde_json::from_slice::<SignIn>(&request.body) {
        Ok(wanted) if !wanted.user_principal_name.is_empty() => wanted,
        Ok(_) => return wrong("user_principal_name is empty"),
        Err(e) => return wrong(&e.to_string()),
    };
    let site = &shared.site;
    let id = Uuid::new_v5(&site.tenant, wanted.user_principal_name.as_bytes());
    let seconds = shared.clock.now() / SECOND;
    let issuer = format!("https://sts.windows.net/{}/", site.tenant);
    let claims = Claims {
        aud: site.graph(),
        iss: issuer.clone(),
        iat: seconds,
        nbf: seconds,
        exp: seconds + TOKEN_LIFE,
        appid: PORTAL.to_string(),
        appidacr: "0".to_owned(),
        idp: issuer,
        idtyp: "user".to_owned(),
        oid: id.to_string(),
        roles: Vec::new(),
        sub: id.to_string(),
        tid: site.tenant.to_string(),
        upn: Some(wanted.user_principal_name),
        uti: shared.world().dice.uuid().simple().to_string(),
        ver: "1.0".to_owned(),
    };
    match site.keys.sign(&claims) {
        Ok(token) => Reply::json(StatusCode::OK, &json!({"id": id, "access_token": token})),
        Err(_) => Reply::json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"error": "the token could not be signed"}),
        ),
    }
}

fn wrong(reason: &str) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, &json!({"error": reason}))
}
