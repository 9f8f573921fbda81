//! Carries out queued jobs, and is the Secrets Manager rotation function.

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::engine::Clients;
use keywheel_core::lambda::{self, Failure};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde::Serialize;
use serde_json::Value;

mod event;
mod queue;
mod rotation;

use event::Event;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let clients = &Clients::connect().await.map_err(|error| Failure::from(error).told())?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        Box::pin(handle(clients, event)).await.map_err(|failure| {
            let Failure { kind, message } = failure.told();
            Diagnostic { error_type: kind.to_owned(), error_message: message }
        })
    }))
    .await
}

/// What the function answers.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Jobs(SqsBatchResponse),
    Rotation(()),
}

async fn handle(clients: &Clients, event: LambdaEvent<Value>) -> Result<Answer, Failure> {
    let deadline = lambda::deadline(event.context.deadline());
    match Event::parse(event.payload)? {
        Event::Jobs(batch) => queue::handle(clients, batch, deadline).await.map(Answer::Jobs),
        Event::Rotation(step) => {
            rotation::handle(clients, step, deadline).await.map(Answer::Rotation)
        }
    }
}
