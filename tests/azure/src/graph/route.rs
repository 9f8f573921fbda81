//! From a URL to what is asked for.

use uuid::Uuid;

use crate::graph::error::GraphError;
use crate::model::Kind;
use crate::operation::Operation;

/// How an object is named in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Id(Uuid),
    App(Uuid),
    /// What is no GUID names nothing.
    Nothing(String),
}

impl Key {
    fn id(text: &str) -> Self {
        Uuid::parse_str(text).map_or_else(|_| Self::Nothing(text.to_owned()), Self::Id)
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Id(id) | Self::App(id) => id.to_string(),
            Self::Nothing(text) => text.clone(),
        }
    }
}

/// What is asked for, and of what.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) kind: Option<Kind>,
    pub(crate) key: Option<Key>,
    /// The id of a part: an owner, a federated credential, an assignment.
    pub(crate) part: Option<String>,
}

impl Route {
    fn new(operation: Operation) -> Self {
        Self { operation, kind: None, key: None, part: None }
    }

    fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    fn part(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Reads the segments after the version.
    pub(crate) fn of(method: &str, segments: &[&str]) -> Result<Self, GraphError> {
        let first = segments.first().copied().unwrap_or_default();
        let unknown = || GraphError::no_segment(first);
        if let Some((collection, key)) = alternate_key(first) {
            let kind = Kind::of_collection(collection).ok_or_else(unknown)?;
            return Self::of_object(method, kind, &key, &segments[1..]);
        }
        if let Some(kind) = Kind::of_collection(first) {
            return match (method, &segments[1..]) {
                ("GET", []) => Ok(Self::new(Operation::List).kind(kind)),
                ("POST", []) => Ok(Self::new(Operation::Create).kind(kind)),
                ("GET", ["$count"]) => Ok(Self::new(Operation::Count).kind(kind)),
                (_, [id, rest @ ..]) => Self::of_object(method, kind, &Key::id(id), rest),
                _ => Err(not_allowed()),
            };
        }
        match (method, segments) {
            (_, ["directory", "deletedItems", rest @ ..]) => Self::of_deleted(method, rest),
            ("GET", ["organization"]) => Ok(Self::new(Operation::Organization)),
            ("GET", ["directoryObjects", id]) => {
                Ok(Self::new(Operation::DirectoryObject).key(Key::id(id)))
            }
            ("GET", ["auditLogs", audits]) if audits.eq_ignore_ascii_case("directoryAudits") => {
                Ok(Self::new(Operation::DirectoryAudits))
            }
            ("GET", ["reports", "appCredentialSignInActivities"]) => {
                Ok(Self::new(Operation::SignInActivity))
            }
            ("POST", ["$batch"]) => Ok(Self::new(Operation::Batch)),
            _ => Err(unknown()),
        }
    }

    fn of_object(method: &str, kind: Kind, key: &Key, rest: &[&str]) -> Result<Self, GraphError> {
        use Operation as Op;
        let is_application = kind == Kind::Application;
        let route = |operation| Ok(Self::new(operation).kind(kind).key(key.clone()));
        let part =
            |operation, part: &str| Ok(Self::new(operation).kind(kind).key(key.clone()).part(part));
        match (method, rest) {
            ("GET", []) => route(Op::Get),
            ("PATCH", []) => route(Op::Update),
            ("DELETE", []) => route(Op::Delete),
            ("POST", ["addPassword" | "microsoft.graph.addPassword"]) => route(Op::AddPassword),
            ("POST", ["removePassword" | "microsoft.graph.removePassword"]) => {
                route(Op::RemovePassword)
            }
            ("GET", ["owners"]) => route(Op::ListOwners),
            ("GET", ["ownedObjects"]) if !is_application => route(Op::ListOwnedObjects),
            ("POST", ["owners", "$ref"]) => route(Op::AddOwner),
            ("DELETE", ["owners", id, "$ref"]) => part(Op::RemoveOwner, id),
            ("GET", ["federatedIdentityCredentials"]) if is_application => {
                route(Op::ListFederatedCredentials)
            }
            ("POST", ["federatedIdentityCredentials"]) if is_application => {
                route(Op::CreateFederatedCredential)
            }
            ("GET", ["federatedIdentityCredentials", id]) if is_application => {
                part(Op::GetFederatedCredential, id)
            }
            ("PATCH", ["federatedIdentityCredentials", id]) if is_application => {
                part(Op::UpdateFederatedCredential, id)
            }
            ("DELETE", ["federatedIdentityCredentials", id]) if is_application => {
                part(Op::DeleteFederatedCredential, id)
            }
            ("GET", ["appRoleAssignments"]) if !is_application => route(Op::ListAppRoleAssignments),
            ("POST", ["appRoleAssignments"]) if !is_application => {
                route(Op::CreateAppRoleAssignment)
            }
            ("DELETE", ["appRoleAssignments", id]) if !is_application => {
                part(Op::DeleteAppRoleAssignment, id)
            }
            (
                _,
                []
                | [
                    "addPassword"
                    | "removePassword"
                    | "owners"
                    | "ownedObjects"
                    | "federatedIdentityCredentials"
                    | "appRoleAssignments",
                ],
            ) => Err(not_allowed()),
            (_, [segment, ..]) => Err(GraphError::no_segment(segment)),
        }
    }

    fn of_deleted(method: &str, rest: &[&str]) -> Result<Self, GraphError> {
        match (method, rest) {
            ("GET", ["microsoft.graph.application" | "graph.application"]) => {
                Ok(Self::new(Operation::ListDeleted).kind(Kind::Application))
            }
            ("GET", ["microsoft.graph.servicePrincipal" | "graph.servicePrincipal"]) => {
                Ok(Self::new(Operation::ListDeleted).kind(Kind::ServicePrincipal))
            }
            ("GET", [id]) => Ok(Self::new(Operation::GetDeleted).key(Key::id(id))),
            ("DELETE", [id]) => Ok(Self::new(Operation::DeletePermanently).key(Key::id(id))),
            ("POST", [id, "restore" | "microsoft.graph.restore"]) => {
                Ok(Self::new(Operation::Restore).key(Key::id(id)))
            }
            (_, [segment, ..]) => Err(GraphError::no_segment(segment)),
            (_, []) => Err(GraphError::bad_request(
                "The resource collection requires a cast to a directory object type.",
            )),
        }
    }
}

fn not_allowed() -> GraphError {
    GraphError::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        "Request_BadRequest",
        "Specified HTTP method is not allowed for the request target.",
    )
}

/// `applications(appId='…')`, also `applications(appId=%27…%27)`, which is decoded by now.
fn alternate_key(segment: &str) -> Option<(&str, Key)> {
    let (collection, rest) = segment.split_once('(')?;
    let (name, value) = rest.strip_suffix(')')?.split_once('=')?;
    let text = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let key = match name.trim() {
        "appId" => Uuid::parse_str(text).map_or_else(|_| Key::Nothing(text.to_owned()), Key::App),
        _ => return None,
    };
    Some((collection, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keys() {
        let id = "11111111-1111-1111-1111-111111111111";
        let route =
            Route::of("POST", &[&format!("applications(appId='{id}')"), "addPassword"]).unwrap();
        assert_eq!(route.operation, Operation::AddPassword);
        assert_eq!(route.key, Some(Key::App(id.parse().unwrap())));
        let route = Route::of("GET", &["servicePrincipals", id]).unwrap();
        assert_eq!((route.operation, route.kind), (Operation::Get, Some(Kind::ServicePrincipal)));
        assert!(Route::of("GET", &["users"]).is_err());
        assert!(Route::of("PUT", &["applications", id]).is_err());
    }
}
