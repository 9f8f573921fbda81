//! The scheduled function: sweeps, queues what is due, and goes on where an earlier one ran out of time.

use std::io::stdout;

use keywheel_core::engine::Clients;
use keywheel_core::engine::sweep::Mode;
use keywheel_core::lambda::{self, Failure, deadline};
use keywheel_core::metrics;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use tracing::warn;

mod trigger;

use trigger::{Answer, Trigger};

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let clients = &Clients::connect().await.map_err(|error| Failure::from(error).told())?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        handle(clients, event).await.map_err(|failure| {
            let Failure { kind, message } = failure.told();
            Diagnostic { error_type: kind.to_owned(), error_message: message }
        })
    }))
    .await
}

async fn handle(clients: &Clients, event: LambdaEvent<Value>) -> Result<Answer, Failure> {
    let trigger = Trigger::parse(&event.payload)?;
    let engine = clients.engine().await?;
    let queue = clients.queue()?;
    let deadline = deadline(event.context.deadline());
    if trigger.cursor.digest.is_some() {
        let digested = engine.digest(trigger.cursor, trigger.dry_run, deadline).await?;
        if let (false, Some(rest)) = (trigger.dry_run, &digested.rest) {
            clients.continue_sweep(rest, deadline).await?;
        }
        return Ok(Answer::digested(digested));
    }
    let mode = if trigger.dry_run { Mode::DryRun } else { Mode::Queue(&queue) };
    let report = engine.sweep(trigger.cursor, mode, deadline).await?;
    if let Mode::Queue(_) = mode
        && let Err(failure) = metrics::write(&engine.measured(&report), &mut stdout().lock())
    {
        warn!(%failure, "the metrics cannot be written");
    }
    if let (Mode::Queue(_), Some(rest)) = (mode, &report.rest) {
        clients.continue_sweep(rest, deadline).await?;
    }
    Ok(Answer::of(report))
}
