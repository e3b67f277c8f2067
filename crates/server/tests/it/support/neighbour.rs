//! A second gateway on the database of a test, as another process would be.
//!
//! Invariant: it shares database, folder and clock with the test's own; the test stops it. Not here: the
//! first one.

use super::{Client, TestApp, client::SharedRouter, open, start};
use rynjer_server::gateway::{Gateway, Role, StartError};
use std::{net::SocketAddr, path::Path, sync::Mutex};

/// Settings under which several gateways may run: only the data folder's own database is locked.
pub(crate) const SHARED: &str = "[database]\nurl = \"sqlite:{folder}/shared.db\"\n";

/// Another node.
pub(crate) struct Neighbour {
    pub(crate) gateway: Gateway,
    router: SharedRouter,
}

impl TestApp {
    /// Starts another node on this one's database.
    pub(crate) async fn neighbour(&self, role: Role) -> Neighbour {
        let gateway = open(&self.settings, &self.data_dir, role, &self.clock).await;
        let router = SharedRouter::new(Mutex::new(gateway.router()));
        Neighbour { gateway, router }
    }

    /// Starts another node whose folder is its own, and which may not start.
    pub(crate) async fn stranger(&self, folder: &Path, listen: SocketAddr) -> Result<Gateway, StartError> {
        let mut settings = self.settings.clone();
        let server = settings["server"].as_table_mut().expect("a section");
        server.insert("listen".to_owned(), listen.to_string().into());
        start(&settings, folder, Role::All, &self.clock).await
    }
}

impl Neighbour {
    /// A caller of this node.
    pub(crate) fn bearer(&self, token: &str) -> Client {
        Client::new(&self.router, Some(token))
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(&self.router, None)
    }

    pub(crate) async fn stop(self) {
        self.gateway.shutdown().await;
    }
}
