//! Finds the damaged parts of a chain.
//!
//! The head names the last record by its hash, and so vouches for that record. Each record that is vouched for vouches for
//! the record before. The walk goes down from the head and looks for each record by its hash. A record that lies at
//! another place was moved. A record that lies nowhere was changed or removed: below that place nothing vouches for the
//! records, and the walk takes them as they lie, as long as their links fit.
//!
//! A record that is vouched for must have an intent too. Somebody who can write to the records alone can put a linked
//! record at the chain's end, and the next append goes on after that record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{Break, ChainPart, Damage, Hash, Head, Record, Sequence};
use crate::ids::CredentialName;

/// A key in a chain's folder, with all versions that S3 keeps.
#[derive(Clone, Debug)]
pub struct Object {
    /// The key.
    pub key: String,
    /// The versions, the oldest first.
    pub versions: Vec<Version>,
}

/// One version of an object.
#[derive(Clone, Debug)]
pub enum Version {
    /// The object was deleted.
    DeleteMarker,
    /// The object was written.
    Stored(Stored),
}

/// The hash of an object's bytes, and the links of the record that they hold.
#[derive(Clone, Debug)]
pub struct Stored {
    hash: Hash,
    record: Option<Links>,
}

#[derive(Clone, Debug)]
struct Links {
    credential: CredentialName,
    sequence: Sequence,
    previous: Hash,
    event: Option<Uuid>,
}

impl Stored {
    /// Reads any object's bytes.
    pub fn read(bytes: &[u8]) -> Self {
        let record = Record::read(bytes).map(|record| Links {
            event: record.event_id(),
            credential: record.credential,
            sequence: record.sequence,
            previous: record.previous,
        });
        Self { hash: Hash::of_record(bytes), record }
    }

    /// Says whether the bytes are a record of this place.
    fn fits(&self, sequence: Sequence, credential: &CredentialName) -> bool {
        self.record.as_ref().is_some_and(|links| {
            links.event.is_some() && (links.sequence, &links.credential) == (sequence, credential)
        })
    }
}

impl Object {
    fn stored(&self) -> impl Iterator<Item = &Stored> {
        self.versions.iter().filter_map(|version| match version {
            Version::Stored(stored) => Some(stored),
            Version::DeleteMarker => None,
        })
    }

    fn is_deleted(&self) -> bool {
        self.versions.iter().any(|version| matches!(version, Version::DeleteMarker))
    }
}

/// The object under the key of a chain's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadSeen {
    /// No object.
    Missing,
    /// An object that is no head of this chain.
    Unreadable,
    /// A head.
    Says(Head),
}

impl HeadSeen {
    /// Gives the place of the record that the head names.
    pub fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::Says(head) => Some(head.sequence),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// Verifies one credential's chain, by the objects of its folder, its head, and the hashes of the records that were
/// intended. The chain is whole if the answer is empty.
pub fn verify(
    credential: &CredentialName,
    objects: &[Object],
    head: &HeadSeen,
    intents: &BTreeSet<Hash>,
) -> Vec<Break> {
    let mut walk = Walk::new(credential, objects, intents);
    let last = walk.places.last_key_value().map(|(last, _)| *last);
    match head {
        HeadSeen::Missing if last.is_some() => walk.report(ChainPart::Head, Damage::HeadMissing),
        HeadSeen::Unreadable => walk.report(ChainPart::Head, Damage::HeadUnreadable),
        HeadSeen::Missing | HeadSeen::Says(_) => {}
    }
    let head = if let HeadSeen::Says(head) = head { Some(head) } else { None };
    walk.down(head.map_or(last, |head| Some(head.sequence)), head.map(|head| head.hash));
    walk.left_over(head.map(|head| head.sequence));
    walk.versions();
    walk.repeated();
    walk.breaks.sort();
    walk.breaks.dedup();
    walk.breaks
}

struct Walk<'a> {
    credential: &'a CredentialName,
    objects: &'a [Object],
    intents: &'a BTreeSet<Hash>,
    /// The index of the object at each place.
    places: BTreeMap<Sequence, usize>,
    /// The records by hash, each with the index of its object.
    by_hash: HashMap<Hash, Vec<(usize, &'a Stored)>>,
    /// The objects that the walk has come across.
    used: HashSet<usize>,
    /// The places of the chain's records, with their events.
    events: Vec<(Sequence, Uuid)>,
    breaks: Vec<Break>,
}

impl<'a> Walk<'a> {
    fn new(
        credential: &'a CredentialName,
        objects: &'a [Object],
        intents: &'a BTreeSet<Hash>,
    ) -> Self {
        let mut places = BTreeMap::new();
        let mut by_hash: HashMap<_, Vec<_>> = HashMap::new();
        for (index, object) in objects.iter().enumerate() {
            // An object whose versions were purged during the reading lies nowhere.
            if let ChainPart::Record(sequence) = ChainPart::of_key(&object.key, credential)
                && !object.versions.is_empty()
            {
                places.insert(sequence, index);
            }
            for stored in object.stored() {
                by_hash.entry(stored.hash).or_default().push((index, stored));
            }
        }
        let (used, events, breaks) = (HashSet::new(), Vec::new(), Vec::new());
        Self { credential, objects, intents, places, by_hash, used, events, breaks }
    }

    fn report(&mut self, part: ChainPart, damage: Damage) {
        self.breaks.push(Break { part, damage });
    }

    fn report_record(&mut self, sequence: Sequence, damage: Damage) {
        self.report(ChainPart::Record(sequence), damage);
    }

    /// Walks from a place down to the first, beginning with the hash that the head names.
    fn down(&mut self, from: Option<Sequence>, mut vouched: Option<Hash>) {
        let (top, mut next) = (from, from);
        while let Some(sequence) = next {
            let lying = self.places.get(&sequence).copied();
            let found = vouched.and_then(|hash| self.find(hash, sequence, lying));
            let (record, trusted) = match (found, lying) {
                (Some(record), _) => (record, true),
                (None, Some(index)) => {
                    let Some(record) = self.take_as_it_lies(index, sequence, vouched.is_some())
                    else {
                        (next, vouched) = (sequence.before(), None);
                        continue;
                    };
                    (record, false)
                }
                (None, None) => {
                    (next, vouched) = (self.nothing(sequence, top), None);
                    continue;
                }
            };
            if let Some(event) = record.event {
                self.events.push((sequence, event));
            }
            next = sequence.before();
            vouched = Some(record.previous);
            let follows = match next {
                None => record.previous == Hash::beginning(self.credential),
                // A record that nothing vouches for cannot show damage below: its own link is what is lost.
                Some(before) => trusted || self.lies_somewhere(record.previous, before),
            };
            if !follows {
                self.report_record(sequence, Damage::Unlinked);
                vouched = None;
            }
        }
    }

    /// Finds the record of this hash, at its place or where it was moved to.
    fn find(&mut self, hash: Hash, sequence: Sequence, lying: Option<usize>) -> Option<&'a Links> {
        let credential = self.credential;
        let fitting = self.by_hash.get(&hash)?.iter();
        let fitting: Vec<_> =
            fitting.filter(|(_, stored)| stored.fits(sequence, credential)).copied().collect();
        let here = fitting.iter().find(|(index, _)| Some(*index) == lying);
        let (index, stored) = here.or_else(|| fitting.first()).copied()?;
        self.used.insert(index);
        if !self.intents.contains(&hash) {
            self.report_record(sequence, Damage::Unintended);
        }
        if here.is_none() {
            let part = ChainPart::of_key(&self.objects.get(index)?.key, credential);
            self.report(part, Damage::Moved(sequence));
            if lying.is_none() {
                self.report_record(sequence, Damage::Missing(sequence));
            }
        } else if self.objects.get(index)?.stored().next().is_some_and(|first| first.hash != hash) {
            self.report_record(sequence, Damage::Forked);
        }
        stored.record.as_ref()
    }

    fn lies_somewhere(&self, hash: Hash, sequence: Sequence) -> bool {
        let found = self.by_hash.get(&hash);
        found
            .is_some_and(|all| all.iter().any(|(_, stored)| stored.fits(sequence, self.credential)))
    }

    /// Takes the record at a place although nothing vouches for it, if the record fits the place.
    fn take_as_it_lies(
        &mut self,
        index: usize,
        sequence: Sequence,
        accused: bool,
    ) -> Option<&'a Links> {
        self.used.insert(index);
        let first = self.objects.get(index)?.stored().next();
        let record = first
            .filter(|stored| stored.fits(sequence, self.credential))
            .and_then(|stored| stored.record.as_ref());
        // An object that has only a delete marker is reported as deleted.
        if first.is_some() && (accused || record.is_none()) {
            self.report_record(sequence, Damage::Changed);
        }
        record
    }

    /// Reports the places without an object, from this one down. Gives the next place that has an object.
    fn nothing(&mut self, sequence: Sequence, top: Option<Sequence>) -> Option<Sequence> {
        let below = self.places.range(..sequence).next_back().map(|(below, _)| *below);
        let first = below.and_then(Sequence::next).unwrap_or(Sequence::FIRST);
        let damage = if Some(sequence) == top {
            Damage::CutOff(sequence)
        } else {
            Damage::Missing(sequence)
        };
        self.report_record(first, damage);
        below
    }

    /// Reports the objects that the walk did not come across.
    fn left_over(&mut self, head: Option<Sequence>) {
        let mut beyond: Option<(Sequence, Sequence)> = None;
        for (sequence, index) in &self.places {
            if self.used.contains(index) || head.is_none_or(|head| *sequence <= head) {
                continue;
            }
            self.used.insert(*index);
            beyond = match beyond {
                Some((first, last)) if last.next() == Some(*sequence) => Some((first, *sequence)),
                other => {
                    self.breaks.extend(other.map(unconfirmed));
                    Some((*sequence, *sequence))
                }
            };
        }
        self.breaks.extend(beyond.map(unconfirmed));
        for (index, object) in self.objects.iter().enumerate() {
            if !self.used.contains(&index) && !object.versions.is_empty() {
                let part = ChainPart::of_key(&object.key, self.credential);
                self.report(part, Damage::Inserted);
            }
        }
    }

    /// Reports the objects that were written twice, or deleted.
    fn versions(&mut self) {
        for object in self.objects {
            let credential = self.credential;
            let part = || ChainPart::of_key(&object.key, credential);
            let versions = object.stored().count();
            if versions > 1 {
                self.report(part(), Damage::Overwritten(versions));
            }
            if object.is_deleted() {
                self.report(part(), Damage::Deleted);
            }
        }
    }

    /// Reports the records whose event an earlier record has.
    fn repeated(&mut self) {
        let mut first: HashMap<Uuid, Sequence> = HashMap::new();
        self.events.sort_unstable();
        for (sequence, event) in &self.events {
            if let Some(first) = first.insert(*event, *sequence) {
                let part = ChainPart::Record(*sequence);
                self.breaks.push(Break { part, damage: Damage::Repeated(first) });
            }
        }
    }
}

fn unconfirmed((first, last): (Sequence, Sequence)) -> Break {
    Break { part: ChainPart::Record(first), damage: Damage::Unconfirmed(last) }
}
