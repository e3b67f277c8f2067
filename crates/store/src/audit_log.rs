//! Every change, by whom.
//!
//! Invariant: a line is written in the commit of the change that it tells of, and never changed but to take
//! a person who left out of it; nothing but another line is decided from it, since it goes when it is old.
//! Not here: the audit of the ledger (`ledger`).

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use serde_json::Value;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Empty for what concerns the installation as a whole.
    pub account_id: String,
    pub id: String,
    pub at_ms: i64,
    /// `owner`, `operator`, `command_line`, `agent`, `key`, `payment` or `gateway`.
    pub actor_kind: String,
    pub actor_id: String,
    /// Such as `agent.paused`.
    pub action: String,
    /// What was changed.
    pub subject_id: String,
    /// A JSON object; never a secret.
    pub detail: String,
    pub address: Option<String>,
}

impl AuditLine {
    /// Where it was done from, as `owner`, whose account it is, may know it: not where the operator's people
    /// are, nor where an owner of before was.
    #[must_use]
    pub fn address_for(&self, owner: Option<&str>) -> Option<&str> {
        let is_theirs = self.actor_kind == "owner" && owner == Some(self.actor_id.as_str());
        self.address.as_deref().filter(|_| is_theirs)
    }
}

const COLUMNS: &str = "account_id, id, at, actor_kind, actor_id, action, subject_id, detail, address";

fn line_of(row: &Row) -> Result<AuditLine, StoreError> {
    Ok(AuditLine {
        account_id: row.text(0)?,
        id: row.text(1)?,
        at_ms: row.int(2)?,
        actor_kind: row.text(3)?,
        actor_id: row.text(4)?,
        action: row.text(5)?,
        subject_id: row.text(6)?,
        detail: row.text(7)?,
        address: row.opt_text(8)?,
    })
}

/// Writes a line.
pub fn insert(tx: &mut dyn Tx, line: &AuditLine) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO audit_log ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    tx.exec(
        &sql,
        &[
            (&line.account_id).into(),
            (&line.id).into(),
            line.at_ms.into(),
            (&line.actor_kind).into(),
            (&line.actor_id).into(),
            (&line.action).into(),
            (&line.subject_id).into(),
            (&line.detail).into(),
            line.address.as_deref().into(),
        ],
    )
    .map(drop)
}

/// How many of an account's newest lines are looked through for those of one subject.
const LOOKED_THROUGH: u32 = 2_000;

/// The newest lines of an account about one thing.
pub fn of_subject(
    tx: &mut dyn Tx,
    account: &str,
    subject_id: &str,
    limit: u32,
) -> Result<Vec<AuditLine>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT {COLUMNS} FROM audit_log WHERE account_id = $1 ORDER BY id DESC \
         LIMIT $4) AS newest WHERE subject_id = $2 ORDER BY id DESC LIMIT $3"
    );
    let params = [account.into(), subject_id.into(), limit.into(), LOOKED_THROUGH.into()];
    tx.all(&sql, &params)?.iter().map(line_of).collect()
}

/// Lines of an account (empty: the installation's own), newest first, older than the line `before`.
pub fn of_account(
    tx: &mut dyn Tx,
    account: &str,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<AuditLine>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_log WHERE account_id = $1 AND (CAST($2 AS TEXT) IS NULL OR id < $2) \
         ORDER BY id DESC LIMIT $3"
    );
    tx.all(&sql, &[account.into(), before.into(), limit.into()])?.iter().map(line_of).collect()
}

/// Whether the log tells of it already: for what is told once, however often it is heard.
pub fn tells(tx: &mut dyn Tx, account: &str, action: &str, subject: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM audit_log WHERE account_id = $1 AND action = $2 AND subject_id = $3 LIMIT 1";
    Ok(tx.one(sql, &[account.into(), action.into(), subject.into()])?.is_some())
}

/// Which lines of a log: those beside one line, of one noun.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Only older lines than this one.
    pub before: Option<String>,
    /// Only newer ones than this; the nearest come first into the page.
    pub after: Option<String>,
    /// What the action begins with, such as `agent`.
    pub noun: Option<String>,
}

/// Lines of an account (empty: the installation's own) at a place of its log, newest first.
pub fn page(tx: &mut dyn Tx, account: &str, place: &Place, limit: u32) -> Result<Vec<AuditLine>, StoreError> {
    let order = if place.after.is_some() { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_log WHERE account_id = $1 AND (CAST($2 AS TEXT) IS NULL OR id < $2) \
         AND (CAST($3 AS TEXT) IS NULL OR id > $3) \
         AND (CAST($4 AS TEXT) IS NULL OR (action >= $4 AND action < $5)) ORDER BY id {order} LIMIT $6"
    );
    // The character after the point ends what begins with `noun.`.
    let from = place.noun.as_ref().map(|noun| format!("{noun}."));
    let to = place.noun.as_ref().map(|noun| format!("{noun}/"));
    let params = [
        account.into(),
        place.before.as_deref().into(),
        place.after.as_deref().into(),
        from.as_deref().into(),
        to.as_deref().into(),
        limit.into(),
    ];
    let lines: Result<Vec<_>, _> = tx.all(&sql, &params)?.iter().map(line_of).collect();
    let mut lines = lines?;
    if place.after.is_some() {
        lines.reverse();
    }
    Ok(lines)
}

/// Somebody who is taken out of logs: who left keeps no more than an id there.
#[derive(Debug, Clone, Default)]
pub struct Leaver {
    /// E-mail addresses, each with what stands there instead.
    pub emails: Vec<(String, String)>,
    /// The owner whose places, and whose names at other services, go.
    pub owner: Option<String>,
}

/// Lines that one piece of forgetting looks at.
const FORGOTTEN_AT_ONCE: u32 = 500;

/// Takes somebody out of the next lines of one log beyond the line `after`. The line to go on after; none at
/// the log's end.
pub fn forget(
    tx: &mut dyn Tx,
    account: &str,
    leaver: &Leaver,
    after: &str,
) -> Result<Option<String>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM audit_log WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    let rows = tx.all(&sql, &[account.into(), after.into(), FORGOTTEN_AT_ONCE.into()])?;
    let mut last = None;
    for row in &rows {
        let line = line_of(row)?;
        if let Some(changed) = leaver.without(&line) {
            rewrite(tx, &changed)?;
        }
        last = Some(line.id);
    }
    Ok(last)
}

impl Leaver {
    fn stand_in(&self, text: &str) -> Option<String> {
        let found = self.emails.iter().find(|(email, _)| email.to_lowercase() == text.to_lowercase());
        found.map(|(_, stand_in)| stand_in.clone())
    }

    /// The line without them, if it has to do with them.
    fn without(&self, line: &AuditLine) -> Option<AuditLine> {
        let mut changed = line.clone();
        let owner = self.owner.as_deref();
        let is_identity = line.action == "owner.identity_linked" || line.action == "owner.identity_unlinked";
        let is_their_identity = is_identity && owner == Some(line.subject_id.as_str());
        if let Some(stand_in) = self.stand_in(&line.subject_id) {
            changed.subject_id = stand_in;
        }
        if owner == Some(line.actor_id.as_str()) {
            changed.address = None;
        }
        if let Ok(Value::Object(mut object)) = serde_json::from_str(&line.detail) {
            let before = object.clone();
            for (name, value) in &mut object {
                let Some(text) = value.as_str() else { continue };
                if is_their_identity && name == "subject" {
                    *value = Value::String(String::new());
                } else if let Some(stand_in) = self.stand_in(text) {
                    *value = Value::String(stand_in);
                }
            }
            if object != before {
                changed.detail = Value::Object(object).to_string();
            }
        }
        (changed != *line).then_some(changed)
    }
}

fn rewrite(tx: &mut dyn Tx, line: &AuditLine) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE audit_log SET subject_id = $3, detail = $4, address = $5 WHERE account_id = $1 AND id = $2",
        &[
            (&line.account_id).into(),
            (&line.id).into(),
            (&line.subject_id).into(),
            (&line.detail).into(),
            line.address.as_deref().into(),
        ],
    )
    .map(drop)
}
