//! Arguments of `rynjer dev …`.
//!
//! Invariant: only shapes. Not here: what the commands do.

use clap::Subcommand;
use std::net::SocketAddr;

/// For trying things out on this machine.
#[derive(Debug, Subcommand)]
pub(crate) enum Dev {
    /// Run a stand-in of a vendor: its API, real files, no bill
    Upstream {
        /// openai, google, xai, dashscope, ark, fal, kie or replicate
        vendor: String,
        /// Where it listens; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}
