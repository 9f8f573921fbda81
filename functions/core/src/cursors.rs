//! Cursors: how far something was read that grows on. Small JSON objects in S3.

use aws_config::SdkConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::Retry;
use crate::store::{Store, StoreError};

/// Where cursors are kept: `KEYWHEEL_CURSORS`, `s3://bucket/prefix/`.
#[derive(Clone, Debug)]
pub struct Cursors {
    store: Store,
    prefix: String,
}

/// A cursor that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// `KEYWHEEL_CURSORS` names no place.
    #[error("KEYWHEEL_CURSORS names no place for cursors; write s3://bucket/prefix/")]
    Location,
    /// The cursor could not be read or written. Without a cursor, reading begins anew.
    #[error("how far was read is not known: {0}")]
    Store(#[from] StoreError),
}

impl CursorError {
    /// Whether trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Store(failure) => failure.retry(),
            Self::Location => Retry::Never,
        }
    }
}

impl Cursors {
    /// The cursors at this place.
    pub fn new(aws: &SdkConfig, place: &str) -> Result<Self, CursorError> {
        let named = place.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, prefix) =
            named.filter(|(bucket, _)| !bucket.is_empty()).ok_or(CursorError::Location)?;
        Ok(Self { store: Store::new(aws, bucket.to_owned()), prefix: prefix.to_owned() })
    }

    /// A cursor; `None` where none was left yet.
    pub async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, CursorError> {
        Ok(self.store.read(&self.key(name)).await?)
    }

    /// Leaves a cursor in place of the one before.
    pub async fn write<T: Serialize>(&self, name: &str, cursor: &T) -> Result<(), CursorError> {
        Ok(self.store.write(&self.key(name), cursor).await?)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}.json", self.prefix)
    }
}
