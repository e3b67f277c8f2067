//! What stands still because somebody said so: accounts by their owners, models and providers by operators.
//!
//! Invariant: a pause is obeyed at once on the node that it was made on, and within one second on others; it
//! ends no task and hides nothing. Not here: freezes (`admin::account`), and agents' pauses (`admin::agent`).

use crate::{
    app::{Error, admin::Admin, audit_log::note, model::SANDBOX, policy::unknown_model},
    state::App,
};
use rynjer_core::{catalog::Catalog, id::AccountId};
use rynjer_store::{
    account::{self, AccountRow},
    pause::{self, PauseRow},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// How long what was read is believed.
const BELIEVED_MS: i64 = 1000;
const REASON_MAX: usize = 200;

/// What the operator can stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Model,
    Provider,
}

impl Kind {
    /// The stored and shown word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

/// What is stopped, as this process knows it.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    known: RwLock<Arc<Paused>>,
    /// One reading for all who find it old.
    reading: tokio::sync::Mutex<()>,
    generation: AtomicU64,
}

/// One reading: the reasons by name.
#[derive(Debug, Default)]
struct Paused {
    models: BTreeMap<String, String>,
    providers: BTreeMap<String, String>,
    /// When it was read, and at which generation.
    read: Option<(i64, u64)>,
}

impl Pauses {
    fn known(&self) -> Arc<Paused> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_fresh(&self, now_ms: i64) -> bool {
        let generation = self.generation.load(Ordering::SeqCst);
        let fresh =
            |(at_ms, of): (i64, u64)| of == generation && (0..BELIEVED_MS).contains(&(now_ms - at_ms));
        self.known().read.is_some_and(fresh)
    }

    /// The next who asks reads again.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Why nobody may use a model now, in words that go on from "not available".
    pub(crate) fn of_model(&self, name: &str) -> Option<String> {
        self.known().models.get(name).map(|reason| sentence("it", reason))
    }

    /// Why nothing is handed to a provider now, likewise.
    pub(crate) fn of_provider(&self, name: &str) -> Option<String> {
        self.known().providers.get(name).map(|reason| sentence(name, reason))
    }

    pub(crate) fn stops(&self, provider: &str) -> bool {
        self.known().providers.contains_key(provider)
    }
}

fn sentence(what: &str, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    format!("the operator has paused {what} for a while{reason}")
}

/// Reads what is stopped, unless it was read within the last second.
pub(crate) async fn look(app: &App) -> Result<(), Error> {
    if app.pauses.is_fresh(app.now_ms()) {
        return Ok(());
    }
    let _reading = app.pauses.reading.lock().await;
    let now_ms = app.now_ms();
    if app.pauses.is_fresh(now_ms) {
        return Ok(());
    }
    let generation = app.pauses.generation.load(Ordering::SeqCst);
    let rows: Vec<PauseRow> = app.store.read(|tx| Ok::<_, Error>(pause::all(tx)?)).await?;
    let mut paused = Paused { read: Some((now_ms, generation)), ..Paused::default() };
    for PauseRow { kind, name, reason, .. } in rows {
        let names = if kind == Kind::Model.as_str() { &mut paused.models } else { &mut paused.providers };
        names.insert(name, reason);
    }
    *app.pauses.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(paused);
    Ok(())
}

impl Admin {
    /// Lets an account accept nothing new until it is resumed. A freeze by the operator is another thing, and
    /// stays.
    ///
    /// # Errors
    /// No such account.
    pub async fn account_pause(&self, id: &AccountId, paused: bool) -> Result<AccountRow, Error> {
        self.reach.check(Some(id))?;
        let (account_id, by, now_ms) = (id.clone(), self.by.clone(), self.clock.now_ms());
        let unit = self.store.write(move |tx| {
            let row = account::lock(tx, &account_id)?.ok_or(Error::NotFound)?;
            if row.paused_at_ms.is_some() == paused {
                return Ok::<_, Error>(());
            }
            account::set_paused(tx, &account_id, paused.then_some(now_ms))?;
            let action = if paused { "account.paused" } else { "account.resumed" };
            Ok(note(tx, now_ms, &by, Some(&account_id), action, account_id.as_str(), &json!({}))?)
        });
        unit.await?;
        self.account_show(id).await
    }

    /// Stops a model or a provider, with a reason that callers are told.
    ///
    /// # Errors
    /// A name that the catalog does not have; a reason that is too long.
    pub async fn pause_set(
        &self,
        catalog: &Catalog,
        kind: Kind,
        name: &str,
        reason: &str,
    ) -> Result<(), Error> {
        self.reach.check_all()?;
        known(catalog, kind, name)?;
        if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
            return Err(Error::field(
                "reason",
                format!("must be at most {REASON_MAX} characters without control characters"),
            ));
        }
        let (name, reason) = (name.to_owned(), reason.to_owned());
        let (by, now_ms) = (self.by.clone(), self.clock.now_ms());
        let action = match kind {
            Kind::Model => "model.paused",
            Kind::Provider => "provider.paused",
        };
        let unit = self.store.write(move |tx| {
            pause::set(tx, kind.as_str(), &name, &reason, now_ms)?;
            Ok::<_, Error>(note(tx, now_ms, &by, None, action, &name, &json!({ "reason": reason }))?)
        });
        unit.await?;
        self.credentials_changed();
        Ok(())
    }

    /// Lets a model or a provider work again; whether it was stopped.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn pause_clear(&self, kind: Kind, name: &str) -> Result<bool, Error> {
        self.reach.check_all()?;
        let (name, by, now_ms) = (name.to_owned(), self.by.clone(), self.clock.now_ms());
        let action = match kind {
            Kind::Model => "model.resumed",
            Kind::Provider => "provider.resumed",
        };
        let unit = self.store.write(move |tx| {
            let was = pause::clear(tx, kind.as_str(), &name)?;
            if was {
                note(tx, now_ms, &by, None, action, &name, &json!({}))?;
            }
            Ok::<_, Error>(was)
        });
        let was = unit.await?;
        self.credentials_changed();
        Ok(was)
    }

    /// Models and providers that are stopped.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn pause_list(&self) -> Result<Vec<PauseRow>, Error> {
        self.reach.check_all()?;
        self.store.read(|tx| Ok(pause::all(tx)?)).await
    }
}

/// Whoever misspells a name must not believe that something stands still.
fn known(catalog: &Catalog, kind: Kind, name: &str) -> Result<(), Error> {
    match kind {
        Kind::Model if catalog.model(name).is_none() => Err(unknown_model(catalog, name)),
        Kind::Model => Ok(()),
        Kind::Provider => {
            let mut names: Vec<String> =
                catalog.vendor_routes().iter().map(|route| route.provider.clone()).collect();
            names.push(SANDBOX.to_owned());
            names.sort_unstable();
            names.dedup();
            if names.iter().any(|known| known == name) {
                return Ok(());
            }
            Err(Error::Invalid(vec![crate::app::Field {
                field: "provider".to_owned(),
                problem: "is not one that the catalog names".to_owned(),
                allowed: names,
            }]))
        }
    }
}
