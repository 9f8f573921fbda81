//! Appending to the record: whoever writes at the same time, and wherever a try is cut off, each event is in its
//! chain once. Over a stand-in for S3 that keeps to its conditional writes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod secrets_stub;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use keywheel_core::audit::chain::{
    Break, ChainPart, Damage, Event, Hash, Head, HeadSeen, Object, Record, Sequence, Stored, Tail,
    Version, head_key, intended, marker_key, record_key, verify,
};
use keywheel_core::audit::ledger::{Appended, Ledger, LedgerError};
use keywheel_core::http::Retry;
use keywheel_core::ids::CredentialName;
use secrets_stub::{Answer, Request, Stub, etag};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

/// What is kept, by bucket and key, and what is to go wrong.
#[derive(Default)]
struct Store {
    objects: BTreeMap<String, String>,
    /// The number of requests so far.
    asked: usize,
    /// At this request the writer's process ends: before the request is acted on, or after.
    ends_at: Option<(usize, bool)>,
    /// The process has ended: nothing of it reaches the store.
    ended: bool,
    /// So many puts meet another request for their key.
    conflicts: usize,
    /// The next put of a head comes after another writer's.
    head_taken: bool,
}

fn refusal(status: u16, code: &str) -> Answer {
    (status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

impl Store {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        if self.ended {
            return None;
        }
        self.asked += 1;
        if let Some((at, after)) = self.ends_at
            && at == self.asked
        {
            self.ended = true;
            if after {
                self.act(request);
            }
            return None;
        }
        Some(self.act(request))
    }

    fn act(&mut self, request: &Request) -> Answer {
        let mut words = request.line.split([' ', '?']);
        let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
        let header = |name: &str| {
            let mut lines = request.head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim().to_owned())
        };
        let there = self.objects.get(&path);
        if method == "GET" {
            let missing = || refusal(404, "NoSuchKey");
            return there.map_or_else(missing, |body| (200, body.clone()));
        }
        assert!(header("x-amz-checksum-sha256").is_some(), "object lock asks for it");
        if self.head_taken && path.starts_with("/heads/heads/") {
            self.head_taken = false;
            return refusal(412, "PreconditionFailed");
        }
        if self.conflicts > 0 {
            self.conflicts -= 1;
            return refusal(409, "ConditionalRequestConflict");
        }
        match (header("if-none-match"), header("if-match"), there) {
            (Some(_), None, None) => {}
            (None, Some(wanted), Some(body)) if wanted == etag(body) => {}
            (None, Some(_), None) => return refusal(404, "NoSuchKey"),
            (None, None, _) => panic!("a put without a condition"),
            _ => return refusal(412, "PreconditionFailed"),
        }
        self.objects.insert(path, request.body.clone());
        (200, String::new())
    }
}

struct World {
    store: Arc<Mutex<Store>>,
    stub: Stub,
    ledger: Ledger,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let behind = Arc::clone(&store);
        let stub = Stub::start(move |request| behind.lock().unwrap().answer(request)).await;
        let config = stub.config().into_builder().retry_config(RetryConfig::disabled()).build();
        let ledger = Ledger::new(&config, "records".to_owned(), "heads".to_owned());
        Self { store, stub, ledger }
    }

    async fn append(&self, event: &Event) -> Result<Appended, LedgerError> {
        self.ledger.append(event, Instant::now() + Duration::from_mins(1)).await
    }

    fn object(&self, path: &str) -> Option<String> {
        self.store.lock().unwrap().objects.get(path).cloned()
    }

    fn plant(&self, path: String, body: String) {
        self.store.lock().unwrap().objects.insert(path, body);
    }

    /// The events of a credential's chain in its order, and what is wrong with it.
    fn chain(&self, credential: &str) -> (Vec<Uuid>, Vec<Break>) {
        let name = CredentialName(credential.to_owned());
        let head = self.object(&format!("/heads/{}", head_key(&name)));
        let head = head.and_then(|bytes| Head::read(bytes.as_bytes(), &name));
        let store = self.store.lock().unwrap();
        let prefix = format!("/records/audit/{credential}/");
        let records = store.objects.iter().filter(|(path, _)| path.starts_with(&prefix));
        let (mut events, mut objects) = (Vec::new(), Vec::new());
        for (path, body) in records {
            events.extend(Record::read(body.as_bytes()).and_then(|record| record.event_id()));
            let key = path.trim_start_matches("/records/").to_owned();
            let versions = vec![Version::Stored(Stored::read(body.as_bytes()))];
            objects.push(Object { key, versions });
        }
        let head = head.map_or(HeadSeen::Missing, HeadSeen::Says);
        let intents: BTreeSet<Hash> = store
            .objects
            .keys()
            .filter(|path| path.starts_with(&format!("/heads/intents/{credential}/")))
            .filter_map(|path| intended(path))
            .collect();
        (events, verify(&name, &objects, &head, &intents))
    }
}

fn event(credential: &str, number: u128) -> Event {
    let (id, data) = (Uuid::from_u128(number), json!({ "credential": credential }));
    Event::parse(json!({
        "specversion": "1.0", "id": id, "source": "keywheel", "type": "keywheel.key.minted",
        "subject": credential, "time": "2026-11-21T09:00:00Z", "data": data,
    }))
    .unwrap()
}

fn ids(numbers: impl IntoIterator<Item = u128>) -> Vec<Uuid> {
    numbers.into_iter().map(Uuid::from_u128).collect()
}

fn at(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

#[tokio::test]
async fn an_event_is_recorded_once_however_often_it_is_told() {
    let world = World::new().await;
    assert_eq!(world.append(&event("a", 1)).await.unwrap(), Appended::Now(at(1)));
    assert_eq!(world.append(&event("a", 2)).await.unwrap(), Appended::Now(at(2)));
    assert_eq!(world.append(&event("b", 3)).await.unwrap(), Appended::Now(at(1)));
    assert_eq!(world.append(&event("a", 1)).await.unwrap(), Appended::Before(at(1)));
    assert_eq!(world.chain("a"), (ids([1, 2]), vec![]));
    assert_eq!(world.chain("b"), (ids([3]), vec![]));
}

#[tokio::test]
async fn a_head_that_another_writer_moved_is_moved_on() {
    let world = World::new().await;
    world.append(&event("a", 1)).await.unwrap();
    world.store.lock().unwrap().head_taken = true;
    assert_eq!(world.append(&event("a", 2)).await.unwrap(), Appended::Now(at(2)));
    assert_eq!(world.chain("a"), (ids([1, 2]), vec![]));
}

#[tokio::test]
async fn a_try_that_is_cut_off_anywhere_loses_and_doubles_nothing() {
    let mut cut_off = 0;
    for (ends_at, after, another_first) in (1..=11)
        .flat_map(|ends_at| [false, true].map(|after| (ends_at, after)))
        .flat_map(|(ends_at, after)| [false, true].map(|first| (ends_at, after, first)))
    {
        let world = World::new().await;
        world.append(&event("a", 1)).await.unwrap();
        let asked = world.store.lock().unwrap().asked;
        world.store.lock().unwrap().ends_at = Some((asked + ends_at, after));
        let first_try = world.append(&event("a", 2)).await;
        {
            let mut store = world.store.lock().unwrap();
            cut_off += usize::from(store.ended);
            assert_eq!(first_try.is_err(), store.ended);
            (store.ended, store.ends_at) = (false, None);
        }
        if another_first {
            world.append(&event("a", 3)).await.unwrap();
        }
        world.append(&event("a", 2)).await.unwrap();
        world.append(&event("a", 3)).await.unwrap();
        let (mut events, breaks) = world.chain("a");
        assert_eq!(breaks, [], "cut off at {ends_at}");
        assert_eq!(events.len(), 3, "cut off at {ends_at}");
        events.sort();
        assert_eq!(events, ids([1, 2, 3]), "cut off at {ends_at}");
    }
    assert!(cut_off >= 28, "an append is at least seven requests: {cut_off}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_writers_with_a_hundred_events_twice_make_a_chain_of_a_hundred() {
    let world = Arc::new(World::new().await);
    let tasks = (0..10_u128).map(|writer| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            // Each event by two writers, at other moments.
            let own = (0..10).map(|turn| turn * 10 + writer);
            let others = (0..10).map(|turn| turn * 10 + (writer + turn) % 10);
            let mut new = 0;
            for number in own.zip(others).flat_map(|(own, other)| [own, other]) {
                // As the queue would: until it is recorded.
                let appended = loop {
                    match world.append(&event("a", number)).await {
                        Ok(appended) => break appended,
                        Err(error) => assert_eq!(error.retry(), Retry::Soon, "{error}"),
                    }
                };
                new += usize::from(matches!(appended, Appended::Now(_)));
            }
            new
        })
    });
    let new: usize = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    let (mut events, breaks) = world.chain("a");
    assert_eq!((new, events.len(), breaks), (100, 100, vec![]));
    events.sort();
    assert_eq!(events, ids(0..100));
    let store = world.store.lock().unwrap();
    let markers = store.objects.keys().filter(|path| path.starts_with("/heads/ids/")).count();
    assert_eq!(markers, 100);
}

#[tokio::test]
async fn a_put_that_meets_another_is_put_again() {
    let world = World::new().await;
    world.store.lock().unwrap().conflicts = 3;
    world.append(&event("a", 1)).await.unwrap();
    assert_eq!(world.chain("a"), (ids([1]), vec![]));

    world.store.lock().unwrap().conflicts = 100;
    let refused = world.append(&event("a", 2)).await.unwrap_err();
    assert!(refused.to_string().contains("ConditionalRequestConflict"), "{refused}");
    assert_eq!(refused.retry(), Retry::Soon);
}

#[tokio::test]
async fn whoever_can_write_to_the_records_alone_keeps_no_event_out() {
    let world = World::new().await;
    world.append(&event("a", 1)).await.unwrap();
    let marker = world.object(&format!("/heads/{}", marker_key(Uuid::from_u128(1)))).unwrap();
    world.plant(format!("/records/{}", marker_key(Uuid::from_u128(2))), marker);
    world.plant(format!("/records/{}", marker_key(Uuid::from_u128(3))), "{}".to_owned());
    assert_eq!(world.append(&event("a", 2)).await.unwrap(), Appended::Now(at(2)));
    assert_eq!(world.append(&event("a", 3)).await.unwrap(), Appended::Now(at(3)));
    assert_eq!(world.chain("a"), (ids([1, 2, 3]), vec![]));
}

#[tokio::test]
async fn a_marker_that_nobody_can_read_is_named() {
    let world = World::new().await;
    let key = marker_key(Uuid::from_u128(1));
    world.plant(format!("/heads/{key}"), "{}".to_owned());
    let refused = world.append(&event("a", 1)).await.unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    assert!(refused.to_string().contains(&format!("s3://heads/{key} is no marker")), "{refused}");
}

#[tokio::test]
async fn an_event_that_is_told_again_under_its_credentials_new_name_is_recorded_once() {
    let world = World::new().await;
    world.append(&event("a", 1)).await.unwrap();
    assert_eq!(world.append(&event("b", 1)).await.unwrap(), Appended::Before(at(1)));
    assert_eq!(world.chain("a"), (ids([1]), vec![]));
    assert_eq!(world.chain("b"), (ids([]), vec![]));
}

#[tokio::test]
async fn a_head_that_lags_is_moved_and_never_back() {
    let world = World::new().await;
    let head = format!("/heads/{}", head_key(&CredentialName("a".to_owned())));
    let mut heads = HashMap::new();
    for number in 1..=4 {
        world.append(&event("a", number)).await.unwrap();
        heads.insert(number, world.object(&head).unwrap());
    }
    // Told again, an old event does not move it back; a new one finds the end from any head, or none.
    world.append(&event("a", 1)).await.unwrap();
    assert_eq!(world.object(&head).unwrap(), heads[&4]);
    world.plant(head.clone(), heads[&2].clone());
    world.append(&event("a", 4)).await.unwrap();
    assert_eq!(world.object(&head).unwrap(), heads[&4]);
    world.plant(head.clone(), heads[&1].clone());
    assert_eq!(world.append(&event("a", 5)).await.unwrap(), Appended::Now(at(5)));
    world.store.lock().unwrap().objects.remove(&head);
    assert_eq!(world.append(&event("a", 6)).await.unwrap(), Appended::Now(at(6)));
    assert_eq!(world.chain("a"), (ids(1..=6), vec![]));

    world.plant(head, "{}".to_owned());
    let refused = world.append(&event("a", 7)).await.unwrap_err();
    assert!(matches!(refused, LedgerError::HeadUnreadable { .. }), "{refused}");
}

#[tokio::test]
async fn a_stranger_in_the_next_place_costs_no_event_and_is_told() {
    let world = World::new().await;
    world.append(&event("a", 1)).await.unwrap();
    let key = record_key(&CredentialName("a".to_owned()), at(2));
    world.plant(format!("/records/{key}"), "garbage".to_owned());
    assert_eq!(world.append(&event("a", 2)).await.unwrap(), Appended::Now(at(3)));
    let (events, breaks) = world.chain("a");
    assert_eq!(events, ids([1, 2]));
    assert_eq!(breaks, [Break { part: ChainPart::Record(at(2)), damage: Damage::Changed }]);
}

/// A record that links, put at the end of a chain of one by somebody who can write to the records alone.
async fn with_a_forged_record(of: &Event) -> World {
    let world = World::new().await;
    world.append(&event("a", 1)).await.unwrap();
    let name = CredentialName("a".to_owned());
    let head = world.object(&format!("/heads/{}", head_key(&name))).unwrap();
    let head = Head::read(head.as_bytes(), &name).unwrap();
    let tail = Tail { sequence: Some(head.sequence), hash: head.hash };
    let earlier = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    let forged = Record::after(&tail, at(2), of, earlier).unwrap();
    let forged = String::from_utf8(forged).unwrap();
    world.plant(format!("/records/{}", record_key(&name, at(2))), forged);
    world
}

#[tokio::test]
async fn a_forged_record_that_links_is_told_whatever_comes_after_it() {
    let unintended = Break { part: ChainPart::Record(at(2)), damage: Damage::Unintended };
    let world = with_a_forged_record(&event("a", 1000)).await;
    assert_eq!(world.append(&event("a", 2)).await.unwrap(), Appended::Now(at(3)));
    assert_eq!(world.append(&event("a", 3)).await.unwrap(), Appended::Now(at(4)));
    assert_eq!(world.chain("a"), (ids([1, 1000, 2, 3]), vec![unintended]));
}

#[tokio::test]
async fn a_forged_record_takes_no_events_place() {
    let world = with_a_forged_record(&event("a", 2)).await;
    assert_eq!(world.append(&event("a", 2)).await.unwrap(), Appended::Now(at(3)));
    let (events, breaks) = world.chain("a");
    assert_eq!(events, ids([1, 2, 2]));
    assert!(breaks.contains(&Break { part: ChainPart::Record(at(2)), damage: Damage::Unintended }));
}

#[tokio::test]
async fn s3s_own_words_are_told() {
    let stub = Stub::start(|_| Some(refusal(403, "AccessDenied"))).await;
    let ledger = Ledger::new(&stub.config(), "records".to_owned(), "heads".to_owned());
    let refused = ledger.append(&event("a", 1), Instant::now() + Duration::from_mins(1)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    let told = refused.to_string();
    assert!(told.contains("GetObject of s3://heads/heads/a.json: AccessDenied"), "{told}");

    let world = World::new().await;
    let late = world.ledger.append(&event("a", 1), Instant::now()).await.unwrap_err();
    assert!(matches!(late, LedgerError::OutOfTime(_)), "{late}");
    assert!(!world.stub.url.is_empty());
}
