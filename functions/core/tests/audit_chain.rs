//! Whatever is done to one object of a chain is reported, with its place; and nothing else is accused.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use keywheel_core::audit::chain::{
    Break, ChainPart, Damage, Event, Hash, Head, HeadSeen, Object, Record, Sequence, Stored, Tail,
    Version, record_key, verify,
};
use keywheel_core::ids::CredentialName;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

/// A chain as it lies in S3: each key with the bytes of its versions, the oldest first; `None` is a delete marker.
#[derive(Clone)]
struct Chain {
    credential: CredentialName,
    objects: Vec<(String, Vec<Option<Vec<u8>>>)>,
    head: Option<Head>,
    intents: BTreeSet<Hash>,
}

fn event(credential: &str, number: usize) -> Event {
    Event::parse(json!({
        "specversion": "1.0", "id": Uuid::from_u128(number as u128), "source": "keywheel",
        "type": "keywheel.key.minted", "subject": credential, "time": "2026-11-21T09:00:00Z",
        "data": { "credential": credential, "number": number },
    }))
    .unwrap()
}

fn appended(tail: &Tail, event: &Event) -> (Sequence, Vec<u8>) {
    let now: DateTime<Utc> = "2026-11-21T09:00:01Z".parse().unwrap();
    let sequence = tail.next().unwrap();
    (sequence, Record::after(tail, sequence, event, now).unwrap())
}

impl Chain {
    fn of(credential: &str, records: usize) -> Self {
        let name = CredentialName(credential.to_owned());
        let mut chain = Self {
            credential: name.clone(),
            objects: Vec::new(),
            head: None,
            intents: BTreeSet::new(),
        };
        let mut tail = Tail::none(&name);
        for number in 1..=records {
            let (sequence, bytes) = appended(&tail, &event(credential, number));
            tail = chain.push(sequence, bytes);
            chain.intents.insert(tail.hash);
        }
        chain
    }

    /// Puts a record at the end and moves the head to it.
    fn push(&mut self, sequence: Sequence, bytes: Vec<u8>) -> Tail {
        let hash = Hash::of_record(&bytes);
        self.objects.push((record_key(&self.credential, sequence), vec![Some(bytes)]));
        self.head = Some(Head::of(self.credential.clone(), sequence, hash));
        Tail { sequence: Some(sequence), hash }
    }

    fn verify(&self) -> Vec<Break> {
        let version = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => Version::Stored(Stored::read(bytes)),
            None => Version::DeleteMarker,
        };
        let object = |(key, versions): &(String, Vec<Option<Vec<u8>>>)| Object {
            key: key.clone(),
            versions: versions.iter().map(version).collect(),
        };
        let objects: Vec<Object> = self.objects.iter().map(object).collect();
        let head = self.head.clone().map_or(HeadSeen::Missing, HeadSeen::Says);
        verify(&self.credential, &objects, &head, &self.intents)
    }

    fn places(&self) -> BTreeSet<ChainPart> {
        self.verify().into_iter().map(|it| it.part).collect()
    }

    fn bytes(&mut self, index: usize) -> &mut Vec<u8> {
        self.objects[index].1[0].as_mut().unwrap()
    }

    fn tail_before(&self, index: usize) -> Tail {
        let Some(before) = index.checked_sub(1) else {
            return Tail::none(&self.credential);
        };
        let bytes = self.objects[before].1[0].as_ref().unwrap();
        Tail { sequence: Some(at(before)), hash: Hash::of_record(bytes) }
    }
}

/// The place of an object in `objects`.
fn at(index: usize) -> Sequence {
    Sequence::new(index as u64 + 1).unwrap()
}

fn only(index: usize) -> BTreeSet<ChainPart> {
    BTreeSet::from([ChainPart::Record(at(index))])
}

/// A length and a place in it.
fn length_and_place() -> impl Strategy<Value = (usize, usize)> {
    (1_usize..40).prop_flat_map(|length| (Just(length), 0..length))
}

#[test]
fn what_was_written_is_whole() {
    for length in 0..20 {
        assert_eq!(Chain::of("entra/a", length).verify(), []);
    }
}

#[test]
fn another_credentials_records_do_not_fit() {
    let mut chain = Chain::of("a", 3);
    chain.objects[1].1 = Chain::of("b", 3).objects[1].1.clone();
    assert_eq!(chain.places(), only(1));
    let mut renamed = Chain::of("a", 3);
    renamed.credential = CredentialName("b".to_owned());
    for (index, object) in renamed.objects.iter_mut().enumerate() {
        object.0 = record_key(&renamed.credential, at(index));
    }
    assert!(!renamed.verify().is_empty());
}

#[test]
fn a_head_says_where_the_chain_ends() {
    let mut chain = Chain::of("a", 3);
    let head = chain.head.take().unwrap();
    let missing = Break { part: ChainPart::Head, damage: Damage::HeadMissing };
    assert_eq!(chain.verify(), [missing]);

    chain.head = Some(Head { sequence: Sequence::LAST, ..head });
    let cut = Break { part: ChainPart::Record(at(3)), damage: Damage::CutOff(Sequence::LAST) };
    assert_eq!(chain.verify(), [cut]);

    chain.objects.clear();
    assert_eq!(chain.places(), only(0));
}

#[test]
fn an_event_recorded_twice_is_told() {
    let mut chain = Chain::of("a", 2);
    let (sequence, bytes) = appended(&chain.tail_before(2), &event("a", 1));
    let tail = chain.push(sequence, bytes);
    chain.intents.insert(tail.hash);
    let repeated = Break { part: ChainPart::Record(at(2)), damage: Damage::Repeated(at(0)) };
    assert_eq!(chain.verify(), [repeated]);
}

/// By somebody who cannot write where heads lie; the next append goes on after it.
#[test]
fn a_record_put_at_the_end_stays_told_when_the_chain_goes_on() {
    let mut chain = Chain::of("a", 3);
    let (sequence, forged) = appended(&chain.tail_before(3), &event("a", 1000));
    let tail = chain.push(sequence, forged);
    let (sequence, bytes) = appended(&tail, &event("a", 4));
    let tail = chain.push(sequence, bytes);
    chain.intents.insert(tail.hash);
    let unintended = Break { part: ChainPart::Record(at(3)), damage: Damage::Unintended };
    assert_eq!(chain.verify(), [unintended]);
}

#[test]
fn a_record_without_an_event_is_none() {
    let mut chain = Chain::of("a", 1);
    let whole = String::from_utf8(chain.bytes(0).clone()).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&whole).unwrap();
    record["event"] = json!({});
    let bytes = serde_json::to_vec(&record).unwrap();
    chain.objects.clear();
    chain.push(at(0), bytes);
    let changed = Break { part: ChainPart::Record(at(0)), damage: Damage::Changed };
    assert_eq!(chain.verify(), [changed]);
}

proptest! {
    #[test]
    fn any_edit_of_one_object((length, place) in length_and_place(), at_byte: prop::sample::Index,
                              to in "\\PC{0,3}") {
        let mut chain = Chain::of("a", length);
        let bytes = chain.bytes(place);
        let whole = bytes.clone();
        let at_byte = at_byte.index(bytes.len());
        bytes.splice(at_byte..=at_byte, to.bytes());
        prop_assume!(*bytes != whole);
        prop_assert_eq!(chain.places(), only(place));
    }

    #[test]
    fn an_edit_that_is_a_record_in_itself((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        let (_, forged) = appended(&chain.tail_before(place), &event("a", 1000));
        *chain.bytes(place) = forged;
        prop_assert_eq!(
            chain.verify(), [Break { part: ChainPart::Record(at(place)), damage: Damage::Changed }]
        );
    }

    #[test]
    fn an_edit_that_names_another_record_before_it((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        let tail = Tail { hash: Hash::of_record(b"x"), ..chain.tail_before(place) };
        *chain.bytes(place) = appended(&tail, &event("a", 1000)).1;
        prop_assert_eq!(chain.places(), only(place));
    }

    #[test]
    fn any_object_removed((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        chain.objects.remove(place);
        let damage = if place + 1 == length { Damage::CutOff(at(place)) } else { Damage::Missing(at(place)) };
        prop_assert_eq!(chain.verify(), [Break { part: ChainPart::Record(at(place)), damage }]);
    }

    #[test]
    fn any_object_purged_while_it_is_read((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        chain.objects[place].1.clear();
        prop_assert_eq!(chain.places(), only(place));
    }

    #[test]
    fn a_tail_cut_off((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        chain.objects.truncate(place);
        let damage = Damage::CutOff(at(length - 1));
        prop_assert_eq!(chain.verify(), [Break { part: ChainPart::Record(at(place)), damage }]);
    }

    #[test]
    fn any_object_under_a_delete_marker((length, place) in length_and_place(), purged: bool) {
        let mut chain = Chain::of("a", length);
        chain.objects[place].1.push(None);
        if purged {
            chain.objects[place].1.remove(0);
        }
        prop_assert_eq!(
            chain.verify(), [Break { part: ChainPart::Record(at(place)), damage: Damage::Deleted }]
        );
    }

    #[test]
    fn any_object_written_over((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        let (_, forged) = appended(&chain.tail_before(place), &event("a", 1000));
        chain.objects[place].1.push(Some(forged));
        prop_assert_eq!(
            chain.verify(), [Break { part: ChainPart::Record(at(place)), damage: Damage::Overwritten(2) }]
        );
        // Had it been there first, the chain would have forked.
        chain.objects[place].1.reverse();
        prop_assert_eq!(chain.places(), only(place));
        prop_assert!(chain.verify().iter().any(|it| it.damage == Damage::Forked));
    }

    #[test]
    fn any_two_objects_swapped((length, first) in length_and_place(), second: prop::sample::Index) {
        prop_assume!(length > 1);
        let second = second.index(length);
        prop_assume!(first != second);
        let mut chain = Chain::of("a", length);
        let versions = chain.objects[first].1.clone();
        chain.objects[first].1 = std::mem::replace(&mut chain.objects[second].1, versions);
        let mut expected = [
            Break { part: ChainPart::Record(at(first)), damage: Damage::Moved(at(second)) },
            Break { part: ChainPart::Record(at(second)), damage: Damage::Moved(at(first)) },
        ];
        expected.sort();
        prop_assert_eq!(chain.verify(), expected);
    }

    #[test]
    fn an_object_inserted_and_the_rest_moved_up((length, place) in length_and_place()) {
        let mut chain = Chain::of("a", length);
        let (_, forged) = appended(&chain.tail_before(place), &event("a", 1000));
        let name = chain.credential.clone();
        chain.objects.insert(place, (String::new(), vec![Some(forged)]));
        for (index, object) in chain.objects.iter_mut().enumerate() {
            object.0 = record_key(&name, at(index));
        }
        let breaks = chain.verify();
        prop_assert_eq!(&breaks[0], &Break { part: ChainPart::Record(at(place)), damage: Damage::Inserted });
        let moved = (place + 1..=length)
            .map(|index| Break { part: ChainPart::Record(at(index)), damage: Damage::Moved(at(index - 1)) });
        prop_assert_eq!(&breaks[1..], &moved.collect::<Vec<_>>()[..]);
    }

    #[test]
    fn a_record_appended_past_the_head(length in 1_usize..20, more in 1_usize..4) {
        let mut chain = Chain::of("a", length + more);
        chain.head = Chain::of("a", length).head;
        let damage = Damage::Unconfirmed(at(length + more - 1));
        prop_assert_eq!(chain.verify(), [Break { part: ChainPart::Record(at(length)), damage }]);
    }

    #[test]
    fn an_object_of_another_name((length, place) in length_and_place(), name in "[0-9]{1,11}|[a-z./]{1,20}") {
        let mut chain = Chain::of("a", length);
        let key = format!("audit/a/{name}.json");
        let copy = chain.objects[place].1.clone();
        chain.objects.push((key.clone(), copy));
        prop_assert_eq!(chain.verify(), [Break { part: ChainPart::Key(key), damage: Damage::Inserted }]);
    }

    #[test]
    fn whatever_lies_there_ends(objects in prop::collection::vec(
        (0_u64..30, prop::collection::vec(prop::option::of(0_usize..12), 0..3)), 0..30), head in 0_usize..12) {
        let whole = Chain::of("a", 12);
        let name = whole.credential.clone();
        let lies = |number: &Option<usize>| number.map(|number| whole.objects[number].1[0].clone().unwrap());
        let objects = objects.iter().filter_map(|(place, versions)| {
            Some((record_key(&name, Sequence::new(*place)?), versions.iter().map(lies).collect()))
        });
        let (objects, head, intents) = (objects.collect(), Chain::of("a", head).head, whole.intents.clone());
        let chain = Chain { credential: name.clone(), objects, head, intents };
        let whole = chain.verify().is_empty();
        prop_assert!(!whole || chain.objects.iter().all(|(_, versions)| versions.len() < 2));
    }
}
