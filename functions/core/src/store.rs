//! A client of one S3 bucket. Objects are read whole and written on a condition.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::Instant;

use crate::http::aws::AwsFailure;
use crate::http::{Backoff, Retry};

/// The largest object that Keywheel writes for itself.
const MAX_JSON: usize = 1 << 20;
/// The most further tries of a put that met another put.
const RETRIES: u32 = 4;
/// The longest time of a put whose caller names no deadline.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most names of a listing.
const LISTED: i32 = 50;
/// S3's codes where another request for the same key was under way. Nothing was written.
const CONFLICTS: [&str; 2] = ["ConditionalRequestConflict", "OperationAborted"];
/// S3's codes for an object that is not there, and for a version that was deleted since it was listed.
const MISSING: [&str; 2] = ["NoSuchKey", "NoSuchVersion"];
/// S3's codes where the condition does not hold. `NoSuchKey` is the answer where an object to be replaced is gone.
const REFUSALS: [&str; 2] = ["PreconditionFailed", "NoSuchKey"];

/// A client of one bucket. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    bucket: String,
}

/// An object as it was read.
#[derive(Debug)]
pub struct Object {
    /// The object's content.
    pub bytes: Vec<u8>,
    /// The object's `ETag`.
    pub etag: Option<String>,
}

/// The condition of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutCondition {
    /// No object has the key (`If-None-Match: *`).
    Absent,
    /// The object under the key has this `ETag` (`If-Match`).
    Etag(String),
}

/// The result of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is written.
    Done,
    /// The condition does not hold. A put whose answer was lost ends like this when it is sent again.
    Refused,
}

/// The version to list from: `key-marker` and `version-id-marker`.
pub type Marker = (Option<String>, Option<String>);

/// The address of an object, or of all objects under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The object's key, or a listing's prefix.
    pub key: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An object was not read or written. The error never quotes the content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// S3 refused, or did not answer.
    #[error("S3: {operation} of {location}: {failure}")]
    Failed {
        /// The operation.
        operation: &'static str,
        /// The object, or the listing.
        location: Location,
        /// S3's answer.
        failure: AwsFailure,
    },
    /// The answer ended before the object did, after so many bytes.
    #[error("{0} broke off after {1} bytes")]
    CutOff(Location, usize),
    /// The object is larger than this limit, in bytes.
    #[error("{0} has more than {1} bytes")]
    TooLarge(Location, usize),
    /// The object is not JSON of the expected shape.
    #[error("{0} is not as Keywheel writes it; delete the object if nobody needs it")]
    Unreadable(Location),
    /// The object has no JSON form.
    #[error("{0} cannot be written as JSON")]
    Unwritable(Location),
}

impl StoreError {
    /// Says whether, and when, the same may be tried again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed { failure, .. } => failure.retry,
            Self::CutOff(..) => Retry::Soon,
            Self::TooLarge(..) | Self::Unreadable(_) | Self::Unwritable(_) => Retry::Never,
        }
    }
}

impl Store {
    /// Makes a client of the bucket of this name.
    pub fn new(aws: &SdkConfig, bucket: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(aws)
            // An endpoint of one's own has no host name for each bucket.
            .force_path_style(aws.endpoint_url().is_some())
            .build();
        Self { client: Client::from_conf(config), bucket }
    }

    /// Gives the address of an object in the bucket.
    pub fn location(&self, key: &str) -> Location {
        Location { bucket: self.bucket.clone(), key: key.to_owned() }
    }

    /// Reads an object, or one version of the object, of at most `most` bytes (`GetObject`). `None`: no such object.
    pub async fn get(
        &self,
        key: &str,
        version: Option<&str>,
        most: usize,
    ) -> Result<Option<Object>, StoreError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let answer = match request.set_version_id(version.map(str::to_owned)).send().await {
            Ok(answer) => answer,
            Err(error) if is_one_of(&error, &MISSING) => return Ok(None),
            Err(error) => return Err(self.failed("GetObject", key, &error)),
        };
        let (mut body, mut bytes) = (answer.body, Vec::new());
        while let Some(chunk) = body.next().await {
            let Ok(chunk) = chunk else {
                return Err(StoreError::CutOff(self.location(key), bytes.len()));
            };
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                return Err(StoreError::TooLarge(self.location(key), most));
            }
        }
        Ok(Some(Object { bytes, etag: answer.e_tag }))
    }

    /// Writes an object of JSON (`PutObject`), on a condition if one is given.
    ///
    /// A put that meets another put for the same key is tried again until the deadline.
    pub async fn put(
        &self,
        key: &str,
        bytes: &[u8],
        condition: Option<&PutCondition>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        let mut backoff = Backoff::new(RETRIES, deadline);
        loop {
            let request = self.client.put_object().bucket(&self.bucket).key(key);
            let request = match condition {
                None => request,
                Some(PutCondition::Absent) => request.if_none_match("*"),
                Some(PutCondition::Etag(etag)) => request.if_match(etag),
            };
            let request = request
                .content_type("application/json")
                // A put into a bucket with object lock must carry a checksum of its content.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .body(ByteStream::from(bytes.to_vec()));
            let Err(error) = request.send().await else { return Ok(Put::Done) };
            if condition.is_some() && is_one_of(&error, &REFUSALS) {
                return Ok(Put::Refused);
            }
            if !is_one_of(&error, &CONFLICTS) || !backoff.pause(Retry::Soon).await {
                return Err(self.failed("PutObject", key, &error));
            }
        }
    }

    /// Reads an object of JSON. `None`: no such object.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let Some(object) = self.get(key, None, MAX_JSON).await? else { return Ok(None) };
        let read = serde_json::from_slice(&object.bytes).map(Some);
        read.map_err(|_| StoreError::Unreadable(self.location(key)))
    }

    /// Says whether there is such an object.
    pub async fn has(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.read::<IgnoredAny>(key).await?.is_some())
    }

    /// Writes an object of JSON in place of any object before.
    pub async fn write<T: Serialize>(&self, key: &str, object: &T) -> Result<(), StoreError> {
        let json = self.json(key, object)?;
        self.put(key, &json, None, Instant::now() + PATIENCE).await.map(drop)
    }

    /// Writes an object of JSON unless the key has an object. Says whether this call wrote the object.
    ///
    /// A put whose answer was lost looks like another writer's put. A caller that must know compares the objects.
    pub async fn write_new<T: Serialize>(&self, key: &str, object: &T) -> Result<bool, StoreError> {
        let json = self.json(key, object)?;
        let (absent, deadline) = (Some(&PutCondition::Absent), Instant::now() + PATIENCE);
        Ok(self.put(key, &json, absent, deadline).await? == Put::Done)
    }

    /// Lists the keys that begin with a prefix, at most fifty (`ListObjectsV2`).
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let answer = request.max_keys(LISTED).send().await;
        let answer = answer.map_err(|error| self.failed("ListObjectsV2", prefix, &error))?;
        Ok(answer.contents.unwrap_or_default().into_iter().filter_map(|one| one.key).collect())
    }

    /// Lists one page of the versions under a prefix (`ListObjectVersions`). With `folders`, objects in folders below the
    /// prefix are named by their folder alone.
    pub async fn list_versions(
        &self,
        prefix: &str,
        folders: bool,
        from: Marker,
    ) -> Result<ListObjectVersionsOutput, StoreError> {
        let request = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
        let request = request.set_key_marker(from.0).set_version_id_marker(from.1);
        let request = request.set_delimiter(folders.then(|| "/".to_owned()));
        let page = request.send().await;
        page.map_err(|error| self.failed("ListObjectVersions", prefix, &error))
    }

    fn json<T: Serialize>(&self, key: &str, object: &T) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(object).map_err(|_| StoreError::Unwritable(self.location(key)))
    }

    fn failed<E>(&self, operation: &'static str, key: &str, error: &SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + RequestId,
    {
        let mut failure = AwsFailure::new(error);
        if is_one_of(error, &CONFLICTS) {
            failure.retry = Retry::Soon;
        }
        StoreError::Failed { operation, location: self.location(key), failure }
    }
}

fn is_one_of<E: ProvideErrorMetadata>(error: &SdkError<E>, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.contains(&code))
}
