//! Carries over the fields of a JSON value that are not Keywheel's, from the version that is replaced.
//!
//! The fields are read from the version that the rules saw as current, by its id. A rotation is promoted in place of
//! that version or not at all, so that no change that people make meanwhile is undone.

use tracing::warn;

use super::Executor;
use crate::engine::EngineError;
use crate::ids::VersionId;
use crate::rotation::observed::SecretState;
use crate::secrets::Kind;
use crate::value::Foreign;

/// The fields that a try carries over.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// The version that was current when the secret was last read.
    current: Option<VersionId>,
    /// The version whose value was read.
    read: Option<VersionId>,
    foreign: Foreign,
}

impl Carried {
    /// Notes the current version.
    pub(super) fn see(&mut self, secret: &SecretState) {
        self.current = match secret {
            SecretState::Present(view) => view.current().cloned(),
            SecretState::Missing | SecretState::ScheduledForDeletion => None,
        };
    }

    /// Gives the fields that are carried over, as they were last read.
    pub(super) fn foreign(&self) -> &Foreign {
        &self.foreign
    }
}

impl Executor<'_> {
    /// Reads the fields to carry over, if another version has become current.
    ///
    /// A value that cannot be read ends the try before anything is minted. A value that is binary or no JSON object has
    /// no fields to carry over.
    pub(super) async fn read_carried(&mut self) -> Result<(), EngineError> {
        if self.carried.read == self.carried.current {
            return Ok(());
        }
        let format = &self.credential.settings.format;
        let current = self.carried.current.clone();
        let foreign = match &current {
            Some(version) if format.field_names().is_some() => {
                let name = self.credential.secret.as_str();
                match self.engine.secrets.value(name, version).await {
                    Ok(Some(value)) => format.foreign(&value),
                    // A replica lags. To carry nothing over would drop the fields of others.
                    Ok(None) => {
                        return Err(EngineError::CurrentNotFound(self.credential.name.clone()));
                    }
                    Err(error) if error.kind == Kind::Binary => {
                        warn!(credential = %self.credential.name, %version, "a binary value has no keys to carry over");
                        Foreign::default()
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            _ => Foreign::default(),
        };
        self.carried.foreign = foreign;
        self.carried.read = current;
        Ok(())
    }
}
