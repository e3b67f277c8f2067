//! The arguments of `admin`, by noun.
//!
//! Invariant: nothing secret is an argument except registration codes, which are spent once bound. Not here:
//! what the commands do (`crate::admin`).

mod pause;
mod policy;

pub(crate) use pause::{Pause, Resume};
pub(crate) use policy::Policy;

use super::{
    Place,
    value::{self, AccountName, Limit},
};
use clap::{Args, Subcommand, ValueHint};
use rynjer_core::{
    id::{AgentId, KeyId, TaskId},
    scope::Scopes,
};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  rynjer admin account create --email me@example.com --credits 1000
  rynjer admin agent bind ryn_reg_… --account me@example.com --scopes image,credits:read --budget 500/day
  rynjer admin key create --account me@example.com
  rynjer admin audit

These commands work on the database itself, also while the gateway runs.";

/// Arguments of `admin`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Admin {
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// What to manage.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Accounts, which own the credits
    #[command(subcommand)]
    Account(Account),
    /// Agents, which act for an account
    #[command(subcommand)]
    Agent(Agent),
    /// API keys
    #[command(subcommand)]
    Key(Key),
    /// Limits of what may be spent
    #[command(subcommand)]
    Budget(Budget),
    /// People, who sign in and own accounts
    #[command(subcommand)]
    User(User),
    /// Which models may be used, and at what price
    #[command(subcommand)]
    Policy(Policy),
    /// Stop an account, a model or a provider for a while; agents by `agent pause`
    #[command(subcommand)]
    Pause(Pause),
    /// Let what is paused go on
    #[command(subcommand)]
    Resume(Resume),
    /// Generations
    #[command(subcommand)]
    Task(Task),
    /// Models and prices
    #[command(subcommand)]
    Prices(Prices),
    /// Recompute the whole ledger and compare; exits 1 if anything is wrong
    Audit(At),
    /// Compare what vendors cost with what was charged, and list jobs that nobody was charged for
    Reconcile {
        /// How many days back
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// What one credit is worth, in millionths of a US dollar; 0: unknown, and no margin is told
        #[arg(long, default_value_t = 0, env = "RYNJER_ROUTES__CREDIT_MICRO_USD",
            value_parser = clap::value_parser!(i64).range(0..=1_000_000_000))]
        credit_micro_usd: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Copy the database into a new file, also while the gateway runs
    Backup {
        /// The new file
        #[arg(value_hint = ValueHint::FilePath)]
        target: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Put a backup into a data folder that has no database, or into a fresh one on PostgreSQL
    Restore {
        /// The file that `backup` made
        #[arg(value_hint = ValueHint::FilePath, required_unless_present = "finish")]
        backup: Option<PathBuf>,
        /// Take new requests again, though tasks of the backup's time are still open
        #[arg(long, conflicts_with = "backup")]
        finish: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Move everything into a fresh database of either kind, and close the old one
    Move {
        /// Where it is: sqlite:FILE or postgres://…
        #[arg(long, value_name = "URL")]
        from: String,
        /// Where it shall be, likewise
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// Bring the database's schema up to date
    Migrate {
        /// Tell what would be done, and change nothing
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// A database and nothing else.
#[derive(Debug, Args)]
pub(crate) struct At {
    #[command(flatten)]
    pub(crate) place: Place,
}

/// `admin account`.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Make an account
    Create {
        /// Whose it is; one test and one live account per address
        #[arg(long)]
        email: String,
        /// Credits to start with [default: 1000 for a test account, 0 for a live one]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
        credits: Option<i64>,
        /// A live account, whose tasks go to real providers
        #[arg(long)]
        live: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List all accounts
    List(At),
    /// Show an account with its budgets
    Show {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
    /// Stop an account from spending, or let it spend again
    Freeze {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        /// Why
        #[arg(long, value_name = "TEXT", required_unless_present = "thaw", conflicts_with = "thaw")]
        reason: Option<String>,
        /// Let it spend again
        #[arg(long)]
        thaw: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Write everything of an account into a tar file: tables, prompts and files, and no secrets
    Export {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        /// The new file
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: PathBuf,
        /// The settings that `serve` was started with, if its files are not in the data folder
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Close an account for good: its keys end, prompts and files are erased, the ledger stays
    Close {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        /// Yes, for good
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Give an account credits
    Grant {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        /// How many
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        credits: i64,
        /// A name for this grant: repeating it grants nothing more [default: a new one]
        #[arg(long, value_name = "R")]
        reference: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Take credits back from an account; what is spent already is owed and freezes it
    Clawback {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        /// How many
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        credits: i64,
        /// A name for it: repeating it takes nothing more
        #[arg(long, value_name = "R")]
        reference: String,
        #[command(flatten)]
        place: Place,
    },
}

/// `admin agent`.
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Give a registered agent to an account
    Bind {
        /// The registration code that the agent got
        code: String,
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        /// What its keys may ask for: image, video, music, credits:read, with commas, or all
        #[arg(long, value_parser = value::scopes)]
        scopes: Scopes,
        /// What it may spend: N, N/day or N/month
        #[arg(long, value_name = "LIMIT", value_parser = value::limit)]
        budget: Option<Limit>,
        #[command(flatten)]
        place: Place,
    },
    /// List agents, newest first
    List {
        /// Only those of this account
        #[arg(long, value_parser = value::account)]
        account: Option<AccountName>,
        #[command(flatten)]
        place: Place,
    },
    /// Refuse an agent's requests for a while
    Pause {
        #[arg(value_parser = value::agent)]
        agent: AgentId,
        /// Take its requests again
        #[arg(long)]
        resume: bool,
        #[command(flatten)]
        place: Place,
    },
    /// End an agent for good, with all its keys and tokens
    Revoke {
        #[arg(value_parser = value::agent)]
        agent: AgentId,
        #[command(flatten)]
        place: Place,
    },
    /// Take an agent from its account, with all its keys and tokens
    Unbind {
        #[arg(value_parser = value::agent)]
        agent: AgentId,
        #[command(flatten)]
        place: Place,
    },
    /// Give an agent to another account; its keys and tokens die, old tasks stay
    Transfer {
        #[arg(value_parser = value::agent)]
        agent: AgentId,
        /// The new account's id or e-mail
        #[arg(long, alias = "account", value_name = "ACCOUNT", value_parser = value::account)]
        to: AccountName,
        #[command(flatten)]
        place: Place,
    },
}

/// `admin key`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make an account key; it is shown once
    Create {
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        /// What it may do: image, video, music, credits:read, with commas [default: all]
        #[arg(long, value_parser = value::scopes)]
        scopes: Option<Scopes>,
        /// A name to know it by
        #[arg(long, default_value = "admin")]
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the keys of an account and its agents, newest first
    List {
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
    /// Put a new key in the place of one; both work for a while
    Rotate {
        /// The key's id (key_…)
        #[arg(value_parser = value::key)]
        key: KeyId,
        /// For how many hours the old key works on
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=720))]
        overlap_hours: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key with its tokens
    Revoke {
        /// The key's id (key_…)
        #[arg(value_parser = value::key)]
        key: KeyId,
        #[command(flatten)]
        place: Place,
    },
}

/// `admin budget`.
#[derive(Debug, Subcommand)]
pub(crate) enum Budget {
    /// Limit what an account, or one agent or key of it, may spend
    Set {
        /// N, N/day or N/month
        #[arg(value_parser = value::limit)]
        limit: Limit,
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        /// Limit this agent alone
        #[arg(long, value_parser = value::agent, conflicts_with = "key")]
        agent: Option<AgentId>,
        /// Limit this key alone
        #[arg(long, value_parser = value::key)]
        key: Option<KeyId>,
        #[command(flatten)]
        place: Place,
    },
    /// List the budgets of an account
    List {
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
}

/// Where links lead.
#[derive(Debug, Args)]
pub(crate) struct Base {
    /// What people call the gateway
    #[arg(long, value_name = "URL", env = "RYNJER_SERVER__PUBLIC_URL", value_hint = ValueHint::Url,
        default_value = "http://127.0.0.1:8787", value_parser = value::base_url)]
    pub(crate) base_url: String,
}

/// `admin user`.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// List everybody, and invitations that wait
    List(At),
    /// Make a link by which somebody becomes an owner; it works once, for a week
    Invite {
        /// Whom it is for
        email: String,
        /// They shall run the gateway
        #[arg(long)]
        operator: bool,
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        place: Place,
    },
    /// Make a link by which somebody chooses a new password; it works once, for an hour
    ResetPassword {
        /// Their id or e-mail
        user: String,
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        place: Place,
    },
    /// Sign somebody out everywhere and let them sign in no more
    Disable {
        /// Their id or e-mail
        user: String,
        #[command(flatten)]
        place: Place,
    },
    /// Let somebody sign in again
    Enable {
        /// Their id or e-mail
        user: String,
        #[command(flatten)]
        place: Place,
    },
    /// Take away the second step of somebody who lost it, and sign them out everywhere
    RemoveSecondStep {
        /// Their id or e-mail
        user: String,
        /// The settings that `serve` was started with, if they name the server that sends letters
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Make somebody an operator, who runs the gateway
    Promote {
        /// Their id or e-mail
        user: String,
        #[command(flatten)]
        place: Place,
    },
    /// Make an operator an owner like others
    Demote {
        /// Their id or e-mail
        user: String,
        #[command(flatten)]
        place: Place,
    },
}

/// `admin task`.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Show a task with its credits and outputs
    Show {
        /// The task's id (task_…)
        #[arg(value_parser = value::task)]
        task: TaskId,
        #[command(flatten)]
        place: Place,
    },
    /// Give back what a task was charged
    Refund {
        /// The task's id (task_…)
        #[arg(value_parser = value::task)]
        task: TaskId,
        /// How many credits [default: all that is left of the charge]
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        credits: Option<i64>,
        /// A name for it: repeating it gives nothing more
        #[arg(long, value_name = "R")]
        reference: String,
        #[command(flatten)]
        place: Place,
    },
}

/// `admin prices`.
#[derive(Debug, Subcommand)]
pub(crate) enum Prices {
    /// Show the current prices
    Show {
        /// A catalog file [default: the one that `serve` uses in the data folder]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        catalog: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Store the price versions of a catalog file and install it for the next start of `serve`
    Import {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Check a catalog file
    Check {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}
