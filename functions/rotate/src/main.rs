//! Carries out queued jobs, and is the Secrets Manager rotation function.

use keywheel_core::engine::Clients;
use keywheel_core::lambda;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

mod queue;
mod rotation;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::init_logging();
    let clients = &Clients::connect().await?;
    run(service_fn(|event: LambdaEvent<Value>| handle(clients, event))).await
}

/// Only these two services may invoke the function, and their events cannot be mistaken for each other.
async fn handle(clients: &Clients, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = lambda::deadline(event.context.deadline());
    if event.payload.get("Records").is_some() {
        let batch = serde_json::from_value(event.payload)?;
        let answer = queue::handle(clients, batch, deadline).await?;
        return Ok(serde_json::to_value(answer)?);
    }
    let step = serde_json::from_value(event.payload)?;
    rotation::handle(clients, step, deadline).await?;
    Ok(Value::Null)
}
