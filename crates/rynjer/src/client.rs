//! The commands that use a gateway as its client, through the typed client that anybody could use.
//!
//! Invariant: stdout gets data alone; a call that costs credits is only ever sent again under the same
//! request id. Not here: the operator's commands (`admin`), the calls themselves (`rynjer-api`).

mod account;
mod doctor;
mod estimate;
mod generate;
mod input;
mod login;
mod model;
mod patience;
mod profile;
mod receipt;
mod register;
mod session;
mod task;
mod token;
mod usage;
mod wait;

use crate::{cli::Command, failure::Failure};
use session::Session;

/// Runs a client's command.
pub(crate) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    match command {
        Command::Login(arguments) => login::run(arguments, json).await,
        Command::Logout(arguments) => login::logout(&arguments.reach, json),
        Command::Profiles(command) => login::profiles(command, json),
        Command::Whoami(arguments) => account::whoami(Session::open(&arguments.reach)?, json).await,
        Command::Balance(arguments) => account::balance(Session::open(&arguments.reach)?, json).await,
        Command::Models(arguments) => model::run(arguments, json).await,
        Command::Estimate(arguments) => estimate::run(arguments, json).await,
        Command::Generate(arguments) => Box::pin(generate::run(*arguments, json)).await,
        Command::Tasks(arguments) => Box::pin(task::run(arguments, json)).await,
        Command::Usage(arguments) => usage::run(arguments, json).await,
        Command::Verify(command) => receipt::run(command, json).await,
        Command::Doctor(arguments) => doctor::run(arguments, json).await,
        Command::Demo(_)
        | Command::Serve(_)
        | Command::Admin(_)
        | Command::Dev(_)
        | Command::Completions { .. } => Err(Failure::failed("that is no client's command")),
    }
}

/// A moment of an answer for people: to the second, without the letters between.
fn moment(rfc3339: &str) -> String {
    let text = rfc3339.get(..19).filter(|_| rfc3339.ends_with('Z')).unwrap_or(rfc3339);
    text.replace('T', " ")
}
