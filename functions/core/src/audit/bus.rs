//! The EventBridge bus.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::events::{CloudEvent, EventType, SOURCE};
use crate::http::aws::AwsFailure;
use crate::http::{Backoff, Retry};

/// The most entries that `PutEvents` takes at once.
const ENTRIES: usize = 10;
/// The most that they may hold together.
const BYTES: usize = 256 * 1024;
const RETRIES: u32 = 5;

/// A client of one event bus.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// Not every event was accepted. Telling them all again is safe: their ids stay the same.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// EventBridge did not accept these, after several tries.
    #[error("{} event(s) not accepted; the last answer: {failure}", .events.len())]
    NotAccepted {
        /// The events' ids.
        events: Vec<Uuid>,
        /// What EventBridge said last.
        failure: AwsFailure,
    },
    /// An event is larger than the bus takes.
    #[error("event {0} exceeds {BYTES} bytes")]
    TooLarge(Uuid),
    /// An event has no JSON form.
    #[error("event {0} cannot be written")]
    Unwritable(Uuid, #[source] serde_json::Error),
}

impl AuditError {
    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotAccepted { failure, .. } => failure.retry,
            Self::TooLarge(_) | Self::Unwritable(..) => Retry::Never,
        }
    }
}

/// An event, ready to be sent as often as it takes.
#[derive(Clone, Debug)]
struct Entry {
    id: Uuid,
    bytes: usize,
    wire: PutEventsRequestEntry,
}

impl Bus {
    /// A client of the bus of this name or ARN.
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(aws), name }
    }

    /// Its name: the deployment's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells events (`PutEvents`) and returns once each of them is accepted.
    pub async fn put(&self, events: &[CloudEvent], deadline: Instant) -> Result<(), AuditError> {
        let entries =
            events.iter().map(|event| self.entry(event)).collect::<Result<Vec<_>, _>>()?;
        self.put_all(entries, deadline).await
    }

    async fn put_all(&self, mut left: Vec<Entry>, deadline: Instant) -> Result<(), AuditError> {
        let mut backoff = Backoff::new(RETRIES, deadline);
        loop {
            let (refused, failure) = self.put_once(left).await;
            let Some(failure) = failure else {
                return Ok(());
            };
            if !backoff.pause(failure.retry).await {
                let events = refused.iter().map(|entry| entry.id).collect();
                return Err(AuditError::NotAccepted { events, failure });
            }
            left = refused;
        }
    }

    /// Puts a message of Keywheel to itself, which is no audit event.
    pub async fn put_message<T: Serialize>(
        &self,
        kind: &EventType,
        detail: &T,
        deadline: Instant,
    ) -> Result<(), AuditError> {
        let id = Uuid::new_v4();
        let entry = self.wire(id, &kind.name(), Utc::now(), detail)?;
        self.put_all(vec![entry], deadline).await
    }

    fn entry(&self, event: &CloudEvent) -> Result<Entry, AuditError> {
        self.wire(event.id, &event.kind.name(), event.time, event)
    }

    fn wire<T: Serialize>(
        &self,
        id: Uuid,
        kind: &str,
        time: DateTime<Utc>,
        detail: &T,
    ) -> Result<Entry, AuditError> {
        let detail =
            serde_json::to_string(detail).map_err(|error| AuditError::Unwritable(id, error))?;
        // 14 bytes are counted for the time (docs.aws.amazon.com/eventbridge: PutEvents entry size).
        let bytes = 14 + SOURCE.len() + kind.len() + detail.len();
        if bytes > BYTES {
            return Err(AuditError::TooLarge(id));
        }
        let wire = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(kind)
            .time(SystemTime::from(time).into())
            .detail(detail)
            .build();
        Ok(Entry { id, bytes, wire })
    }

    /// Sends all of them once. Gives those that were not accepted, and the last reason.
    async fn put_once(&self, entries: Vec<Entry>) -> (Vec<Entry>, Option<AwsFailure>) {
        let (mut refused, mut last) = (Vec::new(), None);
        for some in batches(entries) {
            let request = self.client.put_events();
            let request =
                request.set_entries(Some(some.iter().map(|one| one.wire.clone()).collect()));
            match request.send().await {
                Ok(answer) => {
                    let results = answer.entries.unwrap_or_default();
                    for (index, entry) in some.into_iter().enumerate() {
                        if let Some(failure) = failed(results.get(index)) {
                            last = Some(failure);
                            refused.push(entry);
                        }
                    }
                }
                Err(error) => {
                    last = Some(AwsFailure::new(&error));
                    refused.extend(some);
                }
            }
        }
        (refused, last)
    }
}

/// Why an entry was not accepted; only an event id says that it was.
fn failed(result: Option<&PutEventsResultEntry>) -> Option<AwsFailure> {
    if result.is_some_and(|result| result.event_id.is_some()) {
        return None;
    }
    let code = result.and_then(|result| result.error_code.clone());
    let said = result.and_then(|result| result.error_message.clone());
    let lasting = matches!(
        code.as_deref(),
        Some(
            "AccessDeniedException"
                | "NotAuthorizedForSourceException"
                | "MalformedDetail"
                | "InvalidArgument"
        )
    );
    let retry = if lasting { Retry::Never } else { Retry::Soon };
    let message = said.unwrap_or_else(|| "the entry has no event id".to_owned());
    Some(AwsFailure { code, message, request_id: None, retry })
}

fn batches(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut batches: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.bytes;
        match batches.last_mut() {
            Some(batch) if batch.len() < ENTRIES && bytes <= BYTES => batch.push(entry),
            _ => {
                bytes = entry.bytes;
                batches.push(vec![entry]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_to_both_limits() {
        let sized = |bytes| Entry {
            id: Uuid::nil(),
            bytes,
            wire: PutEventsRequestEntry::builder().build(),
        };
        let lengths = |sizes: &[usize]| {
            let batches = batches(sizes.iter().map(|bytes| sized(*bytes)).collect());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&[1; 21]), [10, 10, 1]);
        assert_eq!(lengths(&[BYTES, 1, BYTES - 1, 1]), [1, 2, 1]);
    }
}
