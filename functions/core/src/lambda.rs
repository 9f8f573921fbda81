//! What every function does at its start.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::http;

/// JSON lines on standard output, at the level of `KEYWHEEL_LOG` (default `info`).
///
/// Only Keywheel's own events are logged: what the HTTP stack and the AWS SDK say at debug level may
/// hold headers and bodies.
pub fn init_logging() {
    let level = http::env("KEYWHEEL_LOG").unwrap_or_else(|| "info".to_owned());
    let level: tracing::level_filters::LevelFilter =
        level.parse().unwrap_or(tracing::level_filters::LevelFilter::INFO);
    let filter = ["keywheel", "keywheel_core", "keywheel_sweep", "keywheel_rotate"]
        .iter()
        .map(|target| format!("{target}={level}"))
        .collect::<Vec<_>>()
        .join(",");
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(EnvFilter::new(filter))
        .init();
}

/// When the function is killed, on the clock that waits are measured by.
pub fn deadline(at: SystemTime) -> Instant {
    let left = at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Instant::now() + left
}
