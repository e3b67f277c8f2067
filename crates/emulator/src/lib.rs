//! Stand-ins for vendors' servers, built from what the vendors document: real HTTP, real files, no charge.
//!
//! Invariant: what a stand-in answers, the vendor's own SDK parses (`scripts/vendor-sdks` proves it), and the
//! only thing that it has in common with our adapters is the vendor's documentation. Not here: anything of
//! the gateway.

mod ark;
mod control;
mod dashscope;
mod fal;
mod fields;
mod google;
mod journal;
mod kie;
mod media;
mod moltbook;
mod moment;
mod openai;
mod replicate;
mod serve;
mod shape;
mod stripe;
mod world;
mod xai;

pub use control::{CONTROL_PATH, Fault};
pub use google::{google_interaction_errors, google_service_account, google_veo_errors};
pub use journal::Seen;
pub use media::{clip, picture, song};
pub use moltbook::{Moltbook, MoltbookFault};
pub use serve::Tls;
pub use stripe::{Hook, StripeEmulator, event as stripe_event, sign as stripe_sign};
pub use world::{CallbackOut, ErrorCase, Expected, Job, World};

use axum::Router;
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The vendors that there is a stand-in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    OpenAi,
    Google,
    Xai,
    DashScope,
    Ark,
    Fal,
    Kie,
    Replicate,
}

impl Vendor {
    /// Every vendor.
    pub const ALL: [Self; 8] = [
        Self::OpenAi,
        Self::Google,
        Self::Xai,
        Self::DashScope,
        Self::Ark,
        Self::Fal,
        Self::Kie,
        Self::Replicate,
    ];

    /// The name, as in the catalog's routes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Google => "google",
            Self::Xai => "xai",
            Self::DashScope => "dashscope",
            Self::Ark => "ark",
            Self::Fal => "fal",
            Self::Kie => "kie",
            Self::Replicate => "replicate",
        }
    }

    /// The vendor of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.name() == name)
    }

    /// What the vendor's base URL has behind its host.
    #[must_use]
    pub fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi => openai::BASE_PATH,
            Self::Google => google::BASE_PATH,
            Self::Xai => xai::BASE_PATH,
            Self::DashScope => dashscope::BASE_PATH,
            Self::Ark => ark::BASE_PATH,
            Self::Fal => fal::BASE_PATH,
            Self::Kie => kie::BASE_PATH,
            Self::Replicate => replicate::BASE_PATH,
        }
    }

    /// Every error that the vendor documents, and what a gateway should make of it.
    #[must_use]
    pub fn errors(self) -> Vec<ErrorCase> {
        match self {
            Self::OpenAi => openai::errors(),
            Self::Google => google::errors(),
            Self::Xai => xai::errors(),
            Self::DashScope => dashscope::errors(),
            Self::Ark => ark::errors(),
            Self::Fal => fal::errors(),
            Self::Kie => kie::errors(),
            Self::Replicate => replicate::errors(),
        }
    }

    fn router(self, world: &World) -> Router {
        let world = world.clone();
        match self {
            Self::OpenAi => openai::router(world),
            Self::Google => google::router(world),
            Self::Xai => xai::router(world),
            Self::DashScope => dashscope::router(world),
            Self::Ark => ark::router(world),
            Self::Fal => fal::router(world),
            Self::Kie => kie::router(world),
            Self::Replicate => replicate::router(world),
        }
    }

    /// Whether a request may make something that is billed; only those are hit by faults.
    fn submits(self, method: &str, path: &str) -> bool {
        match self {
            Self::OpenAi => openai::submits(method, path),
            Self::Google => google::submits(method, path),
            Self::Xai => xai::submits(method, path),
            Self::DashScope => dashscope::submits(method, path),
            Self::Ark => ark::submits(method, path),
            Self::Fal => fal::submits(method, path),
            Self::Kie => kie::submits(method, path),
            Self::Replicate => replicate::submits(method, path),
        }
    }
}

/// A running stand-in. It stops when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    vendor: Vendor,
    address: SocketAddr,
    world: World,
    _stop: DropGuard,
}

impl Emulator {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// The port can't be had.
    pub async fn start(vendor: Vendor) -> io::Result<Self> {
        Self::listen(vendor, SocketAddr::from(([127, 0, 0, 1], 0)), None).await
    }

    /// Starts on an address, with TLS if asked for.
    ///
    /// # Errors
    /// The port can't be had, or the certificate can't be used.
    pub async fn listen(vendor: Vendor, address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let world = World::new(format!("{scheme}://{address}"));
        let router = control::around(vendor, vendor.router(&world), &world);
        let stop = CancellationToken::new();
        serve::start(listener, router, tls, stop.clone())?;
        Ok(Self { vendor, address, world, _stop: stop.drop_guard() })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client of the vendor takes as its base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}{}", self.world.origin(), self.vendor.base_path())
    }

    /// What happened, and what is to happen.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }
}
