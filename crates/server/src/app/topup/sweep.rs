//! What nobody told: open purchases are asked about, and Stripe's events are read again.
//!
//! Invariant: what is found goes the way of a signed message, so it counts once; the times up to which was
//! asked and read move on only when all of it was dealt with. Not here: what news does (`hear`, `settle`).

use super::{ask, failed, hear};
use crate::{
    app::{
        Error,
        node::{self, Duty},
    },
    payments::Payments,
    state::App,
};
use rynjer_core::time::DAY_MS;
use rynjer_store::{StoreError, admin, installation::Moment, topup::TopupRow};
use std::time::Duration;

const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// After a failure: what the operator has to mend is not told each minute.
const SWEEP_AGAIN: Duration = Duration::from_secs(600);
/// A purchase is first asked about when it is this old, then after twice the time, and so on.
const FIRST_LOOK_MS: i64 = 300_000;
/// At least once a day, and for so long: some ways to pay take weeks. Stripe lists events for as long.
const LOOKS_FOR_MS: i64 = 30 * DAY_MS;
const PURCHASES_AT_ONCE: u32 = 100;
/// Between two readings of the events.
const EVENTS_EVERY_MS: i64 = 600_000;
/// What is read again: an event may come late into the list, and clocks differ.
const OVERLAP_MS: i64 = 3_600_000;

/// Sweeps while the process lives.
pub(crate) async fn keep(app: App) {
    let mut pause = SWEEP_EVERY;
    while app.payments.is_some() && app.node.answers_requests() {
        tokio::time::sleep(pause).await;
        pause = SWEEP_EVERY;
        if let Err(error) = now(&app).await {
            tracing::warn!(?error, "a sweep for payments that nobody told of failed");
            pause = SWEEP_AGAIN;
        }
    }
}

/// One sweep, unless another node has that duty; whether it ran.
pub(crate) async fn now(app: &App) -> Result<bool, Error> {
    let Some(payments) = &app.payments else { return Ok(false) };
    let Some(swept) = node::run(app, Duty::Payments, sweep(app, payments)).await else { return Ok(false) };
    crate::metrics::swept("payments", swept.is_ok());
    swept.map(|()| true)
}

async fn sweep(app: &App, payments: &Payments) -> Result<(), Error> {
    let asked = ask_about_open(app, payments).await;
    let read = read_events(app, payments).await;
    asked.and(read)
}

/// Asks Stripe about open purchases whose time it is.
async fn ask_about_open(app: &App, payments: &Payments) -> Result<(), Error> {
    let now_ms = app.now_ms();
    let last_ms = moment(app, Moment::PaymentsAsked).await?.unwrap_or(0);
    let mut after = String::new();
    loop {
        let (from, since_ms) = (after.clone(), now_ms - LOOKS_FOR_MS);
        let read = app.store.read(move |tx| admin::open_topups(tx, since_ms, &from, PURCHASES_AT_ONCE));
        let rows: Result<Vec<TopupRow>, StoreError> = read.await;
        let rows = rows?;
        let Some(last) = rows.last() else { break };
        after = last.id.to_string();
        for row in rows.iter().filter(|row| is_due(row.created_at_ms, last_ms, now_ms)) {
            let Some(checkout_id) = &row.checkout_id else { continue };
            match ask(app, payments, checkout_id).await {
                Ok(()) => {}
                Err(error @ Error::Overloaded) => return Err(error),
                // The others must not wait for this one.
                Err(error) => tracing::warn!(topup = %row.id, ?error, "a purchase could not be looked up"),
            }
        }
    }
    set_moment(app, Moment::PaymentsAsked, now_ms).await
}

/// Whether one of the times to ask about a purchase lies after the last look.
fn is_due(created_ms: i64, last_ms: i64, now_ms: i64) -> bool {
    let (mut pause_ms, mut due_ms) = (FIRST_LOOK_MS, created_ms.saturating_add(FIRST_LOOK_MS));
    while due_ms <= last_ms {
        pause_ms = pause_ms.saturating_mul(2).min(DAY_MS);
        due_ms = due_ms.saturating_add(pause_ms);
    }
    due_ms <= now_ms
}

/// Reads what Stripe told, or would have told, since the last time.
async fn read_events(app: &App, payments: &Payments) -> Result<(), Error> {
    let now_ms = app.now_ms();
    let last_ms = moment(app, Moment::PaymentsRead).await?;
    if last_ms.is_some_and(|last_ms| now_ms - last_ms < EVENTS_EVERY_MS) {
        return Ok(());
    }
    let oldest_ms = now_ms - LOOKS_FOR_MS;
    let since_s = last_ms.map_or(oldest_ms, |last_ms| last_ms - OVERLAP_MS).max(oldest_ms).div_euclid(1000);
    let (mut after, mut read_to_ms): (Option<String>, i64) = (None, now_ms);
    loop {
        let page = payments.stripe.events_since(since_s, after.as_deref()).await;
        let page = page.map_err(|error| failed(&error))?;
        for event in page.events {
            let created_ms = event.created_s.saturating_mul(1000);
            match hear::again(app, payments, event).await {
                Ok(()) => {}
                Err(error @ Error::Overloaded) => return Err(error),
                // It is read again until it can be heard; the others don't wait for it.
                Err(_) => read_to_ms = read_to_ms.min(created_ms),
            }
        }
        after = page.last_id;
        if !page.has_more || after.is_none() {
            break;
        }
    }
    set_moment(app, Moment::PaymentsRead, read_to_ms).await
}

/// A time of before; one in the future is another clock's, and says nothing.
async fn moment(app: &App, of: Moment) -> Result<Option<i64>, Error> {
    let read: Result<_, StoreError> = app.store.read(move |tx| of.get(tx)).await;
    Ok(read?.filter(|at_ms| *at_ms <= app.now_ms()))
}

async fn set_moment(app: &App, of: Moment, at_ms: i64) -> Result<(), Error> {
    let written: Result<(), StoreError> = app.store.write(move |tx| of.set(tx, at_ms)).await;
    Ok(written?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_looks_grow_to_a_day() {
        let minute = 60_000;
        let mut looks = Vec::new();
        let mut last_ms = 0;
        for at in 0..(4 * 24 * 60) {
            let now_ms = at * minute;
            if is_due(0, last_ms, now_ms) {
                looks.push(at);
            }
            last_ms = now_ms;
        }
        assert_eq!(looks, [5, 15, 35, 75, 155, 315, 635, 1275, 2555, 3995, 5435]);
        // Nobody looked for long: once is enough.
        assert!(is_due(0, 0, 3 * DAY_MS) && !is_due(0, 3 * DAY_MS, 3 * DAY_MS + minute));
    }
}
