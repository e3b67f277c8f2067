//! Buying credits: what can be bought, the purchase before its payment, and what became of it.
//!
//! Invariant: a purchase is durable before the payment service hears of it, so whatever is paid has a row
//! that says for what; credits come by `settle` alone, once. Not here: what the payment service tells
//! (`hear`).

mod hear;
mod lost;
mod settle;
pub(crate) mod sweep;

pub(crate) use hear::hear;

use crate::{
    app::{Error, actor::Actor, audit_log::note},
    entropy,
    payments::Payments,
    state::App,
};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, OwnerId, TopupId},
    ledger::Refusal,
    time::DAY_MS,
    topup::{Pack, State},
};
use rynjer_peers::stripe::{Checkout, NewCheckout, StripeError};
use rynjer_store::{
    account,
    topup::{self, TopupRow},
};
use serde_json::json;

/// Unpaid purchases of a day after which no more are begun: each costs the payment service a page.
const OPEN_MAX: usize = 20;
/// How many of the newest are looked at for that.
const LOOKED_AT: u32 = 100;

fn payments(app: &App) -> Result<&Payments, Error> {
    let off = || Error::field("", "credits can't be bought here: the operator gives them");
    app.payments.as_ref().ok_or_else(off)
}

/// Begins a purchase of a pack; where the browser goes to pay for it.
pub(crate) async fn start(
    app: &App,
    by: &Actor,
    owner: &OwnerId,
    account: &AccountId,
    pack: &str,
) -> Result<String, Error> {
    let payments = payments(app)?;
    let offered = Pack::parse(pack).filter(|pack| app.config.stripe.packs.contains(pack));
    let bought = offered.ok_or_else(|| Error::field("pack", "is not offered any more: choose another"))?;
    let row = write(app, by, owner, account, bought).await?;
    let base = app.public_url();
    let is_live = payments.stripe.is_live();
    let new = NewCheckout {
        topup_id: row.id.as_str(),
        account_id: account.as_str(),
        owner_id: owner.as_str(),
        gateway: base,
        credits: bought.credits.0,
        name: format!("{} credits", bought.credits),
        amount_minor: bought.amount_minor,
        currency: &row.currency,
        success_url: format!("{base}/topup?paid={}", row.id),
        cancel_url: format!("{base}/topup"),
    };
    let checkout = payments.stripe.create_checkout(&new).await.map_err(|error| failed(&error))?;
    if checkout.is_live != is_live {
        return Err(Error::internal("Stripe's page is of another mode than the key's name says"));
    }
    let url = place_to_pay(app, &row, &checkout)?;
    let (account, id, checkout_id) = (account.clone(), row.id, checkout.id);
    let kept = app.store.write(move |tx| topup::set_checkout(tx, &account, &id, &checkout_id));
    kept.await.map_err(Error::from)?;
    Ok(url)
}

/// The purchase as it is before anybody else hears of it.
async fn write(
    app: &App,
    by: &Actor,
    owner: &OwnerId,
    account: &AccountId,
    bought: Pack,
) -> Result<TopupRow, Error> {
    let now_ms = app.now_ms();
    let row = TopupRow {
        id: TopupId::new(now_ms, entropy::id()),
        account_id: account.clone(),
        owner_id: owner.clone(),
        bought,
        currency: app.config.stripe.currency.clone(),
        state: State::Open,
        checkout_id: None,
        payment_id: None,
        taken_back: Credits::ZERO,
        created_at_ms: now_ms,
        paid_at_ms: None,
    };
    let (written, by) = (row.clone(), by.clone());
    app.store
        .write(move |tx| {
            let row = &written;
            let account = account::get(tx, &row.account_id)?.ok_or(Error::NotFound)?;
            if account.mode != "live" {
                return Err(Error::field("account", "is a test account, whose credits are free"));
            }
            if account.frozen_reason.is_some() {
                return Err(Refusal::AccountFrozen.into());
            }
            if topup::open_since(tx, &row.account_id, now_ms - DAY_MS, LOOKED_AT)? >= OPEN_MAX {
                return Err(Error::RateLimited { retry_after_s: 3600 });
            }
            topup::insert(tx, row)?;
            let detail = json!({ "credits": row.bought.credits.0, "amount_minor": row.bought.amount_minor,
                "currency": row.currency });
            Ok(note(tx, now_ms, &by, Some(&row.account_id), "topup.started", row.id.as_str(), &detail)?)
        })
        .await?;
    Ok(row)
}

/// Where a page is, if it asks for what was bought and is where browsers may be sent.
fn place_to_pay(app: &App, row: &TopupRow, checkout: &Checkout) -> Result<String, Error> {
    let asked = checkout.amount_minor == Some(row.bought.amount_minor)
        && checkout.currency.as_deref() == Some(row.currency.as_str())
        && checkout.topup_id.as_deref() == Some(row.id.as_str());
    let url = checkout.url.as_deref().unwrap_or_default();
    let parsed = url::Url::parse(url).map_err(|_| Error::internal("Stripe named no page to pay at"))?;
    let origin = &app.config.stripe.checkout_origin;
    if parsed.origin().ascii_serialization() != *origin {
        let found = parsed.origin().ascii_serialization();
        return Err(Error::internal(format!(
            "Stripe's page is at {found}, but stripe.checkout_origin is {origin}"
        )));
    }
    if asked { Ok(url.to_owned()) } else { Err(Error::internal("Stripe's page asks for something else")) }
}

fn failed(error: &StripeError) -> Error {
    match error {
        StripeError::Away(_) => {
            tracing::warn!(%error, "a call to Stripe failed");
            Error::Overloaded
        }
        StripeError::Refused { .. } => Error::internal(error),
    }
}

/// An account's purchases, newest first, older than `before`.
pub(crate) async fn list(
    app: &App,
    account: &AccountId,
    before: Option<TopupId>,
    limit: u32,
) -> Result<Vec<TopupRow>, Error> {
    let account = account.clone();
    Ok(app.store.read(move |tx| topup::of_account(tx, &account, before.as_ref(), limit)).await?)
}

/// Asks what became of a page, and does what its news would do.
async fn ask(app: &App, payments: &Payments, checkout_id: &str) -> Result<(), Error> {
    let checkout = payments.stripe.checkout(checkout_id).await.map_err(|error| failed(&error))?;
    if checkout.is_live == payments.stripe.is_live() {
        settle::checkout(app, checkout, None).await?;
    }
    Ok(())
}

/// Asks what became of an open purchase: whoever comes back from paying need not wait for the news. None if
/// the account has no such purchase.
pub(crate) async fn look(app: &App, account: &AccountId, id: &TopupId) -> Result<Option<TopupRow>, Error> {
    let (asked_account, asked) = (account.clone(), id.clone());
    let read = async || {
        let (account, id) = (asked_account.clone(), asked.clone());
        app.store.read(move |tx| topup::get(tx, &account, &id)).await.map_err(Error::from)
    };
    let Some(row) = read().await? else { return Ok(None) };
    let (State::Open, Some(checkout_id), Some(payments)) = (row.state, &row.checkout_id, &app.payments)
    else {
        return Ok(Some(row));
    };
    if let Err(error) = ask(app, payments, checkout_id).await {
        // The news comes all the same.
        tracing::debug!(?error, "a purchase could not be looked up");
    }
    read().await
}
