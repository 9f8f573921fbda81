//! `keywheel schema`.

use keywheel_core::manifest::Manifest;

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Prints the manifest's JSON Schema.
pub(crate) fn run(terminal: &Terminal) -> Result<Exit, Failure> {
    terminal.print_json(&Manifest::schema())?;
    Ok(Exit::Done)
}
