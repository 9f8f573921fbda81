//! Cursors: small JSON objects in S3 that say how far a growing list was read.

use aws_config::SdkConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::Retry;
use crate::store::{Store, StoreError};

/// A client of the cursors at one place (`KEYWHEEL_CURSORS`, `s3://bucket/prefix/`).
#[derive(Clone, Debug)]
pub struct Cursors {
    store: Store,
    prefix: String,
}

/// A cursor could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// `KEYWHEEL_CURSORS` names no place.
    #[error("KEYWHEEL_CURSORS names no place for cursors; write s3://bucket/prefix/")]
    Location,
    /// S3 failed. Without a cursor, reading begins anew.
    #[error("the cursor cannot be read or written: {0}")]
    Store(#[from] StoreError),
}

impl CursorError {
    /// Says whether trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Store(failure) => failure.retry(),
            Self::Location => Retry::Never,
        }
    }
}

impl Cursors {
    /// Makes a client of the cursors at this place.
    pub fn new(aws: &SdkConfig, place: &str) -> Result<Self, CursorError> {
        let named = place.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, prefix) =
            named.filter(|(bucket, _)| !bucket.is_empty()).ok_or(CursorError::Location)?;
        Ok(Self { store: Store::new(aws, bucket.to_owned()), prefix: prefix.to_owned() })
    }

    /// Reads a cursor; `None`: no cursor was written yet.
    pub async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, CursorError> {
        Ok(self.store.read(&self.key(name)).await?)
    }

    /// Writes a cursor in place of the one before.
    pub async fn write<T: Serialize>(&self, name: &str, cursor: &T) -> Result<(), CursorError> {
        Ok(self.store.write(&self.key(name), cursor).await?)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}.json", self.prefix)
    }
}
