//! A message of the queue of events: read and recorded.

use keywheel_core::audit::chain::{Event, NotAnEvent};
use keywheel_core::audit::ledger::{Appended, Ledger};
use keywheel_lambda::{Message, Settled};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{debug, error, info};

/// The envelope that EventBridge puts around an event.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Value,
}

/// Appends a message's event to its chain.
///
/// A message whose event was not recorded stays in the queue. So does a message that is no event, until the redrive
/// policy moves it to the dead-letter queue: no message is dropped.
pub(crate) async fn record(ledger: &Ledger, message: &Message, deadline: Instant) -> Settled {
    let event = match parse(message.body()) {
        Ok(event) => event,
        Err(refused) => {
            error!(message = message.id(), %refused, "the message is no event");
            return Settled::Stays;
        }
    };
    let (credential, id) = (event.credential(), event.id());
    match ledger.append(&event, deadline).await {
        Ok(Appended::Now(sequence)) => {
            info!(%credential, %sequence, %id, kind = event.kind(), "recorded");
            Settled::Done
        }
        Ok(Appended::Before(sequence)) => {
            debug!(%credential, %sequence, %id, "recorded before");
            Settled::Done
        }
        Err(failure) => {
            error!(%credential, %id, %failure, retry = ?failure.retry(), "not recorded");
            Settled::Stays
        }
    }
}

/// Reads the event of a message. The envelope must name the source and the type of its event.
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

    fn sample() -> Vec<Message> {
        let event = serde_json::from_str(&material::event("audit-queue.json")).unwrap();
        keywheel_lambda::batch(event).unwrap()
    }

    #[test]
    fn the_sample_event_holds_events() {
        let batch = sample();
        let events = batch.iter().map(|it| parse(it.body()).unwrap());
        let kinds: Vec<_> = events.map(|event| event.kind().to_owned()).collect();
        assert_eq!(kinds, ["keywheel.key.minted", "keywheel.rotation.promoted"]);
    }

    #[test]
    fn an_envelope_must_say_what_its_event_says() {
        let good: Value = serde_json::from_str(sample()[0].body()).unwrap();
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
            sample()[0].body().to_owned(),
            json!({ "source": "keywheel", "detail-type": material::SECRET, "detail": {} }).to_string(),
        ])) {
            if let Err(refused) = material::in_time(|| parse(&body.to_string())) {
                material::error_tells_nothing(&refused);
            }
        }
    }
}
