//! Other people's gateways beside ours: installed once, started on loopback, ended.
//!
//! Invariant: only processes that were started here are ended here, each with its children. Not here: loads
//! (`load`), figures (`bench_upstream`).

use crate::load::Failure;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const LITELLM: &str = "litellm[proxy]==1.106.2";
const PORTKEY: &str = "@portkey-ai/gateway@1.15.2";
/// What callers of LiteLLM show; it knows no other key here.
pub(crate) const KEY: &str = "sk-bench";

/// Another gateway, or how many workers of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    LiteLlm { workers: usize },
    Portkey,
}

impl Kind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::LiteLlm { workers } => format!("LiteLLM, workers: {workers}"),
            Self::Portkey => "Portkey".to_owned(),
        }
    }

    /// Installs what is not there yet; needs a registry the first time.
    pub(crate) fn install(self, room: &Path) -> Result<(), Failure> {
        fs::create_dir_all(room)?;
        match self {
            Self::LiteLlm { .. } if !room.join("venv/bin/litellm").exists() => {
                run(Command::new("python3").args(["-m", "venv"]).arg(room.join("venv")))?;
                run(Command::new(room.join("venv/bin/pip")).args(["install", "-q", LITELLM]))
            }
            Self::Portkey if !room.join(SCRIPT).exists() => run(Command::new("npm")
                .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
                .arg(room)
                .arg(PORTKEY)),
            _ => Ok(()),
        }
    }

    /// Lines that each request's head needs for it to find the stand-in.
    pub(crate) fn head(self, upstream: &str) -> String {
        match self {
            Self::LiteLlm { .. } => String::new(),
            Self::Portkey => {
                format!("x-portkey-provider: openai\r\nx-portkey-custom-host: {upstream}\r\n")
            }
        }
    }

    fn command(self, room: &Path, address: SocketAddr, upstream: &str) -> Result<Command, Failure> {
        let port = address.port().to_string();
        Ok(match self {
            Self::LiteLlm { workers } => {
                let config = room.join("litellm.yaml");
                fs::write(&config, litellm_config(upstream))?;
                let mut command = Command::new(room.join("venv/bin/litellm"));
                command.args(["--host", "127.0.0.1", "--port", &port, "--telemetry", "False"]);
                command.args(["--num_workers", &workers.to_string(), "--config"]).arg(config);
                // Its price list is then the one that it brings, not one of the network's.
                command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
                command
            }
            Self::Portkey => {
                let mut command = Command::new("node");
                command.env("NODE_ENV", "production");
                command.arg(room.join(SCRIPT)).arg(format!("--port={port}")).arg("--headless");
                command
            }
        })
    }
}

const SCRIPT: &str = "node_modules/@portkey-ai/gateway/build/start-server.js";

fn litellm_config(upstream: &str) -> String {
    format!(
        "model_list:\n  - model_name: gpt-image-2\n    litellm_params:\n      \
         model: openai/gpt-image-2\n      api_base: {upstream}\n      \
         api_key: bench\ngeneral_settings:\n  master_key: {KEY}\n"
    )
}

/// A program that was started here; it ends with this, and so do its workers.
pub(crate) struct Foreign {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Foreign {
    /// Starts another gateway. It may not be ready yet.
    pub(crate) fn start(kind: Kind, room: &Path, upstream: &str) -> Result<Self, Failure> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = kind.command(room, address, upstream)?;
        let log = fs::File::create(room.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().map_err(|error| format!("{}: {error}", kind.name()))?;
        Ok(Self { child, address })
    }

    /// Starts OpenAI's stand-in, which says on its first line where it is.
    pub(crate) fn stand_in(room: &Path) -> Result<(Self, String), Failure> {
        let program = beside("examples/upstream")?;
        let said = room.join("upstream.url");
        let mut command = Command::new(&program);
        command.arg("openai").stdin(Stdio::null()).stdout(fs::File::create(&said)?).process_group(0);
        let built = "cargo build --release -p rynjer-emulator --example upstream";
        let child =
            command.spawn().map_err(|error| format!("{}: {error}; {built} makes it", program.display()))?;
        for _ in 0..500 {
            if let Some((url, _)) = fs::read_to_string(&said)?.split_once('\n') {
                let place = url.trim_start_matches("http://").trim_end_matches("/v1");
                return Ok((Self { child, address: place.parse()? }, url.to_owned()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err("the stand-in said nothing".into())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // The whole group: workers are children.
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.child.wait());
    }
}

/// A file beside this program.
pub(crate) fn beside(name: &str) -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
