//! The chains' buckets: heads, and the pause between writers that met.

use std::time::Duration;

use super::LedgerError;
use crate::audit::chain::{Head, head_key};
use crate::ids::CredentialName;
use crate::store::{Object, Store, StoreError};

/// The largest object that is read, in bytes: far more than a record, because anybody may have written the object.
const MOST: usize = 16 << 20;

/// Reads an object, or one version of the object. `None`: no such object.
pub(super) async fn get(
    bucket: &Store,
    key: &str,
    version: Option<&str>,
) -> Result<Option<Object>, StoreError> {
    bucket.get(key, version, MOST).await
}

/// Reads a credential's head, and the `ETag` that replacing the head depends on.
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
        _ => Err(LedgerError::HeadUnreadable(heads.location(&key))),
    }
}

/// Waits for a random time up to `longest`, so that writers that met do not meet again.
pub(super) async fn step_aside(longest: Duration) {
    let part = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(longest / 256 * part).await;
}
