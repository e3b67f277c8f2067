//! Purchases that this database lost, as after the restoration of a backup, and what operators are told.
//!
//! Invariant: a purchase comes back only from a paid page that this gateway wrote, for an account that is
//! here, and only if neither its id nor its page is known: one payment makes one row. Not here: the credits
//! (`settle`).

use crate::app::{Error, actor::Actor, audit_log::note};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, OwnerId, TopupId},
    topup::{Pack, State},
};
use rynjer_peers::stripe::Checkout;
use rynjer_store::{
    StoreError, Tx, account, admin, audit_log,
    topup::{self, TopupRow},
};
use serde_json::{Value, json};

/// The line that operators see in the installation's own log.
const ALARM: &str = "topup.needs_an_operator";

/// Writes the row of a lost purchase again. None if the page says too little, or is not ours.
pub(super) fn found_again(
    tx: &mut dyn Tx,
    now_ms: i64,
    gateway: &str,
    (account, id): (&AccountId, &TopupId),
    checkout: &Checkout,
) -> Result<Option<TopupRow>, Error> {
    let here = account::lock(tx, account)?.filter(|row| row.mode == "live");
    let ours = checkout.gateway.as_deref() == Some(gateway);
    if !checkout.is_paid || (here.is_none() && !ours) {
        // Nothing to lose, or another gateway on the same account at Stripe.
        tracing::info!(checkout = checkout.id, topup = %id, %account, "a page of somebody else");
        return Ok(None);
    }
    let row = row_of(now_ms, account, id, checkout).filter(|_| ours);
    let problem = if here.is_none() {
        Some("a payment of this gateway names no live account that is here: give it back at Stripe")
    } else if admin::topup_is_known(tx, id, &checkout.id)? {
        Some("the page names another account than its purchase")
    } else {
        row.is_none().then_some("a payment names a purchase that is not here: give its credits by hand")
    };
    if let Some(problem) = problem {
        alarm(tx, now_ms, id.as_str(), account, &json!({ "problem": problem, "checkout_id": checkout.id }))?;
        return Ok(None);
    }
    let Some(row) = row else { return Ok(None) };
    topup::insert(tx, &row)?;
    let detail = json!({ "credits": row.bought.credits.0, "amount_minor": row.bought.amount_minor,
        "currency": row.currency, "checkout_id": checkout.id });
    note(tx, now_ms, &Actor::Payment, Some(account), "topup.found_again", id.as_str(), &detail)?;
    Ok(Some(row))
}

/// The purchase as its page tells it.
fn row_of(now_ms: i64, account: &AccountId, id: &TopupId, checkout: &Checkout) -> Option<TopupRow> {
    let within = |number: &i64| (1..=Pack::MAX).contains(number);
    Some(TopupRow {
        id: id.clone(),
        account_id: account.clone(),
        owner_id: OwnerId::parse(checkout.owner_id.as_deref()?)?,
        bought: Pack {
            credits: Credits(checkout.credits.filter(within)?),
            amount_minor: checkout.amount_minor.filter(within)?,
        },
        currency: checkout.currency.clone()?,
        state: State::Open,
        checkout_id: None,
        payment_id: None,
        taken_back: Credits::ZERO,
        created_at_ms: checkout.created_s.map_or(now_ms, |at_s| at_s.saturating_mul(1000)).min(now_ms),
        paid_at_ms: None,
    })
}

/// Tells operators, once for each subject, of what somebody has to look at.
pub(super) fn alarm(
    tx: &mut dyn Tx,
    now_ms: i64,
    subject: &str,
    account: &AccountId,
    detail: &Value,
) -> Result<(), StoreError> {
    tracing::error!(subject, %account, %detail, "a payment needs an operator");
    if audit_log::tells(tx, "", ALARM, subject)? {
        return Ok(());
    }
    metrics::counter!("rynjer_payment_alarms_total").increment(1);
    let mut detail = detail.clone();
    detail["account_id"] = json!(account.as_str());
    note(tx, now_ms, &Actor::Payment, None, ALARM, subject, &detail)
}
