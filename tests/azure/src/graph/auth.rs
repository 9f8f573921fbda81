//! Who calls, and what they may do.

use http::StatusCode;
use uuid::Uuid;

use crate::clock::Millis;
use crate::graph::error::GraphError;
use crate::graph::route::Route;
use crate::http::Request;
use crate::keys::Unfit;
use crate::model::{Entity, Kind};
use crate::operation::Operation;
use crate::reports::Person;
use crate::token::is_graph;
use crate::well_known::Permission;
use crate::world::{Site, World};

/// The service principal behind a good token, with the permissions it had when the token was made.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) app_id: Uuid,
    pub(crate) object_id: Uuid,
    pub(crate) permissions: Vec<Permission>,
    /// Who is signed in to that application, where it does not act by itself.
    pub(crate) person: Option<Person>,
}

impl Caller {
    /// Reads the bearer token.
    pub(crate) fn of(
        request: &Request,
        site: &Site,
        world: &World,
        now: Millis,
    ) -> Result<Self, GraphError> {
        let header = request.header("authorization").unwrap_or_default();
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(challenge("Access token is empty."));
        };
        let claims = site.keys.verify(token, now).map_err(|unfit| {
            challenge(match unfit {
                Unfit::Malformed => "IDX14100: JWT is not well formed, there are no dots (.).",
                Unfit::Signature => "Signature validation failed.",
                Unfit::Expired => "Lifetime validation failed, the token is expired.",
                Unfit::NotYetValid => "Lifetime validation failed, the token is not yet valid.",
            })
        })?;
        if !is_graph(site, &claims.aud) {
            return Err(challenge("Access token validation failure. Invalid audience."));
        }
        let unknown = || {
            GraphError::new(
                StatusCode::UNAUTHORIZED,
                "Authorization_IdentityNotFound",
                "The identity of the calling application could not be established.",
            )
        };
        let object_id = Uuid::parse_str(&claims.oid).map_err(|_| unknown())?;
        let app_id = Uuid::parse_str(&claims.appid).map_err(|_| unknown())?;
        if let Some(principal_name) = claims.upn {
            let person = Some(Person { id: object_id, principal_name });
            return Ok(Self { app_id, object_id, permissions: Permission::ALL.into(), person });
        }
        let principal = world.directory.table(Kind::ServicePrincipal).by_id(object_id);
        if principal.is_none_or(|principal| principal.deleted.is_some()) {
            return Err(unknown());
        }
        let permissions = claims.roles.iter().filter_map(|role| Permission::named(role)).collect();
        Ok(Self { app_id, object_id, permissions, person: None })
    }

    fn has(&self, wanted: &[Permission]) -> bool {
        wanted.iter().any(|permission| self.permissions.contains(permission))
    }

    /// Whether the caller may do that at all; ownership is checked once the object is known.
    pub(crate) fn may(&self, route: &Route) -> Result<(), GraphError> {
        use Operation as Op;
        use Permission as P;
        const READ: &[Permission] = &[
            P::ApplicationReadAll,
            P::ApplicationReadWriteAll,
            P::ApplicationReadWriteOwnedBy,
            P::DirectoryReadAll,
        ];
        const WRITE: &[Permission] = &[P::ApplicationReadWriteAll, P::ApplicationReadWriteOwnedBy];
        let wanted = match route.operation {
            Op::CreateAppRoleAssignment | Op::DeleteAppRoleAssignment => {
                &[P::AppRoleAssignmentReadWriteAll][..]
            }
            Op::ListAppRoleAssignments => &[
                P::ApplicationReadAll,
                P::ApplicationReadWriteAll,
                P::DirectoryReadAll,
                P::AppRoleAssignmentReadWriteAll,
            ],
            Op::Organization => &[P::OrganizationReadAll, P::DirectoryReadAll],
            Op::SignInActivity => &[P::AuditLogReadAll, P::DirectoryReadAll],
            Op::DirectoryAudits => &[P::AuditLogReadAll],
            operation if operation.is_read() => READ,
            _ => WRITE,
        };
        // Microsoft's page names both of these, where other operations want one of several.
        let beside = route.operation != Op::DirectoryAudits || self.has(&[P::DirectoryReadAll]);
        if self.has(wanted) && beside { Ok(()) } else { Err(GraphError::denied()) }
    }

    /// Whether the caller may change that object: any with `.All`, its own with `.OwnedBy`.
    pub(crate) fn may_write(&self, entity: &Entity) -> Result<(), GraphError> {
        if self.has(&[Permission::ApplicationReadWriteAll]) || self.owns(entity) {
            Ok(())
        } else {
            Err(GraphError::denied())
        }
    }

    pub(crate) fn owns(&self, entity: &Entity) -> bool {
        entity.owners.contains(&self.object_id)
    }

    /// Whether what the caller creates is its own.
    pub(crate) fn owns_by_creating(&self) -> bool {
        !self.has(&[Permission::ApplicationReadWriteAll])
    }
}

fn challenge(message: &str) -> GraphError {
    GraphError::token(message).header(
        "www-authenticate",
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
         client_id=\"00000003-0000-0000-c000-000000000000\"",
    )
}
