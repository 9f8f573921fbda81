//! Reads chains with all that S3 keeps of them: versions and delete markers too.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::LedgerError;
use super::bucket::{get, head};
use crate::audit::chain::{
    Break, Damage, Folder, Hash, Head, HeadSeen, Object, Place, Record, Sequence, Stored, Version,
    intended, record_key, verify,
};
use crate::http::{Backoff, Retry};
use crate::ids::CredentialName;
use crate::store::{Marker, Store};

/// So many objects are read side by side.
const SIDE_BY_SIDE: usize = 16;
/// How often a chain is read anew where it grew while it was read.
const ROUNDS: usize = 5;
/// How often the head is looked at again before it is said not to vouch for a record.
const LOOKS: u32 = 4;

/// A reader of the record.
#[derive(Clone, Debug)]
pub struct Reader {
    records: Store,
    heads: Store,
}

/// A chain that was verified.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose; `None`: nothing in the folder says so.
    pub credential: Option<CredentialName>,
    /// Its folder.
    pub folder: Folder,
    /// How many places hold something.
    pub records: usize,
    /// What its head says.
    pub head: Option<Head>,
    /// Where it is not whole.
    pub breaks: Vec<Break>,
}

/// A record as it was written.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it says.
    pub record: Record,
    /// Its bytes: one line.
    pub bytes: Vec<u8>,
}

/// A key under `audit/` that is in no chain's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray(pub String);

/// A key with its versions' ids, the oldest first; `None` is a delete marker.
type Listed = BTreeMap<String, Vec<Option<String>>>;

/// A key with what was read of its versions.
type Contents<T> = (String, Vec<Option<T>>);

impl Reader {
    /// A reader of these two buckets.
    pub fn new(aws: &SdkConfig, records: String, heads: String) -> Self {
        Self { records: Store::new(aws, records), heads: Store::new(aws, heads) }
    }

    /// The folders of all chains, and of all heads; and what lies beside the folders.
    pub async fn folders(&self) -> Result<(BTreeSet<Folder>, Vec<Stray>), LedgerError> {
        let (mut folders, mut strays) = (BTreeSet::new(), Vec::new());
        let (keys, prefixes) = self.list(&self.records, Folder::all(), true).await?;
        folders.extend(prefixes.iter().filter_map(|prefix| Folder::in_key(prefix)));
        strays.extend(keys.into_keys().map(Stray));
        let (heads, _) = self.list(&self.heads, Folder::all_heads(), false).await?;
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
        // A folder without a name has no place for a record.
        let (keys, _) = self.list(&self.records, &folder.prefix(), false).await?;
        let inserted = |key| Break { place: Place::Key(key), damage: Damage::Inserted };
        let breaks: Vec<_> = keys.into_keys().map(inserted).collect();
        let records = breaks.len();
        Ok(Verified { credential: None, folder, records, head: None, breaks })
    }

    /// The name that a folder of a hash is of, by its head or any of its records.
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
            let tail = objects.iter().filter_map(|object| place(object, &credential)).max();
            // All that the head vouches for was there before it was read.
            if tail <= head.sequence() || head == HeadSeen::Unreadable {
                break;
            }
            let before = head;
            head = self.look_again(&credential, tail, deadline).await?;
            if head.sequence() <= tail {
                break;
            }
            if round == ROUNDS {
                // It grows faster than it is read: what the first look vouched for is verified.
                let known = before.sequence();
                objects.retain(|object| {
                    place(object, &credential).is_none_or(|place| Some(place) <= known)
                });
                head = before;
            }
        }
        let records = objects.iter().filter(|it| place(it, &credential).is_some()).count();
        // Each was there before its record.
        let intents = self.intents(&folder).await?;
        let breaks = verify(&credential, &objects, &head, &intents);
        let head = if let HeadSeen::Says(head) = head { Some(head) } else { None };
        Ok(Verified { credential: Some(credential), folder, records, head, breaks })
    }

    /// The head, once it is at this place; or what it still says after some time.
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

    /// The hashes of the records that were to be written.
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

    /// A credential's records in the order of the chain, as each was first written. What is no record of its
    /// place is left out: that is for [`Reader::verify`] to tell.
    pub async fn entries(&self, credential: &CredentialName) -> Result<Vec<Entry>, LedgerError> {
        let prefix = Folder::of(credential).prefix();
        let contents = self.contents(&prefix, <[u8]>::to_vec).await?;
        let entry = |(key, versions): Contents<Vec<u8>>| {
            let bytes = versions.into_iter().flatten().next()?;
            let record = Record::read(&bytes)?;
            let at_home =
                record.credential == *credential && record_key(credential, record.sequence) == key;
            at_home.then_some(Entry { record, bytes })
        };
        Ok(contents.into_iter().filter_map(entry).collect())
    }

    /// Reads every version of every key of a prefix; the keys in their order.
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
                // One that is gone by now was deleted for good: the next reading shows what is left.
                if let Some(object) = get(&self.records, &key, Some(&version)).await? {
                    contents.push(Some(read(&object.bytes)));
                }
            }
            Ok((key, contents))
        });
        stream::iter(objects).buffered(SIDE_BY_SIDE).try_collect().await
    }

    /// Lists the versions under a prefix; with `folders`, what is in folders below it only by their names.
    async fn list(
        &self,
        bucket: &Store,
        prefix: &str,
        folders: bool,
    ) -> Result<(Listed, Vec<String>), LedgerError> {
        let (mut keys, mut prefixes) = (Listed::new(), Vec::new());
        let mut from = Marker::default();
        loop {
            let page = bucket.list_versions(prefix, folders, from.clone()).await?;
            prefixes.extend(page.common_prefixes().iter().filter_map(|it| it.prefix.clone()));
            for marker in page.delete_markers() {
                keys.entry(marker.key.clone().unwrap_or_default()).or_default().push(None);
            }
            // They come with the newest first.
            for version in page.versions() {
                let versions = keys.entry(version.key.clone().unwrap_or_default()).or_default();
                // `null` is the id of what was written before there were versions.
                let id = version.version_id.clone().unwrap_or_else(|| "null".to_owned());
                versions.insert(0, Some(id));
            }
            if page.is_truncated != Some(true) {
                return Ok((keys, prefixes));
            }
            let next = (page.next_key_marker, page.next_version_id_marker);
            if next == from || next.0.is_none() {
                let (bucket, key) = (bucket.bucket().to_owned(), prefix.to_owned());
                return Err(LedgerError::Endless { bucket, key });
            }
            from = next;
        }
    }
}

fn place(object: &Object, credential: &CredentialName) -> Option<Sequence> {
    match Place::of_key(&object.key, credential) {
        Place::Record(sequence) => Some(sequence),
        Place::Key(_) | Place::Head => None,
    }
}
