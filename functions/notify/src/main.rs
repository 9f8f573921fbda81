//! Notifies people and their systems of events, and measures events.
//!
//! Another function writes the audit trail, so that no failure here delays a record.

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::notify::Notifier;
use keywheel_lambda::{Failure, batch, serve};
use lambda_runtime::Error;
use serde_json::Value;
use tokio::time::Instant;

mod queue;

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async { Ok(Notifier::connect().await?) }, handle).await
}

async fn handle(
    notifier: &Notifier,
    event: Value,
    _deadline: Instant,
) -> Result<SqsBatchResponse, Failure> {
    queue::handle(notifier, batch(event)?).await
}
