//! The record in S3: appends events to their credentials' chains, once each.
//!
//! An append is, in this order: the head is read, then the marker `ids/<event id>` beside it; the intent is put
//! there too, the record at the place after the head, then the marker, then the head is moved. Each put is conditional,
//! so that no object is ever written over. What holds, wherever it is cut off and however many do it at once:
//!
//! - **A record after another is put only once the other's event has its marker.** Who finds the place taken reads
//!   what is there, sees to its marker, and goes on to the next place. So an event without a marker can only be
//!   the chain's last record, and who appends has compared all records from the head on with its event: a
//!   record that was written by a try that was cut off is found, by its marker or by itself.
//! - **The head moves after the marker is written, and only forward.** It may lag behind (the next append, or the
//!   message's next try, mends that) and never leads.
//! - **A marker is believed**: it is put after its record, and lies where only writers of the record can write. Whoever
//!   can write to the records alone keeps no event out of them.
//! - **A record is not believed that nobody intended**: who can write to the records and not to the heads can put
//!   one in the next place that links, and even one of an event that is yet to come. The chain goes on after it,
//!   and verification tells of it.
//!
//! Events are recorded in the order in which they arrive; when they happened is in the event.

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
pub use read::{Entry, Reader, Stray, Verified};

use super::chain::{
    Event, Hash, Head, Record, Sequence, Tail, head_key, intent_key, marker_key, record_key,
};
use crate::store::{Put, Store, Upon};
use bucket::{get, head, step_aside};

/// How many taken places one append goes past.
const MOST_STEPS: usize = 500;
/// How often moving the head is tried; each refusal means that somebody else moved it.
const MOST_MOVES: usize = 50;
/// How long writers that met step aside, at most.
const ASIDE: Duration = Duration::from_millis(50);

/// A writer of the record.
#[derive(Clone, Debug)]
pub struct Ledger {
    records: Store,
    heads: Store,
}

/// Where an event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It was recorded now.
    Now(Sequence),
    /// It had been recorded before.
    Before(Sequence),
}

/// What lies at the place that an append was to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing did; now the event does.
    Free,
    /// This event.
    This,
    /// Another event of the chain.
    Another(Uuid),
    /// Something that does not follow from what is before it, or that no writer intended.
    Stranger,
    /// Something that was gone when it was to be read.
    Gone,
}

impl Ledger {
    /// A writer to these two buckets.
    pub fn new(aws: &SdkConfig, records: String, heads: String) -> Self {
        Self { records: Store::new(aws, records), heads: Store::new(aws, heads) }
    }

    /// Records an event. Once this has returned, the record, its marker and the head are written.
    pub async fn append(&self, event: &Event, deadline: Instant) -> Result<Appended, LedgerError> {
        let credential = event.credential();
        // Before the marker: see the module's text.
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
                Found::Free | Found::This => Some(event.id()),
                Found::Another(other) => Some(other),
                Found::Stranger | Found::Gone => None,
            };
            if let Some(id) = recorded {
                self.put_marker(id, &at, deadline).await?;
            }
            match found {
                Found::Free => {
                    self.move_head(&at, deadline).await?;
                    return Ok(Appended::Now(at.sequence));
                }
                Found::This => {
                    self.move_head(&at, deadline).await?;
                    return Ok(Appended::Before(at.sequence));
                }
                Found::Another(_) | Found::Stranger => {
                    tail = Tail { sequence: Some(at.sequence), hash: at.hash };
                }
                Found::Gone => {}
            }
            step_aside(ASIDE).await;
        }
        let credential = credential.clone();
        let reached = tail.sequence.unwrap_or(Sequence::FIRST);
        if tail.sequence.is_some() {
            // What was walked need not be walked again.
            self.move_head(&Head::of(credential.clone(), reached, tail.hash), deadline).await?;
        }
        Err(LedgerError::TooFar { credential, reached })
    }

    /// Puts an event's record after this end of its chain; where the place is taken, reads what took it.
    async fn put_or_find(
        &self,
        event: &Event,
        tail: &Tail,
        deadline: Instant,
    ) -> Result<(Head, Found), LedgerError> {
        let credential = event.credential();
        let sequence = tail.next().ok_or_else(|| LedgerError::Full(credential.clone()))?;
        let key = record_key(credential, sequence);
        let bytes = Record::after(tail, sequence, event, Utc::now())
            .map_err(|error| LedgerError::Unwritable(event.id(), error))?;
        let at = |bytes: &[u8]| Head::of(credential.clone(), sequence, Hash::of_record(bytes));
        self.intend(&at(&bytes), deadline).await?;
        if self.records.put(&key, &bytes, Some(&Upon::Nothing), deadline).await? == Put::Done {
            return Ok((at(&bytes), Found::Free));
        }
        // Another writer's, or our own whose answer was lost.
        let Some(there) = get(&self.records, &key, None).await? else {
            return Ok((at(&bytes), Found::Gone));
        };
        let at = at(&there.bytes);
        let record = Record::read(&there.bytes).filter(|record| {
            (&record.credential, record.sequence, record.previous)
                == (credential, sequence, tail.hash)
        });
        let record = if self.is_intended(&at).await? { record } else { None };
        let found = match record.and_then(|record| record.event_id()) {
            Some(id) if id == event.id() => Found::This,
            Some(id) => Found::Another(id),
            None => {
                // The record goes on after it: verification tells of it, and no event is lost to it.
                error!(
                    key,
                    "what lies here is no writer's, or does not follow from the chain before it"
                );
                Found::Stranger
            }
        };
        Ok((at, found))
    }

    /// Where the event is recorded, by its marker: in the chain of the name that its credential had then.
    async fn marker(&self, event: &Event) -> Result<Option<Head>, LedgerError> {
        let key = marker_key(event.id());
        let Some(marker) = get(&self.heads, &key, None).await? else {
            return Ok(None);
        };
        let bucket = self.heads.bucket().to_owned();
        Head::parse(&marker.bytes).map(Some).ok_or(LedgerError::MarkerUnreadable { bucket, key })
    }

    /// Says, where only writers of the record can, that this record is to be written.
    async fn intend(&self, record: &Head, deadline: Instant) -> Result<(), LedgerError> {
        let bytes = record.bytes().map_err(|error| LedgerError::Unwritable(Uuid::nil(), error))?;
        // One that is there already says the same: its key has the record's hash.
        self.heads.put(&intent_key(record), &bytes, Some(&Upon::Nothing), deadline).await?;
        Ok(())
    }

    async fn is_intended(&self, record: &Head) -> Result<bool, LedgerError> {
        Ok(get(&self.heads, &intent_key(record), None).await?.is_some())
    }

    async fn put_marker(&self, id: Uuid, at: &Head, deadline: Instant) -> Result<(), LedgerError> {
        let bytes = at.bytes().map_err(|error| LedgerError::Unwritable(id, error))?;
        // One that is there already says the same: an event is recorded once.
        self.heads.put(&marker_key(id), &bytes, Some(&Upon::Nothing), deadline).await?;
        Ok(())
    }

    /// Moves the head to this record, if it is not there or further already.
    async fn move_head(&self, to: &Head, deadline: Instant) -> Result<(), LedgerError> {
        let key = head_key(&to.credential);
        let bytes = to.bytes().map_err(|error| LedgerError::Unwritable(Uuid::nil(), error))?;
        for _ in 0..MOST_MOVES {
            let upon = match head(&self.heads, &to.credential).await? {
                Some((head, _)) if head.sequence >= to.sequence => return Ok(()),
                Some((_, etag)) => Upon::Etag(etag),
                None => Upon::Nothing,
            };
            if self.heads.put(&key, &bytes, Some(&upon), deadline).await? == Put::Done {
                return Ok(());
            }
            step_aside(ASIDE).await;
        }
        Err(LedgerError::TooFar { credential: to.credential.clone(), reached: to.sequence })
    }
}
