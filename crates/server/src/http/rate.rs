//! How many requests one principal or one address may send, and the headers that tell so.
//!
//! Invariant: memory grows with the keys that were busy lately, never with the keys ever seen; all nodes
//! together allow what one alone would. Not here: who the principal is, which routes are limited, budgets,
//! how many nodes there are (`app::node`).

use std::{
    collections::hash_map::RandomState,
    fmt::Write as _,
    hash::{BuildHasher as _, Hash},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
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

/// Numbers of nodes whose headers are made once.
const HEADERS_KEPT: u32 = 16;

/// What a limit says about one request. All numbers are this node's share.
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
    /// How many nodes share the limits.
    api_nodes: Arc<AtomicU32>,
}

impl<C: Clock> Limits<C> {
    fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.api_nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }
}

impl RateLimits {
    /// Limits by the machine's own clock. The numbers are at least 1, as the settings promise.
    /// `api_nodes` is how many share the limits.
    pub(crate) fn new(
        requests_per_second: u32,
        burst: u32,
        identity_per_minute: u32,
        enabled: bool,
        api_nodes: Arc<AtomicU32>,
    ) -> Self {
        let clock = DefaultClock::default();
        Self::with_clock([requests_per_second, burst, identity_per_minute], enabled, &clock, api_nodes)
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(numbers: [u32; 3], enabled: bool, clock: &C, api_nodes: Arc<AtomicU32>) -> Self {
        let [per_second, burst, per_minute] =
            numbers.map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN));
        let principal = Policy { name: "default", quota: per_second, window_s: 1, burst };
        let identity = Policy { name: "identity", quota: per_minute, window_s: 60, burst: per_minute };
        let limits = || Limits {
            principals: Limit::new(principal, clock.clone()),
            addresses: Limit::new(identity, clock.clone()),
            hasher: RandomState::new(),
            api_nodes,
        };
        Self { limits: enabled.then(limits) }
    }

    /// Counts one request of a principal on `/v1/*`.
    pub(crate) fn check_principal(&self, key: &str) -> Verdict {
        let Some(limits) = &self.limits else { return Verdict::UNLIMITED };
        limits.principals.check(limits.hasher.hash_one(key), limits.nodes())
    }

    /// Counts one request without a caller on routes that only read, by its address, as widely as callers
    /// are.
    pub(crate) fn check_visitor(&self, address: IpAddr) -> Verdict {
        let Some(limits) = &self.limits else { return Verdict::UNLIMITED };
        limits.principals.check(limits.hasher.hash_one(network(address)), limits.nodes())
    }

    /// Counts one request of an address on routes that need no credential.
    pub(crate) fn check_address(&self, address: IpAddr) -> Verdict {
        let Some(limits) = &self.limits else { return Verdict::UNLIMITED };
        limits.addresses.check(network(address), limits.nodes())
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

    /// What one of so many nodes allows in a window.
    fn share(&self, nodes: NonZeroU32) -> u32 {
        (self.quota.get() / nodes).max(1)
    }

    fn header(&self, nodes: NonZeroU32) -> Option<HeaderValue> {
        let (Self { name, window_s, .. }, share) = (self, self.share(nodes));
        HeaderValue::try_from(format!("\"{name}\";q={share};w={window_s}")).ok()
    }

    /// How long the bucket takes from `remaining` cells to full.
    fn refill_s(&self, remaining: u32) -> u32 {
        let missing = u64::from(self.burst.get().saturating_sub(remaining));
        let seconds = (missing * u64::from(self.window_s)).div_ceil(u64::from(self.quota.get()));
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

struct Limit<K: Hash + Eq + Clone, C: Clock> {
    limiter: RateLimiter<K, DashMapStateStore<K>, C, StateInformationMiddleware>,
    policy: Policy,
    /// For one node, for two, and so on.
    headers: Vec<Option<HeaderValue>>,
    checks_until_sweep: AtomicU64,
}

impl<K: Hash + Eq + Clone, C: Clock> Limit<K, C> {
    fn new(policy: Policy, clock: C) -> Self {
        let store = DashMapStateStore::default();
        Self {
            limiter: RateLimiter::new(policy.quota(), store, clock),
            policy,
            headers: (1..=HEADERS_KEPT).filter_map(NonZeroU32::new).map(|n| policy.header(n)).collect(),
            checks_until_sweep: AtomicU64::new(CHECKS_PER_SWEEP),
        }
    }

    /// Each of so many nodes takes so many cells for one request, from buckets of the full size. Together
    /// they allow what one would, and when their number changes no bucket is fuller than it was.
    #[expect(clippy::needless_pass_by_value, reason = "keys are plain numbers")]
    fn check(&self, key: K, nodes: NonZeroU32) -> Verdict {
        self.sweep_at_times();
        // More than the bucket holds would never be there.
        let cells = nodes.min(self.policy.burst);
        let header = usize::try_from(nodes.get() - 1).ok().and_then(|index| self.headers.get(index));
        let verdict = |allowed, remaining, reset_s, retry_after_s| Verdict {
            allowed,
            policy_name: self.policy.name,
            quota: self.policy.share(nodes),
            window_s: self.policy.window_s,
            remaining,
            reset_s,
            retry_after_s,
            policy: header.cloned().unwrap_or_else(|| self.policy.header(nodes)),
        };
        match self.limiter.check_key_n(&key, cells) {
            // It holds as many cells as are asked for at most.
            Err(_) => verdict(false, 0, self.policy.window_s, self.policy.window_s),
            Ok(Ok(state)) => {
                let remaining = state.remaining_burst_capacity();
                verdict(true, remaining / cells, self.policy.refill_s(remaining), 0)
            }
            Ok(Err(not_until)) => {
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
        of_nodes(clock, &Arc::new(AtomicU32::new(1)))
    }

    fn of_nodes(clock: &FakeRelativeClock, nodes: &Arc<AtomicU32>) -> RateLimits<FakeRelativeClock> {
        RateLimits::with_clock([500, 1000, 30], true, clock, Arc::clone(nodes))
    }

    /// How many of 20 requests in each 10 ms for so long are allowed, sent to the nodes in turns.
    fn sent(clock: &FakeRelativeClock, nodes: &[&RateLimits<FakeRelativeClock>], seconds: u32) -> usize {
        let mut allowed = 0;
        let mut turn = nodes.iter().cycle();
        for _ in 0..seconds * 100 {
            clock.advance(Duration::from_millis(10));
            for _ in 0..20 {
                allowed += usize::from(turn.next().unwrap().check_principal("agt_a").allowed);
            }
        }
        allowed
    }

    /// Whether a count is within a fifth of what one node would allow in that time, the burst included.
    #[track_caller]
    fn assert_near(allowed: usize, expected: usize) {
        assert!((expected * 4 / 5..=expected * 6 / 5).contains(&allowed), "{allowed}, not {expected}");
    }

    #[test]
    fn three_nodes_allow_together_what_one_does() {
        let (clock, count) = (FakeRelativeClock::default(), Arc::new(AtomicU32::new(3)));
        let nodes: Vec<_> = (0..3).map(|_| of_nodes(&clock, &count)).collect();
        assert_near(sent(&clock, &nodes.iter().collect::<Vec<_>>(), 30), 30 * 500 + 1000);
        // Whoever stays with one node has its share.
        clock.advance(Duration::from_secs(10));
        assert_near(sent(&clock, &[&nodes[0]], 30), (30 * 500 + 1000) / 3);

        let address = "192.0.2.1".parse().unwrap();
        let mut allowed = 0;
        for _ in 0..300 {
            clock.advance(Duration::from_millis(200));
            allowed += nodes.iter().filter(|node| node.check_address(address).allowed).count();
        }
        assert_near(allowed, 60);
    }

    #[test]
    fn a_node_that_joins_or_leaves_brings_no_burst() {
        let (clock, count) = (FakeRelativeClock::default(), Arc::new(AtomicU32::new(2)));
        let nodes: Vec<_> = (0..3).map(|_| of_nodes(&clock, &count)).collect();
        let (two, three) = ([&nodes[0], &nodes[1]], nodes.iter().collect::<Vec<_>>());
        assert_near(sent(&clock, &two, 10), 10 * 500 + 1000);
        count.store(3, Ordering::Relaxed);
        // The new node's buckets are full, a third of the burst.
        let joined = sent(&clock, &three, 10);
        assert!((4900..=10 * 500 + 1000 / 3 + 50).contains(&joined), "{joined}");
        count.store(2, Ordering::Relaxed);
        let left = sent(&clock, &two, 10);
        assert!((4900..=5050).contains(&left), "{left}");
        count.store(1, Ordering::Relaxed);
        let alone = sent(&clock, &[&nodes[0]], 10);
        assert!((4900..=5050).contains(&alone), "{alone}");
    }

    #[test]
    fn a_share_is_at_least_one_and_is_told() {
        let (clock, count) = (FakeRelativeClock::default(), Arc::new(AtomicU32::new(3)));
        let limits = of_nodes(&clock, &count);
        let verdict = limits.check_principal("agt_a");
        assert_eq!(
            texts(&verdict),
            ["ratelimit-policy: \"default\";q=166;w=1", "ratelimit: \"default\";r=332;t=1"]
        );
        count.store(1000, Ordering::Relaxed);
        clock.advance(Duration::from_secs(10));
        let address = "192.0.2.1".parse().unwrap();
        let first = limits.check_address(address);
        assert_eq!((first.allowed, first.remaining, first.quota), (true, 0, 1));
        let refused = limits.check_address(address);
        assert_eq!((refused.allowed, refused.retry_after_s), (false, 60));
        clock.advance(Duration::from_secs(60));
        assert!(limits.check_address(address).allowed);
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
        let limits = RateLimits::with_clock([1, 1, 1], false, &FakeRelativeClock::default(), Arc::default());
        for _ in 0..10 {
            let verdict = limits.check_principal("agt_a");
            assert_eq!((verdict.allowed, verdict.headers()), (true, None));
            assert!(limits.check_address(IpAddr::from([192, 0, 2, 1])).allowed);
        }
    }
}
