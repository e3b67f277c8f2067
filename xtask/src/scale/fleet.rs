//! Gateways over one PostgreSQL as a discrete-event simulation of accepts.
//!
//! Invariant: the same fleet gives the same figures, every time; events come in the order of their times.
//! Not here: what a fleet is for (`table`), costs (`measured`).

use super::measured::{Costs, ROUND_TRIPS, WRITER_SHARE};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

/// What one commit carries at most, as `database.batch_max`.
const BATCH_MAX: usize = 256;

/// What is simulated; times in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) costs: Costs,
    pub(crate) processes: usize,
    pub(crate) cores_per_process: usize,
    pub(crate) database_cores: usize,
    /// Gateways, database and load share the first process's cores.
    pub(crate) one_machine: bool,
    /// All accepts are of one account, so that one batch at a time holds it.
    pub(crate) one_account: bool,
    pub(crate) load: Arrivals,
    pub(crate) seconds: f64,
}

/// How accepts come.
#[derive(Clone, Copy)]
pub(crate) enum Arrivals {
    /// So many clients, each of which sends when it was answered.
    Clients(usize),
    /// So many a second, independent of each other.
    PerSecond(f64),
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) per_batch: f64,
}

/// Cores that take work in the order in which it comes.
struct Cores(Vec<f64>);

impl Cores {
    /// When work is done that comes now.
    fn run(&mut self, now: f64, work: f64) -> f64 {
        let first = self.0.iter_mut().min_by(|a, b| a.total_cmp(b));
        first.map_or(now + work, |free| {
            *free = free.max(now) + work;
            *free
        })
    }
}

/// What happens next: where, and when the request that it is about was sent.
#[derive(Clone, Copy)]
enum What {
    Sent,
    Queued(f64),
    BatchDone,
}

struct Event {
    at: f64,
    order: u64,
    process: usize,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.order.cmp(&other.order))
    }
}

/// A gateway's ledger writer.
#[derive(Default)]
struct Writer {
    waiting: VecDeque<f64>,
    batch: Vec<f64>,
}

struct Simulation {
    fleet: Fleet,
    cores: Vec<Cores>,
    writers: Vec<Writer>,
    events: BinaryHeap<Reverse<Event>>,
    scheduled: u64,
    account_free_at: f64,
    random: u64,
    batches: f64,
    latencies: Vec<f64>,
}

impl Fleet {
    /// Runs it from an empty start.
    pub(crate) fn simulate(self) -> Found {
        let mut cores: Vec<_> =
            (0..self.processes).map(|_| Cores(vec![0.0; self.cores_per_process])).collect();
        cores.push(Cores(vec![0.0; self.database_cores]));
        let mut simulation = Simulation {
            fleet: self,
            cores,
            writers: (0..self.processes).map(|_| Writer::default()).collect(),
            events: BinaryHeap::new(),
            scheduled: 0,
            account_free_at: 0.0,
            random: 1,
            batches: 0.0,
            latencies: Vec::new(),
        };
        let first = if let Arrivals::Clients(clients) = self.load { clients } else { self.processes };
        for index in 0..first {
            simulation.schedule(0.0, index % self.processes, What::Sent);
        }
        simulation.run()
    }
}

impl Simulation {
    fn schedule(&mut self, at: f64, process: usize, what: What) {
        self.scheduled += 1;
        self.events.push(Reverse(Event { at, order: self.scheduled, process, what }));
    }

    fn run(mut self) -> Found {
        let end = self.fleet.seconds * 1e6;
        while let Some(Reverse(event)) = self.events.pop() {
            if event.at > end {
                break;
            }
            match event.what {
                What::Sent => self.sent(event.at, event.process),
                What::Queued(sent) => {
                    self.writers[event.process].waiting.push_back(sent);
                    self.begin_batch(event.at, event.process);
                }
                What::BatchDone => self.answer(event.at, event.process),
            }
        }
        self.latencies.sort_by(f64::total_cmp);
        let count = self.latencies.len();
        let at = |percent: usize| self.latencies.get(count * percent / 100).copied().unwrap_or(0.0) / 1e3;
        let requests = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Found {
            per_second: requests / self.fleet.seconds,
            p50_ms: at(50),
            p99_ms: at(99),
            per_batch: requests / self.batches.max(1.0),
        }
    }

    /// A request reaches a gateway; in an open load the next one is drawn.
    fn sent(&mut self, now: f64, process: usize) {
        let costs = self.fleet.costs;
        let done = self.cores[process].run(now, costs.accept_gateway * (1.0 - WRITER_SHARE));
        self.schedule(done, process, What::Queued(now));
        if let Arrivals::PerSecond(rate) = self.fleet.load {
            let processes = f64::from(u32::try_from(self.fleet.processes).unwrap_or(u32::MAX));
            let pause = -self.draw().ln() * 1e6 * processes / rate;
            self.schedule(now + pause, process, What::Sent);
        }
    }

    /// A number above 0 and at most 1, of Knuth's MMIX generator.
    fn draw(&mut self) -> f64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = u32::try_from(self.random >> 32).unwrap_or(u32::MAX);
        (f64::from(high) + 1.0) / 4_294_967_296.0
    }

    /// A writer that rests takes all that waits.
    fn begin_batch(&mut self, now: f64, process: usize) {
        let writer = &mut self.writers[process];
        if !writer.batch.is_empty() || writer.waiting.is_empty() {
            return;
        }
        let count = writer.waiting.len().min(BATCH_MAX);
        writer.batch.extend(writer.waiting.drain(..count));
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let costs = self.fleet.costs;
        // The account's row is locked from the first statement until the commit.
        let begun = if self.fleet.one_account { now.max(self.account_free_at) } else { now };
        let decided = self.cores[process].run(begun, costs.accept_gateway * WRITER_SHARE * count);
        let database = if self.fleet.one_machine { 0 } else { self.fleet.processes };
        let saved = self.cores[database].run(decided, costs.batch_database + costs.accept_database * count);
        let done = saved + costs.round_trip * ROUND_TRIPS + costs.sync;
        self.account_free_at = self.account_free_at.max(done);
        self.batches += 1.0;
        self.schedule(done, process, What::BatchDone);
    }

    fn answer(&mut self, now: f64, process: usize) {
        let batch = std::mem::take(&mut self.writers[process].batch);
        for sent in batch {
            self.latencies.push(now - sent);
            if let Arrivals::Clients(_) = self.fleet.load {
                let client = self.fleet.costs.client;
                let again = if self.fleet.one_machine { self.cores[0].run(now, client) } else { now };
                self.schedule(again, process, What::Sent);
            }
        }
        self.begin_batch(now, process);
    }
}
