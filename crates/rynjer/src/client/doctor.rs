//! `doctor`: the first thing that is wrong, in one sentence, and what to do about it.
//!
//! Invariant: it changes nothing, and says that all is fine only after every check passed. Not here: the
//! checks (`client`, `installation`).

mod clock;
mod gateway;
mod installation;

use crate::{cli::client::Doctor, failure::Failure, plain, print, terminal};
use serde_json::{Value, json};

/// What was checked so far and is fine.
#[derive(Default)]
struct Checks {
    done: Vec<(&'static str, String)>,
}

impl Checks {
    /// A check passed.
    fn pass(&mut self, name: &'static str, detail: impl Into<String>) {
        self.done.push((name, detail.into()));
    }
}

/// Runs `rynjer doctor`.
pub(super) async fn run(arguments: Doctor, json: bool) -> Result<(), Failure> {
    let mut checks = Checks::default();
    let place = &arguments.place;
    let is_installation =
        place.data_dir.is_some() || place.database().is_some() || arguments.config.is_some();
    let result = if is_installation {
        installation::check(&arguments, &mut checks).await
    } else {
        gateway::check(&arguments.reach, &mut checks).await
    };
    let result = result.map_err(Failure::into_failed);
    if json {
        print::line(&object(&checks, result.as_ref().err()).to_string())?;
        return result;
    }
    let style = terminal::stdout();
    let width = checks.done.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = checks.done.iter().map(|(name, detail)| {
        let detail = plain::line(detail);
        format!("{} {}  {detail}", style.green("✓"), style.bold(&format!("{name:width$}")))
    });
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        print::line(&lines.join("\n"))?;
    }
    if result.is_ok() {
        print::hint(json, "all is fine");
    }
    result
}

fn object(checks: &Checks, fault: Option<&Failure>) -> Value {
    let done = checks.done.iter().map(|(name, detail)| json!({"check": name, "ok": true, "detail": detail}));
    let fault = fault.map(
        |fault| json!({"error": fault.code(), "message": fault.message(), "suggestion": fault.suggestion()}),
    );
    json!({"ok": fault.is_none(), "checks": done.collect::<Vec<_>>(), "fault": fault})
}
