//! The damage that a chain can have.

use std::fmt;

use super::{ChainPart, Sequence};

/// A part of a chain that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// The part.
    pub part: ChainPart,
    /// The damage.
    pub damage: Damage,
}

/// The damage of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// The record is not the one that the record after it, or the head, names by its hash.
    Changed,
    /// No record lies from here up to this place.
    Missing(Sequence),
    /// No record lies from here up to this place, which the head names.
    CutOff(Sequence),
    /// The record belongs to that place.
    Moved(Sequence),
    /// The object was never appended.
    Inserted,
    /// The record was written more than once: the number of its versions.
    Overwritten(usize),
    /// The record was written more than once, and the chain goes on from a later version.
    Forked,
    /// The record is under a delete marker.
    Deleted,
    /// No writer of chains left an intent to write the record.
    Unintended,
    /// The record does not follow from the record before, or the first record not from the chain's beginning.
    Unlinked,
    /// The record at that place has the same event.
    Repeated(Sequence),
    /// The head names none of the records from here up to this place.
    Unconfirmed(Sequence),
    /// The chain has records and no head.
    HeadMissing,
    /// The object under the head's key is no head of this chain.
    HeadUnreadable,
}

impl Damage {
    /// Gives the damage in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing(_) => "missing",
            Self::CutOff(_) => "cut-off",
            Self::Moved(_) => "moved",
            Self::Inserted => "inserted",
            Self::Overwritten(_) => "overwritten",
            Self::Forked => "forked",
            Self::Deleted => "deleted",
            Self::Unintended => "unintended",
            Self::Unlinked => "unlinked",
            Self::Repeated(_) => "repeated",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::HeadMissing => "head-missing",
            Self::HeadUnreadable => "head-unreadable",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str(
                "changed: its hash is not the one that the next record or the head names",
            ),
            Self::Missing(to) => write!(f, "missing, up to record {to}"),
            Self::CutOff(to) => write!(f, "cut off: the head names record {to} as the last"),
            Self::Moved(from) => write!(f, "moved: this is record {from}"),
            Self::Inserted => f.write_str("inserted: this is no record of the chain"),
            Self::Overwritten(versions) => write!(f, "overwritten: there are {versions} versions"),
            Self::Forked => f.write_str("forked: the chain goes on from a later version"),
            Self::Deleted => f.write_str("deleted: there is a delete marker"),
            Self::Unintended => {
                f.write_str("unintended: no writer announced this record; it was inserted")
            }
            Self::Unlinked => {
                f.write_str("unlinked: the record does not follow from the one before")
            }
            Self::Repeated(first) => write!(f, "repeated: record {first} has the same event"),
            Self::Unconfirmed(to) => write!(
                f,
                "unconfirmed, up to record {to}: the head names none of these; they were inserted, or an append was cut off"
            ),
            Self::HeadMissing => f.write_str("missing: no head says where the chain ends"),
            Self::HeadUnreadable => f.write_str("unreadable: the object is no head of this chain"),
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.damage)
    }
}
