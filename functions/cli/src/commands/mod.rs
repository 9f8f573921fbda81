//! A module per command.

mod audit;
mod plan;
mod rotate;
mod schema;
mod status;
mod validate;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Carries out the command line.
pub(crate) async fn run(cli: Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Validate(args) => validate::run(global, &args, terminal).await,
        Command::Schema => schema::run(terminal),
        Command::Plan(args) => plan::run(global, &args, terminal).await,
        Command::Rotate(args) => Box::pin(rotate::run(global, &args, terminal)).await,
        Command::Audit(args) => Box::pin(audit::run(&args, terminal)).await,
        Command::Status(args) => status::run(global, &args, terminal).await,
    }
}
