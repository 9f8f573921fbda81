//! Marks: how far something was read that grows on. Small JSON objects in S3.

use aws_config::SdkConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::Retry;
use crate::store::{Store, StoreError};

/// Where marks are kept: `KEYWHEEL_MARKS`, `s3://bucket/prefix/`.
#[derive(Clone, Debug)]
pub struct Marks {
    store: Store,
    prefix: String,
}

/// A mark that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// `KEYWHEEL_MARKS` names no place.
    #[error("KEYWHEEL_MARKS names no place for marks; write s3://bucket/prefix/")]
    Place,
    /// The mark could not be read or written. Without a mark, reading begins anew.
    #[error("how far was read is not known: {0}")]
    Store(#[from] StoreError),
}

impl MarkError {
    /// Whether trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Store(failure) => failure.retry(),
            Self::Place => Retry::Never,
        }
    }
}

impl Marks {
    /// The marks at this place.
    pub fn new(aws: &SdkConfig, place: &str) -> Result<Self, MarkError> {
        let named = place.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, prefix) =
            named.filter(|(bucket, _)| !bucket.is_empty()).ok_or(MarkError::Place)?;
        Ok(Self { store: Store::new(aws, bucket.to_owned()), prefix: prefix.to_owned() })
    }

    /// A mark; `None` where none was left yet.
    pub async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, MarkError> {
        Ok(self.store.read(&self.key(name)).await?)
    }

    /// Leaves a mark in place of the one before.
    pub async fn write<T: Serialize>(&self, name: &str, mark: &T) -> Result<(), MarkError> {
        Ok(self.store.write(&self.key(name), mark).await?)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}.json", self.prefix)
    }
}
