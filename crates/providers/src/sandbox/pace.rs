//! When a job ends, as its id tells, and how often it is worth asking.
//!
//! Invariant: everything about a job's time is in its id and its prompt, so nothing is remembered between
//! calls. Not here: clocks (the time comes with the job), what happens when the time has come.

/// The start of every job id of this provider.
const ID_PREFIX: &str = "sbx_";
/// In place of a time in the id of a job that never ends.
const NEVER: &str = "never";
/// The longest pause between two polls.
pub(super) const MAX_POLL_AFTER_MS: u32 = 5_000;
/// The shortest, unless the job ends sooner.
const MIN_POLL_AFTER_MS: u32 = 250;

/// When a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// Milliseconds since 1970.
    At(i64),
    Never,
}

impl Ready {
    /// The job's id upstream; the nonce makes the id of each attempt its own.
    pub(super) fn job_id(self, nonce: &str) -> String {
        match self {
            Self::At(ready_ms) => format!("{ID_PREFIX}{ready_ms}_{nonce}"),
            Self::Never => format!("{ID_PREFIX}{NEVER}_{nonce}"),
        }
    }

    /// Reads an id back; nothing if it is none of ours.
    pub(super) fn of_job(id: &str) -> Option<Self> {
        let rest = id.strip_prefix(ID_PREFIX)?;
        let time = rest.split_once('_').map_or(rest, |(time, _)| time);
        if time == NEVER { Some(Self::Never) } else { time.parse().ok().map(Self::At) }
    }
}

/// About ten polls over the whole time, and one when it is over.
pub(super) fn pause_ms(remaining_ms: i64, total_ms: i64) -> u32 {
    let pause_ms = milliseconds(total_ms / 10).clamp(MIN_POLL_AFTER_MS, MAX_POLL_AFTER_MS);
    pause_ms.min(milliseconds(remaining_ms))
}

fn milliseconds(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

/// The share that is over, in hundredths; unknown when the prompt no longer tells the total.
pub(super) fn progress(remaining_ms: i64, total_ms: i64) -> Option<f32> {
    let remaining = remaining_ms.saturating_mul(100).checked_div(total_ms)?;
    let hundredths = u8::try_from(100_i64.saturating_sub(remaining).clamp(0, 99)).ok()?;
    Some(f32::from(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_the_time() {
        for (ready, id) in [(Ready::At(1_770), "sbx_1770_n_1"), (Ready::Never, "sbx_never_n_1")] {
            assert_eq!(ready.job_id("n_1"), id);
            assert_eq!(Ready::of_job(id), Some(ready));
        }
        assert_eq!(Ready::of_job("sbx_5"), Some(Ready::At(5)));
        for foreign in ["", "abc", "sbx_", "sbx_x_n1", "sbx_99999999999999999999", "5"] {
            assert_eq!(Ready::of_job(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn pauses_follow_the_whole_time() {
        let table = [
            (600_000, 600_000, 5_000),
            (60_000, 60_000, 5_000),
            (2_000, 2_000, 250),
            (100, 2_000, 100),
            (0, 0, 0),
            (i64::MAX, i64::MAX, 5_000),
        ];
        for (remaining_ms, total_ms, expected) in table {
            assert_eq!(pause_ms(remaining_ms, total_ms), expected);
        }
    }

    #[test]
    fn progress_stays_below_the_end() {
        let found = [(10, 10), (5, 10), (1, 1_000), (20, 10), (5, 0)].map(|(left, all)| progress(left, all));
        assert_eq!(found, [Some(0.0), Some(0.5), Some(0.99), Some(0.0), None]);
    }
}
