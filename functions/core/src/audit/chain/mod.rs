//! The chain of a credential's events: each record holds the hash of the record before.
//!
//! The hash is over the bytes of the object in S3, after one line ([`RECORD`]). So a record can be verified as it lies:
//! `(printf 'keywheel.audit.record/1\n'; cat OBJECT) | sha256sum` gives the same hash. These bytes hold the credential's
//! name, the place in the chain, and the hash of the record before. A chain begins at a hash of its credential's name
//! ([`Hash::beginning`]), so that no record of one chain fits into another.
//!
//! A second bucket, which only writers of chains can write to, holds three more kinds of objects. The [`Head`] names the
//! last record of a chain. An intent ([`intent_key`]) announces each record, so that nobody who can write to the records
//! alone can add a record. A marker ([`marker_key`]) says that an event is recorded.

mod damage;
mod event;
mod key;
mod verify;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use damage::{Break, Damage};
pub use event::{Event, NotAnEvent};
pub use key::{
    ChainPart, Folder, HEADS, RECORDS, head_key, intended, intent_key, marker_key, record_key,
};
pub use verify::{HeadSeen, Object, Stored, Version, verify};

use crate::ids::CredentialName;

/// The schema of records, markers and heads that is written and read.
pub const SCHEMA: u32 = 1;
/// The line that is hashed before a record's bytes.
const RECORD: &[u8] = b"keywheel.audit.record/1\n";
/// The line that is hashed before the name of a chain's credential.
const CHAIN: &[u8] = b"keywheel.audit.chain/1\n";

/// A SHA-256 in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Gives the hash that the first record of a chain holds in place of the hash of a record before.
    pub fn beginning(credential: &CredentialName) -> Self {
        Self::of(CHAIN, credential.0.as_bytes())
    }

    /// Gives the hash of a record's bytes.
    pub fn of_record(bytes: &[u8]) -> Self {
        Self::of(RECORD, bytes)
    }

    fn of(what: &[u8], bytes: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(what);
        hasher.update(bytes);
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A text is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 in 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAHash)?;
        // A hash has one spelling, because records are compared byte for byte.
        let upper = text.bytes().any(|digit| digit.is_ascii_uppercase());
        if upper { Err(NotAHash) } else { Ok(Self(bytes)) }
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A place in a chain, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// The first place.
    pub const FIRST: Self = Self(1);
    /// The last place: a key has twelve digits.
    pub const LAST: Self = Self(999_999_999_999);

    /// Makes the place of this number; `None`: no place has the number.
    pub fn new(number: u64) -> Option<Self> {
        (Self::FIRST.0..=Self::LAST.0).contains(&number).then_some(Self(number))
    }

    /// Gives the place's number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Gives the place after this one.
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// Gives the place before this one.
    pub fn before(self) -> Option<Self> {
        self.0.checked_sub(1).and_then(Self::new)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The credential in whose chain the record is.
    pub credential: CredentialName,
    /// The record's place.
    pub sequence: Sequence,
    /// The hash of the record before, or the chain's beginning.
    pub previous: Hash,
    /// The time at which the record was written. A chain is in the order of arrival, and `event.time` is the time of
    /// the event.
    #[serde(serialize_with = "to_millis")]
    pub appended_at: DateTime<Utc>,
    /// The event, as it came.
    pub event: Value,
}

/// Writes a time in milliseconds.
fn to_millis<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The end of a chain: the place and the hash of its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last record's place; `None`: the chain has no record yet.
    pub sequence: Option<Sequence>,
    /// The last record's hash, or the chain's beginning.
    pub hash: Hash,
}

impl Tail {
    /// Makes the end of a chain without records.
    pub fn none(credential: &CredentialName) -> Self {
        Self { sequence: None, hash: Hash::beginning(credential) }
    }

    /// Gives the place after the end; `None`: the chain is full.
    pub fn next(&self) -> Option<Sequence> {
        self.sequence.map_or(Some(Sequence::FIRST), Sequence::next)
    }
}

impl Record {
    /// Writes the bytes of an event's record after this end of its credential's chain.
    pub fn after(
        tail: &Tail,
        sequence: Sequence,
        event: &Event,
        now: DateTime<Utc>,
    ) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Self {
            schema: SCHEMA,
            credential: event.credential().clone(),
            sequence,
            previous: tail.hash,
            appended_at: now,
            event: event.value().clone(),
        })
    }

    /// Reads a record; `None`: the bytes are no record of this schema.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        let valid = record.schema == SCHEMA && Sequence::new(record.sequence.0).is_some();
        valid.then_some(record)
    }

    /// Gives the event's id; `None`: the record holds no event.
    pub fn event_id(&self) -> Option<Uuid> {
        Event::parse(self.event.clone()).ok().map(|event| event.id())
    }
}

/// The place and the hash of a record: the content of a chain's head, and of an event's marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The credential of the chain.
    pub credential: CredentialName,
    /// The record's place.
    pub sequence: Sequence,
    /// The record's hash.
    pub hash: Hash,
}

impl Head {
    /// Names this record.
    pub fn of(credential: CredentialName, sequence: Sequence, hash: Hash) -> Self {
        Self { schema: SCHEMA, credential, sequence, hash }
    }

    /// Writes the bytes for S3.
    pub fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads a head or a marker; `None`: the bytes are neither.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head: Self = serde_json::from_slice(bytes).ok()?;
        let valid = head.schema == SCHEMA && Sequence::new(head.sequence.0).is_some();
        valid.then_some(head)
    }

    /// Reads a head of this credential; `None`: the bytes are none.
    pub fn read(bytes: &[u8], credential: &CredentialName) -> Option<Self> {
        Self::parse(bytes).filter(|head| head.credential == *credential)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hashes_are_what_sha256sum_says() {
        // (printf 'keywheel.audit.record/1\n'; printf '{}') | sha256sum
        assert_eq!(
            Hash::of_record(b"{}").to_string(),
            "e1f4ab02c99e8df014402eb1be24f654aff662e3781cf98ff989eaeb7628eae5"
        );
        // printf 'keywheel.audit.chain/1\nmonk' | sha256sum
        let beginning = Hash::beginning(&CredentialName("monk".to_owned()));
        assert_eq!(
            beginning.to_string(),
            "237cfab0ce021800b1c964d0b1b97a7f183c6597e862aebf94db518fd1601073"
        );
        assert_eq!(beginning.to_string().parse(), Ok(beginning));
        for bad in ["", "0", &"0".repeat(63), &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Hash>(), Err(NotAHash), "{bad}");
        }
    }

    #[test]
    fn a_record_is_one_line_and_is_read_as_it_was_written() {
        let value = json!({ "id": Uuid::nil(), "subject": "monk", "source": "keywheel",
            "type": "keywheel.key.minted", "time": "2026-11-21T09:00:00Z", "data": { "a": "\n" } });
        let event = Event::parse(value.clone()).unwrap();
        let tail = Tail::none(event.credential());
        let now = "2026-11-21T09:00:01.25Z".parse().unwrap();
        let bytes = Record::after(&tail, Sequence::FIRST, &event, now).unwrap();
        assert!(!bytes.contains(&b'\n'));
        let record = Record::read(&bytes).unwrap();
        assert_eq!((record.event.clone(), record.event_id()), (value, Some(Uuid::nil())));
        assert_eq!((record.sequence, record.previous), (Sequence::FIRST, tail.hash));
        assert_eq!(record.appended_at, now);
        let later = String::from_utf8(bytes).unwrap().replace("\"schema\":1", "\"schema\":2");
        assert_eq!(Record::read(later.as_bytes()), None);
    }

    #[test]
    fn a_head_of_another_schema_or_of_no_place_is_none() {
        let head = Head::of(CredentialName("a".to_owned()), Sequence::FIRST, Hash::of_record(b""));
        let text = String::from_utf8(head.bytes().unwrap()).unwrap();
        assert_eq!(Head::parse(text.as_bytes()), Some(head));
        for (part, other) in
            [("\"schema\":1", "\"schema\":2"), ("\"sequence\":1", "\"sequence\":0")]
        {
            assert!(text.contains(part), "{text}");
            assert_eq!(Head::parse(text.replace(part, other).as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn places_are_bounded() {
        assert_eq!(Sequence::new(0), None);
        assert_eq!(Sequence::FIRST.before(), None);
        assert_eq!(Sequence::LAST.next(), None);
        assert_eq!(Sequence::FIRST.next().and_then(Sequence::before), Some(Sequence::FIRST));
    }
}
