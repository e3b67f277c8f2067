//! What the demo made and what it cost.
//!
//! Invariant: a receipt whose numbers don't add up fails the demo. Not here: where the numbers come from
//! (`walk`).

use super::{choice::Choice, steps::Steps};
use crate::{
    failure::Failure,
    table::page,
    terminal::Style,
    words::{credits, grouped, size},
};
use rynjer_api::{Output, OutputType, TaskAnswer, TaskStatus};
use serde_json::{Value, json};
use std::path::PathBuf;

/// An output with its file.
pub(super) struct Saved {
    pub(super) path: PathBuf,
    pub(super) output: Output,
}

/// Everything that is worth keeping.
pub(super) struct Receipt {
    pub(super) choice: Choice,
    pub(super) estimated: i64,
    pub(super) price_version: String,
    /// Held at acceptance.
    pub(super) held: i64,
    pub(super) before: i64,
    pub(super) after: i64,
    /// Still held at the end.
    pub(super) held_after: i64,
    pub(super) agent_id: String,
    pub(super) task: TaskAnswer,
    pub(super) saved: Vec<Saved>,
}

impl Receipt {
    /// The file of the first picture, if there is one.
    pub(super) fn picture(&self) -> Option<Vec<u8>> {
        let picture = self.saved.iter().find(|saved| saved.output.kind == OutputType::Image)?;
        std::fs::read(&picture.path).ok()
    }

    /// For programs.
    pub(super) fn object(&self, steps: &Steps) -> Value {
        let task = &self.task;
        let outputs: Vec<Value> = self.saved.iter().map(output_object).collect();
        json!({
            "ok": self.verdict().is_ok(),
            "product": self.choice.product.as_str(),
            "model": task.model,
            "served_by": task.served_by,
            "mode": task.mode,
            "prompt": self.choice.prompt,
            "status": task.status,
            "task_id": task.task_id,
            "request_id": task.request_id,
            "usage_event_id": task.usage_event_id,
            "agent_id": self.agent_id,
            "price_version": self.price_version,
            "credits": {
                "estimated": self.estimated,
                "held": self.held,
                "charged": task.credits.charged,
                "released": task.credits.released,
            },
            "balance": {"before": self.before, "after": self.after},
            "outputs": outputs,
            "error": task.error,
            "elapsed_ms": steps.elapsed_ms(),
            "steps": steps.objects(),
        })
    }

    /// For people.
    pub(super) fn text(&self, style: Style) -> String {
        let task = &self.task;
        let served_by = task.served_by.as_deref().unwrap_or("nobody");
        let mut lines = vec![
            ("prompt", self.choice.prompt.clone()),
            ("model", task.model.clone()),
            ("served by", format!("{served_by} (test credits, no real money)")),
        ];
        lines.extend(self.saved.iter().map(|saved| ("output", describe(&saved.output))));
        let cost = [
            ("estimated", self.estimated),
            ("held", self.held),
            ("charged", task.credits.charged),
            ("released", task.credits.released),
        ];
        let cost: Vec<String> = cost.iter().map(|(word, n)| format!("{} {word}", grouped(*n))).collect();
        lines.extend([
            ("credits", cost.join(" · ")),
            (
                "balance",
                format!(
                    "{} − {} = {}",
                    grouped(self.before),
                    grouped(task.credits.charged),
                    grouped(self.after)
                ),
            ),
            ("task", task.task_id.clone()),
            ("request", task.request_id.clone()),
        ]);
        lines.extend(self.saved.iter().map(|saved| ("file", saved.path.display().to_string())));
        format!("{}\n{}", style.bold("Receipt"), page(style, &lines))
    }

    /// Whether all went well and the numbers add up.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let task = &self.task;
        let adds_up = self.before - task.credits.charged == self.after
            && task.credits.charged + task.credits.released == self.held
            && self.held_after == 0
            && task.credits.held == 0;
        if !adds_up {
            let message = format!(
                "the credits do not add up: {} before, {} held, {} charged, {} released, {} after",
                self.before, self.held, task.credits.charged, task.credits.released, self.after
            );
            return Err(Failure::failed(message));
        }
        if task.status == TaskStatus::Success && !self.saved.is_empty() {
            return Ok(());
        }
        let reason = task.error.as_ref().map_or("it was not made", |error| error.message.as_str());
        Err(Failure::failed(format!("the task failed: {reason}; {} charged", credits(task.credits.charged))))
    }
}

fn output_object(saved: &Saved) -> Value {
    let output = &saved.output;
    json!({
        "path": saved.path.to_string_lossy(),
        "type": output.kind,
        "mime": output.mime,
        "width": output.width,
        "height": output.height,
        "duration_seconds": output.duration_seconds,
        "bytes": output.bytes,
        "sha256": output.sha256,
        "sandbox": output.sandbox,
    })
}

/// Type, pixels, length and size of an output.
fn describe(output: &Output) -> String {
    let pixels = output.width.zip(output.height).map(|(width, height)| format!("{width} × {height}"));
    let length = output.duration_seconds.map(|seconds| format!("{seconds:.1} s"));
    let bytes = Some(size(u64::try_from(output.bytes).unwrap_or_default()));
    let parts = [Some(output.mime.clone()), pixels, length, bytes];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
