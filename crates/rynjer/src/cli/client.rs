//! The arguments of the commands that use a gateway as its client.
//!
//! Invariant: no credential is an argument, since every process of the machine can read those. Not here:
//! what the commands do (`crate::client`).

use super::{Place, Product};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Which gateway, and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct Reach {
    /// The gateway's address [env: RYNJER_BASE_URL] [default: the profile's, else http://127.0.0.1:8787]
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) base_url: Option<String>,
    /// The saved profile [env: RYNJER_PROFILE] [default: the one of `profiles use`]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

const LOGIN_EXAMPLES: &str = "\
Examples:
  rynjer login --api-key-file key.txt
  rynjer login --base-url https://gateway.example --with-key-stdin < key.txt
  rynjer login --register 'Demo Agent'          make an agent; run it again to go on

A profile is a file of mode 600 below $XDG_CONFIG_HOME/rynjer (or ~/.config/rynjer).";

/// Arguments of `login`.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_EXAMPLES)]
pub(crate) struct Login {
    /// Read the API key from stdin
    #[arg(long, conflicts_with_all = ["api_key_file", "register"])]
    pub(crate) with_key_stdin: bool,
    /// Read the API key from a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "register")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Make a key pair and register an agent of this name, which its owner then binds
    #[arg(long, value_name = "AGENT NAME")]
    pub(crate) register: Option<String>,
    /// What the agent's key may do: image, video, music, credits:read, with commas
    #[arg(
        long,
        value_name = "SCOPES",
        requires = "register",
        default_value = "image,video,music,credits:read",
        hide_default_value = true
    )]
    pub(crate) scopes: String,
    /// How long to wait for the owner; 0 only prints what the owner needs
    #[arg(long, value_name = "N", requires = "register", default_value_t = 600)]
    pub(crate) timeout_seconds: u64,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// Arguments of commands that need nothing but a gateway.
#[derive(Debug, Args)]
pub(crate) struct Plain {
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `profiles`.
#[derive(Debug, Subcommand)]
pub(crate) enum Profiles {
    /// List the saved profiles
    List,
    /// Use a profile from now on
    Use { name: String },
}

const MODELS_EXAMPLES: &str = "\
Examples:
  rynjer models
  rynjer models --product video
  rynjer models nano-banana-pro --json";

/// Arguments of `models`.
#[derive(Debug, Args)]
#[command(after_help = MODELS_EXAMPLES)]
pub(crate) struct Models {
    /// Show this model alone, with all it can do
    pub(crate) name: Option<String>,
    /// Only models that make this
    #[arg(long, value_enum)]
    pub(crate) product: Option<Product>,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What is bought.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// How many images: 1, 2, 4 or 8
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u32>,
    /// One of the model's resolutions, such as 1K or 1080p
    #[arg(long)]
    pub(crate) resolution: Option<String>,
    /// One of the model's lengths
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<u32>,
    /// One of the model's shapes, such as 16:9
    #[arg(long, value_name = "W:H")]
    pub(crate) aspect_ratio: Option<String>,
    /// A size by platform, such as instagram_post
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// An image to start from: a file, a URL or a file_… id; may be repeated
    #[arg(long, value_name = "FILE|URL|ID", value_hint = ValueHint::FilePath)]
    pub(crate) input: Vec<String>,
}

const ESTIMATE_EXAMPLES: &str = "\
Examples:
  rynjer estimate nano-banana-pro --resolution 4K --count 2
  rynjer estimate veo3 --resolution 1080p --json";

/// Arguments of `estimate`.
#[derive(Debug, Args)]
#[command(after_help = ESTIMATE_EXAMPLES)]
pub(crate) struct Estimate {
    /// A name from `rynjer models`
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

const GENERATE_EXAMPLES: &str = "\
Examples:
  rynjer generate 'A paper boat on a rainy street' --model nano-banana-pro --wait
  rynjer generate 'Slow drift over a lake' --model veo3_fast --wait --out clips --max-credits 50
  rynjer generate 'A lighthouse' --model z-image --request-id lighthouse-1 --json

The request id is printed before anything is sent. The same id with the same arguments is the same task:
after a crash run the command again with that --request-id; it is never charged twice.";

/// Arguments of `generate`.
#[derive(Debug, Args)]
#[command(after_help = GENERATE_EXAMPLES)]
pub(crate) struct Generate {
    /// What to make
    pub(crate) prompt: Option<String>,
    /// A name from `rynjer models`
    #[arg(long)]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Your name for the task [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Refuse if it costs more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) max_credits: Option<i64>,
    /// The quote of an estimate
    #[arg(long, value_name = "QUOTE")]
    pub(crate) quote_id: Option<String>,
    /// The run that the task belongs to
    #[arg(long, value_name = "RUN")]
    pub(crate) run_id: Option<String>,
    /// A note that comes back with the task; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// How long to try again while the gateway can't be reached or is busy
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) retry_seconds: u64,
    /// Wait until it is done, and download what was made
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// How to wait, and where the files go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Waiting {
    /// How long to wait; the task itself goes on
    #[arg(long, value_name = "N", default_value_t = 3600)]
    pub(crate) timeout_seconds: u64,
    /// The folder that the files go to [default: the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

/// Reads `key=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "must be KEY=VALUE".to_owned())
}

const TASKS_EXAMPLES: &str = "\
Examples:
  rynjer tasks --status processing
  rynjer tasks --all --json > tasks.ndjson
  rynjer tasks wait lighthouse-1 --out pictures
  rynjer tasks cancel lighthouse-1";

/// Arguments of `tasks`.
#[derive(Debug, Args)]
#[command(after_help = TASKS_EXAMPLES)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    pub(crate) one: Option<OneTask>,
    /// Only tasks in that state
    #[arg(long, value_enum)]
    pub(crate) status: Option<Status>,
    /// Only tasks of that model
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Only tasks of that run
    #[arg(long, value_name = "RUN")]
    pub(crate) run_id: Option<String>,
    #[command(flatten)]
    pub(crate) paging: Paging,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct Paging {
    /// How many at most [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all")]
    pub(crate) limit: Option<u32>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}

/// What to do with one task.
#[derive(Debug, Subcommand)]
pub(crate) enum OneTask {
    /// Show a task
    Show {
        /// Its request id or task_… id
        id: String,
    },
    /// Wait until a task is done, and download what was made
    Wait {
        /// Its request id or task_… id
        id: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Cancel a task that has not begun
    Cancel {
        /// Its request id or task_… id
        id: String,
    },
    /// Blank a task's prompt, inputs and outputs for good
    Delete {
        /// Its request id or task_… id
        id: String,
    },
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    Pending,
    Processing,
    Success,
    Failed,
    Canceled,
}

const USAGE_EXAMPLES: &str = "\
Examples:
  rynjer usage --from 2026-03-01 --to 2026-04-01 --all
  rynjer usage --csv --all > usage.csv
  rynjer usage --receipt use_06egn8yc0hs5fc4pkp2kezx3y4 > receipt.json";

/// Arguments of `usage`.
#[derive(Debug, Args)]
#[command(after_help = USAGE_EXAMPLES)]
pub(crate) struct Usage {
    /// Accepted at or after: a UTC date or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Accepted before
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Print a table for spreadsheets
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print the signed receipt of one event instead
    #[arg(long, value_name = "USE_ID", conflicts_with_all = ["from", "to", "csv", "limit", "all"])]
    pub(crate) receipt: Option<String>,
    #[command(flatten)]
    pub(crate) paging: Paging,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  rynjer verify receipt receipt.json
  rynjer verify receipt receipt.json --public-key \"$(cat gateway-key.hex)\"

With --public-key nothing is asked, so it works offline; else the gateway must list the receipt's key.";

/// `verify`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verify {
    /// Check a receipt: its signature, and that its lines add up
    #[command(after_help = VERIFY_EXAMPLES)]
    Receipt {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// A key that you trust, in hex; may be repeated
        #[arg(long, value_name = "HEX")]
        public_key: Vec<String>,
        #[command(flatten)]
        reach: Reach,
    },
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  rynjer doctor                                 can I use the gateway?
  rynjer doctor --data-dir ./data               is the installation on this machine sound?

It names the first fault and what to do about it, and exits 1; it changes nothing.";

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub(crate) struct Doctor {
    /// Check the settings in this file, and the installation
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_pairs() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
