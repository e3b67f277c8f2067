//! What a gateway listens on: the API's port, with TLS or without, and that of the metrics.
//!
//! Invariant: ports are taken before anybody is answered, so a start that fails has answered nobody. Not
//! here: connections (`http::listen`), routes (`http::router`).

use crate::{
    config::Config,
    gateway::{Role, StartError},
    http::{
        extract::Shared,
        listen::{self, ListenSettings},
        router, tls,
    },
    metrics,
    state::App,
};
use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// How long keep-alive clients are still served while draining, so that none loses a request to a closing
/// socket.
const DRAIN_GRACE_MS: u32 = 1000;

fn settings(config: &Config) -> ListenSettings {
    ListenSettings {
        header_timeout_ms: config.server.header_timeout_ms,
        header_bytes: config.limits.header_bytes,
        max_connections: config.server.max_connections,
        drain_grace_ms: DRAIN_GRACE_MS,
        drain_seconds: config.server.drain_seconds,
    }
}

/// What the gateway listens on, before anybody is answered.
pub(crate) struct Doors {
    api: Option<(Door, Option<TlsAcceptor>)>,
    metrics: Option<Door>,
}

type Door = (TcpListener, SocketAddr);

impl Doors {
    pub(crate) async fn open(app: &App, role: Role) -> Result<Self, StartError> {
        let server = &app.config.server;
        let api = match role {
            Role::Worker => None,
            Role::Api | Role::All => {
                let door = door(server.listen).await?;
                // Only the first call sets it; the address of one gateway never changes.
                let _ = app.base_url.set(server.base_url(door.1));
                let acceptor = match (&server.tls_cert, &server.tls_key) {
                    (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)),
                    _ => None,
                };
                Some((door, acceptor.transpose().map_err(|error| StartError::Tls(error.to_string()))?))
            }
        };
        let metrics = match server.metrics_listen {
            Some(address) => Some(door(address).await?),
            None => None,
        };
        Ok(Self { api, metrics })
    }

    /// Answers from now on; the addresses of the API and of the metrics.
    pub(crate) fn serve(
        self,
        shared: &Shared,
        more: Router,
        servers: &TaskTracker,
    ) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let settings = settings(&shared.app.config);
        let address = self.api.map(|((listener, address), acceptor)| {
            let router = router::build(shared.clone(), more);
            servers.spawn(listen::serve(listener, acceptor, router, settings, shared.drain.clone()));
            address
        });
        let metrics_address = self.metrics.map(|(listener, address)| {
            let settings = ListenSettings { max_connections: 16, ..settings };
            let router = metrics::router(shared.app.clone());
            servers.spawn(listen::serve(listener, None, router, settings, shared.drain.clone()));
            address
        });
        (address, metrics_address)
    }
}

async fn door(address: SocketAddr) -> Result<Door, StartError> {
    let listener = listen::bind(address).await.map_err(StartError::Listen)?;
    listener.local_addr().map(|address| (listener, address)).map_err(StartError::Listen)
}
