//! What every use case works with: store, catalog, keys, clock, settings. Built once at the start.
//!
//! Invariant: shared and immutable but for the caches, which hold nothing that the store does not. Not here:
//! HTTP.

use crate::{
    app::{
        breaker::Breakers, caller::Callers, closure::Closures, export::download::Exports, letter::Letters,
        moderation::PromptCheck, node::Node, password::Passwords, pause::Pauses, queue::Queues,
        restoration::Restoration, upload::Uploads, vendor::Vendors, vendor_cancel::VendorCancels,
    },
    clock::Clock,
    config::Config,
    hub::{Hub, Ring},
    keyring::Keyring,
    objects::Objects,
    payments::Payments,
    worker::InputSource,
};
use rynjer_core::{catalog::Catalog, id::TaskId};
use rynjer_peers::{moltbook::Moltbook, oidc::Oidc};
use rynjer_providers::Registry;
use rynjer_store::{Store, StoreError, task};
use std::sync::{Arc, OnceLock};

/// The application, cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) providers: Registry,
    pub(crate) outputs: Objects,
    pub(crate) uploads: Uploads,
    pub(crate) inputs: InputSource,
    pub(crate) callers: Callers,
    pub(crate) passwords: Passwords,
    pub(crate) letters: Letters,
    /// Whom people may sign in by, if the operator named one.
    pub(crate) oidc: Option<Oidc>,
    pub(crate) hub: Hub,
    pub(crate) node: Node,
    pub(crate) queues: Queues,
    pub(crate) restoration: Restoration,
    pub(crate) vendors: Vendors,
    pub(crate) vendor_cancels: VendorCancels,
    /// None where credits can't be bought.
    pub(crate) payments: Option<Payments>,
    pub(crate) breakers: Breakers,
    /// The way to Moltbook, if the operator wants it.
    pub(crate) moltbook: Option<Moltbook>,
    pub(crate) pauses: Pauses,
    pub(crate) prompt_check: Option<Box<dyn PromptCheck>>,
    /// Places for outputs that are being fetched.
    pub(crate) fetches: tokio::sync::Semaphore,
    pub(crate) exports: Exports,
    pub(crate) closures: Closures,
    /// Set once the listening address is known; no slash at its end.
    pub(crate) base_url: OnceLock<String>,
    /// The OpenAPI text, made at its first reading.
    pub(crate) openapi: OnceLock<String>,
}

impl App {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Lets this process hear what others on its database tell it, and tell them.
    pub(crate) fn hear_others(&self) -> Result<(), StoreError> {
        self.hub.tell_others(&self.store);
        // Strong, it would keep the store open for ever.
        let app = Arc::downgrade(&self.0);
        let runtime = tokio::runtime::Handle::current();
        self.store.on_ring(move |ring| {
            let Some(app) = app.upgrade() else { return };
            match Ring::parse(ring) {
                Some(Ring::Credentials) => {
                    app.callers.forget_all();
                    app.pauses.forget();
                }
                Some(Ring::Stop(task)) => drop(runtime.spawn(Self(app).stop_if_over(task))),
                Some(ring) => app.hub.heard(&ring),
                None => {}
            }
        })
    }

    /// Anybody on the database's server can ring, so the row says whether the task is over.
    async fn stop_if_over(self, id: TaskId) {
        let Some(account) = self.hub.account_in_hand(&id) else { return };
        let asked = id.clone();
        let read = self.store.read(move |tx| task::by_id(tx, &account, None, &asked));
        let row: Result<_, StoreError> = read.await;
        match row {
            Ok(row) if row.as_ref().is_none_or(|row| row.status.is_final()) => self.hub.stop_here(&id),
            Ok(_) => tracing::debug!("a task that goes on was said to be over"),
            // The heartbeat of its lease finds out.
            Err(error) => tracing::warn!(%error, "whether a task is over could not be read"),
        }
    }

    /// Makes every process ask the store again who its callers are, and what is stopped.
    pub(crate) fn credentials_changed(&self) {
        self.callers.forget_all();
        self.pauses.forget();
        self.store.ring(|| Ring::Credentials.text());
    }

    /// Where the world reaches this gateway.
    pub(crate) fn base_url(&self) -> &str {
        self.0.base_url.get().map_or("http://127.0.0.1", String::as_str)
    }

    /// The same for those who are told it by a process without a listener.
    pub(crate) fn public_url(&self) -> &str {
        let named = &self.config.server.public_url;
        if named.is_empty() { self.base_url() } else { named }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
