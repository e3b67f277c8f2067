//! `admin audit`: prove the ledger.
//!
//! Invariant: exits 0 only if nothing at all is wrong. Not here: the invariants themselves
//! (`store::ledger::audit`).

use super::open;
use crate::{cli::Place, failure::Failure, print, table::table, terminal, words::count};
use serde_json::{Value, json};

/// Runs `rynjer admin audit`.
pub(super) async fn run(place: Place, json: bool) -> Result<(), Failure> {
    let report = open(&place)?.audit().await?;
    let sound = report.findings.is_empty() && report.damage.is_none();
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|f| json!({"invariant": f.invariant, "account_id": f.account_id, "detail": f.detail}))
        .collect();
    let value =
        json!({"ok": sound, "accounts": report.accounts, "findings": findings, "damage": report.damage});
    if json || !report.findings.is_empty() {
        print::answer(json, &value, |style| {
            let cells = report.findings.iter();
            let cells = cells.map(|f| vec![f.invariant.to_string(), f.account_id.clone(), f.detail.clone()]);
            table(style, &[">INVARIANT", "ACCOUNT", "WHAT IS WRONG"], &cells.collect::<Vec<_>>())
        })?;
    }
    if sound {
        if !json {
            let tick = terminal::stdout().green("✓");
            print::line(&format!("{tick} {} audited, nothing is wrong", accounts(report.accounts)))?;
        }
        return Ok(());
    }
    let damage = report.damage.map(|damage| format!("the database file is damaged: {damage}"));
    let broken = (!findings.is_empty()).then(|| {
        let broken = if findings.len() == 1 { "invariant is" } else { "invariants are" };
        format!("{} {broken} broken", findings.len())
    });
    let sentences: Vec<String> = damage.into_iter().chain(broken).collect();
    Err(Failure::failed(sentences.join("; "))
        .suggest("stop the gateway, keep a copy of the data folder, then look"))
}

fn accounts(number: usize) -> String {
    count(number, "account", "accounts")
}
