//! The client of AWS Secrets Manager.
//!
//! Only the methods that read a value need `secretsmanager:GetSecretValue`. A sweep's role lacks that permission.

mod cache;
mod error;
mod listing;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::Tag;

pub use cache::{Age, Cache};
pub use error::{Kind, SecretsError};
pub use listing::{ListedSecret, Prefixes, SecretsPage};

use chrono::DateTime;
use zeroize::Zeroizing;

use crate::ids::{Token, VersionId};
use crate::rotation::names::Label;
use crate::rotation::observed::{SecretState, SecretView};
use crate::secret::SecretText;

/// The largest value, in bytes (Secrets Manager's quotas).
const MAX_VALUE: usize = 65_536;

/// A client of Secrets Manager. Clones share everything.
#[derive(Clone, Debug)]
pub struct Secrets {
    client: Client,
    region: Option<String>,
}

/// A secret as `DescribeSecret` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The versions and their labels.
    pub state: SecretState,
    /// Whether the secret is a replica of a secret of another region.
    pub is_replica: bool,
    /// The id, the ARN or the alias of the KMS key that encrypts it; `None` is `aws/secretsmanager`.
    pub kms_key: Option<String>,
}

/// The properties of a new secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSecret {
    /// The KMS key that encrypts the secret; `None`: `aws/secretsmanager`.
    pub kms_key: Option<String>,
    /// The description.
    pub description: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// The current version of a secret.
#[derive(Debug)]
pub struct Current {
    /// The version's id.
    pub version: Option<VersionId>,
    /// The version's value.
    pub text: SecretText,
}

/// The result of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The version has this value, by this call or an earlier one with the same value.
    Stored,
    /// The version had another value already (`ResourceExistsException`).
    Taken,
}

/// The result of moving a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The label is where it should be.
    Moved,
    /// The label is not where the call said (`InvalidParameterException`).
    Refused,
}

impl Secrets {
    /// Makes a client with the environment's credentials, over the shared HTTP client.
    pub fn new(aws: &SdkConfig) -> Self {
        Self { client: Client::new(aws), region: aws.region().map(ToString::to_string) }
    }

    /// Reads the labels of each version, and no value (`DescribeSecret`).
    pub async fn describe(&self, name: &str) -> Result<Described, SecretsError> {
        let answer = match self.client.describe_secret().secret_id(name).send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match SecretsError::new("DescribeSecret", name, &error) {
                    SecretsError { kind: Kind::Missing, .. } => {
                        let state = SecretState::Missing;
                        Ok(Described { state, is_replica: false, kms_key: None })
                    }
                    error => Err(error),
                };
            }
        };
        let is_replica = answer.primary_region.is_some() && answer.primary_region != self.region;
        let state = state(
            answer.deleted_date.is_some(),
            answer.version_ids_to_stages,
            answer.rotation_enabled,
            answer.created_date,
        );
        Ok(Described { state, is_replica, kms_key: answer.kms_key_id })
    }

    /// Reads the labels of a secret that Keywheel is about to change. A replica is an error, because it takes neither a
    /// value nor a label.
    pub async fn describe_own(&self, name: &str) -> Result<Described, SecretsError> {
        let described = self.describe(name).await?;
        if described.is_replica {
            return Err(SecretsError::local("DescribeSecret", name, Kind::Replica));
        }
        Ok(described)
    }

    /// Creates a secret without a value (`CreateSecret`). A secret that exists already stays as it is.
    pub async fn create_empty(&self, name: &str, new: &NewSecret) -> Result<(), SecretsError> {
        let tags = new.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let request = self
            .client
            .create_secret()
            .name(name)
            .description(&new.description)
            .set_kms_key_id(new.kms_key.clone())
            .set_tags((!new.tags.is_empty()).then(|| tags.collect()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => match SecretsError::new("CreateSecret", name, &error) {
                error if error.is("ResourceExistsException") => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Reads the value of one version (`GetSecretValue`); `None`: the secret has no such version, or the version has no
    /// value yet.
    pub async fn value(
        &self,
        name: &str,
        version: &VersionId,
    ) -> Result<Option<SecretText>, SecretsError> {
        match self.stored(name, version).await? {
            None => Ok(None),
            Some(StoredValue::Text(text)) => Ok(Some(text)),
            Some(StoredValue::Binary(_)) => {
                Err(SecretsError::local("GetSecretValue", name, Kind::Binary))
            }
        }
    }

    /// Reads the value of one version as a text that can be searched. Bytes that are no text become marks.
    pub async fn searchable(
        &self,
        name: &str,
        version: &VersionId,
    ) -> Result<Option<SecretText>, SecretsError> {
        Ok(self.stored(name, version).await?.map(|stored| match stored {
            StoredValue::Text(text) => text,
            StoredValue::Binary(bytes) => searchable(&bytes),
        }))
    }

    async fn stored(
        &self,
        name: &str,
        version: &VersionId,
    ) -> Result<Option<StoredValue>, SecretsError> {
        let request = self.client.get_secret_value().secret_id(name).version_id(&version.0);
        let error = match request.send().await {
            Ok(answer) => {
                let text = answer.secret_string.map(SecretText::new).map(StoredValue::Text);
                let bytes = answer.secret_binary.map(|blob| Zeroizing::new(blob.into_inner()));
                return Ok(text.or(bytes.map(StoredValue::Binary)));
            }
            Err(error) => SecretsError::new("GetSecretValue", name, &error),
        };
        if error.kind != Kind::Missing {
            return Err(error);
        }
        // The same code means a missing secret, a missing version or a missing value. Only a missing secret is an
        // error.
        match self.describe(name).await?.state {
            SecretState::Present(_) => Ok(None),
            SecretState::Missing | SecretState::ScheduledForDeletion => Err(error),
        }
    }

    /// Reads the current version (`GetSecretValue`).
    pub async fn current(&self, name: &str) -> Result<Current, SecretsError> {
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer = answer.map_err(|error| SecretsError::new("GetSecretValue", name, &error))?;
        let text = answer.secret_string.map(SecretText::new);
        let text = text.ok_or_else(|| SecretsError::local("GetSecretValue", name, Kind::Binary))?;
        Ok(Current { version: answer.version_id.map(VersionId), text })
    }

    /// Stores a value (`PutSecretValue`) with these labels. The rotation is the token, and so the version's id.
    ///
    /// The first version of a secret becomes `AWSCURRENT` too, whatever the labels.
    pub async fn put(
        &self,
        name: &str,
        rotation: &Token,
        value: &SecretText,
        labels: &[Label],
    ) -> Result<Put, SecretsError> {
        if value.expose().len() > MAX_VALUE {
            return Err(SecretsError::local("PutSecretValue", name, Kind::TooLarge));
        }
        let request = self
            .client
            .put_secret_value()
            .secret_id(name)
            .client_request_token(rotation.to_string())
            .secret_string(value.expose())
            .set_version_stages(Some(labels.iter().map(ToString::to_string).collect()));
        match request.send().await {
            Ok(_) => Ok(Put::Stored),
            Err(error) => match SecretsError::of_value("PutSecretValue", (name, value), &error) {
                error if error.is("ResourceExistsException") => Ok(Put::Taken),
                error => Err(error),
            },
        }
    }

    /// Moves a label from one version to another, either of which may be none (`UpdateSecretVersionStage`).
    ///
    /// After a refusal the labels are read, because an earlier try whose answer was lost may have moved the label.
    pub async fn move_label(
        &self,
        name: &str,
        label: &Label,
        to: Option<&VersionId>,
        from: Option<&VersionId>,
    ) -> Result<Move, SecretsError> {
        let request = self
            .client
            .update_secret_version_stage()
            .secret_id(name)
            .version_stage(label.to_string())
            .set_move_to_version_id(to.map(ToString::to_string))
            .set_remove_from_version_id(from.map(ToString::to_string));
        let Err(error) = request.send().await else {
            return Ok(Move::Moved);
        };
        let error = SecretsError::new("UpdateSecretVersionStage", name, &error);
        if !error.is("InvalidParameterException") {
            return Err(error);
        }
        match self.describe(name).await?.state {
            SecretState::Present(view) if view.holder(label) == to => Ok(Move::Moved),
            SecretState::Present(_) => Ok(Move::Refused),
            SecretState::Missing | SecretState::ScheduledForDeletion => Err(error),
        }
    }
}

/// Makes a text of bytes. Bytes that are no text become marks.
///
/// The text follows once more without its zero bytes, so that text of two bytes a character (UTF-16, as Windows writes
/// it) can be found.
fn searchable(bytes: &[u8]) -> SecretText {
    let narrow: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let narrow = Zeroizing::new(narrow);
    let texts = [bytes, narrow.as_slice()].map(String::from_utf8_lossy);
    SecretText::new(texts.join("\n"))
}

/// A version's value: `SecretString` or `SecretBinary`.
enum StoredValue {
    Text(SecretText),
    Binary(Zeroizing<Vec<u8>>),
}

/// Makes the state of a secret from the fields that `DescribeSecret` and `ListSecrets` share.
fn state(
    deleted: bool,
    versions: Option<HashMap<String, Vec<String>>>,
    rotation_enabled: Option<bool>,
    created: Option<aws_sdk_secretsmanager::primitives::DateTime>,
) -> SecretState {
    if deleted {
        return SecretState::ScheduledForDeletion;
    }
    let versions = versions.unwrap_or_default().into_iter();
    let versions = versions.map(|(id, labels)| {
        let labels: BTreeSet<Label> = Label::parse_all(labels.iter().map(String::as_str));
        (VersionId(id), labels)
    });
    let created = created.and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos()));
    let rotation_enabled = rotation_enabled.unwrap_or_default();
    SecretState::Present(SecretView { versions: versions.collect(), rotation_enabled, created })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_in_bytes_of_one_and_of_two_bytes_a_character() {
        let text = "Abc8Q~defghijklmnopqrstuvwxyz0123456789_";
        let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect();
        let plain = [b"\xff\x00", text.as_bytes(), b"\x00"].concat();
        for bytes in [plain, wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert!(searchable(&bytes).expose().contains(text), "{bytes:?}");
        }
    }
}
