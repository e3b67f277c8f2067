//! `/topup`: buying credits, and what became of what was bought.
//!
//! Invariant: the form leads to the payment service's page and to no other site; what a purchase gives
//! comes from the payment's news, never from this page having been seen. Not here: purchases
//! (`app::topup`).

use super::{
    fault::Fault,
    frame::{Frame, page_with},
    guard::{Guard, Sent},
    shown,
};
use crate::{
    app::{Error, topup},
    http::extract::Shared,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use rynjer_core::{
    id::TopupId,
    time::DAY_MS,
    topup::{self as rules, Pack, State as Standing},
};
use rynjer_store::topup::TopupRow;
use serde::Deserialize;

/// A page of the payment service lives for a day; after that, waiting is not what anybody still does.
const PAGE_LIVES_MS: i64 = DAY_MS + 3_600_000;
/// Purchases on one page.
const SHOWN: u32 = 25;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/topup", get(show).post(buy))
}

#[derive(Deserialize)]
struct Asked {
    /// The purchase that the browser comes back from.
    #[serde(default)]
    paid: String,
    /// Only purchases that are older.
    #[serde(default)]
    before: String,
}

#[derive(Template)]
#[template(path = "topup.html")]
struct Page {
    frame: Frame,
    has_account: bool,
    is_on: bool,
    /// Buying moves no real money.
    is_practice: bool,
    available: String,
    packs: Vec<Offer>,
    /// The purchase that was just made.
    back: Option<Line>,
    lines: Vec<Line>,
    /// Where older purchases are; empty on the last page.
    older: String,
}

struct Offer {
    value: String,
    credits: String,
    price: String,
}

struct Line {
    id: String,
    made: String,
    credits: String,
    price: String,
    state: &'static str,
    tag: &'static str,
    taken_back: String,
    is_paid: bool,
}

impl Line {
    fn of(row: &TopupRow, now_ms: i64) -> Self {
        let taken_back = row.taken_back.0;
        Self {
            id: shown::short(row.id.as_str()),
            made: shown::minute(row.created_at_ms),
            credits: shown::credits(row.bought.credits.0),
            price: price(row.bought.amount_minor, &row.currency),
            state: match row.state {
                // Stripe is still asked; only its word makes this "not paid".
                Standing::Open if now_ms - row.created_at_ms > PAGE_LIVES_MS => "not known to be paid",
                Standing::Open => "waits for the payment",
                Standing::Paid if taken_back > 0 => "paid, partly refunded",
                Standing::Paid => "paid",
                Standing::Expired => "not paid",
                Standing::Refunded => "refunded",
                Standing::Disputed => "disputed",
            },
            tag: match row.state {
                Standing::Paid => "good",
                Standing::Open => "warn",
                Standing::Disputed => "bad",
                Standing::Expired | Standing::Refunded => "",
            },
            taken_back: if taken_back > 0 { shown::credits(taken_back) } else { String::new() },
            is_paid: row.state == Standing::Paid,
        }
    }
}

/// `12.50 USD`.
fn price(amount_minor: i64, currency: &str) -> String {
    let digits = rules::minor_digits(currency);
    let code = currency.to_uppercase();
    let text = format!("{amount_minor:0>width$}", width = digits + 1);
    match text.split_at_checked(text.len() - digits) {
        Some((whole, part)) if digits > 0 => format!("{whole}.{part} {code}"),
        _ => format!("{text} {code}"),
    }
}

async fn show(
    State(shared): State<Shared>,
    Guard(session): Guard,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let app = &shared.app;
    let fault = |error: Error| Fault::of(error, app);
    let (mut back, mut rows, mut available) = (None, Vec::new(), 0);
    if let Some(account) = &session.account {
        if let Some(id) = TopupId::parse(&asked.paid) {
            back = topup::look(app, &account.id, &id).await.map_err(fault)?;
        }
        let before = TopupId::parse(&asked.before);
        rows = topup::list(app, &account.id, before, SHOWN + 1).await.map_err(fault)?;
        // Not the session's: looking may have found the payment.
        let now = session.hand(app).map_err(fault)?.account_show(&account.id).await.map_err(fault)?;
        available = now.books.available.0;
    }
    let shown_max = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let has_more = rows.len() > shown_max;
    rows.truncate(shown_max);
    let older = rows.last().filter(|_| has_more).map(|row| format!("/topup?before={}", row.id));
    let settings = &app.config.stripe;
    let page = Page {
        has_account: session.account.is_some(),
        is_on: app.payments.is_some(),
        is_practice: app.payments.as_ref().is_some_and(|payments| !payments.stripe.is_live()),
        available: shown::credits(available),
        packs: settings.packs.iter().map(|pack| offer(pack, &settings.currency)).collect(),
        back: back.as_ref().map(|row| Line::of(row, app.now_ms())),
        lines: rows.iter().map(|row| Line::of(row, app.now_ms())).collect(),
        older: older.unwrap_or_default(),
        frame: Frame::new(app, &session, "/topup", "Top up"),
    };
    page_with(&shared, &page, &format!(" {}", settings.checkout_origin))
}

fn offer(pack: &Pack, currency: &str) -> Offer {
    Offer {
        value: pack.to_text(),
        credits: shown::credits(pack.credits.0),
        price: price(pack.amount_minor, currency),
    }
}

async fn buy(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let app = &shared.app;
    let fault = |error: Error| Fault::of(error, app);
    let hand =
        session.hand(app).map_err(|_| fault(Error::field("account", "is missing: ask the operator")))?;
    let account = session.account_id().map_err(fault)?;
    let url = topup::start(app, &hand.by, &session.owner.id, &account, form.text("pack")).await;
    Ok(Redirect::to(&url.map_err(fault)?).into_response())
}

#[cfg(test)]
mod tests {
    use super::price;

    #[test]
    fn prices() {
        let rows = [
            (999, "usd", "9.99 USD"),
            (5, "eur", "0.05 EUR"),
            (100, "usd", "1.00 USD"),
            (500, "jpy", "500 JPY"),
            (1, "kwd", "0.001 KWD"),
            (123_456, "kwd", "123.456 KWD"),
        ];
        for (amount, currency, text) in rows {
            assert_eq!(price(amount, currency), text);
        }
    }
}
