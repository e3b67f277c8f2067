//! What all look-ups in vendors' lists have in common: when a job may have been made, and what is in doubt.
//!
//! Invariant: a row of the list that is the job by all but its time, or that does not tell all, is neither
//! found nor absent. Not here: what else a row must have in common with a job (each adapter).

use crate::ProviderError;

/// How far a vendor's clock may be behind ours for a job to count as found; some tell whole seconds.
const BEHIND_MS: i64 = 5_000;
/// What is older than this was made before the submit, whatever both clocks say.
const OLDEST_MS: i64 = 60_000;
/// A submit takes at most a minute, and the vendor's clock may be ahead of ours by another.
const LATEST_MS: i64 = 120_000;

/// What was found so far of a job whose submit began at `started_at_ms`.
#[derive(Debug)]
pub(crate) struct Finds {
    started_at_ms: i64,
    /// With how far from the begin of the submit they were made.
    sure: Vec<(u64, String)>,
    doubt: bool,
}

impl Finds {
    #[must_use]
    pub(crate) fn new(started_at_ms: i64) -> Self {
        Self { started_at_ms, sure: Vec::new(), doubt: false }
    }

    /// Whether a row was made too long before the submit to be its job.
    #[must_use]
    pub(crate) fn is_too_old(&self, made_ms: Option<i64>) -> bool {
        made_ms.is_some_and(|made_ms| made_ms < self.started_at_ms.saturating_sub(OLDEST_MS))
    }

    /// Whether a row may be the job by its time; one that tells none may.
    #[must_use]
    pub(crate) fn may_be(&self, made_ms: Option<i64>) -> bool {
        let latest_ms = self.started_at_ms.saturating_add(LATEST_MS);
        !self.is_too_old(made_ms) && made_ms.is_none_or(|made_ms| made_ms <= latest_ms)
    }

    /// Takes in a row that may be the job. `is_sure` says that all but its time is known to be the job's.
    pub(crate) fn add(&mut self, id: String, made_ms: Option<i64>, is_sure: bool) {
        match made_ms.filter(|_| self.may_be(made_ms)) {
            Some(made_ms) if is_sure && made_ms >= self.started_at_ms.saturating_sub(BEHIND_MS) => {
                self.sure.push((made_ms.abs_diff(self.started_at_ms), id));
            }
            None if made_ms.is_some() => {}
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

    #[test]
    fn times() {
        let of = |rows: &[(Option<i64>, bool)]| {
            let mut finds = Finds::new(1_000_000);
            rows.iter().for_each(|(at, is_sure)| finds.add(format!("{at:?}"), *at, *is_sure));
            finds.ids().ok()
        };
        let none = Some(Vec::new());
        let all = [1_120_000, 1_001_000, 995_000].map(|at| (Some(at), true));
        let near = [1_001_000, 995_000, 1_120_000].map(|at| format!("{:?}", Some(at)));
        assert_eq!(of(&all), Some(near.to_vec()));
        assert_eq!(of(&[(Some(1_120_001), true)]), none);
        assert_eq!(of(&[(Some(939_999), true)]), none);
        for doubtful in [(Some(994_999), true), (Some(940_000), true), (Some(1_000_000), false), (None, true)]
        {
            assert_eq!(of(&[doubtful]), None, "{doubtful:?}");
        }
    }
}
