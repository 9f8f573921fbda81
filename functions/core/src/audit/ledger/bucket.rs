//! The record's buckets: heads, and the pause between writers that met.

use std::time::Duration;

use super::LedgerError;
use crate::audit::chain::{Head, head_key};
use crate::ids::CredentialName;
use crate::store::{Object, Store, StoreError};

/// The largest object that is read: far more than a record, for somebody else may have put something in its place.
const MOST: usize = 16 << 20;

/// Reads an object, or one version of the object. `None`: there is none.
pub(super) async fn get(
    bucket: &Store,
    key: &str,
    version: Option<&str>,
) -> Result<Option<Object>, StoreError> {
    bucket.get(key, version, MOST).await
}

/// Reads a credential's head, and the `ETag` to replace the head upon.
pub(super) async fn head(
    heads: &Store,
    credential: &CredentialName,
) -> Result<Option<(Head, String)>, LedgerError> {
    let key = head_key(credential);
    let Some(read) = get(heads, &key, None).await? else {
        return Ok(None);
    };
    match (Head::read(&read.bytes, credential), read.etag) {
        (Some(head), Some(etag)) => Ok(Some((head, etag))),
        _ => Err(LedgerError::HeadUnreadable { bucket: heads.bucket().to_owned(), key }),
    }
}

/// Waits for up to this long, another length each time, so that writers that met do not meet again.
pub(super) async fn step_aside(longest: Duration) {
    let part = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(longest / 256 * part).await;
}
