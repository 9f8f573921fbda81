//! `keywheel check`: whether Keywheel can be deployed, or whether a deployment is as it should be.
//!
//! Everything is read first, and then judged by rules without I/O: what cannot be read fails one check and keeps no other from
//! being made.

mod aws;
mod catalogue;
mod deployment;
mod entra;
mod manifest;
mod read;
mod report;
mod running;
mod seen;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use seen::PARAMETERS;

use crate::args::{Check, Global};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Makes the checks and prints what became of each.
pub(crate) async fn run(
    global: &Global,
    args: &Check,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let seen = terminal
        .progress("signing in to AWS", async |progress| {
            Box::pin(read::read(global, args, progress)).await
        })
        .await?;
    let report = report::Checked::new(&seen);
    terminal.show(&report)?;
    Ok(if report.passed { Exit::Done } else { Exit::Unready })
}
