//! The scheduled function: sweeps, queues what is due, and goes on where an earlier one ran out of time.

use std::io::stdout;

use keywheel_core::engine::Clients;
use keywheel_core::engine::sweep::Mode;
use keywheel_core::metrics;
use keywheel_lambda::{Failure, serve};
use lambda_runtime::Error;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

mod trigger;

use trigger::{Answer, Trigger};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async { Ok(Clients::connect().await?) }, handle).await
}

async fn handle(clients: &Clients, event: Value, deadline: Instant) -> Result<Answer, Failure> {
    let trigger = Trigger::parse(&event)?;
    let engine = clients.engine().await?;
    let queue = clients.queue()?;
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
