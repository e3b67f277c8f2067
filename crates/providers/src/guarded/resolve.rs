//! Names to addresses, and how the checked addresses reach the connection.
//!
//! Invariant: the HTTP library connects to what [`PINNED`] holds; outside of a hop it gets no address at all.
//! Not here: the check of addresses.

use futures::future::{BoxFuture, ready};
use reqwest::dns::{Addrs, Name, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses, the best one first.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// As the operating system does.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

tokio::task_local! {
    /// The checked addresses of the hop under way.
    pub(super) static PINNED: Arc<[IpAddr]>;
}

/// Stands in for the HTTP library's resolver. Port 0 is replaced by the URL's.
pub(super) struct PinnedAddresses;

impl reqwest::dns::Resolve for PinnedAddresses {
    fn resolve(&self, _: Name) -> Resolving {
        let pinned = PINNED.try_with(|addresses| -> Addrs {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Box::new(addresses.into_iter())
        });
        Box::pin(ready(pinned.map_err(Into::into)))
    }
}
