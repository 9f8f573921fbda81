//! What hangs on an object: owners, federated credentials, role assignments.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::graph::error::GraphError;
use crate::graph::{Answer, Call, render};
use crate::http::Reply;
use crate::model::{Assignment, Entity, FederatedCredential, Kind, Sight};
use crate::populate::assignment_id;
use crate::well_known::{DEFAULT_ACCESS, GRAPH_APP_ID, Permission};

const MAX_FEDERATED: usize = 20;

#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(rename = "@odata.id")]
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewFederated {
    name: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    audiences: Option<Vec<String>>,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NewAssignment {
    #[serde(rename = "principalId")]
    principal: Uuid,
    #[serde(rename = "resourceId")]
    resource: Uuid,
    #[serde(rename = "appRoleId")]
    role: Uuid,
}

impl Call<'_> {
    pub(super) fn list_owners(&self) -> Answer {
        let owners = self.target()?.owners.iter();
        let page = owners
            .map(|id| {
                render::directory_object(self.site, self.world.directory.any(*id), *id, self.view)
            })
            .collect();
        Ok(self.collection("directoryObjects", page, None, None))
    }

    pub(super) fn add_owner(&mut self) -> Answer {
        let body: Reference = self.body()?;
        let text = body.id.rsplit('/').next().unwrap_or_default();
        let id = Uuid::parse_str(text)
            .map_err(|_| GraphError::bad_request("Invalid object reference."))?;
        let entity = self.writable_mut()?;
        if entity.owners.contains(&id) {
            return Err(GraphError::bad_request(
                "One or more added object references already exist for the following modified properties: 'owners'.",
            ));
        }
        entity.owners.push(id);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn remove_owner(&mut self) -> Answer {
        let text = self.part().to_owned();
        let entity = self.writable_mut()?;
        let before = entity.owners.len();
        entity.owners.retain(|owner| owner.to_string() != text.to_ascii_lowercase());
        if entity.owners.len() == before {
            return Err(GraphError::not_found(&text));
        }
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn list_federated(&self) -> Answer {
        let entity = self.target()?;
        let what = format!("applications('{}')/federatedIdentityCredentials", entity.id);
        let page = self.visible_federated(entity).map(render::federated).collect();
        Ok(self.collection(&what, page, None, None))
    }

    pub(super) fn get_federated(&self) -> Answer {
        let entity = self.target()?;
        let found = self.visible_federated(entity).find(|credential| self.is_part(credential));
        let found = found.ok_or_else(|| GraphError::not_found(self.part()))?;
        Ok(Reply::odata(StatusCode::OK, &self.with_context(entity.id, render::federated(found))))
    }

    pub(super) fn create_federated(&mut self) -> Answer {
        let body: NewFederated = self.body()?;
        let target = self.writable()?;
        let required = |value: Option<String>, name: &str| {
            value.filter(|text| !text.is_empty() && text.len() <= 600).ok_or_else(|| {
                GraphError::bad_request(format!("Property {name} of federatedIdentityCredential is required, at most 600 characters."))
            })
        };
        let mut credential = FederatedCredential {
            id: self.world.dice.uuid(),
            name: required(body.name, "name")?,
            issuer: required(body.issuer, "issuer")?,
            subject: required(body.subject, "subject")?,
            audiences: body.audiences.filter(|audiences| audiences.len() == 1).ok_or_else(|| {
                GraphError::bad_request("Property audiences of federatedIdentityCredential must have exactly one value.")
            })?,
            description: body.description,
            sight: Sight::default(),
        };
        let shown = self.with_context(target.id, render::federated(&credential));
        let delay = self.world.faults.propagation.federated_credentials;
        credential.sight = Sight::since(self.world.spread(self.view.now, delay));
        let now = self.view.now;
        let entity = self.writable_mut()?;
        entity.compact(now);
        room_for(entity, &credential)?;
        entity.federated.push(credential);
        Ok(Reply::odata(StatusCode::CREATED, &shown))
    }

    pub(super) fn update_federated(&mut self) -> Answer {
        let body: NewFederated = self.body()?;
        let text = self.part().to_owned();
        let view = self.view;
        if body.name.is_some() {
            return Err(GraphError::bad_request(
                "The name of a federatedIdentityCredential cannot be changed.",
            ));
        }
        let entity = self.writable_mut()?;
        let found = entity
            .federated
            .iter_mut()
            .find(|c| c.sight.visible(view) && (c.id.to_string() == text || c.name == text));
        let found = found.ok_or_else(|| GraphError::not_found(&text))?;
        if let Some(issuer) = body.issuer {
            found.issuer = issuer;
        }
        if let Some(subject) = body.subject {
            found.subject = subject;
        }
        if let Some(audiences) = body.audiences {
            found.audiences = audiences;
        }
        if body.description.is_some() {
            found.description = body.description;
        }
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn delete_federated(&mut self) -> Answer {
        let text = self.part().to_owned();
        let (until, view) = (self.deletion_spread(), self.view);
        let entity = self.writable_mut()?;
        let named = |c: &&mut FederatedCredential| c.id.to_string() == text || c.name == text;
        let mut known =
            entity.federated.iter_mut().filter(|c| c.sight.exists() && c.sight.visible(view));
        known.find(named).ok_or_else(|| GraphError::not_found(&text))?.sight.end(view.now, until);
        entity.compact(view.now);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    fn visible_federated<'a>(
        &'a self,
        entity: &'a Entity,
    ) -> impl Iterator<Item = &'a FederatedCredential> {
        entity.federated.iter().filter(|credential| credential.sight.visible(self.view))
    }

    fn is_part(&self, credential: &FederatedCredential) -> bool {
        credential.id.to_string().eq_ignore_ascii_case(self.part())
            || credential.name == self.part()
    }

    fn with_context(&self, id: Uuid, value: Value) -> Value {
        let mut shown =
            self.context(&format!("applications('{id}')/federatedIdentityCredentials/$entity"));
        if let Value::Object(fields) = value {
            shown.extend(fields);
        }
        Value::Object(shown)
    }

    pub(super) fn list_assignments(&self) -> Answer {
        let entity = self.target()?;
        let page = entity
            .assignments
            .iter()
            .map(|assignment| self.show_assignment(entity, assignment))
            .collect();
        Ok(self.collection("appRoleAssignments", page, None, None))
    }

    pub(super) fn create_assignment(&mut self) -> Answer {
        let body: NewAssignment = self.body()?;
        let entity = self.target()?;
        let (id, name) = (entity.id, body.resource.to_string());
        if body.principal != id {
            return Err(GraphError::bad_request(
                "The principalId does not match the service principal of the request.",
            ));
        }
        if entity.assignments.iter().any(|a| a.resource == body.resource && a.role == body.role) {
            return Err(GraphError::bad_request(
                "Permission being assigned already exists on the object",
            )
            .detail("InvalidUpdate", "appRoleId"));
        }
        let resource =
            self.world.directory.table(Kind::ServicePrincipal).seen_by_id(body.resource, self.view);
        let resource = resource.ok_or_else(|| GraphError::not_found(&name))?;
        let known = resource.app_id == GRAPH_APP_ID
            && Permission::ALL.iter().any(|p| p.app_role() == body.role);
        if !known && body.role != DEFAULT_ACCESS {
            return Err(GraphError::bad_request(
                "Permission being assigned was not found on application",
            ));
        }
        let assignment = Assignment {
            id: assignment_id(self.world),
            role: body.role,
            resource: body.resource,
            created: self.view.now,
        };
        let entity = self
            .world
            .directory
            .table_mut(Kind::ServicePrincipal)
            .by_id_mut(id)
            .ok_or_else(|| GraphError::not_found(&name))?;
        entity.assignments.push(assignment.clone());
        let entity = self.target()?;
        Ok(Reply::odata(StatusCode::CREATED, &self.show_assignment(entity, &assignment)))
    }

    pub(super) fn delete_assignment(&mut self) -> Answer {
        let text = self.part().to_owned();
        let id = self.target()?.id;
        let absent = || GraphError::not_found(&text);
        let entity = self
            .world
            .directory
            .table_mut(Kind::ServicePrincipal)
            .by_id_mut(id)
            .ok_or_else(absent)?;
        let at = entity
            .assignments
            .iter()
            .position(|assignment| assignment.id == text)
            .ok_or_else(absent)?;
        entity.assignments.remove(at);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    fn show_assignment(&self, principal: &Entity, assignment: &Assignment) -> Value {
        let resource =
            self.world.directory.table(Kind::ServicePrincipal).by_id(assignment.resource);
        let mut shown = Map::new();
        shown.extend([
            ("id".to_owned(), json!(assignment.id)),
            ("deletedDateTime".to_owned(), Value::Null),
            ("appRoleId".to_owned(), json!(assignment.role)),
            ("createdDateTime".to_owned(), json!(rfc3339(assignment.created))),
            ("principalDisplayName".to_owned(), json!(principal.display_name)),
            ("principalId".to_owned(), json!(principal.id)),
            ("principalType".to_owned(), json!("ServicePrincipal")),
            (
                "resourceDisplayName".to_owned(),
                json!(resource.map(|resource| &resource.display_name)),
            ),
            ("resourceId".to_owned(), json!(assignment.resource)),
        ]);
        Value::Object(shown)
    }
}

/// At most twenty, no name twice, no issuer with a subject twice.
fn room_for(entity: &Entity, new: &FederatedCredential) -> Result<(), GraphError> {
    let existing = || entity.federated.iter().filter(|credential| credential.sight.exists());
    if existing().count() >= MAX_FEDERATED {
        return Err(GraphError::bad_request(
            "The application cannot have more than 20 federated identity credentials.",
        ));
    }
    if existing().any(|credential| credential.name == new.name) {
        return Err(GraphError::duplicate(format!(
            "FederatedIdentityCredential with name {} already exists.",
            new.name
        )));
    }
    if existing()
        .any(|credential| credential.issuer == new.issuer && credential.subject == new.subject)
    {
        return Err(GraphError::duplicate(
            "Issuer and subject combination already exists for the application.",
        ));
    }
    Ok(())
}
