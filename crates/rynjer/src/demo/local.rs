//! The demo's gateway: in this process, in a temporary folder, on loopback.
//!
//! Invariant: it reads no settings of the operator's and no vendor's key, and its folder is gone afterwards.
//! Not here: what is done with it (`walk`).

use super::steps::Steps;
use crate::failure::Failure;
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use tempfile::TempDir;
use toml::Table;

const SETTINGS: &str = r#"
server = { listen = "127.0.0.1:0", metrics_listen = "", drain_seconds = 1 }
sandbox = { allow_crash = false }
"#;

/// A gateway and its folder.
pub(super) struct Local {
    pub(super) gateway: Gateway,
    folder: TempDir,
}

impl Local {
    /// Starts it.
    pub(super) async fn start(steps: &mut Steps) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("rynjer-demo-").tempdir();
        let folder =
            folder.map_err(|error| Failure::failed(format!("can't make a temporary folder: {error}")))?;
        let settings: Table =
            SETTINGS.parse().map_err(|error| Failure::failed(format!("the demo's settings: {error}")))?;
        let loaded = Config::load(None, std::iter::empty(), settings)
            .map_err(|error| Failure::failed(error.to_string()))?;
        let gateway = Box::pin(Gateway::start(Options {
            config: loaded.config,
            data_dir: folder.path().to_path_buf(),
            role: Role::All,
            clock: Clock::System,
            master_key: None,
        }))
        .await?;
        steps.done("gateway", &format!("{}, in a temporary folder", gateway.base_url()));
        Ok(Self { gateway, folder })
    }

    /// Stops it and removes the folder.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        Box::pin(self.gateway.shutdown()).await;
        let path = self.folder.path().to_path_buf();
        self.folder
            .close()
            .map_err(|error| Failure::failed(format!("can't remove {}: {error}", path.display())))
    }
}
