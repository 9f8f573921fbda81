//! The tags of an application, by which the manifest's rules find it.

use serde_json::json;

use super::{CallOptions, Graph, GraphError, KeyOn, Object};
use crate::azure::Call;
use crate::ids::ObjectId;

/// The least permission that a change of an application needs.
const PERMISSION: &str = "to be an owner of the application, or an application administrator; or Application.ReadWrite.All";

impl Graph {
    /// Replaces the tags of an application (`PATCH /applications/{id}`). Sending the same tags twice changes nothing.
    pub async fn set_tags(
        &self,
        application: ObjectId,
        tags: &[String],
        options: &CallOptions,
    ) -> Result<(), GraphError> {
        let object = Object { on: KeyOn::Application, id: application }.to_string();
        let url = self.url(&object, &[]);
        let call = Call::get("update", &object, url, options).patching(json!({ "tags": tags }));
        self.azure.call(&call.needing(PERMISSION)).await?;
        Ok(())
    }
}
