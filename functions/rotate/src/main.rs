//! Carries out queued jobs, and is the Secrets Manager rotation function.

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::engine::Clients;
use keywheel_lambda::{Failure, serve};
use lambda_runtime::Error;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

mod event;
mod queue;
mod rotation;

use event::Event;

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async { Ok(Clients::connect().await?) }, handle).await
}

/// What the function answers.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Jobs(SqsBatchResponse),
    Rotation(()),
}

async fn handle(clients: &Clients, event: Value, deadline: Instant) -> Result<Answer, Failure> {
    match Event::parse(event)? {
        Event::Jobs(batch) => queue::handle(clients, batch, deadline).await.map(Answer::Jobs),
        Event::Rotation(step) => {
            rotation::handle(clients, step, deadline).await.map(Answer::Rotation)
        }
    }
}
