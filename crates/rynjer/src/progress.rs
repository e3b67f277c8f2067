//! A bar on stderr, while something takes time.
//!
//! Invariant: a pipe never sees one; it gets the line of the finished step alone. Not here: that line
//! (`demo`).

use crate::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(80);
/// Parts of a whole in a bar without units.
const WHOLE: u64 = 1000;

/// What shows that something goes on; gone once it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Something that tells how far it is.
    pub(crate) fn parts(label: &str) -> Self {
        Self::new(ProgressBar::new(WHOLE), "  {spinner} {msg} {bar:32} {percent:>3} %  {elapsed}", label)
    }

    /// Bytes, of which the number is promised.
    pub(crate) fn bytes(label: &str, total: u64) -> Self {
        Self::new(
            ProgressBar::new(total),
            "  {spinner} {msg} {bar:32} {decimal_bytes}/{decimal_total_bytes}",
            label,
        )
    }

    fn new(bar: ProgressBar, template: &str, label: &str) -> Self {
        if !terminal::shows_talk() {
            return Self { bar: ProgressBar::hidden() };
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        bar.set_message(label.to_owned());
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// How far it is, from 0 to 1.
    pub(crate) fn reach_share(&self, share: f64) {
        self.bar.set_position(permille(share));
    }

    /// How many bytes are there.
    pub(crate) fn reach_bytes(&self, done: u64) {
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn permille(share: f64) -> u64 {
    // Only a bar: a thousand comparisons are as good as a conversion, and need no cast.
    (0..=1000u32).rev().find(|step| f64::from(*step) <= share * 1000.0).map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_bar() {
        assert_eq!([0.0, 0.5, 1.0, 7.0, -1.0, f64::NAN].map(permille), [0, 500, 1000, 1000, 0, 0]);
    }
}
