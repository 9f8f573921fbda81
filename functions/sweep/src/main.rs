//! The scheduled function: sweeps, queues the work that is due, and goes on where an earlier sweep ran out of time.

use std::io::stdout;

use keywheel_core::engine::Clients;
use keywheel_core::engine::sweep::Mode;
use keywheel_core::metrics;
use keywheel_lambda::{Failure, serve};
use lambda_runtime::Error;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

mod event;

use event::{Answer, SweepEvent};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async { Ok(Clients::connect().await?) }, handle).await
}

async fn handle(clients: &Clients, event: Value, deadline: Instant) -> Result<Answer, Failure> {
    let SweepEvent { cursor, dry_run } = SweepEvent::parse(&event)?;
    let engine = clients.engine().await?;
    let queue = clients.queue()?;
    let (answer, rest) = if cursor.digest.is_some() {
        let digested = engine.digest(cursor, dry_run, deadline).await?;
        let rest = digested.rest.clone();
        (Answer::digested(digested), rest)
    } else {
        let mode = if dry_run { Mode::DryRun } else { Mode::Queue(&queue) };
        let report = engine.sweep(cursor, mode, deadline).await?;
        if !dry_run
            && let Err(failure) = metrics::write(&engine.measured(&report), &mut stdout().lock())
        {
            warn!(%failure, "the metrics cannot be written");
        }
        let rest = report.rest.clone();
        (Answer::swept(report), rest)
    };
    if let (false, Some(rest)) = (dry_run, &rest) {
        engine.continue_sweep(rest, deadline).await?;
    }
    Ok(answer)
}
