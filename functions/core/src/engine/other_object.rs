//! Findings from objects that do not hold the credential's keys: the application's other object, and an object whose id
//! was given as a client id.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{Engine, EngineError};
use crate::graph::{CallOptions, Detail, Unreadable};
use crate::ids::{AppId, KeyOn, ObjectId};
use crate::manifest::Credential;
use crate::rotation::Key;
use crate::rotation::finding::{Finding, named_in_vain};

impl From<Unreadable> for Finding {
    fn from(unreadable: Unreadable) -> Self {
        Self::UnreadableObject { object: unreadable.object, why: unreadable.why }
    }
}

impl Engine {
    /// Reports the keys in `retire_keys` that are not on the credential's own object, which has these keys.
    pub(super) async fn findings_of_other_object(
        &self,
        credential: &Credential,
        keys: &[Key],
        options: &CallOptions,
    ) -> Result<Vec<Finding>, EngineError> {
        let (here, named) = (credential.settings.key_on, &credential.settings.policy.retire_keys);
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let (there, ids) = (here.other(), [credential.application]);
        let read = self.graph.objects_by_app_id(there, &ids, Detail::Keys, options).await?;
        let elsewhere: Vec<Key> = read.items.into_iter().flat_map(|object| object.keys).collect();
        Ok(match read.unreadable.into_iter().next() {
            Some(unreadable) => vec![unreadable.into()],
            None => named_in_vain(named, (here, keys), &elsewhere),
        })
    }

    /// Reports a client id that is an object's id; `None`: no object has this id.
    pub async fn object_id_given(
        &self,
        application: AppId,
        deadline: Instant,
    ) -> Result<Option<Finding>, EngineError> {
        let options = CallOptions::until(deadline);
        Ok(self.object_ids_given(&[application], &options).await?.remove(&application))
    }

    /// Reports which of several client ids are objects' ids.
    pub(super) async fn object_ids_given(
        &self,
        given: &[AppId],
        options: &CallOptions,
    ) -> Result<HashMap<AppId, Finding>, EngineError> {
        let ids: Vec<ObjectId> = given.iter().map(|id| ObjectId(id.0)).collect();
        let mut found = HashMap::new();
        for on in [KeyOn::Application, KeyOn::ServicePrincipal] {
            for object in self.graph.objects_by_id(on, &ids, options).await?.items {
                let finding = Finding::ObjectIdGiven(on, object.app_id);
                found.insert(AppId(object.id.0), finding);
            }
        }
        Ok(found)
    }
}
