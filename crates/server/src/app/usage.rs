//! The usage report: one event per task, and what it did with credits.
//!
//! Invariant: it needs `credits:read`, and shows an agent its own events only. Not here: signed receipts
//! (`receipt`).

use crate::{
    app::{
        Error,
        caller::Caller,
        list::{Asked, cursor},
        request::Fields,
        task,
    },
    state::App,
};
use futures::Stream;
use rynjer_api::{Mode, TaskCredits, UsageAnswer, UsageEvent, UsageTotals};
use rynjer_core::{
    id::{AccountId, UsageId},
    scope::Scope,
    time::rfc3339,
};
use rynjer_store::{
    list::Filter,
    usage::{self, UsageRow},
};

/// What the report may be asked for.
const FIELDS: &[&str] = &["limit", "cursor", "from", "to", "status", "model", "run_id", "agent_id"];

/// A page of the report, newest first.
pub(crate) async fn list(app: &App, caller: &Caller, fields: &Fields) -> Result<UsageAnswer, Error> {
    caller.needs(Scope::CreditsRead)?;
    let Asked { limit, filter, warnings } = Asked::read(caller, fields, FIELDS)?;
    let account = caller.account.clone();
    let read = app.store.read(move |tx| usage::events(tx, &account, &filter, limit));
    let page = read.await.map_err(Error::from)?;
    let events: Vec<UsageEvent> = page.rows.iter().map(shown).collect();
    let next_cursor = page.next_before.as_ref().map(cursor);
    Ok(UsageAnswer { totals: totals(&events), events, next_cursor, warnings })
}

/// How many events are read at once where all of them are asked for.
const PAGE: usize = 1000;

/// All events of an account that a filter names, newest first, page by page.
pub(crate) fn pages(
    app: App,
    account: AccountId,
    filter: Filter,
) -> impl Stream<Item = Result<Vec<UsageEvent>, Error>> + Send + 'static {
    futures::stream::try_unfold(Some(filter), move |place| {
        let (app, account) = (app.clone(), account.clone());
        async move {
            let Some(filter) = place else { return Ok(None) };
            let asked = filter.clone();
            let read = app.store.read(move |tx| usage::events(tx, &account, &asked, PAGE));
            let page = read.await.map_err(Error::from)?;
            let events = page.rows.iter().map(shown).collect();
            let next = page.next_before.map(|before| Filter { before: Some(before), ..filter });
            Ok(Some((events, next)))
        }
    })
}

/// One event.
pub(crate) async fn event(app: &App, caller: &Caller, id: &str) -> Result<UsageEvent, Error> {
    caller.needs(Scope::CreditsRead)?;
    let id = UsageId::parse(id).ok_or(Error::NotFound)?;
    let (account, agent) = (caller.account.clone(), caller.agent.as_ref().map(ToString::to_string));
    let read = app.store.read(move |tx| usage::event(tx, &account, agent.as_deref(), &id));
    let row = read.await.map_err(Error::from)?;
    row.as_ref().map(shown).ok_or(Error::NotFound)
}

fn totals(events: &[UsageEvent]) -> UsageTotals {
    let mut totals = UsageTotals::default();
    for UsageEvent { credits, .. } in events {
        let sum = &mut totals.credits;
        totals.events += 1;
        sum.held = sum.held.saturating_add(credits.held);
        sum.charged = sum.charged.saturating_add(credits.charged);
        sum.released = sum.released.saturating_add(credits.released);
        sum.refunded = sum.refunded.saturating_add(credits.refunded);
    }
    totals
}

/// An event on the wire.
pub(crate) fn shown(row: &UsageRow) -> UsageEvent {
    UsageEvent {
        usage_event_id: row.usage_id.clone(),
        task_id: row.task_id.to_string(),
        request_id: row.request_id.clone(),
        status: task::status(row.status),
        model: row.model.clone(),
        product: task::product(&row.product),
        agent_id: Some(row.agent_id.clone()).filter(|id| !id.is_empty()),
        key_id: row.key_id.clone(),
        run_id: row.run_id.clone(),
        price_version: row.price_version.clone(),
        unit_price: row.unit_price.0,
        count: row.count,
        credits: TaskCredits {
            held: row.held.0,
            charged: row.charged.0,
            released: row.released.0,
            refunded: row.refunded.0,
        },
        mode: if row.mode == "live" { Mode::Live } else { Mode::Test },
        created_at: rfc3339(row.created_at_ms),
        finished_at: row.finished_at_ms.map(rfc3339),
    }
}
