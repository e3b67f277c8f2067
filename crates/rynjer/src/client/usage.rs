//! `usage`: what was spent, as a table, as CSV, or as one signed receipt.
//!
//! Invariant: totals are sums of what is shown, no more and no less. Not here: checking receipts (`receipt`).

use super::{
    account::object,
    moment,
    session::Session,
    task::{page_limit, parameters, wanted},
    wait::status_word,
};
use crate::{
    cli::client::Usage,
    failure::Failure,
    print,
    table::table,
    terminal,
    words::{count, grouped},
};
use rynjer_api::{TaskCredits, UsageEvent};

/// Runs `rynjer usage`.
pub(super) async fn run(arguments: Usage, json: bool) -> Result<(), Failure> {
    let mut session = Session::open(&arguments.reach)?;
    if let Some(id) = &arguments.receipt {
        let receipt = session.call(|client| async move { client.receipt(id).await }).await;
        let receipt =
            receipt.map_err(|trouble| Failure::from(trouble).naming(&format!("usage event {id}")))?;
        // The file is for keeping: one object on one line for programs, the same with line ends for people.
        let text = serde_json::to_string_pretty(&receipt).unwrap_or_else(|_| receipt.to_string());
        return print::line(&if json { receipt.to_string() } else { text });
    }
    let mut filter = Vec::new();
    filter.extend(arguments.from.clone().map(|from| ("from", from)));
    filter.extend(arguments.to.clone().map(|to| ("to", to)));
    if arguments.csv {
        return csv(&mut session, &filter, wanted(&arguments.paging)).await;
    }
    list(&mut session, &filter, wanted(&arguments.paging), json).await
}

async fn list(
    session: &mut Session,
    filter: &[(&str, String)],
    mut left: usize,
    json: bool,
) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    let (mut rows, mut sum) = (Vec::new(), TaskCredits::default());
    loop {
        let limit = page_limit(left);
        let asked = &parameters(filter, &limit, cursor.as_deref());
        let answer = session.call(|client| async move { client.usage(asked).await }).await?;
        left = left.saturating_sub(answer.events.len());
        for event in &answer.events {
            if json {
                print::line(&object(event)?.to_string())?;
            } else {
                sum.held += event.credits.held;
                sum.charged += event.credits.charged;
                sum.refunded += event.credits.refunded;
                rows.push(row(event));
            }
        }
        cursor = answer.next_cursor;
        if cursor.is_none() || left == 0 {
            break;
        }
    }
    if json {
        return Ok(());
    }
    let number = count(rows.len(), "task", "tasks");
    if !rows.is_empty() {
        rows.push(vec![
            "total".to_owned(),
            String::new(),
            String::new(),
            grouped(sum.held),
            grouped(sum.charged - sum.refunded),
            String::new(),
        ]);
        let headings = ["REQUEST", "STATUS", "MODEL", ">HELD", ">CHARGED", "ACCEPTED (UTC)"];
        print::line(&table(terminal::stdout(), &headings, &rows))?;
    }
    let more = if cursor.is_some() { "; there are more: --all" } else { "" };
    print::hint(json, &format!("{number}{more}"));
    Ok(())
}

fn row(event: &UsageEvent) -> Vec<String> {
    vec![
        event.request_id.clone(),
        status_word(event.status).to_owned(),
        event.model.clone(),
        grouped(event.credits.held),
        grouped(event.credits.charged - event.credits.refunded),
        moment(&event.created_at).get(5..16).unwrap_or_default().to_owned(),
    ]
}

async fn csv(session: &mut Session, filter: &[(&str, String)], mut left: usize) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    let mut headed = false;
    loop {
        let limit = page_limit(left);
        let asked = &parameters(filter, &limit, cursor.as_deref());
        let page = session.call(|client| async move { client.usage_table(asked).await }).await?;
        // Headings are once at the top. A quoted cell may hold line ends, but headings do not.
        let text = match (headed, page.text.split_once('\n')) {
            (true, Some((_, rows))) => rows,
            _ => &page.text,
        };
        print::text(text)?;
        headed = true;
        left = if left == usize::MAX { left } else { left.saturating_sub(limit.parse().unwrap_or(left)) };
        cursor = page.next_cursor;
        if cursor.is_none() || left == 0 {
            return Ok(());
        }
    }
}
