//! Reading the record back, with every version and delete marker: over a stand-in for a bucket that keeps versions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod secrets_stub;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use keywheel_core::audit::chain::{
    ChainPart, Damage, Event, Folder, Sequence, head_key, record_key,
};
use keywheel_core::audit::ledger::{Ledger, LedgerError, Reader, Stray, Verified};
use keywheel_core::ids::CredentialName;
use secrets_stub::{Answer, Request, Stub, etag};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

/// By bucket and key: the versions, the oldest first. `None` is a delete marker.
#[derive(Default)]
struct Versions {
    objects: BTreeMap<String, Vec<Option<String>>>,
    /// How many keys a page of a listing holds.
    page: Option<usize>,
    /// A listing that says that there is more, and not where.
    endless: bool,
}

fn query<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let (_, query) = request.line.split(' ').nth(1)?.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

impl Versions {
    fn answer(&mut self, request: &Request) -> Answer {
        let mut words = request.line.split([' ', '?']);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.replace("%21", "!");
        let missing = || (404, "<Error><Code>NoSuchKey</Code></Error>".to_owned());
        if method == "PUT" {
            let is_new = request.head.contains("if-none-match");
            let newest = self.objects.get(&path).and_then(|all| all.last()?.as_ref());
            let fits = newest.is_none_or(|body| request.head.contains(&etag(body)));
            if fits == (is_new && newest.is_some()) {
                return (412, "<Error><Code>PreconditionFailed</Code></Error>".to_owned());
            }
            self.objects.entry(path).or_default().push(Some(request.body.clone()));
            return (200, String::new());
        }
        if request.line.contains("?versions") || request.line.contains("&versions") {
            return (200, self.listed(path.trim_matches('/'), request));
        }
        let Some(versions) = self.objects.get(&path) else { return missing() };
        let version = match query(request, "versionId") {
            Some(id) => versions.get(id.parse::<usize>().unwrap()),
            None => versions.last(),
        };
        version.cloned().flatten().map_or_else(missing, |body| (200, body))
    }

    fn listed(&self, bucket: &str, request: &Request) -> String {
        let decoded = |text: &str| text.replace("%2F", "/").replace("%21", "!");
        let prefix = decoded(query(request, "prefix").unwrap_or_default());
        let after = query(request, "key-marker").map(decoded).unwrap_or_default();
        let folders = query(request, "delimiter").is_some();
        let keys = self.objects.iter().filter_map(|(path, versions)| {
            let key = path.strip_prefix(&format!("/{bucket}/"))?;
            (key.starts_with(&prefix) && key > after.as_str()).then_some((key, versions))
        });
        let keys: Vec<_> = keys.collect();
        let page = self.page.unwrap_or(1000);
        let mut text = String::from("<ListVersionsResult>");
        let mut seen = Vec::new();
        for (key, versions) in keys.iter().take(page) {
            if let Some((folder, _)) = key[prefix.len()..].split_once('/').filter(|_| folders) {
                let folder = format!("{prefix}{folder}/");
                if !seen.contains(&folder) {
                    let _ =
                        write!(text, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
                    seen.push(folder);
                }
                continue;
            }
            for (id, version) in versions.iter().enumerate().rev() {
                let kind = if version.is_some() { "Version" } else { "DeleteMarker" };
                let _ =
                    write!(text, "<{kind}><Key>{key}</Key><VersionId>{id}</VersionId></{kind}>");
            }
        }
        if self.endless {
            text.push_str("<IsTruncated>true</IsTruncated>");
        } else if keys.len() > page {
            let _ = write!(
                text,
                "<IsTruncated>true</IsTruncated><NextKeyMarker>{}</NextKeyMarker>",
                keys[page - 1].0
            );
        }
        format!("{text}</ListVersionsResult>")
    }
}

struct World {
    versions: Arc<Mutex<Versions>>,
    ledger: Ledger,
    reader: Reader,
    stub: Stub,
}

impl World {
    /// A record of three events of `a` and of one event of each of the others.
    async fn new(others: &[&str]) -> Self {
        let versions = Arc::new(Mutex::new(Versions::default()));
        let behind = Arc::clone(&versions);
        let stub = Stub::start(move |request| Some(behind.lock().unwrap().answer(request))).await;
        let config = stub.config().into_builder().retry_config(RetryConfig::disabled()).build();
        let buckets = || ("records".to_owned(), "heads".to_owned());
        let ledger = Ledger::new(&config, buckets().0, buckets().1);
        let reader = Reader::new(&config, buckets().0, buckets().1);
        let world = Self { versions, ledger, reader, stub };
        for number in 1..=3 {
            world.append("a", number).await;
        }
        for (number, other) in (4..).zip(others) {
            world.append(other, number).await;
        }
        world
    }

    async fn append(&self, credential: &str, number: u128) {
        let (id, data) = (Uuid::from_u128(number), json!({ "credential": credential }));
        let event = Event::parse(json!({
            "specversion": "1.0", "id": id, "source": "keywheel", "type": "keywheel.key.minted",
            "subject": credential, "time": "2026-11-21T09:00:00Z", "data": data,
        }));
        let deadline = Instant::now() + Duration::from_mins(1);
        self.ledger.append(&event.unwrap(), deadline).await.unwrap();
    }

    async fn verified(&self, folder: Folder) -> Verified {
        // A record that no head names is looked at again for as long as there is time.
        self.reader.verify(folder, Instant::now() + Duration::from_millis(100)).await.unwrap()
    }

    /// What is wrong with the chain of `a`.
    async fn damage(&self) -> Vec<(ChainPart, Damage)> {
        let verified = self.verified(Folder::of(&name("a"))).await;
        verified.breaks.into_iter().map(|one| (one.part, one.damage)).collect()
    }

    /// Changes the versions of a record of `a`.
    fn record(&self, number: u64, change: impl FnOnce(&mut Vec<Option<String>>)) {
        let key = format!("/records/{}", record_key(&name("a"), at(number)));
        change(self.versions.lock().unwrap().objects.entry(key).or_default());
    }
}

fn name(text: &str) -> CredentialName {
    CredentialName(text.to_owned())
}

fn at(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

#[tokio::test]
async fn every_chain_is_found_and_whole_however_short_the_pages_are() {
    let long = "é".repeat(300);
    let world = World::new(&["b/c", &long]).await;
    for page in [1, 2, 1000] {
        world.versions.lock().unwrap().page = Some(page);
        let (folders, strays) = world.reader.folders().await.unwrap();
        assert_eq!((folders.len(), strays.len()), (3, 0), "{page}");
        for (credential, records) in [("a", 3), ("b/c", 1), (&long, 1)] {
            let folder = Folder::of(&name(credential));
            assert!(folders.contains(&folder));
            let verified = world.verified(folder).await;
            assert_eq!(verified.credential, Some(name(credential)));
            assert_eq!(
                (verified.records, verified.breaks),
                (records, vec![]),
                "{page} {credential}"
            );
            assert_eq!(verified.head.unwrap().sequence.number(), records as u64);
        }
        let records = world.reader.records(&name("a")).await.unwrap();
        let numbers: Vec<_> = records.iter().map(|raw| raw.record.sequence.number()).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}

/// Each would hold no chain, so that a damaged record would be called whole.
#[tokio::test]
async fn buckets_that_are_swapped_are_not_called_an_empty_record() {
    let world = World::new(&[]).await;
    let config = world.stub.config();
    let swapped = Reader::new(&config, "heads".to_owned(), "records".to_owned());
    let error = swapped.folders().await.unwrap_err();
    assert!(matches!(error, LedgerError::BucketsSwapped), "{error}");
    assert_eq!(world.reader.folders().await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn what_somebody_did_to_a_record_is_seen_in_its_versions() {
    let record = |number| ChainPart::Record(at(number));
    let world = World::new(&[]).await;
    world.record(2, |versions| versions.push(None));
    assert_eq!(world.damage().await, [(record(2), Damage::Deleted)]);
    let world = World::new(&[]).await;
    world.record(2, |versions| versions.push(versions[0].clone()));
    assert_eq!(world.damage().await, [(record(2), Damage::Overwritten(2))]);
    let world = World::new(&[]).await;
    let key = format!("/records/{}", record_key(&name("a"), at(2)));
    world.versions.lock().unwrap().objects.remove(&key);
    assert_eq!(world.damage().await, [(record(2), Damage::Missing(at(2)))]);
    // What is no record of its place is not shown as one.
    let world = World::new(&[]).await;
    let mut third = Vec::new();
    world.record(3, |versions| third = versions.clone());
    world.record(4, |versions| *versions = third);
    let records = world.reader.records(&name("a")).await.unwrap();
    assert_eq!(records.len(), 3);
    let damage = world.damage().await;
    assert!(damage.iter().any(|(place, _)| *place == record(4)), "{damage:?}");
}

/// An append is recorded first, and confirmed by the head then.
#[tokio::test]
async fn a_record_that_the_head_does_not_name_is_unconfirmed_once_the_time_is_over() {
    let world = World::new(&[]).await;
    let key = format!("/heads/{}", head_key(&name("a")));
    let (mut one, mut all) = (None, Vec::new());
    if let Some(heads) = world.versions.lock().unwrap().objects.get_mut(&key) {
        all.clone_from(heads);
        heads.truncate(2);
        one = heads.last().cloned();
    }
    assert!(one.is_some() && all.len() == 3, "a version for each append");
    let damage = world.damage().await;
    assert_eq!(damage, [(ChainPart::Record(at(3)), Damage::Unconfirmed(at(3)))]);
    assert!(damage[0].1.to_string().contains("up to record 3"), "{}", damage[0].1);
    assert_eq!(damage[0].1.name(), "unconfirmed");
    // The head is there a moment later.
    let (versions, reader) = (Arc::clone(&world.versions), world.reader.clone());
    let moved = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        versions.lock().unwrap().objects.insert(key, all);
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let verified = reader.verify(Folder::of(&name("a")), deadline);
    let (verified, ()) = tokio::join!(verified, moved);
    let verified = verified.unwrap();
    assert_eq!((verified.records, verified.breaks), (3, vec![]));
}

#[tokio::test]
async fn records_beyond_the_head_that_do_not_follow_on_each_other_are_told_apart() {
    let world = World::new(&[]).await;
    for number in 4..=5 {
        world.append("a", number).await;
    }
    {
        let mut versions = world.versions.lock().unwrap();
        versions.objects.get_mut(&format!("/heads/{}", head_key(&name("a")))).unwrap().truncate(1);
        versions.objects.remove(&format!("/records/{}", record_key(&name("a"), at(3))));
    }
    let damage = world.damage().await;
    let expected = [(2, 2), (4, 5)]
        .map(|(from, to)| (ChainPart::Record(at(from)), Damage::Unconfirmed(at(to))));
    assert_eq!(damage, expected);
}

#[tokio::test]
async fn what_is_in_no_chain_is_told() {
    let world = World::new(&[]).await;
    let body = || vec![Some("{}".to_owned())];
    let planted = |key: &str| {
        world.versions.lock().unwrap().objects.insert(format!("/records/{key}"), body());
    };
    planted("audit/stray.json");
    planted("audit/!sha256-0/1.json");
    let (folders, strays) = world.reader.folders().await.unwrap();
    assert_eq!((folders.len(), strays), (2, vec![Stray("audit/stray.json".to_owned())]));
    let folder = Folder::in_key("audit/!sha256-0/1.json").unwrap();
    let verified = world.verified(folder).await;
    assert_eq!((verified.credential, verified.records), (None, 1));
    let key = "audit/!sha256-0/1.json".to_owned();
    let [inserted] = &verified.breaks[..] else { panic!("{:?}", verified.breaks) };
    assert_eq!((&inserted.part, inserted.damage), (&ChainPart::Key(key.clone()), Damage::Inserted));
    let shown = inserted.to_string();
    assert!(shown.contains(&key) && shown.ends_with("this is no record of the chain"), "{shown}");
    world.versions.lock().unwrap().endless = true;
    let endless = world.reader.folders().await.unwrap_err();
    assert!(matches!(endless, LedgerError::Endless(_)), "{endless}");
}
