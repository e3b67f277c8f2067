//! Completions for shells, made from the arguments themselves.
//!
//! Invariant: the script goes to stdout and nothing else does. Not here: where a shell keeps it.

use crate::{cli::Cli, failure::Failure, print};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the completion script of a shell.
pub(crate) fn print(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rynjer", &mut script);
    print::bytes(&script)
}
