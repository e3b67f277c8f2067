//! `admin account`: make, list, show, freeze, export, close, grant, take back.
//!
//! Invariant: what has a reference is given or taken once. Not here: budgets of an account (`budget`).

use super::{account_id, account_row, budget, moment, open, rfc3339};
use crate::{
    cli::{Place, admin::Account, value::AccountName},
    failure::Failure,
    folder, print,
    serve::settings,
    table::{page, table},
    terminal::Style,
    words::{count, credits, grouped},
};
use data_encoding::HEXLOWER;
use rynjer_server::app::admin::Admin;
use rynjer_store::account::AccountRow;
use serde_json::{Value, json};
use std::path::Path;

/// What a test account starts with unless told otherwise; the gateway gives its new owners as many.
const TEST_CREDITS: i64 = 1000;

/// Runs `rynjer admin account …`.
pub(super) async fn run(command: Account, json: bool) -> Result<(), Failure> {
    match command {
        Account::Create { email, credits, live, place } => {
            let admin = open(&place)?;
            let credits = credits.unwrap_or(if live { 0 } else { TEST_CREDITS });
            let row = admin.account_create(&email, live, credits).await?;
            print::answer(json, &object(&row), |style| one(style, &row))?;
            let place = folder::data_dir(place.data_dir.as_deref())
                .map(|data_dir| folder::arguments(&place, &data_dir))
                .unwrap_or_default();
            let next = format!("next: rynjer admin key create --account {} {place}", row.id);
            print::hint(json, next.trim_end());
            Ok(())
        }
        Account::List(at) => list(&open(&at.place)?, json).await,
        Account::Show { account, place } => show(&open(&place)?, &account, json).await,
        Account::Freeze { account, reason, thaw: _, place } => {
            let admin = open(&place)?;
            let id = account_id(&admin, &account).await?;
            let row = admin.account_freeze(&id, reason).await?;
            print::answer(json, &object(&row), |style| one(style, &row))
        }
        Account::Export { account, out, config, place } => {
            export(&open(&place)?, &account, &out, (config.as_deref(), &place), json).await
        }
        Account::Close { account, yes: _, place } => {
            let admin = open(&place)?;
            let id = account_id(&admin, &account).await?;
            let row = admin.account_close(&id).await?;
            print::answer(json, &object(&row), |style| one(style, &row))?;
            print::hint(json, "a running gateway deletes the files within a day");
            Ok(())
        }
        Account::Grant { account, credits, reference, place } => {
            grant(&open(&place)?, &account, credits, reference, json).await
        }
        Account::Clawback { account, credits, reference, place } => {
            clawback(&open(&place)?, &account, credits, &reference, json).await
        }
    }
}

async fn list(admin: &Admin, json: bool) -> Result<(), Failure> {
    let rows = admin.account_list().await?;
    let objects: Vec<Value> = rows.iter().map(object).collect();
    print::answer(json, &json!({"accounts": objects}), |style| {
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.email.clone(),
                row.mode.clone(),
                grouped(row.books.available.0),
                grouped(row.books.held.0),
                grouped(row.books.revenue.0),
                grouped(row.open_tasks),
                state(row).to_owned(),
            ]
        });
        let headings =
            ["ACCOUNT", "E-MAIL", "MODE", ">AVAILABLE", ">HELD", ">CHARGED", ">OPEN TASKS", "STATE"];
        table(style, &headings, &cells.collect::<Vec<_>>())
    })?;
    print::hint(json, &count(rows.len(), "account", "accounts"));
    Ok(())
}

async fn show(admin: &Admin, name: &AccountName, json: bool) -> Result<(), Failure> {
    let row = account_row(admin, name).await?;
    let budgets = admin.budget_list(&row.id).await?;
    let now_ms = admin.clock.now_ms();
    let mut value = object(&row);
    value["budgets"] = budget::objects(&budgets, now_ms).into();
    print::answer(json, &value, |style| {
        let mut text = one(style, &row);
        if !budgets.is_empty() {
            text.push_str("\n\n");
            text.push_str(&budget::rows(style, &budgets, now_ms));
        }
        text
    })
}

async fn grant(
    admin: &Admin,
    name: &AccountName,
    amount: i64,
    reference: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let id = account_id(admin, name).await?;
    let reference = match reference {
        Some(reference) => reference,
        None => fresh_reference(),
    };
    let replayed = admin.account_grant(&id, amount, &reference).await?;
    let row = admin.account_show(&id).await?;
    let mut value = object(&row);
    value["granted"] = if replayed { 0 } else { amount }.into();
    value["reference"] = reference.as_str().into();
    value["replayed"] = replayed.into();
    print::answer(json, &value, |style| {
        let granted =
            if replayed { format!("nothing more: {reference} was granted before") } else { credits(amount) };
        let available = credits(row.books.available.0);
        page(
            style,
            &[
                ("account", row.id.to_string()),
                ("granted", granted),
                ("reference", reference),
                ("available", available),
            ],
        )
    })
}

async fn export(
    admin: &Admin,
    name: &AccountName,
    out: &Path,
    (config, place): (Option<&Path>, &Place),
    json: bool,
) -> Result<(), Failure> {
    let id = account_id(admin, name).await?;
    let storage = settings::without_flags(config)?.config.storage;
    let data_dir = folder::data_dir(place.data_dir.as_deref()).unwrap_or_default();
    let told = admin.account_export(&id, (&storage, &data_dir), out).await?;
    let value = json!({
        "account_id": id.as_str(), "file": out.display().to_string(), "tasks": told.tasks,
        "entries": told.entries, "files": told.files, "uploads": told.uploads, "missing": told.missing,
    });
    print::answer(json, &value, |style| {
        let rows = [
            ("account", id.to_string()),
            ("written", out.display().to_string()),
            ("tasks", told.tasks.to_string()),
            ("ledger", count(usize::try_from(told.entries).unwrap_or(usize::MAX), "entry", "entries")),
            ("files", told.files.to_string()),
        ];
        page(style, &rows)
    })?;
    if !told.missing.is_empty() {
        print::hint(json, &format!("not in the storage any more: {}", told.missing.join(", ")));
    }
    Ok(())
}

async fn clawback(
    admin: &Admin,
    name: &AccountName,
    amount: i64,
    reference: &str,
    json: bool,
) -> Result<(), Failure> {
    let id = account_id(admin, name).await?;
    let replayed = admin.account_clawback(&id, amount, reference).await?;
    let row = admin.account_show(&id).await?;
    let mut value = object(&row);
    value["taken_back"] = if replayed { 0 } else { amount }.into();
    value["reference"] = reference.into();
    value["replayed"] = replayed.into();
    print::answer(json, &value, |style| {
        let taken =
            if replayed { format!("nothing more: {reference} was taken before") } else { credits(amount) };
        let mut lines = vec![
            ("account", row.id.to_string()),
            ("taken back", taken),
            ("reference", reference.to_owned()),
            ("available", credits(row.books.available.0)),
        ];
        if row.books.owed.0 != 0 {
            lines.push(("owed", credits(row.books.owed.0)));
        }
        page(style, &lines)
    })
}

fn fresh_reference() -> String {
    format!("admin-{}", HEXLOWER.encode(&rynjer_server::entropy::bytes::<8>()))
}

/// An account for programs.
fn object(row: &AccountRow) -> Value {
    json!({
        "account_id": row.id.as_str(),
        "email": row.email,
        "mode": row.mode,
        "available": row.books.available.0,
        "held": row.books.held.0,
        "charged": row.books.revenue.0,
        "owed": row.books.owed.0,
        "open_tasks": row.open_tasks,
        "frozen": row.frozen_reason.is_some(),
        "frozen_reason": row.frozen_reason,
        "paused": row.paused_at_ms.is_some(),
        "closed": row.closed_at_ms.is_some(),
        "created_at": rfc3339(Some(row.created_at_ms)),
    })
}

fn state(row: &AccountRow) -> &'static str {
    match (row.closed_at_ms, &row.frozen_reason, row.paused_at_ms) {
        (Some(_), _, _) => "closed",
        (None, Some(_), _) => "frozen",
        (None, None, Some(_)) => "paused",
        (None, None, None) => "active",
    }
}

/// An account for people.
fn one(style: Style, row: &AccountRow) -> String {
    let mut lines = vec![
        ("account", row.id.to_string()),
        ("e-mail", row.email.clone()),
        ("mode", row.mode.clone()),
        ("available", credits(row.books.available.0)),
        ("held", credits(row.books.held.0)),
        ("charged", credits(row.books.revenue.0)),
        ("open tasks", grouped(row.open_tasks)),
        ("made", moment(Some(row.created_at_ms))),
    ];
    if row.books.owed.0 != 0 {
        lines.push(("owed", credits(row.books.owed.0)));
    }
    if row.paused_at_ms.is_some() {
        lines.push(("paused", moment(row.paused_at_ms)));
    }
    if let Some(reason) = &row.frozen_reason {
        lines.push(("frozen", reason.clone()));
    }
    page(style, &lines)
}
