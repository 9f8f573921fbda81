//! What can be wrong with a chain.

use std::fmt;

use super::{Place, Sequence};

/// Where a chain is not as it was written, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// Where.
    pub place: Place,
    /// How.
    pub damage: Damage,
}

/// What is wrong at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Not what the record after it, or the head, was appended to.
    Changed,
    /// There is nothing, up to this place.
    Missing(Sequence),
    /// There is nothing from here to the place that the head names.
    CutOff(Sequence),
    /// It belongs to that place.
    Moved(Sequence),
    /// It was never appended.
    Inserted,
    /// Written more than once; so many versions.
    Overwritten(usize),
    /// Written more than once, and the chain goes on from a later version.
    Forked,
    /// Under a delete marker.
    Deleted,
    /// Nobody said beforehand, where heads are kept, that it was to be written.
    Unintended,
    /// It does not follow from the record before it, or a first one not from the beginning.
    Unlinked,
    /// Its event stands at that place already.
    Repeated(Sequence),
    /// The head does not vouch for it, up to this place.
    Unconfirmed(Sequence),
    /// There are records and no head.
    HeadMissing,
    /// What lies in the head's place is no head of this chain.
    HeadUnreadable,
}

impl Damage {
    /// One word for it.
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
            Self::Changed => f.write_str("changed: its hash is not the one that was vouched for"),
            Self::Missing(to) => write!(f, "missing, up to record {to}"),
            Self::CutOff(to) => write!(f, "cut off: the head names record {to} as the last"),
            Self::Moved(from) => write!(f, "moved: it is record {from}"),
            Self::Inserted => f.write_str("inserted: no record of the chain lies here"),
            Self::Overwritten(versions) => write!(f, "overwritten: it has {versions} versions"),
            Self::Forked => f.write_str("forked: the chain goes on from a later version"),
            Self::Deleted => f.write_str("deleted: it is under a delete marker"),
            Self::Unintended => {
                f.write_str("unintended: no writer of the record announced it; inserted")
            }
            Self::Unlinked => f.write_str("unlinked: it does not follow from what is before it"),
            Self::Repeated(first) => write!(f, "repeated: its event is record {first} already"),
            Self::Unconfirmed(to) => write!(
                f,
                "unconfirmed, up to record {to}: the head does not name it; inserted, or an append was cut off"
            ),
            Self::HeadMissing => f.write_str("missing: nothing says where the chain ends"),
            Self::HeadUnreadable => f.write_str("unreadable: no head of this chain"),
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.damage)
    }
}
