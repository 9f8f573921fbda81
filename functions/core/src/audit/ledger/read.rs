//! Reads chains with all versions and delete markers that S3 keeps.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::LedgerError;
use super::bucket::{get, head};
use crate::audit::chain::{
    Break, ChainPart, Damage, Folder, HEADS, Hash, Head, HeadSeen, Object, RECORDS, Record,
    Sequence, Stored, Version, intended, record_key, verify,
};
use crate::http::{Backoff, Retry};
use crate::ids::CredentialName;
use crate::store::{Marker, Store};

/// The number of objects that are read at once.
const SIDE_BY_SIDE: usize = 16;
/// The most readings of a chain that grows while it is read.
const ROUNDS: usize = 5;
/// The most further readings of the head before a record counts as unconfirmed.
const LOOKS: u32 = 4;

/// A reader of chains.
#[derive(Clone, Debug)]
pub struct Reader {
    records: Store,
    heads: Store,
}

/// A chain that was verified.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The credential; `None`: no object in the folder names the credential.
    pub credential: Option<CredentialName>,
    /// The chain's folder.
    pub folder: Folder,
    /// The number of places with an object.
    pub records: usize,
    /// The chain's head.
    pub head: Option<Head>,
    /// The damaged parts of the chain.
    pub breaks: Vec<Break>,
}

/// A record with its bytes.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// The record.
    pub record: Record,
    /// The bytes as they were written: one line.
    pub bytes: Vec<u8>,
}

/// A key under `audit/` that is in no chain's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray(pub String);

/// Each key with the ids of its versions, the oldest first; `None` is a delete marker.
type ListedVersions = BTreeMap<String, Vec<Option<String>>>;

/// A key with its versions as they were read; `None` is a delete marker.
type Contents<T> = (String, Vec<Option<T>>);

impl Reader {
    /// Makes a reader of these two buckets.
    pub fn new(aws: &SdkConfig, records: String, heads: String) -> Self {
        Self { records: Store::new(aws, records), heads: Store::new(aws, heads) }
    }

    /// Lists the folders of all chains and heads, and the keys that are in no folder.
    pub async fn folders(&self) -> Result<(BTreeSet<Folder>, Vec<Stray>), LedgerError> {
        // Each of two swapped buckets holds no chain, and nothing would be amiss.
        let (keys, prefixes) = self.list(&self.heads, RECORDS, true).await?;
        if !(keys.is_empty() && prefixes.is_empty()) {
            return Err(LedgerError::BucketsSwapped);
        }
        let (mut folders, mut strays) = (BTreeSet::new(), Vec::new());
        let (keys, prefixes) = self.list(&self.records, RECORDS, true).await?;
        folders.extend(prefixes.iter().filter_map(|prefix| Folder::in_key(prefix)));
        strays.extend(keys.into_keys().map(Stray));
        let (heads, _) = self.list(&self.heads, HEADS, false).await?;
        folders.extend(heads.keys().filter_map(|key| Folder::in_head_key(key)));
        Ok((folders, strays))
    }

    /// Verifies the chain in a folder.
    pub async fn verify(&self, folder: Folder, deadline: Instant) -> Result<Verified, LedgerError> {
        let mut credential = folder.credential();
        if credential.is_none() {
            credential = self.named_in(&folder).await?;
        }
        if let Some(credential) = credential {
            return self.verify_chain(credential, folder, deadline).await;
        }
        // A folder of no credential has no place for a record.
        let (keys, _) = self.list(&self.records, &folder.prefix(), false).await?;
        let inserted = |key| Break { part: ChainPart::Key(key), damage: Damage::Inserted };
        let breaks: Vec<_> = keys.into_keys().map(inserted).collect();
        let records = breaks.len();
        Ok(Verified { credential: None, folder, records, head: None, breaks })
    }

    /// Finds the name whose hash a folder is, in its head or in any of its records.
    async fn named_in(&self, folder: &Folder) -> Result<Option<CredentialName>, LedgerError> {
        let head = get(&self.heads, &folder.head_key(), None).await?;
        let head = head.and_then(|head| Head::parse(&head.bytes));
        let name = |bytes: &[u8]| Record::read(bytes).map(|record| record.credential);
        let contents = self.contents(&folder.prefix(), name).await?;
        let names = contents.into_iter().flat_map(|(_, versions)| versions).flatten().flatten();
        let mut names = names.chain(head.map(|head| head.credential));
        Ok(names.find(|name| Folder::of(name) == *folder))
    }

    async fn verify_chain(
        &self,
        credential: CredentialName,
        folder: Folder,
        deadline: Instant,
    ) -> Result<Verified, LedgerError> {
        let mut head = self.head(&credential).await?;
        let mut objects = Vec::new();
        for round in 1..=ROUNDS {
            objects = self.objects(&folder).await?;
            let tail = objects.iter().filter_map(|object| sequence_of(object, &credential)).max();
            // Every record that the head vouches for was written before the head was read.
            if tail <= head.sequence() || head == HeadSeen::Unreadable {
                break;
            }
            let before = head;
            head = self.look_again(&credential, tail, deadline).await?;
            if head.sequence() <= tail {
                break;
            }
            if round == ROUNDS {
                // The chain grows faster than it is read: verify the records that the earlier head vouches for.
                let known = before.sequence();
                objects.retain(|object| {
                    sequence_of(object, &credential).is_none_or(|sequence| Some(sequence) <= known)
                });
                head = before;
            }
        }
        let records = objects.iter().filter(|one| sequence_of(one, &credential).is_some()).count();
        // Each intent was written before its record.
        let intents = self.intents(&folder).await?;
        let breaks = verify(&credential, &objects, &head, &intents);
        let head = if let HeadSeen::Says(head) = head { Some(head) } else { None };
        Ok(Verified { credential: Some(credential), folder, records, head, breaks })
    }

    /// Reads the head until the head is at this place, at most a few times.
    async fn look_again(
        &self,
        credential: &CredentialName,
        at: Option<Sequence>,
        deadline: Instant,
    ) -> Result<HeadSeen, LedgerError> {
        let mut backoff = Backoff::new(LOOKS, deadline);
        loop {
            let head = self.head(credential).await?;
            if head.sequence() >= at || !backoff.pause(Retry::Soon).await {
                return Ok(head);
            }
        }
    }

    async fn head(&self, credential: &CredentialName) -> Result<HeadSeen, LedgerError> {
        match head(&self.heads, credential).await {
            Ok(Some((head, _))) => Ok(HeadSeen::Says(head)),
            Ok(None) => Ok(HeadSeen::Missing),
            Err(LedgerError::HeadUnreadable { .. }) => Ok(HeadSeen::Unreadable),
            Err(error) => Err(error),
        }
    }

    /// Lists the hashes of the records that writers intended.
    async fn intents(&self, folder: &Folder) -> Result<BTreeSet<Hash>, LedgerError> {
        let (keys, _) = self.list(&self.heads, &folder.intents(), false).await?;
        Ok(keys.keys().filter_map(|key| intended(key)).collect())
    }

    async fn objects(&self, folder: &Folder) -> Result<Vec<Object>, LedgerError> {
        let contents = self.contents(&folder.prefix(), Stored::read).await?;
        let version =
            |stored: Option<Stored>| stored.map_or(Version::DeleteMarker, Version::Stored);
        let object = |(key, versions): Contents<Stored>| Object {
            key,
            versions: versions.into_iter().map(version).collect(),
        };
        Ok(contents.into_iter().map(object).collect())
    }

    /// Reads a credential's records in the order of the chain, each in its first version.
    ///
    /// Objects that are no record of their place are left out. [`Reader::verify`] reports them.
    pub async fn records(
        &self,
        credential: &CredentialName,
    ) -> Result<Vec<RawRecord>, LedgerError> {
        let prefix = Folder::of(credential).prefix();
        let contents = self.contents(&prefix, <[u8]>::to_vec).await?;
        let record = |(key, versions): Contents<Vec<u8>>| {
            let bytes = versions.into_iter().flatten().next()?;
            let record = Record::read(&bytes)?;
            let at_home =
                record.credential == *credential && record_key(credential, record.sequence) == key;
            at_home.then_some(RawRecord { record, bytes })
        };
        Ok(contents.into_iter().filter_map(record).collect())
    }

    /// Reads every version of every key under a prefix, in the order of the keys.
    async fn contents<T>(
        &self,
        prefix: &str,
        read: impl Fn(&[u8]) -> T,
    ) -> Result<Vec<Contents<T>>, LedgerError> {
        let (keys, _) = self.list(&self.records, prefix, false).await?;
        let read = &read;
        let objects = keys.into_iter().map(|(key, versions)| async move {
            let mut contents = Vec::with_capacity(versions.len());
            for version in versions {
                let Some(version) = version else {
                    contents.push(None);
                    continue;
                };
                // A version that is gone by now was deleted for good. The next reading shows the rest.
                if let Some(object) = get(&self.records, &key, Some(&version)).await? {
                    contents.push(Some(read(&object.bytes)));
                }
            }
            Ok((key, contents))
        });
        stream::iter(objects).buffered(SIDE_BY_SIDE).try_collect().await
    }

    /// Lists the versions under a prefix. With `folders`, keys in folders below the prefix are listed as folders.
    async fn list(
        &self,
        bucket: &Store,
        prefix: &str,
        folders: bool,
    ) -> Result<(ListedVersions, Vec<String>), LedgerError> {
        let (mut keys, mut prefixes) = (ListedVersions::new(), Vec::new());
        let mut from = Marker::default();
        loop {
            let page = bucket.list_versions(prefix, folders, from.clone()).await?;
            prefixes.extend(page.common_prefixes().iter().filter_map(|it| it.prefix.clone()));
            for marker in page.delete_markers() {
                keys.entry(marker.key.clone().unwrap_or_default()).or_default().push(None);
            }
            // S3 lists the newest version first.
            for version in page.versions() {
                let versions = keys.entry(version.key.clone().unwrap_or_default()).or_default();
                // `null` is the id of an object that was written before the bucket had versions.
                let id = version.version_id.clone().unwrap_or_else(|| "null".to_owned());
                versions.insert(0, Some(id));
            }
            if page.is_truncated != Some(true) {
                return Ok((keys, prefixes));
            }
            let next = (page.next_key_marker, page.next_version_id_marker);
            if next == from || next.0.is_none() {
                return Err(LedgerError::Endless(bucket.location(prefix)));
            }
            from = next;
        }
    }
}

fn sequence_of(object: &Object, credential: &CredentialName) -> Option<Sequence> {
    match ChainPart::of_key(&object.key, credential) {
        ChainPart::Record(sequence) => Some(sequence),
        ChainPart::Key(_) | ChainPart::Head => None,
    }
}
