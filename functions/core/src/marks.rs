//! Marks: how far something was read that grows on. Small JSON objects in S3.

use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::Retry;
use crate::http::aws::AwsFailure;

/// No mark is longer.
const MOST_BYTES: i64 = 1 << 20;

/// Where marks are kept: `KEYWHEEL_MARKS`, `s3://bucket/prefix/`.
#[derive(Clone, Debug)]
pub struct Marks {
    client: aws_sdk_s3::Client,
    bucket: String,
    prefix: String,
}

/// A mark that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// `KEYWHEEL_MARKS` names no place.
    #[error("KEYWHEEL_MARKS names no place for marks; write s3://bucket/prefix/")]
    Place,
    /// S3 refused, or did not answer.
    #[error("{call} of the mark {name}: {failure}")]
    S3 {
        /// The operation.
        call: &'static str,
        /// The mark's key.
        name: String,
        /// Why.
        failure: AwsFailure,
    },
    /// What lies there is no mark.
    #[error("the mark {0} is not as Keywheel writes it; delete it, and reading begins anew")]
    Unreadable(String),
}

impl MarkError {
    /// Whether trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::S3 { failure, .. } => failure.retry,
            Self::Place | Self::Unreadable(_) => Retry::Never,
        }
    }
}

impl Marks {
    /// The marks at this place.
    pub fn new(aws: &SdkConfig, place: &str) -> Result<Self, MarkError> {
        let named = place.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, prefix) =
            named.filter(|(bucket, _)| !bucket.is_empty()).ok_or(MarkError::Place)?;
        let config = aws_sdk_s3::config::Builder::from(aws)
            // Behind an endpoint of one's own, a bucket has no host name.
            .force_path_style(aws.endpoint_url().is_some())
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        Ok(Self { client, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// A mark; `None` where none was left yet.
    pub async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, MarkError> {
        let key = self.key(name);
        let failed = |failure| MarkError::S3 { call: "GetObject", name: key.clone(), failure };
        let call = self.client.get_object().bucket(&self.bucket).key(&key);
        let object = match call.send().await {
            Ok(object) => object,
            Err(error) => {
                let failure = AwsFailure::new(&error);
                return if failure.is("NoSuchKey") { Ok(None) } else { Err(failed(failure)) };
            }
        };
        let unreadable = || MarkError::Unreadable(key.clone());
        // The shared client has read the body, and bounds it; this is to say what is wrong.
        if object.content_length().is_none_or(|length| length > MOST_BYTES) {
            return Err(unreadable());
        }
        let bytes = object.body.collect().await.map_err(|_| unreadable())?.into_bytes();
        serde_json::from_slice(&bytes).map(Some).map_err(|_| unreadable())
    }

    /// Leaves a mark in place of the one before.
    pub async fn write<T: Serialize>(&self, name: &str, mark: &T) -> Result<(), MarkError> {
        let key = self.key(name);
        let bytes = serde_json::to_vec(mark).map_err(|_| MarkError::Unreadable(key.clone()))?;
        let call = self.client.put_object().bucket(&self.bucket).key(&key);
        let call = call.content_type("application/json").body(ByteStream::from(bytes));
        let sent = call.send().await;
        sent.map(drop).map_err(|error| MarkError::S3 {
            call: "PutObject",
            name: key.clone(),
            failure: AwsFailure::new(&error),
        })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}.json", self.prefix)
    }
}
