//! How many requests one principal or one address may send, and the headers that tell so.
//!
//! Invariant: memory grows with the keys that were busy lately, never with the keys ever seen. Not here: who
//! the principal is, which routes are limited, budgets.

use std::{
    collections::hash_map::RandomState,
    fmt::Write as _,
    hash::{BuildHasher as _, Hash},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};
use bytes::BytesMut;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Checks between two sweeps, on top of one for each key that the last sweep left: a sweep then costs each
/// check a constant.
const CHECKS_PER_SWEEP: u64 = 4096;

/// What a limit says about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) policy_name: &'static str,
    /// Requests per window; 0 means that nothing is limited.
    pub(crate) quota: u32,
    pub(crate) window_s: u32,
    /// Requests that would be allowed right now, after this one.
    pub(crate) remaining: u32,
    /// When everything is available again; for a refused request, when the next one is.
    pub(crate) reset_s: u32,
    /// 0 for an allowed request.
    pub(crate) retry_after_s: u32,
    policy: Option<HeaderValue>,
}

impl Verdict {
    const UNLIMITED: Self = Self {
        allowed: true,
        policy_name: "none",
        quota: 0,
        window_s: 0,
        remaining: 0,
        reset_s: 0,
        retry_after_s: 0,
        policy: None,
    };

    /// The headers of the IETF draft, `RateLimit-Policy` and `RateLimit`; none where nothing is limited.
    pub(crate) fn headers(&self) -> Option<[(HeaderName, HeaderValue); 2]> {
        let policy = self.policy.clone()?;
        let mut text = BytesMut::with_capacity(48);
        write!(text, "\"{}\";r={};t={}", self.policy_name, self.remaining, self.reset_s).ok()?;
        let state = HeaderValue::from_maybe_shared(text.freeze()).ok()?;
        Some([(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)])
    }
}

/// The limits of this process.
pub(crate) struct RateLimits<C: Clock = DefaultClock> {
    /// None where the operator turned limits off.
    limits: Option<Limits<C>>,
}

struct Limits<C: Clock> {
    principals: Limit<u64, C>,
    addresses: Limit<u128, C>,
    /// Principals are counted under a keyed hash, so that no request copies its key.
    hasher: RandomState,
}

impl RateLimits {
    /// Limits by the machine's own clock. The numbers are at least 1, as the settings promise.
    pub(crate) fn new(requests_per_second: u32, burst: u32, identity_per_minute: u32, enabled: bool) -> Self {
        let clock = DefaultClock::default();
        Self::with_clock([requests_per_second, burst, identity_per_minute], enabled, &clock)
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(numbers: [u32; 3], enabled: bool, clock: &C) -> Self {
        let [per_second, burst, per_minute] =
            numbers.map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN));
        let principal = Policy { name: "default", quota: per_second, window_s: 1, burst };
        let identity = Policy { name: "identity", quota: per_minute, window_s: 60, burst: per_minute };
        let limits = || Limits {
            principals: Limit::new(principal, clock.clone()),
            addresses: Limit::new(identity, clock.clone()),
            hasher: RandomState::new(),
        };
        Self { limits: enabled.then(limits) }
    }

    /// Counts one request of a principal on `/v1/*`.
    pub(crate) fn check_principal(&self, key: &str) -> Verdict {
        let Some(limits) = &self.limits else { return Verdict::UNLIMITED };
        limits.principals.check(limits.hasher.hash_one(key))
    }

    /// Counts one request without a caller on routes that only read, by its address, as widely as callers
    /// are.
    pub(crate) fn check_visitor(&self, address: IpAddr) -> Verdict {
        let Some(limits) = &self.limits else { return Verdict::UNLIMITED };
        limits.principals.check(limits.hasher.hash_one(network(address)))
    }

    /// Counts one request of an address on routes that need no credential.
    pub(crate) fn check_address(&self, address: IpAddr) -> Verdict {
        let Some(limits) = &self.limits else { return Verdict::UNLIMITED };
        limits.addresses.check(network(address))
    }
}

/// What shares one counter: an IPv4 address, also in its mapped form, or the /64 of an IPv6 address, which is
/// the least that one customer gets.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

#[derive(Clone, Copy)]
struct Policy {
    name: &'static str,
    quota: NonZeroU32,
    window_s: u32,
    burst: NonZeroU32,
}

impl Policy {
    fn quota(&self) -> Quota {
        let every = Duration::from_secs(u64::from(self.window_s)) / self.quota.get();
        let quota = Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MAX));
        quota.allow_burst(self.burst)
    }

    fn header(&self) -> Option<HeaderValue> {
        let Self { name, quota, window_s, .. } = self;
        HeaderValue::try_from(format!("\"{name}\";q={quota};w={window_s}")).ok()
    }

    /// How long the bucket takes from `remaining` to full.
    fn refill_s(&self, remaining: u32) -> u32 {
        let missing = u64::from(self.burst.get().saturating_sub(remaining));
        let seconds = (missing * u64::from(self.window_s)).div_ceil(u64::from(self.quota.get()));
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

struct Limit<K: Hash + Eq + Clone, C: Clock> {
    limiter: RateLimiter<K, DashMapStateStore<K>, C, StateInformationMiddleware>,
    policy: Policy,
    header: Option<HeaderValue>,
    checks_until_sweep: AtomicU64,
}

impl<K: Hash + Eq + Clone, C: Clock> Limit<K, C> {
    fn new(policy: Policy, clock: C) -> Self {
        let store = DashMapStateStore::default();
        Self {
            limiter: RateLimiter::new(policy.quota(), store, clock),
            policy,
            header: policy.header(),
            checks_until_sweep: AtomicU64::new(CHECKS_PER_SWEEP),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "keys are plain numbers")]
    fn check(&self, key: K) -> Verdict {
        self.sweep_at_times();
        let verdict = |allowed, remaining, reset_s, retry_after_s| Verdict {
            allowed,
            policy_name: self.policy.name,
            quota: self.policy.quota.get(),
            window_s: self.policy.window_s,
            remaining,
            reset_s,
            retry_after_s,
            policy: self.header.clone(),
        };
        match self.limiter.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                verdict(true, remaining, self.policy.refill_s(remaining), 0)
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                let wait_s = whole_seconds(wait).max(1);
                verdict(false, 0, wait_s, wait_s)
            }
        }
    }

    /// Forgets keys whose bucket is full again. The one check that brings the counter to zero does it.
    fn sweep_at_times(&self) {
        if self.checks_until_sweep.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let kept = u64::try_from(self.limiter.len()).unwrap_or(u64::MAX / 2);
        self.checks_until_sweep.store(kept + CHECKS_PER_SWEEP, Ordering::Relaxed);
    }
}

/// Rounded up, so that a client which waits as told succeeds.
fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(clock: &FakeRelativeClock) -> RateLimits<FakeRelativeClock> {
        RateLimits::with_clock([500, 1000, 30], true, clock)
    }

    fn texts(verdict: &Verdict) -> [String; 2] {
        verdict.headers().unwrap().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        for sent in 1..=1000 {
            let verdict = limits.check_principal("agt_a");
            assert_eq!((verdict.allowed, verdict.remaining), (true, 1000 - sent));
        }
        let refused = limits.check_principal("agt_a");
        assert_eq!((refused.allowed, refused.retry_after_s, refused.reset_s), (false, 1, 1));
        assert!(limits.check_principal("agt_b").allowed);

        clock.advance(Duration::from_secs(1));
        let allowed = (0..600).filter(|_| limits.check_principal("agt_a").allowed).count();
        assert_eq!(allowed, 500);
    }

    #[test]
    fn headers_follow_the_draft() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let verdict = limits.check_principal("agt_a");
        assert_eq!(
            texts(&verdict),
            ["ratelimit-policy: \"default\";q=500;w=1", "ratelimit: \"default\";r=999;t=1"]
        );
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..30 {
            assert!(limits.check_address(address).allowed);
        }
        let refused = limits.check_address(address);
        assert_eq!((refused.allowed, refused.retry_after_s), (false, 2));
        assert_eq!(
            texts(&refused),
            ["ratelimit-policy: \"identity\";q=30;w=60", "ratelimit: \"identity\";r=0;t=2"]
        );
    }

    #[test]
    fn who_waits_as_told_succeeds() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let address = "192.0.2.1".parse().unwrap();
        while limits.check_address(address).allowed {}
        for step in 0..200 {
            let refused = limits.check_address(address);
            if !refused.allowed {
                clock.advance(Duration::from_secs(u64::from(refused.retry_after_s)));
                assert!(limits.check_address(address).allowed, "step {step}");
            }
            clock.advance(Duration::from_millis(7 * step));
        }
    }

    #[test]
    fn addresses_share_a_counter_by_network() {
        let same = [
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ];
        for (one, other, expected) in same {
            let equal = network(one.parse().unwrap()) == network(other.parse().unwrap());
            assert_eq!(equal, expected, "{one} {other}");
        }
    }

    #[test]
    fn forgets_keys_that_are_idle() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let store = &limits.limits.as_ref().unwrap().addresses;
        for block in 0..20u32 {
            for host in 0..5000u32 {
                let address = IpAddr::from((block * 5000 + host).to_be_bytes());
                assert!(limits.check_address(address).allowed);
            }
            clock.advance(Duration::from_secs(60));
            assert!(store.limiter.len() < 20_000, "{}", store.limiter.len());
        }
    }

    #[test]
    fn off_means_off() {
        let limits = RateLimits::with_clock([1, 1, 1], false, &FakeRelativeClock::default());
        for _ in 0..10 {
            let verdict = limits.check_principal("agt_a");
            assert_eq!((verdict.allowed, verdict.headers()), (true, None));
            assert!(limits.check_address(IpAddr::from([192, 0, 2, 1])).allowed);
        }
    }
}
