//! Tells people and their systems what happened, and measures it. The record is another function's: nothing
//! that fails here keeps it waiting.

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
