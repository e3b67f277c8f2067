//! `admin move`: the installation into another database.
//!
//! Invariant: tells what is in the target, table by table, as both sides were compared. Not here: how
//! (`store::relocation`).

use crate::{failure::Failure, print, table::table};
use rynjer_server::relocation;
use serde_json::{Value, json};

/// Runs `rynjer admin move`.
pub(super) fn run(from: &str, to: &str, json: bool) -> Result<(), Failure> {
    let done = relocation::relocate(from, to).map_err(|error| Failure::failed(error.to_string()))?;
    let rows: Vec<(&str, u64, String)> =
        done.tables.iter().map(|(name, digest)| (*name, digest.rows, hex(&digest.sha256))).collect();
    let tables: Vec<Value> = rows
        .iter()
        .map(|(name, count, sha256)| json!({"table": name, "rows": count, "sha256": sha256}))
        .collect();
    let value = json!({
        "accounts": done.accounts,
        "findings": done.findings.len(),
        "copied": !done.was_there,
        "tables": tables,
    });
    print::answer(json, &value, |style| {
        let cells = rows.iter().map(|(name, count, sha256)| {
            vec![(*name).to_owned(), count.to_string(), sha256.get(..16).unwrap_or_default().to_owned()]
        });
        table(style, &["TABLE", ">ROWS", "SHA-256, EQUAL ON BOTH SIDES"], &cells.collect::<Vec<_>>())
    })?;
    print::hint(
        json,
        "the old database takes nothing more. Serve with --database-url, the same outputs and master \
         key: without the data folder, set RYNJER_MASTER_KEY to what its file master.key says",
    );
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
