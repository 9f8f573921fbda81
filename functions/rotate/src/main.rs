//! Carries out queued jobs, and the steps of Secrets Manager's rotations.

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::engine::Clients;
use keywheel_lambda::{Failure, serve};
use lambda_runtime::Error;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::info;

mod event;
mod jobs;

use event::{Event, RotationStep};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async { Ok(Clients::connect().await?) }, handle).await
}

/// The answer to SQS, or to Secrets Manager.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Jobs(SqsBatchResponse),
    Step(()),
}

async fn handle(clients: &Clients, event: Value, deadline: Instant) -> Result<Answer, Failure> {
    match Event::parse(event)? {
        Event::Jobs(batch) => jobs::handle(clients, batch, deadline).await.map(Answer::Jobs),
        // A failure fails the rotation. Secrets Manager tries the rotation again later.
        Event::Step(RotationStep { step, secret_id, token }) => {
            let engine = clients.engine().await?;
            engine.native_step(step, &secret_id, &token, deadline).await?;
            info!(secret = secret_id, ?step, "done");
            Ok(Answer::Step(()))
        }
    }
}
