//! Whether a chain is whole, and where it is not.
//!
//! The head vouches for the last record by its hash, and each record that is vouched for vouches for the one
//! before. So the walk goes from the head down, and looks for what is vouched for by its hash: where it lies at
//! another place it was moved, and where it lies nowhere the record was changed or removed. Below such a place
//! nobody vouches for what follows, and it is taken as it lies until the links say otherwise.
//!
//! What is vouched for must have been intended as well: whoever can write to the records alone can put one at the
//! chain's end that links, and the next append goes on after it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{Break, Damage, Hash, Head, Place, Record, Sequence};
use crate::ids::CredentialName;

/// A key in a chain's folder, with all that S3 keeps under it.
#[derive(Clone, Debug)]
pub struct Object {
    /// The key.
    pub key: String,
    /// Its versions, the oldest first.
    pub versions: Vec<Version>,
}

/// One version of an object.
#[derive(Clone, Debug)]
pub enum Version {
    /// It was deleted.
    DeleteMarker,
    /// It was written.
    Stored(Stored),
}

/// What verification needs of an object's bytes.
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
    /// Reads an object's bytes, whatever they are.
    pub fn read(bytes: &[u8]) -> Self {
        let record = Record::read(bytes).map(|record| Links {
            event: record.event_id(),
            credential: record.credential,
            sequence: record.sequence,
            previous: record.previous,
        });
        Self { hash: Hash::of_record(bytes), record }
    }

    /// Whether it says that it is the record of this place.
    fn fits(&self, sequence: Sequence, credential: &CredentialName) -> bool {
        self.record.as_ref().is_some_and(|it| {
            it.event.is_some() && it.sequence == sequence && it.credential == *credential
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

/// What lies in the place of a chain's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadSeen {
    /// Nothing.
    Missing,
    /// What is no head of this chain.
    Unreadable,
    /// A head.
    Says(Head),
}

impl HeadSeen {
    /// The place of the record that it vouches for.
    pub fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::Says(head) => Some(head.sequence),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// Verifies one credential's chain: all objects of its folder, its head, and which records were intended. Nothing
/// in the answer: it is whole.
pub fn verify(
    credential: &CredentialName,
    objects: &[Object],
    head: &HeadSeen,
    intents: &BTreeSet<Hash>,
) -> Vec<Break> {
    let mut walk = Walk::new(credential, objects, intents);
    let last = walk.places.last_key_value().map(|(last, _)| *last);
    let head = match head {
        HeadSeen::Says(head) => Some(head),
        HeadSeen::Missing if last.is_none() => None,
        HeadSeen::Missing => walk.report(Place::Head, Damage::HeadMissing),
        HeadSeen::Unreadable => walk.report(Place::Head, Damage::HeadUnreadable),
    };
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
    /// What lies at each place.
    places: BTreeMap<Sequence, usize>,
    /// Where records lie, by hash.
    by_hash: HashMap<Hash, Vec<(usize, &'a Stored)>>,
    /// Objects that the walk has accounted for.
    used: HashSet<usize>,
    /// The chain's records with their events.
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
            // One whose versions were purged while it was read lies nowhere any more.
            if let Place::Record(sequence) = Place::of_key(&object.key, credential)
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

    fn report<T>(&mut self, place: Place, damage: Damage) -> Option<T> {
        self.breaks.push(Break { place, damage });
        None
    }

    /// From a place down to the first, beginning with the hash that is vouched for.
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
                // What nobody vouches for can accuse nobody else: it is what has lost its link.
                Some(before) => trusted || self.lies_somewhere(record.previous, before),
            };
            if !follows {
                self.breaks
                    .push(Break { place: Place::Record(sequence), damage: Damage::Unlinked });
                vouched = None;
            }
        }
    }

    /// The record of this hash: at its place, or where it was moved to.
    fn find(&mut self, hash: Hash, sequence: Sequence, lying: Option<usize>) -> Option<&'a Links> {
        let credential = self.credential;
        let fitting = self.by_hash.get(&hash)?.iter();
        let fitting: Vec<_> =
            fitting.filter(|(_, stored)| stored.fits(sequence, credential)).copied().collect();
        let here = fitting.iter().find(|(index, _)| Some(*index) == lying);
        let (index, stored) = here.or_else(|| fitting.first()).copied()?;
        self.used.insert(index);
        if !self.intents.contains(&hash) {
            self.breaks.push(Break { place: Place::Record(sequence), damage: Damage::Unintended });
        }
        if here.is_none() {
            let place = Place::of_key(&self.objects.get(index)?.key, credential);
            self.breaks.push(Break { place, damage: Damage::Moved(sequence) });
            if lying.is_none() {
                let place = Place::Record(sequence);
                self.breaks.push(Break { place, damage: Damage::Missing(sequence) });
            }
        } else if self.objects.get(index)?.stored().next().is_some_and(|first| first.hash != hash) {
            self.breaks.push(Break { place: Place::Record(sequence), damage: Damage::Forked });
        }
        stored.record.as_ref()
    }

    fn lies_somewhere(&self, hash: Hash, sequence: Sequence) -> bool {
        let found = self.by_hash.get(&hash);
        found.is_some_and(|all| all.iter().any(|(_, it)| it.fits(sequence, self.credential)))
    }

    /// What lies at a place where it is not vouched for, if it can be a record of that place.
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
        // Of what is under a delete marker and nowhere else, the marker tells.
        if first.is_some() && (accused || record.is_none()) {
            self.breaks.push(Break { place: Place::Record(sequence), damage: Damage::Changed });
        }
        record
    }

    /// Reports the places that lack an object, from this one down; gives the next one that has one.
    fn nothing(&mut self, sequence: Sequence, top: Option<Sequence>) -> Option<Sequence> {
        let below = self.places.range(..sequence).next_back().map(|(below, _)| *below);
        let first = below.and_then(Sequence::next).unwrap_or(Sequence::FIRST);
        let damage = if Some(sequence) == top {
            Damage::CutOff(sequence)
        } else {
            Damage::Missing(sequence)
        };
        self.breaks.push(Break { place: Place::Record(first), damage });
        below
    }

    /// Reports what the walk did not come across.
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
                let place = Place::of_key(&object.key, self.credential);
                self.breaks.push(Break { place, damage: Damage::Inserted });
            }
        }
    }

    /// Reports what was written twice, and what was deleted.
    fn versions(&mut self) {
        for object in self.objects {
            let place = || Place::of_key(&object.key, self.credential);
            let versions = object.stored().count();
            if versions > 1 {
                self.breaks.push(Break { place: place(), damage: Damage::Overwritten(versions) });
            }
            if object.is_deleted() {
                self.breaks.push(Break { place: place(), damage: Damage::Deleted });
            }
        }
    }

    fn repeated(&mut self) {
        let mut first: HashMap<Uuid, Sequence> = HashMap::new();
        self.events.sort_unstable();
        for (sequence, event) in &self.events {
            if let Some(first) = first.insert(*event, *sequence) {
                let place = Place::Record(*sequence);
                self.breaks.push(Break { place, damage: Damage::Repeated(first) });
            }
        }
    }
}

fn unconfirmed((first, last): (Sequence, Sequence)) -> Break {
    Break { place: Place::Record(first), damage: Damage::Unconfirmed(last) }
}
