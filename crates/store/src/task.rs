//! Tasks as their owners read them.
//!
//! Invariant: every read names the account, and an agent sees its own tasks only. Not here: writes (`ledger`,
//! `lease`).

use crate::{
    error::StoreError,
    output::{self, OutputRow},
    tx::{Row, Tx},
};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, TaskId},
    task::{Status, Step},
};
use std::sync::LazyLock;

/// A task with its outputs.
#[derive(Debug, Clone)]
pub struct TaskRow {
    pub id: TaskId,
    pub account: AccountId,
    /// The agent's id, or empty for an account key.
    pub agent_id: String,
    pub request_id: String,
    pub fingerprint: String,
    pub usage_id: String,
    pub model: String,
    pub product: String,
    pub mode: String,
    pub provider: String,
    pub vendor_model: String,
    pub price_version: String,
    pub unit_price: Credits,
    pub count: u32,
    pub held: Credits,
    pub charged: Credits,
    pub released: Credits,
    pub refunded: Credits,
    pub run_id: Option<String>,
    pub status: Status,
    pub step: Step,
    /// Raised by each claim; see `lease`.
    pub fence: i64,
    pub provider_task_id: Option<String>,
    pub created_at_ms: i64,
    pub finished_at_ms: Option<i64>,
    pub progress_permille: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub missing: Option<String>,
    pub body: Option<String>,
    pub metadata: Option<String>,
    pub outputs: Vec<OutputRow>,
}

/// The id comes first, the others as [`task_of`] takes them.
pub(crate) const COLUMNS: &str = "id, account_id, agent_id, request_id, fingerprint, usage_id, model, \
                                  product, mode, provider, vendor_model, price_version, unit_price, \
                                  count, held, charged, released, refunded, run_id, status, step, \
                                  provider_task_id, created_at, finished_at, progress_permille, \
                                  error_code, error_message, missing, body, metadata, fence";

fn task_of(mut row: Row) -> Result<TaskRow, StoreError> {
    let status = Status::parse(row.str(19)?);
    let step = Step::parse(row.str(20)?);
    Ok(TaskRow {
        id: TaskId::from_stored(row.take_text(0)?),
        account: AccountId::from_stored(row.take_text(1)?),
        agent_id: row.take_text(2)?,
        request_id: row.take_text(3)?,
        fingerprint: row.take_text(4)?,
        usage_id: row.take_text(5)?,
        model: row.take_text(6)?,
        product: row.take_text(7)?,
        mode: row.take_text(8)?,
        provider: row.take_text(9)?,
        vendor_model: row.take_text(10)?,
        price_version: row.take_text(11)?,
        unit_price: Credits(row.int(12)?),
        count: row.count(13)?,
        held: Credits(row.int(14)?),
        charged: Credits(row.int(15)?),
        released: Credits(row.int(16)?),
        refunded: Credits(row.int(17)?),
        run_id: row.take_opt_text(18)?,
        status: status.ok_or_else(|| StoreError::Other("a task has an unknown status".to_owned()))?,
        step: step.ok_or_else(|| StoreError::Other("a task has an unknown step".to_owned()))?,
        fence: row.int(30)?,
        provider_task_id: row.take_opt_text(21)?,
        created_at_ms: row.int(22)?,
        finished_at_ms: row.opt_int(23)?,
        progress_permille: row.opt_int(24)?,
        error_code: row.take_opt_text(25)?,
        error_message: row.take_opt_text(26)?,
        missing: row.take_opt_text(27)?,
        body: row.take_opt_text(28)?,
        metadata: row.take_opt_text(29)?,
        outputs: Vec::new(),
    })
}

pub(crate) fn with_outputs(tx: &mut dyn Tx, row: Row) -> Result<TaskRow, StoreError> {
    let mut task = task_of(row)?;
    if task.status == Status::Success {
        task.outputs = output::of_task(tx, &task.account, &task.id)?;
    }
    Ok(task)
}

/// The task of a caller's request id. `agent_id` is empty for account keys.
pub fn by_request(
    tx: &mut dyn Tx,
    account: &AccountId,
    agent_id: &str,
    request_id: &str,
) -> Result<Option<TaskRow>, StoreError> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!("SELECT {COLUMNS} FROM tasks WHERE account_id = $1 AND agent_id = $2 AND request_id = $3")
    });
    let row = tx.one(&SQL, &[account.as_str().into(), agent_id.into(), request_id.into()])?;
    row.map(|row| with_outputs(tx, row)).transpose()
}

/// A task of an account by its id; an agent (`Some`) sees its own only.
pub fn by_id(
    tx: &mut dyn Tx,
    account: &AccountId,
    agent_id: Option<&str>,
    id: &TaskId,
) -> Result<Option<TaskRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tasks WHERE account_id = $1 AND id = $2 \
         AND (CAST($3 AS TEXT) IS NULL OR agent_id = $3)"
    );
    let row = tx.one(&sql, &[account.as_str().into(), id.as_str().into(), agent_id.into()])?;
    row.map(|row| with_outputs(tx, row)).transpose()
}
