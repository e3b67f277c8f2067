//! The steps of the demo as they are told: one line each, with the time it took.
//!
//! Invariant: a line is printed once its step is done, never before. Not here: bars (`progress`).

use crate::{print, terminal, words};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Width of the longest step's name.
const WIDTH: usize = 8;

/// What was done so far.
pub(super) struct Steps {
    begun: Instant,
    last: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Begins now.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { begun: now, last: now, done: Vec::new() }
    }

    /// The step that ran since the last one is done.
    pub(super) fn done(&mut self, name: &'static str, detail: &str) {
        let now = Instant::now();
        let took = now.duration_since(self.last);
        self.last = now;
        self.done.push((name, took));
        let style = terminal::stderr();
        let time = style.dim(&format!("({})", words::took(took)));
        let fill = " ".repeat(WIDTH.saturating_sub(name.len()));
        print::talk(&format!("{} {}{fill}  {detail} {time}", style.green("✓"), style.bold(name)));
    }

    /// Since the beginning.
    pub(super) fn elapsed_ms(&self) -> u64 {
        ms(self.last.duration_since(self.begun))
    }

    /// All steps for programs.
    pub(super) fn objects(&self) -> Vec<Value> {
        self.done.iter().map(|(name, took)| json!({"step": name, "ms": ms(*took)})).collect()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
