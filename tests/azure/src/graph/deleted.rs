//! Soft-deleted objects, and the few reads that belong nowhere else.

use http::StatusCode;
use serde_json::{Value, json};

use crate::graph::error::GraphError;
use crate::graph::route::Key;
use crate::graph::{Answer, Call, render};
use crate::http::Reply;
use crate::model::Entity;

impl Call<'_> {
    pub(super) fn get_deleted(&self) -> Answer {
        let entity = self.deleted_target()?;
        Ok(Reply::odata(StatusCode::OK, &self.show_object(entity)))
    }

    /// Restoring an application leaves its service principal where it is.
    pub(super) fn restore(&mut self) -> Answer {
        let entity = self.deleted_target()?;
        self.caller.may_write(entity)?;
        let (kind, id, app_id) = (entity.kind, entity.id, entity.app_id);
        if self.world.directory.table(kind).by_app(app_id).is_some() {
            return Err(GraphError::duplicate(format!(
                "Another object with the same value for property appId '{app_id}' already exists."
            )));
        }
        let delay = self.world.faults.propagation.principals;
        let from = self.world.spread(self.view.now, delay);
        self.world.directory.table_mut(kind).restore(id, from);
        let entity =
            self.world.directory.any(id).ok_or_else(|| GraphError::not_found(&id.to_string()))?;
        Ok(Reply::odata(StatusCode::OK, &self.show_object(entity)))
    }

    pub(super) fn delete_permanently(&mut self) -> Answer {
        let entity = self.deleted_target()?;
        self.caller.may_write(entity)?;
        let (kind, id) = (entity.kind, entity.id);
        self.world.directory.table_mut(kind).purge(id);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// What is deleted in truth and, to the replica that looks, too.
    fn deleted_target(&self) -> Result<&Entity, GraphError> {
        let key = self.route.key.as_ref();
        let missing = || GraphError::not_found(&key.map(Key::text).unwrap_or_default());
        let Some(Key::Id(id)) = key else {
            return Err(missing());
        };
        let entity = self.world.directory.any(*id).filter(|entity| entity.deleted.is_some());
        entity.filter(|entity| !entity.sight.visible(self.view)).ok_or_else(missing)
    }

    pub(super) fn directory_object(&self) -> Answer {
        let key = self.route.key.as_ref();
        let missing = || GraphError::not_found(&key.map(Key::text).unwrap_or_default());
        let Some(Key::Id(id)) = key else {
            return Err(missing());
        };
        let entity = self
            .world
            .directory
            .any(*id)
            .filter(|entity| entity.sight.visible(self.view))
            .ok_or_else(missing)?;
        Ok(Reply::odata(StatusCode::OK, &self.show_object(entity)))
    }

    fn show_object(&self, entity: &Entity) -> Value {
        let mut shown = self.context("directoryObjects/$entity");
        shown.insert(
            "@odata.type".to_owned(),
            json!(format!("#microsoft.graph.{}", entity.kind.type_name())),
        );
        shown.extend(render::entity(self.site, entity, self.view, None, true));
        Value::Object(shown)
    }

    pub(super) fn organization(&self) -> Reply {
        let organization = json!({
            "id": self.site.tenant,
            "deletedDateTime": null,
            "displayName": self.site.tenant_name,
            "tenantType": "AAD",
            "countryLetterCode": "NO",
            "verifiedDomains": [
                {"capabilities": "Email", "isDefault": true, "isInitial": true, "name": self.site.domain, "type": "Managed"},
            ],
        });
        self.collection("organization", vec![organization], None, None)
    }
}
