//! A bucket whose objects are written once, or only over what was read.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::Instant;

use super::LedgerError;
use crate::audit::chain::{Head, head_key};
use crate::http::aws::AwsFailure;
use crate::http::{Backoff, Retry};
use crate::ids::CredentialName;

/// How often a put that met another one is tried again.
const RETRIES: u32 = 4;
/// S3's codes where another request for the same key was under way: nothing was written.
const CONFLICTS: [&str; 2] = ["ConditionalRequestConflict", "OperationAborted"];
/// S3's codes of what is not there; the second of a version that was deleted since it was listed.
const MISSING: [&str; 2] = ["NoSuchKey", "NoSuchVersion"];
/// Its codes where the condition does not hold; `NoSuchKey` where an object to be replaced is gone.
const REFUSALS: [&str; 2] = ["PreconditionFailed", "NoSuchKey"];

/// A client of one bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) client: Client,
    pub(super) name: String,
}

/// An object as it was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: Option<String>,
}

/// On what condition an object is written.
#[derive(Clone, Debug)]
pub(super) enum Upon {
    /// There is none under its key.
    Nothing,
    /// There is this one.
    Etag(String),
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Written.
    Done,
    /// The condition does not hold.
    Refused,
}

impl Bucket {
    pub(super) fn new(aws: &SdkConfig, name: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(aws)
            // Behind an endpoint of one's own, a bucket has no host name.
            .force_path_style(aws.endpoint_url().is_some())
            .build();
        Self { client: Client::from_conf(config), name }
    }

    /// Reads an object, or one version of it; `None`: there is none.
    pub(super) async fn get(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Read>, LedgerError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let answer = match request.set_version_id(version.map(str::to_owned)).send().await {
            Ok(answer) => answer,
            Err(error) if is_one_of(&error, &MISSING) => return Ok(None),
            Err(error) => return Err(self.failed("GetObject", key, AwsFailure::new(&error))),
        };
        let etag = answer.e_tag.clone();
        // The HTTP client below has read it whole, and bounds it.
        let bytes = answer.body.collect().await;
        let bytes = bytes
            .map_err(|_| LedgerError::CutOff { bucket: self.name.clone(), key: key.to_owned() })?;
        Ok(Some(Read { bytes: bytes.into_bytes().into(), etag }))
    }

    /// Writes an object, if the condition holds.
    pub(super) async fn put(
        &self,
        key: &str,
        bytes: &[u8],
        upon: &Upon,
        deadline: Instant,
    ) -> Result<Put, LedgerError> {
        let mut backoff = Backoff::new(RETRIES, deadline);
        loop {
            let request = self
                .client
                .put_object()
                .bucket(&self.name)
                .key(key)
                .content_type("application/json")
                // A put into a bucket with object lock must carry a checksum of its content.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .body(ByteStream::from(bytes.to_vec()));
            let request = match upon {
                Upon::Nothing => request.if_none_match("*"),
                Upon::Etag(etag) => request.if_match(etag),
            };
            let Err(error) = request.send().await else {
                return Ok(Put::Done);
            };
            if is_one_of(&error, &REFUSALS) {
                return Ok(Put::Refused);
            }
            let failure = AwsFailure::new(&error);
            if !is_one_of(&error, &CONFLICTS) || !backoff.pause(Retry::Soon).await {
                return Err(self.failed("PutObject", key, failure));
            }
        }
    }

    /// What a credential's head says, and the `ETag` to replace it upon.
    pub(super) async fn head(
        &self,
        credential: &CredentialName,
    ) -> Result<Option<(Head, String)>, LedgerError> {
        let key = head_key(credential);
        let Some(read) = self.get(&key, None).await? else {
            return Ok(None);
        };
        match (Head::read(&read.bytes, credential), read.etag) {
            (Some(head), Some(etag)) => Ok(Some((head, etag))),
            _ => Err(LedgerError::HeadUnreadable { bucket: self.name.clone(), key }),
        }
    }

    pub(super) fn failed(
        &self,
        operation: &'static str,
        key: &str,
        mut failure: AwsFailure,
    ) -> LedgerError {
        if failure.code.as_deref().is_some_and(|code| CONFLICTS.contains(&code)) {
            failure.retry = Retry::Soon;
        }
        LedgerError::S3 { operation, bucket: self.name.clone(), key: key.to_owned(), failure }
    }
}

fn is_one_of<E: ProvideErrorMetadata>(error: &SdkError<E>, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.contains(&code))
}

/// A pause of up to this long, of another length each time: so that writers that met do not meet again.
pub(super) async fn step_aside(longest: Duration) {
    let part = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(longest / 256 * part).await;
}
