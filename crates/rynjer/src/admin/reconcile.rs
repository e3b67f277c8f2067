//! `admin reconcile`: what vendors cost beside what was charged, and jobs that nobody was charged for.
//!
//! Invariant: a cost that nobody knows is told as unknown, never as zero. Not here: the sums
//! (`store::reconcile`).

use super::{moment, open, rfc3339};
use crate::{cli::Place, failure::Failure, print, table::table, terminal::Style, words::credits};
use rynjer_server::app::reconcile::Reckoning;
use rynjer_store::reconcile::OfModel;
use serde_json::{Value, json};

/// Runs `rynjer admin reconcile`.
pub(super) async fn run(place: Place, days: u32, credit_micro_usd: i64, json: bool) -> Result<(), Failure> {
    let reckoning = open(&place)?.reconcile(days).await?;
    print::answer(json, &value(&reckoning, credit_micro_usd), |style| {
        let parts = [
            ("Models", models(style, &reckoning, credit_micro_usd)),
            ("Attempts by vendor", routes(style, &reckoning)),
            ("Jobs that may be billed and were not charged", unmatched(style, &reckoning)),
        ];
        let since = moment(Some(reckoning.since_ms));
        let shown = parts.iter().filter(|(_, text)| !text.is_empty());
        let text: Vec<String> = shown.map(|(title, text)| format!("{title} since {since}\n{text}")).collect();
        if text.is_empty() { format!("no vendor was asked since {since}") } else { text.join("\n\n") }
    })
}

/// What was charged, in millionths of a US dollar; `None` if nobody said what a credit is worth.
fn revenue(model: &OfModel, credit_micro_usd: i64) -> Option<i64> {
    (credit_micro_usd > 0).then(|| model.charged.saturating_mul(credit_micro_usd))
}

fn margin(model: &OfModel, credit_micro_usd: i64) -> Option<i64> {
    let known = model.cost_unknown == 0;
    revenue(model, credit_micro_usd).filter(|_| known).map(|earned| earned - model.vendor_cost_micro_usd)
}

fn usd(micro: i64) -> String {
    let (sign, micro) = (if micro < 0 { "-" } else { "" }, micro.unsigned_abs());
    format!("{sign}{}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100)
}

fn value(reckoning: &Reckoning, credit_micro_usd: i64) -> Value {
    let models: Vec<Value> = reckoning
        .models
        .iter()
        .map(|of| {
            json!({"model": of.model, "tasks": of.tasks, "succeeded": of.succeeded, "charged": of.charged,
                "vendor_cost_micro_usd": of.vendor_cost_micro_usd, "cost_unknown": of.cost_unknown,
                "revenue_micro_usd": revenue(of, credit_micro_usd),
                "margin_micro_usd": margin(of, credit_micro_usd)})
        })
        .collect();
    let routes: Vec<Value> = reckoning
        .routes
        .iter()
        .map(|of| {
            json!({"provider": of.provider, "model": of.model, "state": of.state, "attempts": of.attempts,
                "vendor_cost_micro_usd": of.vendor_cost_micro_usd})
        })
        .collect();
    let unmatched: Vec<Value> = reckoning
        .unmatched
        .iter()
        .map(|of| {
            json!({"account_id": of.account, "task_id": of.task, "attempt_id": of.attempt,
                "provider": of.provider, "model": of.model, "provider_task_id": of.provider_task_id,
                "at": rfc3339(Some(of.at_ms)), "loss": of.loss})
        })
        .collect();
    json!({"since": rfc3339(Some(reckoning.since_ms)), "models": models, "routes": routes,
        "unmatched": unmatched})
}

fn models(style: Style, reckoning: &Reckoning, credit_micro_usd: i64) -> String {
    if reckoning.models.is_empty() {
        return String::new();
    }
    let cells = reckoning.models.iter().map(|of| {
        let cost = usd(of.vendor_cost_micro_usd);
        let cost = if of.cost_unknown > 0 { format!("{cost} + {} unknown", of.cost_unknown) } else { cost };
        vec![
            of.model.clone(),
            of.tasks.to_string(),
            of.succeeded.to_string(),
            credits(of.charged),
            cost,
            margin(of, credit_micro_usd).map_or("-".to_owned(), usd),
        ]
    });
    let heads = ["MODEL", ">TASKS", ">SUCCEEDED", ">CHARGED", ">COST USD", ">MARGIN USD"];
    table(style, &heads, &cells.collect::<Vec<_>>())
}

fn routes(style: Style, reckoning: &Reckoning) -> String {
    if reckoning.routes.is_empty() {
        return String::new();
    }
    let cells = reckoning.routes.iter().map(|of| {
        let cost = usd(of.vendor_cost_micro_usd);
        vec![of.provider.clone(), of.model.clone(), of.state.clone(), of.attempts.to_string(), cost]
    });
    let heads = ["VENDOR", "MODEL", "ENDED", ">ATTEMPTS", ">COST USD"];
    table(style, &heads, &cells.collect::<Vec<_>>())
}

fn unmatched(style: Style, reckoning: &Reckoning) -> String {
    if reckoning.unmatched.is_empty() {
        return String::new();
    }
    let cells = reckoning.unmatched.iter().map(|of| {
        let job =
            if of.provider_task_id.is_empty() { "unknown".to_owned() } else { of.provider_task_id.clone() };
        vec![moment(Some(of.at_ms)), of.provider.clone(), of.task.clone(), job, credits(of.loss)]
    });
    table(style, &["WHEN", "VENDOR", "TASK", "VENDOR'S JOB", ">LOSS"], &cells.collect::<Vec<_>>())
}
