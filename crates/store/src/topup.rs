//! Credits that somebody buys: purchases, what was heard of their payments, and which events were heard.
//!
//! Invariant: every change of a purchase happens under its account's row, so that two nodes which hear the
//! same news decide one after the other. Not here: what news means (`core::topup`), moving credits.

use crate::{
    account,
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, OwnerId, TopupId},
    topup::{Pack, Reversal, ReversalKind, Standing, State},
};

/// A purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopupRow {
    pub id: TopupId,
    pub account_id: AccountId,
    pub owner_id: OwnerId,
    pub bought: Pack,
    /// In lower case, as in `usd`.
    pub currency: String,
    pub state: State,
    /// What the payment service calls the page where it is paid, and the payment.
    pub checkout_id: Option<String>,
    pub payment_id: Option<String>,
    /// Credits that were taken back since.
    pub taken_back: Credits,
    pub created_at_ms: i64,
    pub paid_at_ms: Option<i64>,
}

pub(crate) const COLUMNS: &str = "id, account_id, owner_id, credits, amount_minor, currency, state, \
                       checkout_id, payment_id, taken_back, created_at, paid_at";

pub(crate) fn topup_of(row: &Row) -> Result<TopupRow, StoreError> {
    let state = State::parse(row.str(6)?);
    Ok(TopupRow {
        id: TopupId::from_stored(row.text(0)?),
        account_id: AccountId::from_stored(row.text(1)?),
        owner_id: OwnerId::from_stored(row.text(2)?),
        bought: Pack { credits: Credits(row.int(3)?), amount_minor: row.int(4)? },
        currency: row.text(5)?,
        state: state.ok_or_else(|| StoreError::Other("a purchase has an unknown state".to_owned()))?,
        checkout_id: row.opt_text(7)?,
        payment_id: row.opt_text(8)?,
        taken_back: Credits(row.int(9)?),
        created_at_ms: row.int(10)?,
        paid_at_ms: row.opt_int(11)?,
    })
}

/// Writes a new purchase.
pub fn insert(tx: &mut dyn Tx, row: &TopupRow) -> Result<(), StoreError> {
    let sql =
        format!("INSERT INTO topups ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    tx.exec(
        &sql,
        &[
            row.id.as_str().into(),
            row.account_id.as_str().into(),
            row.owner_id.as_str().into(),
            row.bought.credits.into(),
            row.bought.amount_minor.into(),
            (&row.currency).into(),
            row.state.as_str().into(),
            row.checkout_id.as_deref().into(),
            row.payment_id.as_deref().into(),
            row.taken_back.into(),
            row.created_at_ms.into(),
            row.paid_at_ms.into(),
        ],
    )
    .map(drop)
}

/// A purchase of an account.
pub fn get(tx: &mut dyn Tx, account: &AccountId, id: &TopupId) -> Result<Option<TopupRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM topups WHERE account_id = $1 AND id = $2");
    tx.one(&sql, &[account.as_str().into(), id.as_str().into()])?.as_ref().map(topup_of).transpose()
}

/// The same for a unit that decides from it, and that moves credits of its account.
pub fn lock(tx: &mut dyn Tx, account: &AccountId, id: &TopupId) -> Result<Option<TopupRow>, StoreError> {
    account::lock(tx, account)?;
    get(tx, account, id)
}

/// An account's purchases, newest first, older than `before`.
pub fn of_account(
    tx: &mut dyn Tx,
    account: &AccountId,
    before: Option<&TopupId>,
    limit: u32,
) -> Result<Vec<TopupRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM topups WHERE account_id = $1 AND (CAST($2 AS TEXT) IS NULL OR id < $2) \
         ORDER BY id DESC LIMIT $3"
    );
    let params = [account.as_str().into(), before.map(TopupId::as_str).into(), limit.into()];
    tx.all(&sql, &params)?.iter().map(topup_of).collect()
}

/// How many of an account's newest `most` purchases were begun at or after a time and are not paid.
pub fn open_since(
    tx: &mut dyn Tx,
    account: &AccountId,
    since_ms: i64,
    most: u32,
) -> Result<usize, StoreError> {
    let newest = of_account(tx, account, None, most)?;
    Ok(newest.iter().filter(|row| row.state == State::Open && row.created_at_ms >= since_ms).count())
}

/// Remembers the page where it is paid.
pub fn set_checkout(
    tx: &mut dyn Tx,
    account: &AccountId,
    id: &TopupId,
    checkout_id: &str,
) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE topups SET checkout_id = $3 WHERE account_id = $1 AND id = $2 AND checkout_id IS NULL",
        &[account.as_str().into(), id.as_str().into(), checkout_id.into()],
    )
    .map(drop)
}

/// Writes what changes in the life of a purchase.
pub fn update(tx: &mut dyn Tx, row: &TopupRow) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE topups SET state = $3, checkout_id = $4, payment_id = $5, taken_back = $6, paid_at = $7 \
         WHERE account_id = $1 AND id = $2",
        &[
            row.account_id.as_str().into(),
            row.id.as_str().into(),
            row.state.as_str().into(),
            row.checkout_id.as_deref().into(),
            row.payment_id.as_deref().into(),
            row.taken_back.into(),
            row.paid_at_ms.into(),
        ],
    )
    .map(drop)
}

/// What was heard of money that goes back from a purchase.
pub fn reversals(tx: &mut dyn Tx, account: &AccountId, id: &TopupId) -> Result<Vec<Reversal>, StoreError> {
    let sql = "SELECT id, kind, amount_minor, standing FROM reversals \
               WHERE account_id = $1 AND topup_id = $2 ORDER BY id";
    let word = |what: &str| StoreError::Other(format!("a reversal has an unknown {what}"));
    let of = |row: &Row| {
        Ok(Reversal {
            id: row.text(0)?,
            kind: ReversalKind::parse(row.str(1)?).ok_or_else(|| word("kind"))?,
            amount_minor: row.int(2)?,
            standing: Standing::parse(row.str(3)?).ok_or_else(|| word("standing"))?,
        })
    };
    tx.all(sql, &[account.as_str().into(), id.as_str().into()])?.iter().map(of).collect()
}

/// Writes one of them, as far as it has come.
pub fn put_reversal(
    tx: &mut dyn Tx,
    account: &AccountId,
    topup: &TopupId,
    row: &Reversal,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO reversals (account_id, topup_id, id, kind, amount_minor, standing, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, topup_id, id) DO UPDATE SET \
         amount_minor = excluded.amount_minor, standing = excluded.standing, \
         updated_at = excluded.updated_at",
        &[
            account.as_str().into(),
            topup.as_str().into(),
            (&row.id).into(),
            row.kind.as_str().into(),
            row.amount_minor.into(),
            row.standing.as_str().into(),
            now_ms.into(),
        ],
    )
    .map(drop)
}

/// Whether an event of the payment service was heard to its end.
pub fn is_heard(tx: &mut dyn Tx, event: &str) -> Result<bool, StoreError> {
    Ok(tx.one("SELECT 1 FROM payment_events WHERE id = $1", &[event.into()])?.is_some())
}

/// Remembers that it was.
pub fn mark_heard(tx: &mut dyn Tx, event: &str, kind: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO payment_events (id, kind, received_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
        &[event.into(), kind.into(), now_ms.into()],
    )
    .map(drop)
}
