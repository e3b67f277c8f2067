//! Circuit breakers: routes to vendors that fail are left alone for a while.
//!
//! Invariant: while a route is open nobody calls it, and then one call at a time until one succeeds. Each
//! process has its own. Not here: which route is taken instead (`vendor`), retries (the worker).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Calls in a row that must fail.
const FAILURES_MAX: u32 = 5;
/// How long a route is left alone, doubled each time that its probe fails.
const OPEN_MS: (i64, i64) = (5_000, 60_000);
/// The same where only the operator can mend it: a wrong key, an empty purse.
const UNUSABLE_MS: (i64, i64) = (60_000, 600_000);
/// After this long a probe that never came back is given up.
const PROBE_MS: i64 = 60_000;
/// When to ask again while another one probes.
const BESIDE_PROBE_MS: i64 = 1_000;

/// What a call of a route told about its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answered, if only with a refusal of this one job.
    Alive,
    /// It gave no answer of use; it asked to be left alone so long.
    Failed { at_least_ms: Option<u32> },
    /// Its operator has to do something.
    Unusable,
}

/// How a route stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Closed,
    /// Nobody calls it before then.
    Open {
        until_ms: i64,
    },
    /// One call finds out.
    Probing {
        since_ms: i64,
    },
}

impl Standing {
    /// Whether a call may be made at that time: of a route that was open, the one that probes it.
    fn lets_through(self, now_ms: i64) -> bool {
        match self {
            Self::Closed => true,
            Self::Open { until_ms } => now_ms >= until_ms,
            Self::Probing { since_ms } => now_ms >= since_ms + PROBE_MS,
        }
    }
}

#[derive(Debug, Clone)]
struct Breaker {
    failures: u32,
    /// For how long it was open the last time.
    open_ms: i64,
    standing: Standing,
}

/// A route that is not as it should be, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ailing {
    pub(crate) vendor_model: String,
    pub(crate) failures: u32,
    /// Until when nobody calls it; none while it may be called.
    pub(crate) shut_until_ms: Option<i64>,
}

/// The breakers of this process, by provider and vendor model.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<BTreeMap<(String, String), Breaker>>);

impl Breakers {
    fn all(&self) -> MutexGuard<'_, BTreeMap<(String, String), Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn of a call: `Err` says when to ask again.
    pub(crate) fn admit(&self, provider: &str, vendor_model: &str, now_ms: i64) -> Result<(), i64> {
        let mut all = self.all();
        let Some(breaker) = all.get_mut(&(provider.to_owned(), vendor_model.to_owned())) else {
            return Ok(());
        };
        match breaker.standing {
            Standing::Closed => Ok(()),
            standing if standing.lets_through(now_ms) => {
                breaker.standing = Standing::Probing { since_ms: now_ms };
                Ok(())
            }
            Standing::Open { until_ms } => Err(until_ms),
            Standing::Probing { .. } => Err(now_ms + BESIDE_PROBE_MS),
        }
    }

    /// Whether a call may be made now.
    pub(crate) fn lets_through(&self, provider: &str, vendor_model: &str, now_ms: i64) -> bool {
        let all = self.all();
        let breaker = all.get(&(provider.to_owned(), vendor_model.to_owned()));
        breaker.is_none_or(|breaker| breaker.standing.lets_through(now_ms))
    }

    /// The vendor models of a provider that nobody may call now, and whether one is to be probed.
    pub(crate) fn shut(&self, provider: &str, now_ms: i64) -> (Vec<String>, bool) {
        let (mut shut, mut probing) = (Vec::new(), false);
        for ((_, vendor_model), breaker) in self.all().iter().filter(|((name, _), _)| name == provider) {
            if !breaker.standing.lets_through(now_ms) {
                shut.push(vendor_model.clone());
            } else if breaker.standing != Standing::Closed {
                probing = true;
            }
        }
        (shut, probing)
    }

    /// The routes of a provider that failed lately, as this process knows them.
    pub(crate) fn ailing(&self, provider: &str, now_ms: i64) -> Vec<Ailing> {
        let all = self.all();
        let own = all.iter().filter(|((name, _), _)| name == provider);
        let of = |((_, vendor_model), breaker): (&(String, String), &Breaker)| Ailing {
            vendor_model: vendor_model.clone(),
            failures: breaker.failures,
            shut_until_ms: match breaker.standing {
                Standing::Open { until_ms } => Some(until_ms).filter(|until_ms| now_ms < *until_ms),
                Standing::Closed | Standing::Probing { .. } => None,
            },
        };
        own.map(of).collect()
    }

    /// Notes how a call ended; tells whether the route opened by it.
    pub(crate) fn note(&self, provider: &str, vendor_model: &str, now_ms: i64, sign: Sign) -> bool {
        let key = (provider.to_owned(), vendor_model.to_owned());
        let mut all = self.all();
        if sign == Sign::Alive {
            // What works has no row.
            if all.remove(&key).is_some() {
                show(&key, 0.0);
            }
            return false;
        }
        let breaker =
            all.entry(key.clone()).or_insert(Breaker { failures: 0, open_ms: 0, standing: Standing::Closed });
        breaker.failures = breaker.failures.saturating_add(1);
        let (range, at_least_ms) = match sign {
            Sign::Unusable => (UNUSABLE_MS, None),
            Sign::Failed { at_least_ms } => (OPEN_MS, at_least_ms),
            Sign::Alive => (OPEN_MS, None),
        };
        let probed = matches!(breaker.standing, Standing::Probing { .. });
        let enough = breaker.failures >= FAILURES_MAX || sign == Sign::Unusable || at_least_ms.is_some();
        if matches!(breaker.standing, Standing::Open { until_ms } if now_ms < until_ms) || !(probed || enough)
        {
            return false;
        }
        breaker.open_ms = (breaker.open_ms * 2).clamp(range.0, range.1);
        let pause_ms = breaker.open_ms.max(i64::from(at_least_ms.unwrap_or(0)));
        breaker.standing = Standing::Open { until_ms: now_ms + pause_ms };
        show(&key, 1.0);
        true
    }
}

/// The route on `/metrics`: 1 while it is left alone.
fn show((provider, vendor_model): &(String, String), open: f64) {
    let labels = [("provider", provider.clone()), ("vendor_model", vendor_model.clone())];
    metrics::gauge!("rynjer_route_open", &labels).set(open);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Sign = Sign::Failed { at_least_ms: None };

    #[test]
    fn a_route_opens_probes_and_closes() {
        let breakers = Breakers::default();
        let note = |at_ms, sign| breakers.note("v", "m", at_ms, sign);
        assert_eq!((0..4).map(|at| note(at, FAILED)).collect::<Vec<_>>(), [false; 4]);
        assert_eq!(breakers.admit("v", "m", 4), Ok(()));
        assert!(note(5, FAILED));
        assert_eq!(breakers.admit("v", "m", 6), Err(5_005));
        assert_eq!(breakers.shut("v", 6), (vec!["m".to_owned()], false));
        let ailing = |shut_until_ms| Ailing { vendor_model: "m".to_owned(), failures: 5, shut_until_ms };
        assert_eq!(breakers.ailing("v", 6), [ailing(Some(5_005))]);
        assert_eq!((breakers.ailing("v", 5_005), breakers.ailing("w", 6)), (vec![ailing(None)], Vec::new()));
        assert_eq!(breakers.shut("v", 5_005), (Vec::new(), true));
        assert_eq!(breakers.admit("v", "m", 5_005), Ok(()), "the probe");
        assert_eq!(breakers.admit("v", "m", 5_006), Err(6_006), "one at a time");
        assert!(note(5_010, FAILED));
        assert_eq!(breakers.admit("v", "m", 15_009), Err(15_010), "twice as long");
        assert_eq!(breakers.admit("v", "m", 15_010), Ok(()));
        assert!(!note(15_020, Sign::Alive));
        assert_eq!(breakers.admit("v", "m", 15_021), Ok(()));
    }

    #[test]
    fn what_a_vendor_asks_for_is_kept_and_an_operators_trouble_lasts() {
        let breakers = Breakers::default();
        assert!(breakers.note("v", "m", 0, Sign::Failed { at_least_ms: Some(9_000) }));
        assert_eq!(breakers.admit("v", "m", 8_999), Err(9_000));
        assert!(breakers.note("v", "n", 0, Sign::Unusable));
        assert_eq!(breakers.admit("v", "n", 59_999), Err(60_000));
        assert!(breakers.lets_through("v", "other", 0) && breakers.lets_through("w", "m", 0));
    }

    #[test]
    fn a_probe_that_never_came_back_is_given_up() {
        let breakers = Breakers::default();
        breakers.note("v", "m", 0, Sign::Unusable);
        assert_eq!(breakers.admit("v", "m", 60_000), Ok(()));
        assert!(!breakers.lets_through("v", "m", 119_999));
        assert_eq!(breakers.admit("v", "m", 120_000), Ok(()));
    }
}
