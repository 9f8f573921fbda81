//! The state bucket: small JSON objects, forgotten by the bucket's lifecycle. Requests and their progress,
//! replays, and what was told to whom already.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::Instant;

use crate::http::aws::AwsFailure;
use crate::http::{Backoff, Retry};

/// The largest object that is read: they are ours, and far smaller.
const MAX_BYTES: usize = 256 * 1024;
const RETRIES: u32 = 3;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// The most names of a listing.
const LISTED: i32 = 50;

/// A client of one bucket.
#[derive(Clone, Debug)]
pub struct State {
    client: Client,
    bucket: String,
}

/// An object was not read or written. Nothing of its content is told.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// S3 refused, or did not answer.
    #[error("S3: {operation} {key}: {failure}")]
    Failed {
        /// The operation.
        operation: &'static str,
        /// The object's key, or a listing's prefix.
        key: String,
        /// What S3 said.
        failure: AwsFailure,
    },
    /// The answer ended before the object did.
    #[error("S3: GetObject {0}: the answer was cut off")]
    CutOff(String),
    /// It is not what Keywheel writes there.
    #[error("S3: {0} is not as Keywheel writes it")]
    Unreadable(String),
    /// It has no JSON form.
    #[error("S3: {0} cannot be written")]
    Unwritable(String),
}

impl StateError {
    /// Whether, and when, the same may be tried again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed { failure, .. } => failure.retry,
            Self::CutOff(_) => Retry::Soon,
            Self::Unreadable(_) | Self::Unwritable(_) => Retry::Never,
        }
    }
}

impl State {
    /// A client of the bucket of this name.
    pub fn new(aws: &SdkConfig, bucket: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(aws)
            // Behind an endpoint of one's own, a bucket has no host name.
            .force_path_style(aws.endpoint_url().is_some())
            .build();
        Self { client: Client::from_conf(config), bucket }
    }

    /// Writes an object unless there is one (`If-None-Match: *`); says whether it was this call that did.
    ///
    /// A lost answer looks like somebody else's put: whoever must tell compares what is there.
    pub async fn put_new<T: Serialize>(&self, key: &str, object: &T) -> Result<bool, StateError> {
        let body = json(key, object)?;
        let mut backoff = Backoff::new(RETRIES, Instant::now() + PATIENCE);
        loop {
            let request = self.put_request(key, body.clone()).if_none_match("*");
            let Err(error) = request.send().await else { return Ok(true) };
            let status = error.raw_response().map(|answer| answer.status().as_u16());
            match status {
                Some(412) => return Ok(false),
                // Another put of the same key was under way; how it came out the next try learns.
                Some(409) if backoff.pause(Retry::Soon).await => {}
                _ => return Err(failed("PutObject", key, &error)),
            }
        }
    }

    /// Writes an object, whether it is there or not.
    pub async fn put<T: Serialize>(&self, key: &str, object: &T) -> Result<(), StateError> {
        let put = self.put_request(key, json(key, object)?).send().await;
        put.map(drop).map_err(|error| failed("PutObject", key, &error))
    }

    fn put_request(&self, key: &str, body: Vec<u8>) -> PutObjectFluentBuilder {
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        request.content_type("application/json").body(ByteStream::from(body))
    }

    /// Whether there is such an object.
    pub async fn has(&self, key: &str) -> Result<bool, StateError> {
        Ok(self.get::<IgnoredAny>(key).await?.is_some())
    }

    /// Reads an object; `None` where there is none.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let object = match request.send().await {
            Ok(object) => object,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed("GetObject", key, &error)),
        };
        let unreadable = || StateError::Unreadable(key.to_owned());
        let mut body = object.body;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|_| StateError::CutOff(key.to_owned()))?);
            if bytes.len() > MAX_BYTES {
                return Err(unreadable());
            }
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|_| unreadable())
    }

    /// The keys that begin with this, at most fifty.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let answer = request.max_keys(LISTED).send().await;
        let answer = answer.map_err(|error| failed("ListObjectsV2", prefix, &error))?;
        Ok(answer.contents.unwrap_or_default().into_iter().filter_map(|one| one.key).collect())
    }
}

fn json<T: Serialize>(key: &str, object: &T) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec(object).map_err(|_| StateError::Unwritable(key.to_owned()))
}

fn is_missing(error: &SdkError<GetObjectError>) -> bool {
    error.as_service_error().is_some_and(GetObjectError::is_no_such_key)
}

fn failed<E>(operation: &'static str, key: &str, error: &SdkError<E>) -> StateError
where
    E: aws_sdk_s3::error::ProvideErrorMetadata + aws_sdk_s3::operation::RequestId,
{
    StateError::Failed { operation, key: key.to_owned(), failure: AwsFailure::new(error) }
}
