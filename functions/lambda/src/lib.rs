//! The shell of every Lambda function: start, loop, batches of messages, and failures.

mod failure;
mod message;

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use keywheel_core::{process, settings};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use failure::Failure;
pub use message::{Message, Pauses, Settled, batch, one_by_one};

/// The crates whose events are in the log.
const LOGGED: [&str; 9] = [
    "keywheel",
    "keywheel_core",
    "keywheel_lambda",
    "keywheel_sweep",
    "keywheel_rotate",
    "keywheel_webhook",
    "keywheel_compare",
    "keywheel_audit",
    "keywheel_notify",
];

/// Protects the process's memory and starts the log. A function calls this first of all.
///
/// The log is JSON lines on standard output, at the level of `KEYWHEEL_LOG` (default `info`). Only Keywheel's own events
/// are in the log: the HTTP stack and the AWS SDK may write headers and bodies at debug level, and no variable turns
/// that on.
pub fn begin() {
    process::harden();
    let level = settings::optional("KEYWHEEL_LOG").and_then(|level| level.parse().ok());
    let level: LevelFilter = level.unwrap_or(LevelFilter::INFO);
    let filter: Vec<String> = LOGGED.iter().map(|target| format!("{target}={level}")).collect();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(EnvFilter::new(filter.join(",")))
        .init();
}

/// Runs a function: connects once, then handles one event after another until Lambda ends the process.
///
/// `handle` takes what `connect` made, the event, and the time at which Lambda ends the invocation.
pub fn serve<C, A>(
    connect: impl Future<Output = Result<C, Failure>>,
    handle: impl AsyncFn(&C, Value, Instant) -> Result<A, Failure>,
) -> Pin<Box<impl Future<Output = Result<(), Error>>>>
where
    A: Serialize,
{
    // On the heap, because the future of a whole function is too large for a stack.
    Box::pin(async move {
        begin();
        let connected = &connect.await.map_err(Failure::logged)?;
        let handle = &handle;
        run(service_fn(async |event: LambdaEvent<Value>| {
            let deadline = deadline(event.context.deadline());
            let answer = Box::pin(handle(connected, event.payload, deadline)).await;
            answer.map_err(|failure| {
                let Failure { kind, message } = failure.logged();
                Diagnostic { error_type: kind.to_owned(), error_message: message }
            })
        }))
        .await
    })
}

/// Gives the time at which Lambda ends the invocation, on the clock that waits are measured by.
fn deadline(at: SystemTime) -> Instant {
    let left = at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Instant::now() + left
}
