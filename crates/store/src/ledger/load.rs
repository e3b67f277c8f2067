//! Loads the rows that a batch of commands touches, in key order.
//!
//! Invariant: everything a command may look at is in the result; what a command does not name is not loaded.
//! Not here: decisions.

use crate::{
    batch::{Rows, with_keys},
    dialect::Type,
    error::StoreError,
    tx::{Param, Row, Tx},
};
use rynjer_core::{
    budget::{Budget, Charge, Period, Subject},
    credits::Credits,
    id::{AccountId, AgentId, BudgetId, KeyId, TaskId},
    ledger::{Account, Books, Command, EntryKind, Reference, Run, RunKey, TaskMoney, Working},
    task::{Status, Step},
};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) fn load(tx: &mut dyn Tx, commands: &[(i64, &Command)]) -> Result<Working, StoreError> {
    let mut working = Working::default();
    load_accounts(tx, commands, &mut working)?;
    load_tasks(tx, commands, &mut working)?;
    load_requests(tx, commands, &mut working)?;
    load_budgets(tx, commands, &mut working)?;
    load_runs(tx, commands, &mut working)?;
    load_references(tx, commands, &mut working)?;
    Ok(working)
}

fn load_accounts(
    tx: &mut dyn Tx,
    commands: &[(i64, &Command)],
    working: &mut Working,
) -> Result<(), StoreError> {
    let ids: BTreeSet<&str> = commands.iter().map(|(_, c)| c.account().as_str()).collect();
    let mut keys = Rows::new(1);
    ids.iter().for_each(|id| keys.push([Param::Text(id)]));
    let lock = tx.dialect().for_update("a");
    let sql = format!(
        "SELECT a.id, a.frozen_reason, a.available, a.held, a.revenue, a.provider_loss, a.issued, a.owed, \
         a.entry_sequence, a.entry_hash, a.open_tasks, a.paused_at, a.closed_at \
         FROM keys JOIN accounts a ON a.id = keys.id ORDER BY a.id {lock}"
    );
    for row in with_keys(tx, "id", &[Type::Text], &keys, &sql)? {
        let account = Account {
            id: AccountId::from_stored(row.text(0)?),
            frozen_reason: row.opt_text(1)?,
            books: Books {
                available: Credits(row.int(2)?),
                held: Credits(row.int(3)?),
                revenue: Credits(row.int(4)?),
                provider_loss: Credits(row.int(5)?),
                issued: Credits(row.int(6)?),
                owed: Credits(row.int(7)?),
            },
            sequence: row.int(8)?,
            head_hash: row.hash(9)?,
            open_tasks: row.int(10)?,
            paused: row.opt_int(11)?.is_some(),
            closed: row.opt_int(12)?.is_some(),
            budgets: Vec::new(),
            successors: HashMap::new(),
            fault: None,
            changed: false,
            budgets_changed: HashSet::new(),
        };
        working.accounts.insert(account.id.clone(), account);
    }
    Ok(())
}

/// Columns of the money side of a task, for [`task_money`].
const MONEY: &str = "t.id, t.account_id, t.agent_id, t.fingerprint, t.status, t.step, t.unit_price, t.count, \
                     t.held, t.charged, t.released, t.refunded, t.budget_charges, t.run_id, t.fence, \
                     t.provider_task_id, t.finished_at";

fn load_tasks(
    tx: &mut dyn Tx,
    commands: &[(i64, &Command)],
    working: &mut Working,
) -> Result<(), StoreError> {
    let wanted: BTreeSet<_> =
        commands.iter().filter_map(|(_, c)| Some((c.account().as_str(), c.task()?.as_str()))).collect();
    let mut keys = Rows::new(2);
    wanted.iter().for_each(|(account, task)| keys.push([Param::Text(account), Param::Text(task)]));
    let lock = tx.dialect().for_update("t");
    let sql = format!(
        "SELECT {MONEY} FROM keys JOIN tasks t ON t.account_id = keys.account_id AND t.id = keys.id \
         ORDER BY t.account_id, t.id {lock}"
    );
    for row in with_keys(tx, "account_id, id", &[Type::Text, Type::Text], &keys, &sql)? {
        let task = task_money(&row)?;
        working.tasks.insert(task.id.clone(), task);
    }
    Ok(())
}

fn task_money(row: &Row) -> Result<TaskMoney, StoreError> {
    let word = |what: &str| StoreError::Other(format!("a task has an unknown {what}"));
    Ok(TaskMoney {
        id: TaskId::from_stored(row.text(0)?),
        account: AccountId::from_stored(row.text(1)?),
        principal: row.text(2)?,
        fingerprint: row.text(3)?,
        status: Status::parse(row.str(4)?).ok_or_else(|| word("status"))?,
        step: Step::parse(row.str(5)?).ok_or_else(|| word("step"))?,
        unit_price: Credits(row.int(6)?),
        count: row.count(7)?,
        held: Credits(row.int(8)?),
        charged: Credits(row.int(9)?),
        released: Credits(row.int(10)?),
        refunded: Credits(row.int(11)?),
        charges: Charge::from_text(row.str(12)?),
        run_id: row.opt_text(13)?,
        fence: row.int(14)?,
        error: None,
        missing: None,
        provider_task_id: row.opt_text(15)?,
        vendor_cost_micro_usd: None,
        finished_at_ms: row.opt_int(16)?,
        changed: false,
    })
}

fn load_requests(
    tx: &mut dyn Tx,
    commands: &[(i64, &Command)],
    working: &mut Working,
) -> Result<(), StoreError> {
    let mut keys = Rows::new(3);
    for (_, command) in commands {
        if let Command::Accept(accept) = command {
            let agent = accept.task.agent.as_ref().map_or("", AgentId::as_str);
            keys.push([accept.account.as_str().into(), agent.into(), Param::from(&accept.task.request_id)]);
        }
    }
    let sql = "SELECT t.account_id, t.agent_id, t.request_id, t.id, t.fingerprint FROM keys JOIN tasks t \
               ON t.account_id = keys.account_id AND t.agent_id = keys.agent_id \
               AND t.request_id = keys.request_id";
    for row in with_keys(tx, "account_id, agent_id, request_id", &[Type::Text; 3], &keys, sql)? {
        let key = (AccountId::from_stored(row.text(0)?), row.text(1)?, row.text(2)?);
        working.requests.insert(key, (TaskId::from_stored(row.text(3)?), row.text(4)?));
    }
    Ok(())
}

fn load_budgets(
    tx: &mut dyn Tx,
    commands: &[(i64, &Command)],
    working: &mut Working,
) -> Result<(), StoreError> {
    let mut subjects: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (_, command) in commands {
        let account = command.account().as_str();
        if let Command::Accept(accept) = command {
            subjects.insert((account, account));
            subjects.insert((account, accept.task.key.as_str()));
            if let Some(agent) = &accept.task.agent {
                subjects.insert((account, agent.as_str()));
            }
        }
    }
    let mut keys = Rows::new(2);
    subjects.iter().for_each(|(account, id)| keys.push([Param::Text(account), Param::Text(id)]));
    let columns = "b.id, b.account_id, b.subject, b.subject_id, b.period, b.limit_credits, b.window_start, \
                   b.spent";
    let sql = format!(
        "SELECT {columns}, keys.account_id, keys.id, s.newest_id FROM keys LEFT JOIN key_successors s \
         ON s.account_id = keys.account_id AND s.key_id = keys.id LEFT JOIN budgets b \
         ON b.account_id = keys.account_id AND b.subject_id = COALESCE(s.newest_id, keys.id) ORDER BY b.id"
    );
    let mut rows = with_keys(tx, "account_id, id", &[Type::Text; 2], &keys, &sql)?;
    note_successors(working, &rows)?;
    rows.retain(|row| row.str(0).is_ok());

    let charged: BTreeSet<(String, String)> = working
        .tasks
        .values()
        .flat_map(|t| t.charges.iter().map(|c| (t.account.to_string(), c.budget.to_string())))
        .collect();
    let mut keys = Rows::new(2);
    charged.iter().for_each(|(account, id)| keys.push([Param::from(account), Param::from(id)]));
    let sql = format!(
        "SELECT {columns} FROM keys JOIN budgets b ON b.account_id = keys.account_id AND b.id = keys.id \
         ORDER BY b.id"
    );
    rows.extend(with_keys(tx, "account_id, id", &[Type::Text; 2], &keys, &sql)?);
    for row in rows {
        let budget = budget_of(&row)?;
        if let Some(account) = working.accounts.get_mut(&AccountId::from_stored(row.text(1)?))
            && !account.budgets.iter().any(|known| known.id == budget.id)
        {
            account.budgets.push(budget);
        }
    }
    Ok(())
}

/// Which keys spend the caps of another, whether those have any or not.
fn note_successors(working: &mut Working, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        if let Some(newest) = row.opt_text(10)?
            && let Some(account) = working.accounts.get_mut(&AccountId::from_stored(row.text(8)?))
        {
            account.successors.insert(KeyId::from_stored(row.text(9)?), KeyId::from_stored(newest));
        }
    }
    Ok(())
}

/// A budget from the columns id, account, subject, subject id, period, limit, window start, spent.
pub(crate) fn budget_of(row: &Row) -> Result<Budget, StoreError> {
    let word = |what: &str| StoreError::Other(format!("a budget has an unknown {what}"));
    Ok(Budget {
        id: BudgetId::from_stored(row.text(0)?),
        subject: Subject::parse(row.str(2)?).ok_or_else(|| word("subject"))?,
        subject_id: row.text(3)?,
        period: Period::parse(row.str(4)?).ok_or_else(|| word("period"))?,
        limit: Credits(row.int(5)?),
        window_start_ms: row.int(6)?,
        spent: Credits(row.int(7)?),
    })
}

fn load_runs(tx: &mut dyn Tx, commands: &[(i64, &Command)], working: &mut Working) -> Result<(), StoreError> {
    let mut wanted: BTreeSet<RunKey> = BTreeSet::new();
    for (_, command) in commands {
        if let Command::Accept(accept) = command
            && let Some(run) = &accept.run
        {
            let agent = accept.task.agent.as_ref().map_or("", AgentId::as_str).to_owned();
            wanted.insert((accept.account.clone(), agent, run.run_id.clone()));
        }
    }
    for task in working.tasks.values() {
        if let Some(run_id) = &task.run_id {
            wanted.insert((task.account.clone(), task.principal.clone(), run_id.clone()));
        }
    }
    let mut keys = Rows::new(3);
    for (account, agent, run_id) in &wanted {
        keys.push([account.as_str().into(), Param::from(agent), Param::from(run_id)]);
    }
    let sql = "SELECT r.account_id, r.agent_id, r.run_id, r.max_credits, r.spent FROM keys JOIN runs r \
               ON r.account_id = keys.account_id AND r.agent_id = keys.agent_id AND r.run_id = keys.run_id";
    for row in with_keys(tx, "account_id, agent_id, run_id", &[Type::Text; 3], &keys, sql)? {
        let key = (AccountId::from_stored(row.text(0)?), row.text(1)?, row.text(2)?);
        let run =
            Run { max_credits: row.opt_int(3)?.map(Credits), spent: Credits(row.int(4)?), changed: false };
        working.runs.insert(key, run);
    }
    Ok(())
}

fn load_references(
    tx: &mut dyn Tx,
    commands: &[(i64, &Command)],
    working: &mut Working,
) -> Result<(), StoreError> {
    let wanted: BTreeSet<(String, String)> =
        commands.iter().filter_map(|(_, c)| Some((c.account().to_string(), c.reference()?))).collect();
    let mut keys = Rows::new(2);
    wanted.iter().for_each(|(account, reference)| keys.push([Param::from(account), Param::from(reference)]));
    let sql = "SELECT e.account_id, e.reference, e.kind, e.task_id, e.amount FROM keys JOIN entries e \
               ON e.account_id = keys.account_id AND e.reference = keys.reference";
    for row in with_keys(tx, "account_id, reference", &[Type::Text; 2], &keys, sql)? {
        let key = (AccountId::from_stored(row.text(0)?), row.text(1)?);
        let kind = EntryKind::parse(row.str(2)?)
            .ok_or_else(|| StoreError::Other("an entry has an unknown kind".to_owned()))?;
        let task = row.opt_text(3)?.map(TaskId::from_stored);
        working.references.insert(key, Reference { kind, task, amount: Credits(row.int(4)?) });
    }
    Ok(())
}
