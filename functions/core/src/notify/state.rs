//! The state bucket: requests and their progress, and what was told to whom already.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;

use super::NotifyError;
use crate::http::aws::AwsFailure;

/// The largest object that is read from it.
const LARGEST: usize = 256 * 1024;

/// A client of the state bucket.
#[derive(Clone, Debug)]
pub struct State {
    client: Client,
    bucket: String,
}

impl State {
    /// A client of this bucket.
    pub fn new(aws: &SdkConfig, bucket: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(aws)
            // Behind an endpoint of one's own, a bucket has no host name.
            .force_path_style(aws.endpoint_url().is_some())
            .build();
        Self { client: Client::from_conf(config), bucket }
    }

    /// An object's bytes; `None` where there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, NotifyError> {
        let mut object = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => object,
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => return Ok(None),
            Err(error) => return Err(failed("GetObject", key, AwsFailure::new(&error))),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(|_| unreadable(key))?;
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(unreadable(key));
            }
        }
        Ok(Some(bytes))
    }

    /// Whether there is such an object.
    pub async fn has(&self, key: &str) -> Result<bool, NotifyError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_not_found() => Ok(false),
            Err(error) => Err(failed("HeadObject", key, AwsFailure::new(&error))),
        }
    }

    /// Writes an object, whether it is there or not.
    pub async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), NotifyError> {
        let put = self.request(key, body).send().await.map(drop);
        put.map_err(|error| failed("PutObject", key, AwsFailure::new(&error)))
    }

    /// Puts an empty object where there is none; whether it was this call that did.
    pub async fn claim(&self, key: &str) -> Result<bool, NotifyError> {
        let put = self.request(key, Vec::new()).if_none_match("*").send().await;
        match put.map_err(|error| AwsFailure::new(&error)) {
            Ok(_) => Ok(true),
            Err(failure) if failure.is("PreconditionFailed") => Ok(false),
            Err(failure) => Err(failed("PutObject", key, failure)),
        }
    }

    fn request(&self, key: &str, body: Vec<u8>) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(body))
    }
}

fn failed(operation: &'static str, key: &str, failure: AwsFailure) -> NotifyError {
    NotifyError::State { operation, key: key.to_owned(), failure }
}

pub(super) fn unreadable(key: &str) -> NotifyError {
    NotifyError::Unreadable { key: key.to_owned() }
}
