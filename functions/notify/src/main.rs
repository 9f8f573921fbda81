//! Tells people and their systems what happened, and measures it. The record is another function's: nothing
//! that fails here keeps it waiting.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use keywheel_core::lambda::{self, Failure};
use keywheel_core::notify::Notifier;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use tracing::error;

mod queue;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let notifier = &Notifier::connect().await.map_err(|error| told(error.into()))?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        handle(notifier, event).await.map_err(|failure| {
            let Failure { kind, message } = told(failure);
            Diagnostic { error_type: kind.to_owned(), error_message: message }
        })
    }))
    .await
}

/// Puts a failure into the log: what Lambda makes of it only whoever invoked the function sees.
fn told(failure: Failure) -> Failure {
    error!(kind = failure.kind, failure = failure.message, "failed");
    failure
}

async fn handle(
    notifier: &Notifier,
    event: LambdaEvent<Value>,
) -> Result<SqsBatchResponse, Failure> {
    let batch: SqsEvent = serde_json::from_value(event.payload)
        .map_err(|_| Failure::event("not a batch of SQS messages"))?;
    queue::handle(notifier, batch).await
}
