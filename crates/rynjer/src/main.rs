//! The program `rynjer`: a gateway, its demonstration, the operator's commands and a client's.
//!
//! Invariant: exit codes are returned from `main` alone: 0 done, 1 failed, 2 wrong usage, 4 not
//! authenticated, 5 not enough credits. Not here: rules, SQL and HTTP, which the other crates own.

mod admin;
mod agent;
mod cli;
mod client;
mod completions;
mod demo;
mod dev;
mod failure;
mod folder;
mod picture;
mod plain;
mod print;
mod progress;
mod save;
mod serve;
mod signal;
mod table;
mod terminal;
mod words;

use clap::Parser;
use cli::{Cli, Command};
use failure::{Exit, Failure};
use std::{future::Future, process::ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return answer_of_clap(&refusal),
    };
    let json = cli.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show(json);
            failure.exit.into()
        }
    }
}

/// Help and version are data and go to stdout; refusals are talk and go to stderr.
fn answer_of_clap(refusal: &clap::Error) -> ExitCode {
    // A reader that went away has nothing left to be told.
    drop(refusal.print());
    if refusal.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let json = cli.json;
    match cli.command {
        Command::Demo(arguments) => in_runtime(demo::run(arguments, json)),
        Command::Serve(arguments) => serve::run(&arguments, json),
        Command::Admin(arguments) => admin::run(arguments, json),
        Command::Dev(arguments) => in_runtime(dev::run(arguments, json)),
        Command::Completions { shell } => completions::print(shell),
        other => in_runtime(client::run(other, json)),
    }
}

/// Runs a command that talks to a gateway or a database.
fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("can't start threads: {error}")))?;
    let result = runtime.block_on(Box::pin(work));
    // What still runs belongs to a command that was told to stop at once.
    runtime.shutdown_background();
    result
}
