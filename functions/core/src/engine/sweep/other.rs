//! What the application's other object tells of a credential: the one that does not hold its keys.

use super::found::{Object, Seen};
use crate::engine::{Engine, EngineError};
use crate::graph::CallOptions;
use crate::ids::AppId;
use crate::manifest::Credential;
use crate::rotation::Stop;
use crate::rotation::finding::{Finding, named_in_vain};

/// Reports the keys in `retire_keys` that are not on the credential's own object.
pub(super) fn of_other(
    credential: &Credential,
    object: &Object,
    other: Option<&Object>,
) -> Vec<Seen> {
    let here = credential.settings.key_on;
    let elsewhere = other.map(|other| other.keys.as_slice()).unwrap_or_default();
    let found =
        named_in_vain(&credential.settings.policy.retire_keys, (here, &object.keys), elsewhere);
    let seen = found.into_iter().map(|finding| Seen {
        credential: Some(credential.name.clone()),
        application: credential.application,
        display_name: object.display_name.clone(),
        finding,
    });
    seen.collect()
}

impl Engine {
    /// An application that is not there by its client id may be there by its object id, which is easily mistaken.
    pub(super) async fn name_object_ids(
        &self,
        found: &mut [Seen],
        options: &CallOptions,
    ) -> Result<(), EngineError> {
        let gone = |seen: &&mut Seen| seen.finding == Finding::Stopped(Stop::ApplicationGone);
        let ids: Vec<AppId> = found.iter_mut().filter(gone).map(|seen| seen.application).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let given = self.object_ids_given(&ids, options).await?;
        for seen in found.iter_mut().filter(gone) {
            if let Some(finding) = given.get(&seen.application) {
                seen.finding = finding.clone();
            }
        }
        Ok(())
    }
}
