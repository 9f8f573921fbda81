//! The jobs of the queue. A job names keys and versions, and never holds a secret.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, CredentialName, KeyId, RotationId, Token, VersionId};
use crate::rotation::plan::Reason;
use crate::sha256;

/// The version of a job's shape. A function refuses every other version.
pub const SCHEMA: u32 = 1;

/// One piece of work on one credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The version of this shape: 1.
    #[schemars(extend("const" = 1))]
    pub schema: u32,
    /// The credential, by its name in the manifest.
    pub credential: CredentialName,
    /// The application whose keys are worked on.
    pub application: AppId,
    /// The work.
    pub work: Work,
    /// The person or the system that asked for the job.
    pub requested_by: String,
    /// The time of the request for the job. The time tells two requests apart that are alike otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<DateTime<Utc>>,
    /// The request that the job answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RotationId>,
    /// The number of times that the job was handed on.
    #[serde(default)]
    pub continuation: u32,
}

/// The work of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Work {
    /// Replace the secret.
    Rotate {
        /// The rotation's token, which is the id of the version that the rotation makes.
        rotation: Token,
        /// The version that was current when the job was made; `null` for a secret without a value.
        replaces: Option<VersionId>,
        /// The reason.
        reason: Reason,
        /// The time at which the old key is removed.
        #[serde(default)]
        revoke_old: RevokeOld,
    },
    /// Remove a key whose overlap is over.
    Retire {
        /// The version that holds the key, if any.
        version: Option<VersionId>,
        /// The key.
        key: KeyId,
        /// Whether the job waits for the end of the overlap.
        #[serde(default, skip_serializing_if = "RevokeOld::is_default")]
        revoke_old: RevokeOld,
    },
    /// Remove a key that a rotation of Keywheel minted and that no version holds.
    Resolve {
        /// The rotation that minted the key.
        rotation: Token,
        /// The key.
        key: KeyId,
    },
}

/// The time at which the old key is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevokeOld {
    /// After the overlap, by a later job.
    #[default]
    AfterOverlap,
    /// As soon as the new secret is current, even if consumers still use the old key.
    Now,
}

impl RevokeOld {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A message is not a job that this version of Keywheel knows.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The job has another schema.
    #[error("a job of schema {0}; this version of Keywheel knows schema {SCHEMA} only")]
    Schema(u64),
    /// The message names no schema.
    #[error("not a job: the message names no schema")]
    NoSchema,
    /// The message does not fit schema 1.
    #[error("not a job of schema {SCHEMA}")]
    Shape(#[source] serde_json::Error),
}

impl Job {
    /// Makes a job that nobody has handed on yet.
    pub fn new(
        credential: CredentialName,
        application: AppId,
        work: Work,
        requested_by: String,
        requested_at: DateTime<Utc>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            credential,
            application,
            work,
            requested_by,
            requested_at: Some(requested_at),
            request: None,
            continuation: 0,
        }
    }

    /// Names the request that the job answers.
    #[must_use]
    pub fn answering(self, request: RotationId) -> Self {
        Self { request: Some(request), ..self }
    }

    /// Reads a message's body.
    pub fn parse(text: &str) -> Result<Self, JobError> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(JobError::Shape)?;
        // The schema is checked first, because a job of a later schema may have other fields.
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(schema) => return Err(JobError::Schema(schema)),
            None => return Err(JobError::NoSchema),
        }
        serde_json::from_value(value).map_err(JobError::Shape)
    }

    /// Writes a message's body.
    pub fn to_json(&self) -> Result<String, JobError> {
        serde_json::to_string(self).map_err(JobError::Shape)
    }

    /// Makes the job that hands the rest of the work on.
    #[must_use]
    pub fn continued(&self) -> Self {
        Self { continuation: self.continuation.saturating_add(1), ..self.clone() }
    }

    /// Gives the id of the work, the same however often the job was handed on.
    pub fn id(&self) -> String {
        let work = match &self.work {
            Work::Rotate { rotation, .. } => format!("rotate {rotation}"),
            Work::Retire { key, .. } => format!("retire {key}"),
            Work::Resolve { key, .. } => format!("resolve {key}"),
        };
        let at = self.requested_at.map(|at| at.to_rfc3339()).unwrap_or_default();
        format!("{} {work} {at}", self.credential)
    }

    /// Gives the `MessageGroupId`: the credential, so that its jobs wait for each other.
    pub fn group_id(&self) -> String {
        fit(&self.credential.0)
    }

    /// Gives the `MessageDeduplicationId`: a hash of the whole job.
    ///
    /// SQS drops a job that it got within the last five minutes. A job that is handed on, or asked for again, has another
    /// hash.
    pub fn deduplication_id(&self) -> Result<String, JobError> {
        self.to_json().map(|json| sha256::hexadecimal(json.as_bytes()))
    }
}

/// Makes an id that SQS takes: up to 128 letters, digits and ASCII punctuation marks.
///
/// A text that does not fit is hashed. The prefix keeps the hash apart from all texts that fit.
fn fit(text: &str) -> String {
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.starts_with("sha256:");
    if fits { text.to_owned() } else { format!("sha256:{}", sha256::hexadecimal(text.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;

    fn job(credential: &str, work: Work) -> Job {
        Job {
            schema: SCHEMA,
            credential: CredentialName(credential.to_owned()),
            application: AppId(Uuid::from_u128(1)),
            work,
            requested_by: "sweep".to_owned(),
            requested_at: None,
            request: None,
            continuation: 0,
        }
    }

    fn all() -> Vec<Job> {
        let key = KeyId(Uuid::from_u128(2));
        let rotation = RotationId(Uuid::from_u128(3));
        let rotate = Work::Rotate {
            rotation: rotation.into(),
            replaces: Some(VersionId::from(rotation)),
            reason: Reason::Expiring,
            revoke_old: RevokeOld::Now,
        };
        vec![
            job("a", rotate),
            job("a", Work::Retire { version: None, key, revoke_old: RevokeOld::Now }),
            job("a", Work::Resolve { rotation: rotation.into(), key }),
        ]
    }

    #[test]
    fn a_job_comes_back_as_it_was_sent() {
        for job in all() {
            assert_eq!(Job::parse(&job.to_json().unwrap()).unwrap(), job);
        }
    }

    #[test]
    fn whom_it_answers_is_kept_when_it_is_handed_on() {
        let request = RotationId(Uuid::from_u128(9));
        for job in all() {
            let job = job.answering(request);
            assert_eq!(job.continued().request, Some(request));
            assert_eq!(Job::parse(&job.to_json().unwrap()).unwrap().request, Some(request));
        }
    }

    #[test]
    fn other_schemas_are_refused_by_name() {
        assert!(matches!(Job::parse(r#"{"schema":2,"new":true}"#), Err(JobError::Schema(2))));
        assert!(matches!(Job::parse(r#"{"schema":0}"#), Err(JobError::Schema(0))));
        assert!(matches!(Job::parse("{}"), Err(JobError::NoSchema)));
        assert!(matches!(Job::parse("{\"schema\":1}"), Err(JobError::Shape(_))));
        assert!(matches!(Job::parse("not json"), Err(JobError::Shape(_))));
        let mut extra = serde_json::to_value(&all()[0]).unwrap();
        extra["surprise"] = true.into();
        assert!(Job::parse(&extra.to_string()).is_err());
    }

    #[test]
    fn ids_are_distinct_and_fit_sqs() {
        let mut ids = BTreeSet::new();
        for one in all() {
            assert!(ids.insert(one.deduplication_id().unwrap()));
            assert!(ids.insert(one.continued().deduplication_id().unwrap()));
            assert!(ids.insert(
                one.clone().answering(RotationId(Uuid::nil())).deduplication_id().unwrap()
            ));
            let again = Job { requested_at: DateTime::from_timestamp(1, 0), ..one.clone() };
            assert!(ids.insert(again.deduplication_id().unwrap()));
            let other = Job { credential: CredentialName("b".to_owned()), ..one };
            assert!(ids.insert(other.deduplication_id().unwrap()));
        }
        for id in ids {
            assert!(id.len() <= 128, "{id}");
        }
        let key = KeyId(Uuid::nil());
        let group = |name: &str| {
            job(name, Work::Resolve { rotation: RotationId(Uuid::nil()).into(), key }).group_id()
        };
        assert_eq!(group("prod/azure-1"), "prod/azure-1");
        for odd in ["", "Schlüssel", "two words", &"x".repeat(200), "sha256:0"] {
            assert!(group(odd).starts_with("sha256:") && group(odd).len() == 71, "{odd}");
        }
    }
}
