//! The scheduled function: sweeps, queues what is due, and goes on where an earlier one ran out of time.

use keywheel_core::engine::Clients;
use keywheel_core::engine::sweep::Mode;
use keywheel_core::lambda::{self, deadline};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

mod trigger;

use trigger::{Answer, Trigger};

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::init_logging();
    let clients = &Clients::connect().await?;
    run(service_fn(|event: LambdaEvent<Value>| handle(clients, event))).await
}

async fn handle(clients: &Clients, event: LambdaEvent<Value>) -> Result<Answer, Error> {
    let trigger = Trigger::parse(event.payload)?;
    let engine = clients.engine().await?;
    let queue = clients.queue()?;
    let deadline = deadline(event.context.deadline());
    let mode = if trigger.dry_run { Mode::DryRun } else { Mode::Queue(&queue) };
    let report = engine.sweep(trigger.cursor, mode, deadline).await?;
    if let (Mode::Queue(_), Some(rest)) = (mode, &report.rest) {
        clients.continue_sweep(rest, deadline).await?;
    }
    Ok(Answer::of(report))
}
