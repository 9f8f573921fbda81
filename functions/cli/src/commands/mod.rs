//! A module for each command.

mod audit;
pub(crate) mod check;
mod failed_jobs;
mod plan;
mod rotate;
mod status;
mod sweep;
mod tag;
mod validate;

use keywheel_core::manifest::Manifest;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Carries out the command line.
pub(crate) async fn run(cli: Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Validate { file } => validate::run(global, file.as_deref(), terminal).await,
        Command::Schema => terminal.print_json(&Manifest::schema()).map(|()| Exit::Done),
        Command::Plan { detailed_exitcode } => plan::run(global, detailed_exitcode, terminal).await,
        Command::Rotate(args) => Box::pin(rotate::run(global, &args, terminal)).await,
        Command::Audit(args) => Box::pin(audit::run(&args, terminal)).await,
        Command::Sweep(args) => Box::pin(sweep::run(global, &args, terminal)).await,
        Command::Tag(args) => Box::pin(tag::run(global, &args, terminal)).await,
        Command::Check(args) => Box::pin(check::run(global, &args, terminal)).await,
        Command::Status { name } => status::run(global, name.as_deref(), terminal).await,
    }
}
