//! Tells people and their systems what happened, and measures it. The record is another function's: nothing
//! that fails here keeps it waiting.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use keywheel_core::lambda::{self, Failure};
use keywheel_core::notify::Notifier;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;

mod queue;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let notifier = &Notifier::connect().await.map_err(|error| Failure::from(error).told())?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        handle(notifier, event).await.map_err(|failure| {
            let Failure { kind, message } = failure.told();
            Diagnostic { error_type: kind.to_owned(), error_message: message }
        })
    }))
    .await
}

async fn handle(
    notifier: &Notifier,
    event: LambdaEvent<Value>,
) -> Result<SqsBatchResponse, Failure> {
    let batch: SqsEvent = serde_json::from_value(event.payload)
        .map_err(|_| Failure::event("not a batch of SQS messages"))?;
    queue::handle(notifier, batch).await
}
