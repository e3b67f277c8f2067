//! Owners: the people who hold accounts, and the operators among them.
//!
//! Invariant: one owner per e-mail address, in lower case. Not here: how a password is checked, and sessions.

use crate::{
    account::{self, AccountRow},
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::{AccountId, OwnerId};

/// An owner's row.
#[derive(Debug, Clone)]
pub struct OwnerRow {
    pub id: OwnerId,
    pub email: String,
    /// `owner` or `operator`.
    pub role: String,
    /// Argon2id in the PHC form; none where another service signs them in.
    pub password_hash: Option<String>,
    /// Whom another service knows them as.
    pub oidc_subject: Option<String>,
    pub totp_sealed: Option<Vec<u8>>,
    pub totp_enabled_at_ms: Option<i64>,
    /// The newest time step whose one-time code was used.
    pub totp_step: i64,
    pub created_at_ms: i64,
    pub signed_in_at_ms: Option<i64>,
    pub disabled_at_ms: Option<i64>,
}

const COLUMNS: &str = "id, email, role, password_hash, totp_sealed, totp_enabled_at, totp_step, created_at, \
                       signed_in_at, disabled_at, oidc_subject";

fn owner_of(row: &Row) -> Result<OwnerRow, StoreError> {
    let sealed = if row.0.get(4) == Some(&crate::tx::Value::Null) { None } else { Some(row.bytes(4)?) };
    Ok(OwnerRow {
        id: OwnerId::from_stored(row.text(0)?),
        email: row.text(1)?,
        role: row.text(2)?,
        password_hash: row.opt_text(3)?,
        totp_sealed: sealed,
        totp_enabled_at_ms: row.opt_int(5)?,
        totp_step: row.int(6)?,
        created_at_ms: row.int(7)?,
        signed_in_at_ms: row.opt_int(8)?,
        disabled_at_ms: row.opt_int(9)?,
        oidc_subject: row.opt_text(10)?,
    })
}

/// Writes a new owner. A second one of the same e-mail is a constraint error.
pub fn create(
    tx: &mut dyn Tx,
    id: &OwnerId,
    email: &str,
    role: &str,
    password_hash: Option<&str>,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO owners (id, email, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        &[id.as_str().into(), email.into(), role.into(), password_hash.into(), now_ms.into()],
    )
    .map(drop)
}

/// The owner of that id.
pub fn get(tx: &mut dyn Tx, id: &OwnerId) -> Result<Option<OwnerRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM owners WHERE id = $1");
    tx.one(&sql, &[id.as_str().into()])?.as_ref().map(owner_of).transpose()
}

/// The same for a unit that decides from it.
pub fn lock(tx: &mut dyn Tx, id: &OwnerId) -> Result<Option<OwnerRow>, StoreError> {
    let lock = tx.dialect().for_update("owners");
    let sql = format!("SELECT {COLUMNS} FROM owners WHERE id = $1 {lock}");
    tx.one(&sql, &[id.as_str().into()])?.as_ref().map(owner_of).transpose()
}

/// The owner of an e-mail address in lower case.
pub fn by_email(tx: &mut dyn Tx, email: &str) -> Result<Option<OwnerRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM owners WHERE email = $1");
    tx.one(&sql, &[email.into()])?.as_ref().map(owner_of).transpose()
}

/// The owner whom an identity of another service is tied to.
pub fn by_identity(tx: &mut dyn Tx, issuer: &str, subject: &str) -> Result<Option<OwnerRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM owners WHERE oidc_issuer = $1 AND oidc_subject = $2");
    tx.one(&sql, &[issuer.into(), subject.into()])?.as_ref().map(owner_of).transpose()
}

/// Ties an identity of another service, by issuer and subject, to an owner, or with none takes it away.
pub fn set_identity(tx: &mut dyn Tx, id: &OwnerId, identity: Option<(&str, &str)>) -> Result<(), StoreError> {
    let (issuer, subject) = identity.unzip();
    let params = [id.as_str().into(), issuer.into(), subject.into()];
    tx.exec("UPDATE owners SET oidc_issuer = $2, oidc_subject = $3 WHERE id = $1", &params).map(drop)
}

/// All owners, oldest first.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<OwnerRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM owners ORDER BY id");
    tx.all(&sql, &[])?.iter().map(owner_of).collect()
}

/// Whether anybody may sign in yet.
pub fn any(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    Ok(tx.one("SELECT 1 FROM owners LIMIT 1", &[])?.is_some())
}

/// A new password.
pub fn set_password(tx: &mut dyn Tx, id: &OwnerId, hash: &str) -> Result<(), StoreError> {
    let params = [id.as_str().into(), hash.into()];
    tx.exec("UPDATE owners SET password_hash = $2 WHERE id = $1", &params).map(drop)
}

/// Makes somebody an operator, or an owner again.
pub fn set_role(tx: &mut dyn Tx, id: &OwnerId, role: &str) -> Result<(), StoreError> {
    let params = [id.as_str().into(), role.into()];
    tx.exec("UPDATE owners SET role = $2 WHERE id = $1", &params).map(drop)
}

/// Lets somebody sign in no more, or again.
pub fn set_disabled(tx: &mut dyn Tx, id: &OwnerId, at_ms: Option<i64>) -> Result<(), StoreError> {
    let params = [id.as_str().into(), at_ms.into()];
    tx.exec("UPDATE owners SET disabled_at = $2 WHERE id = $1", &params).map(drop)
}

/// The operators who may sign in, for a unit that decides from how many there are.
pub fn operators(tx: &mut dyn Tx) -> Result<Vec<OwnerId>, StoreError> {
    let lock = tx.dialect().for_update("owners");
    let sql =
        format!("SELECT id FROM owners WHERE role = 'operator' AND disabled_at IS NULL ORDER BY id {lock}");
    tx.all(&sql, &[])?.iter().map(|row| Ok(OwnerId::from_stored(row.text(0)?))).collect()
}

/// The sealed key of one-time codes, and since when they are asked for.
pub fn set_totp(
    tx: &mut dyn Tx,
    id: &OwnerId,
    sealed: Option<&[u8]>,
    enabled_at_ms: Option<i64>,
) -> Result<(), StoreError> {
    let params = [id.as_str().into(), sealed.into(), enabled_at_ms.into()];
    tx.exec("UPDATE owners SET totp_sealed = $2, totp_enabled_at = $3 WHERE id = $1", &params).map(drop)
}

/// Spends the code of a time step; tells whether none of it or of a later one was spent.
pub fn spend_totp_step(tx: &mut dyn Tx, id: &OwnerId, step: i64) -> Result<bool, StoreError> {
    let params = [id.as_str().into(), step.into()];
    Ok(tx.exec("UPDATE owners SET totp_step = $2 WHERE id = $1 AND totp_step < $2", &params)? == 1)
}

/// Remembers a sign-in.
pub fn signed_in(tx: &mut dyn Tx, id: &OwnerId, now_ms: i64) -> Result<(), StoreError> {
    let params = [id.as_str().into(), now_ms.into()];
    tx.exec("UPDATE owners SET signed_in_at = $2 WHERE id = $1", &params).map(drop)
}

/// The accounts of an owner, oldest first.
pub fn accounts(tx: &mut dyn Tx, id: &OwnerId) -> Result<Vec<AccountRow>, StoreError> {
    let sql = format!("SELECT {} FROM accounts WHERE owner_id = $1 ORDER BY id", account::COLUMNS);
    tx.all(&sql, &[id.as_str().into()])?.iter().map(account::account_of).collect()
}

/// Gives one account to an owner.
pub fn take_account(tx: &mut dyn Tx, id: &OwnerId, account: &AccountId) -> Result<(), StoreError> {
    let params = [account.as_str().into(), id.as_str().into()];
    tx.exec("UPDATE accounts SET owner_id = $2 WHERE id = $1", &params).map(drop)
}

/// Gives the accounts of an e-mail address that nobody owns to an owner whom the operator has named by it.
pub fn take_accounts_of_email(tx: &mut dyn Tx, id: &OwnerId, email: &str) -> Result<u64, StoreError> {
    let params = [id.as_str().into(), email.into()];
    tx.exec("UPDATE accounts SET owner_id = $1 WHERE owner_id IS NULL AND LOWER(email) = $2", &params)
}

/// Whose account it is.
pub fn of_account(tx: &mut dyn Tx, account: &AccountId) -> Result<Option<OwnerId>, StoreError> {
    let row = tx.one("SELECT owner_id FROM accounts WHERE id = $1", &[account.as_str().into()])?;
    let owner = row.map(|row| row.opt_text(0)).transpose()?.flatten();
    Ok(owner.map(OwnerId::from_stored))
}
