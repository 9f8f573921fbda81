//! Findings about a credential's application that its own object does not show.

use super::SweepFinding;
use crate::engine::{Engine, EngineError};
use crate::graph::{CallOptions, DirectoryObject};
use crate::ids::AppId;
use crate::manifest::Credential;
use crate::rotation::Stop;
use crate::rotation::finding::{Finding, named_in_vain};

/// Reports the keys in `retire_keys` that are not on the credential's own object.
pub(super) fn of_other(
    credential: &Credential,
    object: &DirectoryObject,
    other: Option<&DirectoryObject>,
) -> Vec<SweepFinding> {
    let here = credential.settings.key_on;
    let elsewhere = other.map(|other| other.keys.as_slice()).unwrap_or_default();
    let found =
        named_in_vain(&credential.settings.policy.retire_keys, (here, &object.keys), elsewhere);
    let about = |finding| SweepFinding::about(credential, Some(object), finding);
    found.into_iter().map(about).collect()
}

impl Engine {
    /// Replaces the finding about a missing application where `application` is an object id: the two ids are easily
    /// mistaken.
    pub(super) async fn name_object_ids(
        &self,
        found: &mut [SweepFinding],
        options: &CallOptions,
    ) -> Result<(), EngineError> {
        let gone =
            |seen: &&mut SweepFinding| seen.finding == Finding::Stopped(Stop::ApplicationGone);
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
