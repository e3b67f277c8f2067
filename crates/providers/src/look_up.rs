//! What all look-ups in vendors' lists have in common: when a job may have been made, and what is in doubt.
//!
//! Invariant: a row of the list that is the job by all but its time, or that does not tell all, is neither
//! found nor absent. Not here: what else a row must have in common with a job (each adapter).

use crate::{ProviderError, upstream::Answer};

/// How far a vendor's clock may be behind ours for a job to count as found; some tell whole seconds.
const BEHIND_MS: i64 = 5_000;
/// A submit takes at most a minute, and the vendor's clock may be ahead of ours by another.
const AHEAD_MS: i64 = 120_000;
/// What is older than this was made before the submit, whatever both clocks say.
const OLDEST_MS: i64 = 60_000;
/// Pictures that come slowly and the turn of a submit take three minutes more.
const LATEST_MS: i64 = 300_000;
/// A vendor's clock that is behind by no more is as good as ours: seconds are whole.
const SAME_CLOCK_MS: i64 = 5_000;
/// One that is ahead by no more may be as good: an answer tells when it was written, and takes up to 30
/// seconds. What that hides is less than [`AHEAD_MS`] leaves room for.
const SLOW_ANSWER_MS: i64 = 35_000;
/// Of a vendor whose clock differs by more nobody knows when its jobs were made.
const CLOCKS_APART_MAX_MS: i64 = 3_600_000;

/// What was found so far of a job whose submit began at `started_at_ms`.
///
/// A job was made when its vendor says so, by the vendor's clock. How far that is from ours, the `Date` of
/// its first answer tells. A job counts as found by that difference. Nothing counts as absent that may be the
/// job either with the difference or without it: what answers may have another clock than what notes jobs.
#[derive(Debug)]
pub(crate) struct Finds {
    started_at_ms: i64,
    /// The time here when the list was asked for.
    now_ms: i64,
    /// How far the vendor's clock is ahead of ours, once an answer has told.
    ahead_ms: Option<i64>,
    /// With how far from the begin of the submit they were made.
    sure: Vec<(u64, String)>,
    doubt: bool,
}

impl Finds {
    #[must_use]
    pub(crate) fn new(started_at_ms: i64, now_ms: i64) -> Self {
        Self { started_at_ms, now_ms, ahead_ms: None, sure: Vec::new(), doubt: false }
    }

    /// Compares the clocks by the first answer. One that does not tell the time has the same as ours.
    ///
    /// # Errors
    /// They are too far apart for a time of the vendor's to mean anything.
    pub(crate) fn compare_clocks(&mut self, answer: &Answer) -> Result<(), ProviderError> {
        if self.ahead_ms.is_some() {
            return Ok(());
        }
        let ahead_ms = answer.date_ms().map_or(0, |date_ms| date_ms.saturating_sub(self.now_ms));
        let apart_ms = ahead_ms.saturating_abs();
        if apart_ms > CLOCKS_APART_MAX_MS {
            tracing::warn!(
                apart_s = apart_ms / 1000,
                "a vendor's clock is too far from ours to find a job by"
            );
            return Err(unreadable("the vendor's clock is too far from ours to tell when a job was made"));
        }
        let is_same = (-SAME_CLOCK_MS..=SLOW_ANSWER_MS).contains(&ahead_ms);
        self.ahead_ms = Some(if is_same { 0 } else { ahead_ms });
        Ok(())
    }

    fn ahead_ms(&self) -> i64 {
        self.ahead_ms.unwrap_or(0)
    }

    /// Whether a row was made too long before the submit to be its job.
    #[must_use]
    pub(crate) fn is_too_old(&self, made_ms: Option<i64>) -> bool {
        let oldest_ms = self.started_at_ms.saturating_sub(OLDEST_MS).saturating_add(self.ahead_ms().min(0));
        made_ms.is_some_and(|made_ms| made_ms < oldest_ms)
    }

    /// Whether a row may be the job by its time; one that tells none may.
    #[must_use]
    pub(crate) fn may_be(&self, made_ms: Option<i64>) -> bool {
        let latest_ms = self.started_at_ms.saturating_add(LATEST_MS).saturating_add(self.ahead_ms().max(0));
        !self.is_too_old(made_ms) && made_ms.is_none_or(|made_ms| made_ms <= latest_ms)
    }

    /// Takes in a row that may be the job. `is_sure` says that all but its time is known to be the job's.
    pub(crate) fn add(&mut self, id: String, made_ms: Option<i64>, is_sure: bool) {
        if !self.may_be(made_ms) {
            return;
        }
        let after = |made_ms: i64| made_ms.saturating_sub(self.ahead_ms()).saturating_sub(self.started_at_ms);
        match made_ms.map(after).filter(|after_ms| (-BEHIND_MS..=AHEAD_MS).contains(after_ms)) {
            Some(after_ms) if is_sure => self.sure.push((after_ms.unsigned_abs(), id)),
            _ => self.doubt = true,
        }
    }

    /// The ids of what is the job, those made nearest to its submit first; none if there is none.
    ///
    /// # Errors
    /// There is none but what is in doubt.
    pub(crate) fn ids(mut self) -> Result<Vec<String>, ProviderError> {
        if self.sure.is_empty() && self.doubt {
            return Err(unreadable("the vendor's list does not tell whose a job of that time is"));
        }
        self.sure.sort_by_key(|(apart_ms, _)| *apart_ms);
        Ok(self.sure.into_iter().map(|(_, id)| id).collect())
    }
}

/// A list that can't be read in full proves nothing.
pub(crate) fn unreadable(message: &str) -> ProviderError {
    ProviderError::Ambiguous { message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of rows, each with its time and whether it is sure, at a vendor whose clock is ahead.
    fn of(ahead_ms: i64, rows: &[(Option<i64>, bool)]) -> Option<Vec<String>> {
        let mut finds = Finds { ahead_ms: Some(ahead_ms), ..Finds::new(1_000_000, 1_090_000) };
        rows.iter().for_each(|(at, is_sure)| finds.add(format!("{at:?}"), *at, *is_sure));
        finds.ids().ok()
    }

    #[test]
    fn times() {
        let none = Some(Vec::new());
        let all = [1_120_000, 1_001_000, 995_000].map(|at| (Some(at), true));
        let near = [1_001_000, 995_000, 1_120_000].map(|at| format!("{:?}", Some(at)));
        assert_eq!(of(0, &all), Some(near.to_vec()));
        assert_eq!(of(0, &[(Some(1_300_001), true)]), none);
        assert_eq!(of(0, &[(Some(939_999), true)]), none);
        for doubtful in [
            (Some(994_999), true),
            (Some(940_000), true),
            (Some(1_120_001), true),
            (Some(1_300_000), true),
            (Some(1_000_000), false),
            (None, true),
        ] {
            assert_eq!(of(0, &[doubtful]), None, "{doubtful:?}");
        }
    }

    #[test]
    fn times_of_a_clock_that_differs() {
        for ahead_ms in [400_000, -400_000] {
            let one = |at: i64| of(ahead_ms, &[(Some(at), true)]);
            for at in [1_000_000 + ahead_ms, 995_000 + ahead_ms, 1_120_000 + ahead_ms] {
                assert_eq!(one(at), Some(vec![format!("{:?}", Some(at))]));
            }
            // What notes jobs may have our clock, whatever answers has.
            for at in [1_000_000, 940_000, 1_300_000, 994_999 + ahead_ms] {
                assert_eq!(one(at), None, "{at}");
            }
            assert_eq!(one(939_999.min(939_999 + ahead_ms)), Some(Vec::new()));
            assert_eq!(one(1_300_001.max(1_300_001 + ahead_ms)), Some(Vec::new()));
        }
    }
}
