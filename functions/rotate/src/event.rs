//! The events that start the function. Only SQS and Secrets Manager may invoke the function, and no event of one service
//! looks like an event of the other.

use aws_lambda_events::event::secretsmanager::SecretsManagerSecretRotationEvent;
use keywheel_core::engine::native::Step;
use keywheel_lambda::{Failure, Message, batch};
use serde_json::Value;

/// An event that starts the function.
#[derive(Debug)]
pub(crate) enum Event {
    /// A batch of the job queue.
    Jobs(Vec<Message>),
    /// A step of Secrets Manager's rotation.
    Step(RotationStep),
}

/// A step of a rotation that Secrets Manager asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RotationStep {
    pub(crate) step: Step,
    pub(crate) secret_id: String,
    pub(crate) token: String,
}

impl Event {
    /// Reads an event. The failure repeats no word of the event: a strange event may hold anything.
    pub(crate) fn parse(event: Value) -> Result<Self, Failure> {
        if event.get("Records").is_some() {
            return batch(event).map(Self::Jobs);
        }
        let event: SecretsManagerSecretRotationEvent =
            serde_json::from_value(event).map_err(|_| {
                Failure::event(
                    "the event is neither a batch of SQS messages nor a step of a secret's rotation",
                )
            })?;
        let step = Step::parse(&event.step).ok_or_else(|| {
            Failure::event("Step is none of createSecret, setSecret, testSecret, finishSecret")
        })?;
        let (secret_id, token) = (event.secret_id, event.client_request_token);
        Ok(Self::Step(RotationStep { step, secret_id, token }))
    }
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use super::{material, *};

    #[test]
    fn the_sample_event_is_a_step() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rotate-secretsmanager.json");
        let text = std::fs::read_to_string(path).unwrap();
        let Event::Step(rotation) = Event::parse(serde_json::from_str(&text).unwrap()).unwrap()
        else {
            panic!("a batch");
        };
        assert_eq!(rotation.step, Step::Create);
        assert!(rotation.token.len() >= 32);
    }

    proptest::proptest! {
        #![proptest_config(material::config())]

        #[test]
        fn fuzz_event(event in material::json(vec![
            material::event("rotate-queue.json"),
            material::event("rotate-secretsmanager.json"),
            serde_json::json!({ "Step": material::SECRET, "SecretId": "a", "ClientRequestToken": "b" }).to_string(),
            serde_json::json!({ "Records": [{ "body": 1, "awsRegion": [material::SECRET] }] }).to_string(),
        ])) {
            match material::in_time(|| Event::parse(event)) {
                Ok(Event::Jobs(batch)) => for message in batch {
                    let _ = keywheel_core::queue::Job::parse(message.body());
                },
                Ok(Event::Step(_)) => {}
                Err(failure) => material::error_tells_nothing(&failure),
            }
        }
    }
}
