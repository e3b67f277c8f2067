//! What operators look at: all accounts, how providers do, who serves what.
//!
//! Invariant: nothing is changed; only an operator's hand gets an answer. Not here: what operators change
//! (`admin`), and one's own account (`account`).

use crate::{
    app::{Error, admin::Admin, breaker::Ailing, pause::Kind, reconcile::Reckoning, vendor},
    state::App,
};
use rynjer_core::{budget::Budget, id::AccountId, time::DAY_MS};
use rynjer_store::{
    admin as reads,
    agent::AgentRow,
    budget,
    node::{self, NodeRow},
    operator::{self, AccountFilter, EntryLine, FailedAttempt, ListedAccount, Queue},
    pause::PauseRow,
};

/// How long a process counts that is not heard of.
const NODE_LIVES_MS: i64 = 5000;
const ENTRIES_SHOWN: u32 = 20;
const FAULTS_SHOWN: u32 = 20;

/// An account and what is around it.
pub(crate) struct AccountView {
    pub(crate) account: ListedAccount,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) agents: Vec<AgentRow>,
    pub(crate) entries: Vec<EntryLine>,
}

/// How providers do.
pub(crate) struct ProviderView {
    pub(crate) providers: Vec<ProviderHealth>,
    pub(crate) faults: Vec<FailedAttempt>,
    pub(crate) reckoning: Reckoning,
    pub(crate) nodes: Vec<NodeRow>,
}

/// How one of them does.
pub(crate) struct ProviderHealth {
    pub(crate) name: String,
    /// Why the operator stopped it; may be empty.
    pub(crate) paused: Option<String>,
    pub(crate) ailing: Vec<Ailing>,
    pub(crate) waiting: i64,
    pub(crate) under_way: i64,
    /// Attempts since the time of the reckoning: those that ended well, and those that did not.
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
}

/// A model of the catalog, and who makes it.
pub(crate) struct ModelView {
    pub(crate) name: String,
    pub(crate) product: &'static str,
    pub(crate) notes: String,
    pub(crate) prices: Vec<(String, i64)>,
    /// Why the operator stopped it; may be empty.
    pub(crate) paused: Option<String>,
    /// For live accounts: who serves it, or why nobody does.
    pub(crate) served: Result<String, String>,
}

impl Admin {
    /// A page of the accounts that a filter lets through, newest first.
    pub(crate) async fn account_page(
        &self,
        filter: AccountFilter,
        limit: u32,
    ) -> Result<Vec<ListedAccount>, Error> {
        self.reach.check_all()?;
        self.store.read(move |tx| Ok(operator::accounts(tx, &filter, limit)?)).await
    }

    /// An account and what is around it, in one moment.
    pub(crate) async fn account_view(&self, id: &AccountId) -> Result<AccountView, Error> {
        self.reach.check_all()?;
        let id = id.clone();
        let read = self.store.read(move |tx| {
            Ok(AccountView {
                account: operator::account(tx, &id)?.ok_or(Error::NotFound)?,
                budgets: budget::of_account(tx, &id)?,
                agents: reads::agents(tx, Some(&id))?,
                entries: operator::newest_entries(tx, &id, ENTRIES_SHOWN)?,
            })
        });
        read.await
    }
}

/// How providers did in the last days; breakers are those of this process.
pub(crate) async fn providers(app: &App, hand: &Admin, days: u32) -> Result<ProviderView, Error> {
    hand.reach.check_all()?;
    let (now_ms, reckoning) = (app.now_ms(), hand.reconcile(days).await?);
    let since_ms = now_ms - i64::from(days) * DAY_MS;
    let read = app.store.read(move |tx| {
        let queues = operator::queues(tx)?;
        let faults = operator::failed_attempts(tx, since_ms, FAULTS_SHOWN)?;
        Ok::<_, Error>((queues, faults, node::live(tx, now_ms - NODE_LIVES_MS)?))
    });
    let (queues, faults, nodes) = read.await?;
    let pauses = hand.pause_list().await?;
    let health = |name: &str| ProviderHealth {
        paused: reason(&pauses, Kind::Provider, name),
        ..health(app, name, &queues, &reckoning)
    };
    let mut names: Vec<&str> = app.providers.names().collect();
    names.sort_unstable();
    let providers = names.into_iter().map(health).collect();
    Ok(ProviderView { providers, faults, reckoning, nodes })
}

fn health(app: &App, name: &str, queues: &[Queue], reckoning: &Reckoning) -> ProviderHealth {
    let queue = queues.iter().find(|queue| queue.provider == name);
    let attempts = |states: &[&str]| {
        let own = reckoning.routes.iter().filter(|route| route.provider == name);
        own.filter(|route| states.contains(&route.state.as_str())).map(|route| route.attempts).sum()
    };
    ProviderHealth {
        name: name.to_owned(),
        paused: None,
        ailing: app.breakers.ailing(name, app.now_ms()),
        waiting: queue.map_or(0, |queue| queue.waiting),
        under_way: queue.map_or(0, |queue| queue.under_way),
        succeeded: attempts(&["finished"]),
        failed: attempts(&["failed", "refused", "ambiguous"]),
    }
}

/// Why something is stopped; none where it is not.
fn reason(pauses: &[PauseRow], kind: Kind, name: &str) -> Option<String> {
    let row = pauses.iter().find(|row| row.kind == kind.as_str() && row.name == name);
    row.map(|row| row.reason.clone())
}

/// The price versions, the current one first, and every model.
pub(crate) async fn catalog(app: &App, hand: &Admin) -> Result<(Vec<(String, bool)>, Vec<ModelView>), Error> {
    let pauses = hand.pause_list().await?;
    let current = &app.catalog.current().name;
    let mut versions: Vec<(String, bool)> =
        app.catalog.price_versions().iter().map(|version| (version.name.clone(), version.live)).collect();
    versions.sort_by_key(|(name, _)| name != current);
    let shown = |one: &std::sync::Arc<rynjer_core::catalog::Model>| {
        let by_size = app.catalog.resolution_prices(one).into_iter();
        let mut prices: Vec<(String, i64)> =
            by_size.map(|(name, price)| (name.to_owned(), price.0)).collect();
        if prices.is_empty() {
            let price = app.catalog.model_price(&one.name).map_or(0, |price| price.credits.0);
            prices.push((String::new(), price));
        }
        ModelView {
            name: one.name.clone(),
            product: one.product.as_str(),
            notes: one.notes.clone(),
            prices,
            paused: reason(&pauses, Kind::Model, &one.name),
            served: vendor::served_by(app, true, one).map(|served| served.shown()),
        }
    };
    Ok((versions, app.catalog.models().iter().map(shown).collect()))
}
