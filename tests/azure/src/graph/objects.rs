//! Creating, changing and deleting applications and service principals.

use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::graph::error::GraphError;
use crate::graph::passwords::{Target, Wanted};
use crate::graph::render::properties;
use crate::graph::{Answer, Call, render};
use crate::http::Reply;
use crate::model::{Audience, Entity, Kind, Sight};
use crate::well_known::GRAPH_APP_ID;

impl Call<'_> {
    pub(super) fn create(&mut self, kind: Kind) -> Answer {
        let body: Map<String, Value> = self.body()?;
        let mut entity = match kind {
            Kind::Application => self.new_application(&body)?,
            Kind::ServicePrincipal => self.new_service_principal(&body)?,
        };
        let ignored = ["appId", "passwordCredentials"];
        let rest = body
            .iter()
            .filter(|(name, _)| !ignored.contains(&name.as_str()) && !name.contains('@'));
        for (name, value) in rest {
            change(&mut entity, name, value)?;
        }
        if self.caller.owns_by_creating() {
            entity.owners.push(self.caller.object_id);
        }
        let passwords =
            body.get("passwordCredentials").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut revealed = Vec::new();
        for password in passwords {
            let wanted: Wanted = serde_json::from_value(password)
                .map_err(|_| invalid("passwordCredentials", kind))?;
            if wanted.secret_text.is_some() || wanted.key_id.is_some() {
                return Err(GraphError::bad_request(
                    "New password credentials must be generated with service actions.",
                ));
            }
            let password = self.new_password(&wanted, Target::of(&entity))?;
            revealed.push(password.revealed());
            let password = self.publish(password);
            entity.passwords.push(password);
        }
        let delay = self.world.faults.propagation.principals;
        entity.sight = Sight::since(self.world.spread(self.view.now, delay));
        let mut shown = self.context(&format!("{}/$entity", kind.collection()));
        shown.extend(render::entity(self.site, &entity, self.view, None, true));
        shown.insert("passwordCredentials".to_owned(), Value::Array(revealed));
        let mut reply = Reply::odata(StatusCode::CREATED, &Value::Object(shown));
        reply.set(
            "location",
            &format!("{}/v1.0/{}/{}", self.site.graph(), kind.collection(), entity.id),
        );
        self.world.directory.table_mut(kind).insert(entity);
        Ok(reply)
    }

    fn new_application(&mut self, body: &Map<String, Value>) -> Result<Entity, GraphError> {
        let name = body
            .get("displayName")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                GraphError::bad_request(
                    "A value is required for property 'displayName' of resource 'Application'.",
                )
            })?;
        let (id, app_id) = (self.world.dice.uuid(), self.world.dice.uuid());
        Ok(Entity::new(Kind::Application, id, app_id, name.to_owned(), self.view.now))
    }

    /// The application must be known to the replica that is asked: just created, it may not be.
    fn new_service_principal(&mut self, body: &Map<String, Value>) -> Result<Entity, GraphError> {
        let text = body.get("appId").and_then(Value::as_str).ok_or_else(|| {
            GraphError::bad_request(
                "A value is required for property 'appId' of resource 'ServicePrincipal'.",
            )
        })?;
        let app_id = Uuid::parse_str(text).map_err(|_| invalid("appId", Kind::ServicePrincipal))?;
        if self.world.directory.table(Kind::ServicePrincipal).by_app(app_id).is_some() {
            let message = format!(
                "The service principal cannot be created, updated, or restored because the service principal name {app_id} is \
                 already in use."
            );
            return Err(
                GraphError::duplicate(message).detail("ObjectConflict", "servicePrincipalNames")
            );
        }
        let application =
            self.world.directory.table(Kind::Application).seen_by_app(app_id, self.view);
        let application = application.ok_or_else(|| {
            GraphError::bad_request(format!("The appId '{app_id}' of the service principal does not reference a valid application object."))
        })?;
        self.caller.may_write(application)?;
        let (name, audience) = (application.display_name.clone(), application.audience);
        let mut entity = Entity::new(
            Kind::ServicePrincipal,
            self.world.dice.uuid(),
            app_id,
            name,
            self.view.now,
        );
        entity.audience = audience;
        Ok(entity)
    }

    pub(super) fn update(&mut self, kind: Kind) -> Answer {
        let body: Map<String, Value> = self.body()?;
        let target = self.writable()?;
        let until = self.deletion_spread();
        let now = self.view.now;
        let gone = || GraphError::not_found(&target.id.to_string());
        // All or nothing: a copy takes the changes first.
        let mut changed =
            self.world.directory.table(kind).by_id(target.id).ok_or_else(gone)?.clone();
        for (name, value) in body.iter().filter(|(name, _)| !name.contains('@')) {
            if name == "passwordCredentials" {
                let kept = Self::kept_passwords(&changed, value)?;
                let gone = |key: &Uuid| !kept.contains(key);
                for password in
                    changed.passwords.iter_mut().filter(|p| p.sight.exists() && gone(&p.key_id))
                {
                    password.sight.end(now, until.clone());
                }
            } else {
                change(&mut changed, name, value)?;
            }
        }
        *self.world.directory.table_mut(kind).by_id_mut(target.id).ok_or_else(gone)? = changed;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// Deleting an application takes its service principal along.
    pub(super) fn delete(&mut self, kind: Kind) -> Answer {
        let target = self.writable()?;
        let entity = self.target()?;
        let app_id = entity.app_id;
        if app_id == GRAPH_APP_ID {
            return Err(GraphError::denied());
        }
        let mut doomed = vec![(kind, target.id)];
        if kind == Kind::Application {
            let principal = self.world.directory.table(Kind::ServicePrincipal).by_app(app_id);
            doomed.extend(principal.map(|principal| (Kind::ServicePrincipal, principal.id)));
        }
        for (kind, id) in doomed {
            let until = self.deletion_spread();
            self.world.directory.soft_delete(kind, id, self.view.now, until);
        }
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }
}

/// Sets one property from a request body.
fn change(entity: &mut Entity, name: &str, value: &Value) -> Result<(), GraphError> {
    const READ_ONLY: &[&str] = &[
        "id",
        "appId",
        "createdDateTime",
        "deletedDateTime",
        "publisherDomain",
        "createdByAppId",
        "appDisplayName",
    ];
    let kind = entity.kind;
    let wrong = || invalid(name, kind);
    match name {
        "displayName" => value
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(wrong)?
            .clone_into(&mut entity.display_name),
        "tags" => entity.tags = serde_json::from_value(value.clone()).map_err(|_| wrong())?,
        "signInAudience" => {
            entity.audience =
                serde_json::from_value::<Audience>(value.clone()).map_err(|_| wrong())?;
        }
        "accountEnabled" if kind == Kind::ServicePrincipal => {
            entity.enabled = value.as_bool().ok_or_else(wrong)?;
        }
        "isDisabled" if kind == Kind::Application => {
            entity.enabled = value.is_null() || !value.as_bool().ok_or_else(wrong)?;
        }
        "keyCredentials" if value.as_array().is_some_and(Vec::is_empty) => {
            entity.certificates.clear();
        }
        "keyCredentials" => return Err(wrong()),
        _ if READ_ONLY.contains(&name) => {
            return Err(GraphError::bad_request(format!(
                "Property '{name}' is read-only and cannot be set."
            )));
        }
        _ if properties(kind).contains(&name) => {
            entity.extra.insert(name.to_owned(), value.clone());
        }
        _ => {
            return Err(GraphError::bad_request(format!("Invalid property '{name}'.")));
        }
    }
    Ok(())
}

fn invalid(name: &str, kind: Kind) -> GraphError {
    GraphError::bad_request(format!(
        "Invalid value specified for property '{name}' of resource '{}'.",
        kind.resource_name()
    ))
}
