//! What news of a payment does to its purchase and to the ledger.
//!
//! Invariant: the purchase, the ledger's entry, the line of the log and the mark that the news was heard are
//! one commit, decided under the account's row; the entry's reference is the payment service's own id, so
//! nothing is credited or taken back twice, even where the rest is lost. Not here: whether news is genuine
//! (`hear`).

use super::{hear::told, lost};
use crate::{
    app::{Error, actor::Actor, audit_log::note, moves},
    state::App,
};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, TopupId},
    ledger::{Clawback, Command, Grant, Outcome, Refusal},
    topup::{self as rules, Reversal, State},
};
use rynjer_peers::stripe::{self, Checkout};
use rynjer_store::{
    StoreError, Tx, account, audit_log,
    topup::{self, TopupRow},
};
use serde_json::json;

/// An event to be remembered as heard.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) event: String,
    pub(super) kind: String,
}

/// What came of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Something changed.
    Changed,
    /// It was known.
    Unchanged,
    /// This very event was heard before.
    Repeated,
    /// It is not about a purchase here, or not of the mode that our key has.
    Foreign,
    /// It contradicts the purchase; nothing was credited.
    Refused,
}

impl Effect {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Repeated => "repeated",
            Self::Foreign => "foreign",
            Self::Refused => "refused",
        }
    }
}

/// Remembers an event as heard.
pub(super) async fn heard(app: &App, mark: Mark) -> Result<(), Error> {
    let now_ms = app.now_ms();
    let written: Result<(), StoreError> =
        app.store.write(move |tx| topup::mark_heard(tx, &mark.event, &mark.kind, now_ms)).await;
    Ok(written?)
}

fn remember(tx: &mut dyn Tx, mark: Option<&Mark>, now_ms: i64) -> Result<(), StoreError> {
    mark.map_or(Ok(()), |mark| topup::mark_heard(tx, &mark.event, &mark.kind, now_ms))
}

/// A page of payment as it is now.
pub(super) async fn checkout(app: &App, checkout: Checkout, mark: Option<Mark>) -> Result<Effect, Error> {
    let account = checkout.account_id.as_deref().and_then(AccountId::parse);
    let id = checkout.topup_id.as_deref().and_then(TopupId::parse);
    let (Some(account), Some(id)) = (account, id) else { return Ok(Effect::Foreign) };
    let (now_ms, gateway, payer) = (app.now_ms(), app.public_url().to_owned(), account.clone());
    let unit = move |tx: &mut dyn Tx| {
        let row = match topup::lock(tx, &account, &id)? {
            Some(row) => Some(row),
            None => lost::found_again(tx, now_ms, &gateway, (&account, &id), &checkout)?,
        };
        let effect = row.map_or(Ok(Effect::Foreign), |row| paid(tx, now_ms, row, &checkout))?;
        remember(tx, mark.as_ref(), now_ms)?;
        Ok(effect)
    };
    moves::unit(&app.store, &payer, unit).await
}

fn paid(tx: &mut dyn Tx, now_ms: i64, mut row: TopupRow, checkout: &Checkout) -> Result<Effect, Error> {
    if row.paid_at_ms.is_some() {
        if checkout.is_paid && row.checkout_id.as_ref() != Some(&checkout.id) {
            return refused(tx, now_ms, &row, checkout, "the purchase was paid by another page before");
        }
        return Ok(Effect::Unchanged);
    }
    if let Some(problem) = contradiction(&row, checkout) {
        return refused(tx, now_ms, &row, checkout, problem);
    }
    let before = row.clone();
    row.checkout_id = Some(checkout.id.clone());
    if checkout.is_paid {
        let (account, amount) = (row.account_id.clone(), row.bought.credits);
        let reference = format!("stripe:{}", checkout.id);
        let taken = granted(tx, now_ms, Grant { account, amount, reference })?;
        row.state = State::Paid;
        row.payment_id.clone_from(&checkout.payment_id);
        row.paid_at_ms = Some(now_ms);
        if !taken {
            // Nobody has these credits, so a refund takes none back.
            row.taken_back = amount;
            after_closure(tx, now_ms, &row, "paid")?;
            topup::update(tx, &row)?;
            return Ok(Effect::Refused);
        }
        let detail = json!({ "credits": amount.0, "checkout_id": checkout.id });
        note(tx, now_ms, &Actor::Payment, Some(&row.account_id), "topup.paid", row.id.as_str(), &detail)?;
    } else if checkout.is_expired {
        row.state = State::Expired;
    }
    if row == before {
        return Ok(Effect::Unchanged);
    }
    topup::update(tx, &row)?;
    Ok(Effect::Changed)
}

/// Nothing is credited, and both the owner's log and the operators' say so, once.
fn refused(
    tx: &mut dyn Tx,
    now_ms: i64,
    row: &TopupRow,
    checkout: &Checkout,
    problem: &str,
) -> Result<Effect, Error> {
    let (topup, account) = (&row.id, &row.account_id);
    let detail = json!({ "checkout_id": checkout.id, "problem": problem });
    if !audit_log::tells(tx, account.as_str(), "topup.refused", topup.as_str())? {
        note(tx, now_ms, &Actor::Payment, Some(account), "topup.refused", topup.as_str(), &detail)?;
    }
    lost::alarm(tx, now_ms, &checkout.id, account, &detail)?;
    Ok(Effect::Refused)
}

/// Why a page can't be that of a purchase.
fn contradiction(row: &TopupRow, checkout: &Checkout) -> Option<&'static str> {
    if row.checkout_id.as_ref().is_some_and(|known| *known != checkout.id) {
        return Some("the purchase has another page");
    }
    if checkout.amount_minor != Some(row.bought.amount_minor) {
        return Some("the amount differs");
    }
    let same = checkout.currency.as_ref().is_some_and(|currency| *currency == row.currency);
    if same { None } else { Some("the currency differs") }
}

/// A refund or dispute of a paid purchase, as far as it has come.
pub(super) async fn reversal(
    app: &App,
    account: AccountId,
    id: TopupId,
    heard: stripe::Reversal,
    mark: Option<Mark>,
) -> Result<Effect, Error> {
    let (now_ms, payer) = (app.now_ms(), account.clone());
    let unit = move |tx: &mut dyn Tx| {
        let row = topup::lock(tx, &account, &id)?.ok_or(Error::NotFound)?;
        let effect = if row.currency == heard.currency {
            reversed(tx, now_ms, row, told(heard.clone()))?
        } else {
            let problem = "money went back in another currency than the purchase's: take credits by hand";
            let detail = json!({ "problem": problem, "topup_id": id.as_str(), "currency": heard.currency,
                "amount_minor": heard.amount_minor });
            lost::alarm(tx, now_ms, &heard.id, &account, &detail)?;
            Effect::Refused
        };
        remember(tx, mark.as_ref(), now_ms)?;
        Ok(effect)
    };
    moves::unit(&app.store, &payer, unit).await
}

fn reversed(tx: &mut dyn Tx, now_ms: i64, mut row: TopupRow, heard: Reversal) -> Result<Effect, Error> {
    let mut known = topup::reversals(tx, &row.account_id, &row.id)?;
    let (id, due_before) = (heard.id.clone(), rules::taken_back(row.bought, &known));
    if !rules::hear(&mut known, heard) {
        return Ok(Effect::Unchanged);
    }
    let account = row.account_id.clone();
    let away = rules::taken_back(row.bought, &known);
    // What is due by this news alone: what an operator took by hand before stays theirs.
    let more = if away >= due_before {
        // No more than what this purchase still gives: a closed account never had it.
        (away.0 - due_before.0).min(row.bought.credits.0 - row.taken_back.0)
    } else {
        (away.0 - row.taken_back.0).min(0)
    };
    let standing = known.iter().find(|known| known.id == id).map_or("", |known| known.standing.as_str());
    let (action, amount) = if more > 0 {
        let reference = format!("stripe:{id}:{standing}:{}", away.0);
        let taken =
            take_back(tx, now_ms, Clawback { account: account.clone(), amount: Credits(more), reference })?;
        row.taken_back.0 += taken.0;
        ("topup.taken_back", taken)
    } else if more < 0 {
        let (reference, amount) = (format!("stripe:{id}:returned"), Credits(-more));
        if granted(tx, now_ms, Grant { account: account.clone(), amount, reference })? {
            row.taken_back.0 += more;
            ("topup.given_back", amount)
        } else {
            after_closure(tx, now_ms, &row, "given back")?;
            ("topup.reversal_heard", Credits::ZERO)
        }
    } else {
        ("topup.reversal_heard", Credits::ZERO)
    };
    row.state = rules::state(row.bought, &known);
    topup::update(tx, &row)?;
    if let Some(now) = known.iter().find(|known| known.id == id) {
        topup::put_reversal(tx, &account, &row.id, now, now_ms)?;
        let detail = json!({ "credits": amount.0, "id": id, "kind": now.kind.as_str(),
            "amount_minor": now.amount_minor, "standing": now.standing.as_str() });
        note(tx, now_ms, &Actor::Payment, Some(&account), action, row.id.as_str(), &detail)?;
    }
    Ok(Effect::Changed)
}

/// Takes credits back, at most what was ever granted: the operator may have taken some by hand. How many.
fn take_back(tx: &mut dyn Tx, now_ms: i64, mut command: Clawback) -> Result<Credits, Error> {
    let account = account::get(tx, &command.account)?.ok_or(Error::NotFound)?;
    let granted = Credits(account.books.issued.0.saturating_neg());
    if granted < command.amount {
        let (wanted, reference) = (command.amount.0, &command.reference);
        let problem = "less was granted than a payment takes back: somebody took it before";
        let detail = json!({ "problem": problem, "wanted": wanted, "granted": granted.0 });
        lost::alarm(tx, now_ms, reference, &command.account, &detail)?;
        command.amount = granted;
    }
    let amount = command.amount;
    if amount > Credits::ZERO {
        moved(tx, now_ms, &Command::Clawback(command))?;
    }
    Ok(amount)
}

/// Gives credits; whether the account takes any: one that was closed meanwhile does not.
fn granted(tx: &mut dyn Tx, now_ms: i64, grant: Grant) -> Result<bool, Error> {
    match moves::decide(tx, now_ms, &Actor::Payment, &Command::Grant(grant)) {
        Ok(Outcome::Moved { .. }) => Ok(true),
        Err(Error::Ledger(Refusal::AccountClosed)) => Ok(false),
        Err(error) => Err(error),
        Ok(other) => Err(Error::internal(format!("a payment's credits ended as {other:?}"))),
    }
}

/// Money came for an account that is closed: somebody has to give it back by hand.
fn after_closure(tx: &mut dyn Tx, now_ms: i64, row: &TopupRow, what: &str) -> Result<(), Error> {
    let (topup, account) = (&row.id, &row.account_id);
    let problem = "money for an account that is closed: give it back at Stripe";
    lost::alarm(tx, now_ms, topup.as_str(), account, &json!({ "problem": problem, "what": what }))?;
    let detail = json!({ "problem": "the account is closed", "what": what });
    Ok(note(tx, now_ms, &Actor::Payment, Some(account), "topup.refused", topup.as_str(), &detail)?)
}

/// Moves credits within the unit, or fails it as a whole.
fn moved(tx: &mut dyn Tx, now_ms: i64, command: &Command) -> Result<(), Error> {
    match moves::decide(tx, now_ms, &Actor::Payment, command)? {
        Outcome::Moved { replayed: false, .. } => Ok(()),
        // The purchase said that this move is new; credits that did not move must not be counted as moved.
        Outcome::Moved { replayed: true, .. } => Err(Error::internal("a payment's move was made before")),
        other => Err(Error::internal(format!("a payment's credits ended as {other:?}"))),
    }
}
