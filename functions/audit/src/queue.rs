//! A batch of the queue, answered message by message.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use keywheel_core::audit::chain::{Event, NotAnEvent};
use keywheel_core::audit::ledger::{Appended, Ledger};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{debug, error, info};

/// What EventBridge puts around an event.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Value,
}

/// Records each message's event; those that were not recorded stay in the queue, and what is no event ends in
/// the dead-letter queue that way too: nothing is dropped.
pub(crate) async fn handle(
    ledger: &Ledger,
    batch: SqsEvent,
    deadline: Instant,
) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    for message in batch.records {
        let id = message.message_id.unwrap_or_default();
        if !record(ledger, message.body.as_deref().unwrap_or_default(), &id, deadline).await {
            answer.add_failure(id);
        }
    }
    answer
}

/// Whether the message is done with.
async fn record(ledger: &Ledger, body: &str, message: &str, deadline: Instant) -> bool {
    let event = match parse(body) {
        Ok(event) => event,
        Err(refused) => {
            error!(message, %refused, "a message that is no event");
            return false;
        }
    };
    let (credential, id) = (event.credential(), event.id());
    match ledger.append(&event, deadline).await {
        Ok(Appended::Now(sequence)) => {
            info!(%credential, %sequence, %id, kind = event.kind(), "recorded");
            true
        }
        Ok(Appended::Before(sequence)) => {
            debug!(%credential, %sequence, %id, "recorded before");
            true
        }
        Err(failure) => {
            error!(%credential, %id, %failure, retry = ?failure.retry(), "not recorded");
            false
        }
    }
}

/// The event in a message: EventBridge's envelope says what the event says.
fn parse(body: &str) -> Result<Event, NotAnEvent> {
    let envelope: Envelope = serde_json::from_str(body).map_err(|_| NotAnEvent::Shape)?;
    let event = Event::parse(envelope.detail)?;
    let agrees = event.value().get("source").and_then(Value::as_str) == Some(&envelope.source)
        && event.kind() == envelope.detail_type;
    if agrees { Ok(event) } else { Err(NotAnEvent::Foreign) }
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{material, *};

    fn sample() -> SqsEvent {
        serde_json::from_str(&material::event("audit-queue.json")).unwrap()
    }

    #[test]
    fn the_sample_event_holds_events() {
        let batch = sample();
        let events = batch.records.iter().map(|it| parse(it.body.as_deref().unwrap()).unwrap());
        let kinds: Vec<_> = events.map(|event| event.kind().to_owned()).collect();
        assert_eq!(kinds, ["keywheel.key.minted", "keywheel.rotation.promoted"]);
    }

    #[test]
    fn an_envelope_must_say_what_its_event_says() {
        let good: Value =
            serde_json::from_str(sample().records[0].body.as_deref().unwrap()).unwrap();
        assert!(parse(&good.to_string()).is_ok());
        for (field, value, why) in [
            ("source", json!("aws.s3"), NotAnEvent::Foreign),
            ("detail-type", json!("keywheel.key.removed"), NotAnEvent::Foreign),
            ("detail", json!({}), NotAnEvent::Shape),
            ("detail", json!("text"), NotAnEvent::Shape),
            ("source", Value::Null, NotAnEvent::Shape),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert_eq!(parse(&bad.to_string()), Err(why), "{field}");
        }
        assert_eq!(parse(""), Err(NotAnEvent::Shape));
    }

    proptest::proptest! {
        #![proptest_config(material::config())]

        #[test]
        fn fuzz_message(body in material::json(vec![
            sample().records[0].body.clone().unwrap(),
            json!({ "source": "keywheel", "detail-type": material::SECRET, "detail": {} }).to_string(),
        ])) {
            if let Err(refused) = material::in_time(|| parse(&body.to_string())) {
                material::error_tells_nothing(&refused);
            }
        }
    }
}
