//! What the payment service tells.
//!
//! Invariant: nothing is believed but what one of our secrets signed lately, for our own account there and in
//! our key's mode; what fails in passing is not taken as heard, so that it is told again. Not here: what news
//! does to a purchase (`settle`).

use super::{
    failed,
    settle::{self, Effect, Mark},
};
use crate::{app::Error, payments::Payments, state::App};
use rynjer_core::{id::AccountId, id::TopupId, topup};
use rynjer_peers::stripe::{self, Event, News};
use rynjer_store::{StoreError, admin, topup as store};

/// Hears a message. Answered once what it tells is durable.
pub(crate) async fn hear(app: &App, body: &[u8], signature: &str) -> Result<(), Error> {
    let payments = app.payments.as_ref().ok_or(Error::NotFound)?;
    let now_s = app.now_ms().div_euclid(1000);
    if let Err(problem) = stripe::verify(&payments.webhook_secrets, signature, body, now_s) {
        count("unsigned", "");
        return Err(Error::field("Stripe-Signature", format!("is refused: {problem}")));
    }
    let event = Event::parse(body).ok_or_else(|| Error::field("", "the body is no event of Stripe's"))?;
    take(app, payments, event).await.map(drop)
}

/// Hears an event that was read from Stripe's own list, unless it was heard.
pub(super) async fn again(app: &App, payments: &Payments, event: Event) -> Result<(), Error> {
    let id = event.id.clone();
    let heard: Result<bool, StoreError> = app.store.read(move |tx| store::is_heard(tx, &id)).await;
    if heard? {
        return Ok(());
    }
    let mark = Mark { event: event.id.clone(), kind: event.kind.clone() };
    match take(app, payments, event).await? {
        // What is of others is not looked up with each reading.
        Effect::Foreign => settle::heard(app, mark).await,
        _ => Ok(()),
    }
}

async fn take(app: &App, payments: &Payments, event: Event) -> Result<Effect, Error> {
    let (id, kind) = (event.id.clone(), event.kind.clone());
    let effect = act(app, payments, event).await.inspect_err(|error| {
        tracing::warn!(event = id, kind, ?error, "a payment's news could not be heard; it comes again");
    })?;
    count(effect.as_str(), &kind);
    tracing::info!(event = id, kind, effect = effect.as_str(), "news of a payment");
    Ok(effect)
}

fn count(effect: &'static str, kind: &str) {
    // Names of others don't become labels.
    let noun = ["checkout.session", "refund", "charge.refund", "charge.dispute"];
    let noun = noun.into_iter().find(|noun| kind.starts_with(noun)).unwrap_or("other");
    metrics::counter!("rynjer_payment_events_total", "effect" => effect, "noun" => noun).increment(1);
}

async fn act(app: &App, payments: &Payments, event: Event) -> Result<Effect, Error> {
    if event.is_live != payments.stripe.is_live() {
        tracing::warn!(event = event.id, "news of the mode that the key of [stripe] does not have");
    }
    if event.is_foreign || event.is_live != payments.stripe.is_live() {
        return Ok(Effect::Foreign);
    }
    let id = event.id.clone();
    let heard: Result<bool, StoreError> = app.store.read(move |tx| store::is_heard(tx, &id)).await;
    if heard? {
        return Ok(Effect::Repeated);
    }
    let mark = Mark { event: event.id, kind: event.kind };
    match event.news {
        News::Checkout(checkout) if checkout.is_live != payments.stripe.is_live() => Ok(Effect::Foreign),
        News::Checkout(checkout) => settle::checkout(app, checkout, Some(mark)).await,
        // Nothing goes back.
        News::Reversal(reversal) if reversal.amount_minor == 0 => {
            settle::heard(app, mark).await?;
            Ok(Effect::Unchanged)
        }
        News::Reversal(reversal) => {
            let Some(payment_id) = reversal.payment_id.clone() else { return Ok(Effect::Foreign) };
            match purchase(app, payments, &payment_id).await? {
                Some((account, id)) => settle::reversal(app, account, id, reversal, Some(mark)).await,
                None => Ok(Effect::Foreign),
            }
        }
        News::Refunded { payment_id: Some(payment_id) } => refunded(app, payments, &payment_id, mark).await,
        News::Refunded { payment_id: None } | News::Other => Ok(Effect::Foreign),
    }
}

/// The message does not say which refunds there are.
async fn refunded(app: &App, payments: &Payments, payment_id: &str, mark: Mark) -> Result<Effect, Error> {
    let Some((account, id)) = purchase(app, payments, payment_id).await? else { return Ok(Effect::Foreign) };
    let refunds = payments.stripe.refunds_of_payment(payment_id).await.map_err(|error| failed(&error))?;
    let mut effect = Effect::Unchanged;
    for refund in refunds.into_iter().filter(|refund| refund.amount_minor > 0) {
        let one = settle::reversal(app, account.clone(), id.clone(), refund, None).await?;
        if one != Effect::Unchanged {
            effect = one;
        }
    }
    settle::heard(app, mark).await?;
    Ok(effect)
}

/// The purchase that a payment was for. Where nobody has told us yet that it was paid, Stripe is asked.
async fn purchase(
    app: &App,
    payments: &Payments,
    payment_id: &str,
) -> Result<Option<(AccountId, TopupId)>, Error> {
    let known = async || {
        let asked = payment_id.to_owned();
        app.store.read(move |tx| admin::topup_of_payment(tx, &asked)).await.map_err(Error::from)
    };
    if let Some(found) = known().await? {
        return Ok(Some(found));
    }
    let checkout = payments.stripe.checkout_of_payment(payment_id).await.map_err(|error| failed(&error))?;
    let Some(checkout) = checkout.filter(|checkout| checkout.is_live == payments.stripe.is_live()) else {
        return Ok(None);
    };
    settle::checkout(app, checkout, None).await?;
    known().await
}

/// What the peer tells, in the words of the rules.
pub(super) fn told(reversal: stripe::Reversal) -> topup::Reversal {
    topup::Reversal {
        id: reversal.id,
        kind: match reversal.kind {
            stripe::ReversalKind::Refund => topup::ReversalKind::Refund,
            stripe::ReversalKind::Dispute => topup::ReversalKind::Dispute,
        },
        amount_minor: reversal.amount_minor,
        standing: match reversal.standing {
            stripe::Standing::Inquiry => topup::Standing::Inquiry,
            stripe::Standing::Gone => topup::Standing::Gone,
            stripe::Standing::Lost => topup::Standing::Lost,
            stripe::Standing::Returned => topup::Standing::Returned,
        },
    }
}
