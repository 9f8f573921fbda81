//! Cursors: small JSON objects in S3 that say how far a growing list was read.

use aws_config::SdkConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::settings::SettingError;
use crate::store::{Store, StoreError};

/// A client of the cursors at one place (`KEYWHEEL_CURSORS`, `s3://bucket/prefix/`).
#[derive(Clone, Debug)]
pub struct Cursors {
    store: Store,
    prefix: String,
}

impl Cursors {
    /// Makes a client of the cursors at this place.
    pub fn new(aws: &SdkConfig, place: &str) -> Result<Self, SettingError> {
        let named = place.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let named = named.filter(|(bucket, _)| !bucket.is_empty());
        let (bucket, prefix) = named.ok_or(SettingError::Cursors)?;
        Ok(Self { store: Store::new(aws, bucket.to_owned()), prefix: prefix.to_owned() })
    }

    /// Reads a cursor; `None`: no cursor was written yet.
    pub async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.store.read(&self.key(name)).await
    }

    /// Writes a cursor in place of the one before.
    pub async fn write<T: Serialize>(&self, name: &str, cursor: &T) -> Result<(), StoreError> {
        self.store.write(&self.key(name), cursor).await
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}.json", self.prefix)
    }
}
