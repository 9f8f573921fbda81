//! `keywheel`: validates a manifest, plans, rotates and shows how credentials stand, from a terminal.

mod args;
mod commands;
mod exit;
mod find;
mod logging;
mod report;
mod session;
mod terminal;
mod text;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use terminal::Terminal;

#[tokio::main]
async fn main() -> ExitCode {
    keywheel_core::process::harden();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // A closed pipe is no reason to fail at showing the help.
            let _ = told.print();
            return exit::of_usage(&told, std::env::args_os()).into();
        }
    };
    logging::init();
    let terminal = Terminal::new(&cli.global);
    let exit = Box::pin(commands::run(cli, &terminal)).await.unwrap_or_else(|failure| {
        terminal.fail(&failure);
        failure.exit
    });
    exit.into()
}
