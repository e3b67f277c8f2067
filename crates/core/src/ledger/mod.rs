//! The ledger as a batch state machine: load the rows a batch touches, decide each command in order, save the
//! change.
//!
//! Invariant: money moves only through [`apply`], every transfer has two legs within one account, and the
//! books of an account always sum to zero. Not here: SQL, commits, and when a command is sent.

mod accept;
mod apply;
mod book;
mod command;
mod notice;
mod settle;
#[cfg(test)]
mod tests;
mod working;

pub use apply::{OWING, apply, fault_reason};
pub use book::{Book, Books, Entry, EntryKind, Fault, chain_hash};
pub use command::{
    Accept, Capture, Clawback, Command, Grant, Guard, Loss, LostUnits, NewOutput, NewTask, Outcome, Refund,
    Refusal, Release, RunLimit, Trail,
};
pub use notice::{BUDGET_THRESHOLD, BudgetNotice};
pub use working::{
    AcceptedTask, Account, CapturedOutput, Reference, Run, RunKey, TaskMoney, TrailLine, Working,
};
