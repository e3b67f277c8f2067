//! `admin task`: look at one generation, and give back what it was charged.
//!
//! Invariant: the prompt is shown to nobody here; it belongs to the owner. Not here: what a task does.

use super::{moment, open, rfc3339};
use crate::{
    cli::admin::Task,
    failure::Failure,
    print,
    table::{page, table},
    terminal::Style,
    words::{credits, size},
};
use rynjer_store::{output::OutputRow, task::TaskRow};
use serde_json::{Value, json};

/// Runs `rynjer admin task …`.
pub(super) async fn run(command: Task, json: bool) -> Result<(), Failure> {
    match command {
        Task::Show { task: id, place } => {
            let found = open(&place)?.task_show(&id).await;
            let task = found.map_err(|error| Failure::from(error).naming(&format!("task {id}")))?;
            print::answer(json, &object(&task), |style| one(style, &task))
        }
        Task::Refund { task: id, credits: amount, reference, place } => {
            let admin = open(&place)?;
            let refunded = admin.task_refund(&id, amount, &reference).await;
            let refunded = refunded.map_err(|error| Failure::from(error).naming(&format!("task {id}")))?;
            let task = admin.task_show(&id).await?;
            let mut value = object(&task);
            value["given_back"] = if refunded.replayed { 0 } else { refunded.amount.0 }.into();
            value["reference"] = reference.as_str().into();
            value["replayed"] = refunded.replayed.into();
            print::answer(json, &value, |style| {
                let given = if refunded.replayed {
                    format!("nothing more: {reference} was given before")
                } else {
                    credits(refunded.amount.0)
                };
                let lines = [
                    ("task", task.id.to_string()),
                    ("given back", given),
                    ("reference", reference),
                    ("refunded", credits(task.refunded.0)),
                    ("charged", credits(task.charged.0)),
                ];
                page(style, &lines)
            })
        }
    }
}

fn object(task: &TaskRow) -> Value {
    let outputs: Vec<Value> = task.outputs.iter().map(output).collect();
    json!({
        "task_id": task.id.as_str(),
        "request_id": task.request_id,
        "account_id": task.account.as_str(),
        "agent_id": Some(&task.agent_id).filter(|id| !id.is_empty()),
        "usage_event_id": task.usage_id,
        "status": task.status.as_str(),
        "step": task.step.as_str(),
        "model": task.model,
        "product": task.product,
        "mode": task.mode,
        "served_by": task.provider,
        "provider_task_id": task.provider_task_id,
        "price_version": task.price_version,
        "unit_price": task.unit_price.0,
        "count": task.count,
        "credits": {
            "held": task.held.0,
            "charged": task.charged.0,
            "released": task.released.0,
            "refunded": task.refunded.0,
        },
        "run_id": task.run_id,
        "error": task.error_code,
        "error_message": task.error_message,
        "outputs": outputs,
        "created_at": rfc3339(Some(task.created_at_ms)),
        "finished_at": rfc3339(task.finished_at_ms),
    })
}

fn output(row: &OutputRow) -> Value {
    json!({
        "index": row.index,
        "type": row.kind,
        "mime": row.mime,
        "width": row.width,
        "height": row.height,
        "duration_ms": row.duration_ms,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "object_key": row.object_key,
        "deleted_at": rfc3339(row.deleted_at_ms),
    })
}

fn one(style: Style, task: &TaskRow) -> String {
    let mut lines = vec![
        ("task", task.id.to_string()),
        ("request", task.request_id.clone()),
        ("account", task.account.to_string()),
        ("agent", if task.agent_id.is_empty() { "-".to_owned() } else { task.agent_id.clone() }),
        ("status", format!("{} ({})", task.status.as_str(), task.step.as_str())),
        ("model", format!("{} × {}", task.model, task.count)),
        ("served by", task.provider.clone()),
        ("held", credits(task.held.0)),
        ("charged", credits(task.charged.0)),
        ("released", credits(task.released.0)),
        ("made", moment(Some(task.created_at_ms))),
        ("finished", moment(task.finished_at_ms)),
    ];
    if let Some(code) = &task.error_code {
        lines.push(("error", format!("{code}: {}", task.error_message.as_deref().unwrap_or_default())));
    }
    let mut text = page(style, &lines);
    if !task.outputs.is_empty() {
        let cells = task.outputs.iter().map(|row| {
            vec![
                row.index.to_string(),
                row.mime.clone(),
                size(u64::try_from(row.bytes).unwrap_or_default()),
                row.sha256.clone(),
                moment(row.deleted_at_ms),
            ]
        });
        let headings = [">OUTPUT", "TYPE", ">SIZE", "SHA-256", "DELETED"];
        text.push_str("\n\n");
        text.push_str(&table(style, &headings, &cells.collect::<Vec<_>>()));
    }
    text
}
