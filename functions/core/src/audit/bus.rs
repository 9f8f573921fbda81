//! A client of the EventBridge bus.

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

/// The most events that `PutEvents` takes at once.
const ENTRIES: usize = 10;
/// The most bytes that these events may have together.
const BYTES: usize = 256 * 1024;
const RETRIES: u32 = 5;
/// EventBridge's codes for events that it will never accept.
const LASTING: [&str; 4] = [
    "AccessDeniedException",
    "NotAuthorizedForSourceException",
    "MalformedDetail",
    "InvalidArgument",
];

/// A client of one event bus.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// The bus did not accept every event. Sending all events again is safe, because their ids stay the same.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// EventBridge did not accept these events after several tries.
    #[error("{} event(s) not accepted; the last answer: {failure}", .events.len())]
    NotAccepted {
        /// The events' ids.
        events: Vec<Uuid>,
        /// The last answer of EventBridge.
        failure: AwsFailure,
    },
    /// An event is larger than EventBridge takes.
    #[error("event {0} exceeds {BYTES} bytes")]
    TooLarge(Uuid),
    /// An event has no JSON form.
    #[error("event {0} cannot be written")]
    Unwritable(Uuid, #[source] serde_json::Error),
}

impl AuditError {
    /// Says whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotAccepted { failure, .. } => failure.retry,
            Self::TooLarge(_) | Self::Unwritable(..) => Retry::Never,
        }
    }
}

/// An event that is ready to be sent, as often as needed.
#[derive(Clone, Debug)]
struct ReadyEvent {
    id: Uuid,
    bytes: usize,
    entry: PutEventsRequestEntry,
}

impl Bus {
    /// Makes a client of the bus of this name or ARN.
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(aws), name }
    }

    /// Gives the bus's name, which is the deployment's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends events (`PutEvents`) and returns once EventBridge has accepted each of them.
    pub async fn put(&self, events: &[CloudEvent], deadline: Instant) -> Result<(), AuditError> {
        let ready = events
            .iter()
            .map(|event| self.ready(event.id, &event.kind, event.time, event))
            .collect::<Result<Vec<_>, _>>()?;
        self.put_all(ready, deadline).await
    }

    async fn put_all(
        &self,
        mut left: Vec<ReadyEvent>,
        deadline: Instant,
    ) -> Result<(), AuditError> {
        let mut backoff = Backoff::new(RETRIES, deadline);
        loop {
            let (refused, failure) = self.put_once(left).await;
            let Some(failure) = failure else {
                return Ok(());
            };
            if !backoff.pause(failure.retry).await {
                let events = refused.iter().map(|event| event.id).collect();
                return Err(AuditError::NotAccepted { events, failure });
            }
            left = refused;
        }
    }

    /// Sends a message of Keywheel to itself, which is no event of the audit trail.
    pub async fn put_message<T: Serialize>(
        &self,
        kind: &EventType,
        detail: &T,
        deadline: Instant,
    ) -> Result<(), AuditError> {
        let ready = self.ready(Uuid::new_v4(), kind, Utc::now(), detail)?;
        self.put_all(vec![ready], deadline).await
    }

    fn ready<T: Serialize>(
        &self,
        id: Uuid,
        kind: &EventType,
        time: DateTime<Utc>,
        detail: &T,
    ) -> Result<ReadyEvent, AuditError> {
        let kind = kind.name();
        let detail =
            serde_json::to_string(detail).map_err(|error| AuditError::Unwritable(id, error))?;
        // EventBridge counts 14 bytes for the time (docs.aws.amazon.com/eventbridge: PutEvents entry size).
        let bytes = 14 + SOURCE.len() + kind.len() + detail.len();
        if bytes > BYTES {
            return Err(AuditError::TooLarge(id));
        }
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(kind)
            .time(SystemTime::from(time).into())
            .detail(detail)
            .build();
        Ok(ReadyEvent { id, bytes, entry })
    }

    /// Sends events once. Gives the events that were not accepted, and the last reason.
    async fn put_once(&self, events: Vec<ReadyEvent>) -> (Vec<ReadyEvent>, Option<AwsFailure>) {
        let (mut refused, mut last) = (Vec::new(), None);
        for some in batches(events) {
            let entries = some.iter().map(|event| event.entry.clone()).collect();
            let request = self.client.put_events().set_entries(Some(entries));
            match request.send().await {
                Ok(answer) => {
                    let results = answer.entries.unwrap_or_default();
                    for (index, event) in some.into_iter().enumerate() {
                        if let Some(failure) = failed(results.get(index)) {
                            last = Some(failure);
                            refused.push(event);
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

/// Gives the reason why an event was not accepted. EventBridge names an id of each event that it accepted.
fn failed(result: Option<&PutEventsResultEntry>) -> Option<AwsFailure> {
    if result.is_some_and(|result| result.event_id.is_some()) {
        return None;
    }
    let code = result.and_then(|result| result.error_code.clone());
    let said = result.and_then(|result| result.error_message.clone());
    let lasting = code.as_deref().is_some_and(|code| LASTING.contains(&code));
    let retry = if lasting { Retry::Never } else { Retry::Soon };
    let message = said.unwrap_or_else(|| "the answer names no id of the event".to_owned());
    Some(AwsFailure { code, message, request_id: None, retry })
}

fn batches(events: Vec<ReadyEvent>) -> Vec<Vec<ReadyEvent>> {
    let mut batches: Vec<Vec<ReadyEvent>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        bytes += event.bytes;
        match batches.last_mut() {
            Some(batch) if batch.len() < ENTRIES && bytes <= BYTES => batch.push(event),
            _ => {
                bytes = event.bytes;
                batches.push(vec![event]);
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
        let sized = |bytes| ReadyEvent {
            id: Uuid::nil(),
            bytes,
            entry: PutEventsRequestEntry::builder().build(),
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
