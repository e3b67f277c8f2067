//! The arguments of every command.
//!
//! Invariant: what parses is well-formed: ids have the shape of their kind, scopes exist, amounts are in
//! range. Not here: what the commands do.

pub(crate) mod admin;
pub(crate) mod client;
pub(crate) mod dev;
pub(crate) mod value;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint, builder::styling};
use clap_complete::Shell;
use std::path::PathBuf;

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::Style::new().bold())
    .usage(styling::Style::new().bold())
    .literal(styling::AnsiColor::Green.on_default());

const EXAMPLES: &str = "\
Examples:
  rynjer demo                                   see it work, offline and for free
  rynjer serve                                  run the gateway on http://127.0.0.1:8787
  rynjer admin account create --email me@example.com --credits 1000
  rynjer admin key create --account me@example.com
  rynjer login --api-key-file key.txt           then: models, estimate, generate, tasks, usage
  rynjer generate 'A paper boat' --model nano-banana-pro --wait

Exit codes: 0 done, 1 failed, 2 wrong usage, 4 not authenticated, 5 not enough credits.";

/// A gateway for AI agents: images, video and music, priced in credits.
#[derive(Debug, Parser)]
#[command(name = "rynjer", version, styles = STYLES, after_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print one JSON object on one line to stdout; lists print one for each entry
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Walk one generation end to end on this machine: offline, free, in a temporary folder
    Demo(Demo),
    /// Run the gateway and its worker
    Serve(Serve),
    /// Save how to reach a gateway, and as whom
    Login(client::Login),
    /// Forget a saved profile
    Logout(client::Plain),
    /// List saved profiles, or choose one
    #[command(subcommand)]
    Profiles(client::Profiles),
    /// Show who the credential speaks for
    Whoami(client::Plain),
    /// List the models and their prices
    Models(client::Models),
    /// Tell what a generation would cost
    Estimate(client::Estimate),
    /// Make images, video or music
    Generate(Box<client::Generate>),
    /// List generations; show, wait for, cancel or delete one
    Tasks(client::Tasks),
    /// Show how many credits there are
    Balance(client::Plain),
    /// Report what was spent
    Usage(client::Usage),
    /// Check what a gateway signed
    #[command(subcommand)]
    Verify(client::Verify),
    /// Find the first thing that is wrong, and what to do about it
    Doctor(client::Doctor),
    /// Manage accounts, agents, keys, budgets and the database
    Admin(admin::Admin),
    /// Try things out on this machine
    #[command(subcommand)]
    Dev(dev::Dev),
    /// Print the completion script of a shell
    Completions { shell: Shell },
}

/// The variable that names a database, which `serve` reads as a setting too.
pub(crate) const DATABASE_URL: &str = "RYNJER_DATABASE__URL";

const DEMO_EXAMPLES: &str = "\
Examples:
  rynjer demo
  rynjer demo 'A paper boat on a rainy street' --out /tmp
  rynjer demo --product music --json

The demo never spends real money: it uses a test account, whose tasks go to the built-in sandbox.";

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub(crate) struct Demo {
    /// What to make [default: a prompt of ours]
    pub(crate) prompt: Option<String>,
    /// What kind of thing to make [default: what the model makes, else image]
    #[arg(long, value_enum)]
    pub(crate) product: Option<Product>,
    /// The model to use [default: nano-banana-pro, veo3_fast or V5]
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The folder that the file goes to [default: the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Product {
    Image,
    Video,
    Music,
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The data folder [default: rynjer in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The database, if it is not the one in the data folder
    #[arg(long, value_name = "URL", env = DATABASE_URL, hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

impl Place {
    /// The URL, unless it is left to the data folder.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.is_empty())
    }
}

const SERVE_EXAMPLES: &str = "\
Examples:
  rynjer serve --data-dir ./data
  rynjer serve --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --public-url https://g.example
  rynjer serve --print-config > rynjer.toml

Settings: built-in defaults, then --config, then RYNJER_<SECTION>__<KEY>, then flags.
Secrets: RYNJER_MASTER_KEY (64 hex digits) or RYNJER_MASTER_KEY_FILE; else DIR/master.key is made.";

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The address to answer on [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// A file with settings
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// What this process does
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) role: Role,
    /// Whether rates are limited [default: on]
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) rate_limits: Option<Switch>,
    /// Let test accounts move the clock (POST /v1/test/clock); refuses a database that holds a live account
    #[arg(long)]
    pub(crate) test_clock: bool,
    /// Print the settings that apply, as a file for --config, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
    /// The certificate chain to answer HTTPS with (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub(crate) tls_cert: Option<String>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<String>,
    /// A proxy in front does HTTPS
    #[arg(long)]
    pub(crate) behind_proxy: bool,
    /// What clients call this gateway, such as https://gateway.example
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) public_url: Option<String>,
    /// The address of /metrics, or `off` [default: a free port on loopback]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<String>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Answer requests
    Api,
    /// Make what was asked for
    Worker,
    /// Both
    All,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
    }
}
