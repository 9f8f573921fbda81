//! Appends events to their credentials' chains in S3, once each.
//!
//! An append has six steps: read the head, read the marker `ids/<event id>`, write the intent, write the record at the
//! place after the head, write the marker, move the head. All but the record lie in the bucket of the heads. Each write is
//! conditional, so that no object is ever overwritten. The following holds wherever an append is cut off, and however
//! many appends run at once:
//!
//! - **A record is written only once the record before it has its marker.** A writer that finds a place taken reads the
//!   record there, writes that record's marker, and goes on to the next place. So only the last record of a chain can
//!   lack its marker, and a writer has compared its event with all records from the head on. A record that a try wrote
//!   before the try was cut off is found by its marker or by itself.
//! - **The head moves after the marker is written, and only forward.** The head may lag behind until the next append or
//!   the message's next try. The head never leads.
//! - **A marker is believed.** A marker is written after its record, in a bucket that only writers of chains can write
//!   to. Nobody who can write to the records alone can keep an event out of its chain.
//! - **A record without an intent is not believed.** Somebody who can write to the records but not to the heads can put a
//!   linked record in the next place, even one of a future event. The chain goes on after that record, and verification
//!   reports it.
//!
//! Events are recorded in the order in which they arrive. The time of an event is in the event.

mod bucket;
mod error;
mod read;

use std::time::Duration;

use aws_config::SdkConfig;
use chrono::Utc;
use tokio::time::Instant;
use tracing::error;
use uuid::Uuid;

pub use error::LedgerError;
pub use read::{RawRecord, Reader, Stray, Verified};

use super::chain::{
    Event, Hash, Head, Record, Sequence, Tail, head_key, intent_key, marker_key, record_key,
};
use crate::store::{Put, PutCondition, Store};
use bucket::{get, head, step_aside};

/// The most taken places that one append goes past.
const MOST_STEPS: usize = 500;
/// The most tries to move the head. Each refusal means that another writer moved the head.
const MOST_MOVES: usize = 50;
/// The longest pause of writers that met.
const ASIDE: Duration = Duration::from_millis(50);

/// A writer of chains.
#[derive(Clone, Debug)]
pub struct Ledger {
    records: Store,
    heads: Store,
}

/// The place where an event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The event was recorded now, at this place.
    Now(Sequence),
    /// The event had been recorded before, at this place.
    Before(Sequence),
}

/// The object at the place that an append was to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtPlace {
    /// The place was free. This append wrote its record there.
    Free,
    /// A record of the same event.
    This,
    /// A record of another event.
    Another(Uuid),
    /// An object that does not follow from the record before, or that no writer intended.
    Stranger,
    /// An object that was gone before it was read.
    Gone,
}

impl Ledger {
    /// Makes a writer to these two buckets.
    pub fn new(aws: &SdkConfig, records: String, heads: String) -> Self {
        Self { records: Store::new(aws, records), heads: Store::new(aws, heads) }
    }

    /// Records an event. On return the record, its marker and the head are written.
    pub async fn append(&self, event: &Event, deadline: Instant) -> Result<Appended, LedgerError> {
        let credential = event.credential();
        // The head is read before the marker: see the text of this module.
        let head = head(&self.heads, credential).await?;
        if let Some(marker) = self.marker(event).await? {
            self.move_head(&marker, deadline).await?;
            return Ok(Appended::Before(marker.sequence));
        }
        let mut tail = match head {
            Some((head, _)) => Tail { sequence: Some(head.sequence), hash: head.hash },
            None => Tail::none(credential),
        };
        for _ in 0..MOST_STEPS {
            if Instant::now() >= deadline {
                return Err(LedgerError::OutOfTime(event.id()));
            }
            let (at, found) = self.put_or_find(event, &tail, deadline).await?;
            let recorded = match found {
                AtPlace::Free | AtPlace::This => Some(event.id()),
                AtPlace::Another(other) => Some(other),
                AtPlace::Stranger | AtPlace::Gone => None,
            };
            if let Some(id) = recorded {
                // A marker that is there already is the same, because an event is recorded once.
                self.note(&marker_key(id), &at, deadline).await?;
            }
            match found {
                AtPlace::Free | AtPlace::This => {
                    self.move_head(&at, deadline).await?;
                    return Ok(match found {
                        AtPlace::Free => Appended::Now(at.sequence),
                        _ => Appended::Before(at.sequence),
                    });
                }
                AtPlace::Another(_) | AtPlace::Stranger => {
                    tail = Tail { sequence: Some(at.sequence), hash: at.hash };
                }
                AtPlace::Gone => {}
            }
            step_aside(ASIDE).await;
        }
        let credential = credential.clone();
        let reached = tail.sequence.unwrap_or(Sequence::FIRST);
        if tail.sequence.is_some() {
            // The next try need not go past the same places.
            self.move_head(&Head::of(credential.clone(), reached, tail.hash), deadline).await?;
        }
        Err(LedgerError::TooFar { credential, reached })
    }

    /// Writes an event's record after this end of its chain. If the place is taken, reads the object there.
    async fn put_or_find(
        &self,
        event: &Event,
        tail: &Tail,
        deadline: Instant,
    ) -> Result<(Head, AtPlace), LedgerError> {
        let credential = event.credential();
        let sequence = tail.next().ok_or_else(|| LedgerError::Full(credential.clone()))?;
        let key = record_key(credential, sequence);
        let bytes = Record::after(tail, sequence, event, Utc::now())
            .map_err(|error| LedgerError::Unwritable(event.id(), error))?;
        let at = |bytes: &[u8]| Head::of(credential.clone(), sequence, Hash::of_record(bytes));
        // An intent that is there already is the same, because its key has the record's hash.
        self.note(&intent_key(&at(&bytes)), &at(&bytes), deadline).await?;
        let free = Some(&PutCondition::Absent);
        if self.records.put(&key, &bytes, free, deadline).await? == Put::Done {
            return Ok((at(&bytes), AtPlace::Free));
        }
        // The object is another writer's, or this writer's own whose answer was lost.
        let Some(there) = get(&self.records, &key, None).await? else {
            return Ok((at(&bytes), AtPlace::Gone));
        };
        let at = at(&there.bytes);
        let record = Record::read(&there.bytes).filter(|record| {
            (&record.credential, record.sequence, record.previous)
                == (credential, sequence, tail.hash)
        });
        let intended = get(&self.heads, &intent_key(&at), None).await?.is_some();
        let record = record.filter(|_| intended);
        let found = match record.and_then(|record| record.event_id()) {
            Some(id) if id == event.id() => AtPlace::This,
            Some(id) => AtPlace::Another(id),
            None => {
                // The chain goes on after the object, so that no event is lost. Verification reports the object.
                error!(
                    key,
                    "no writer announced this object, or it does not follow from the record before"
                );
                AtPlace::Stranger
            }
        };
        Ok((at, found))
    }

    /// Reads the marker of an event: the place in the chain of the name that its credential had then.
    async fn marker(&self, event: &Event) -> Result<Option<Head>, LedgerError> {
        let key = marker_key(event.id());
        let Some(marker) = get(&self.heads, &key, None).await? else {
            return Ok(None);
        };
        let unreadable = || LedgerError::MarkerUnreadable(self.heads.location(&key));
        Head::parse(&marker.bytes).map(Some).ok_or_else(unreadable)
    }

    /// Writes an intent or a marker of this record, unless the object is there already.
    async fn note(&self, key: &str, record: &Head, deadline: Instant) -> Result<(), LedgerError> {
        let bytes = record.bytes().map_err(unwritable)?;
        self.heads.put(key, &bytes, Some(&PutCondition::Absent), deadline).await?;
        Ok(())
    }

    /// Moves the head to this record, unless the head is there or further already.
    async fn move_head(&self, to: &Head, deadline: Instant) -> Result<(), LedgerError> {
        let key = head_key(&to.credential);
        let bytes = to.bytes().map_err(unwritable)?;
        for _ in 0..MOST_MOVES {
            let unchanged = match head(&self.heads, &to.credential).await? {
                Some((head, _)) if head.sequence >= to.sequence => return Ok(()),
                Some((_, etag)) => PutCondition::Etag(etag),
                None => PutCondition::Absent,
            };
            if self.heads.put(&key, &bytes, Some(&unchanged), deadline).await? == Put::Done {
                return Ok(());
            }
            step_aside(ASIDE).await;
        }
        Err(LedgerError::TooFar { credential: to.credential.clone(), reached: to.sequence })
    }
}

/// Makes the error of a record's place and hash that have no JSON form.
fn unwritable(error: serde_json::Error) -> LedgerError {
    LedgerError::Unwritable(Uuid::nil(), error)
}
