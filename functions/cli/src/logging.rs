//! The log on standard error: standard output holds results only.

use keywheel_core::settings;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log, at the level of `KEYWHEEL_LOG` (default `warn`).
///
/// Only Keywheel's own events are logged: the HTTP stack may write headers and bodies at debug level.
pub(crate) fn init() {
    let level = settings::optional("KEYWHEEL_LOG").and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::WARN);
    let filter = format!("keywheel={level},keywheel_core={level}");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
