//! What a stand-in remembers: requests, jobs, files, callbacks, and what is to go wrong next.
//!
//! Invariant: a job counts as matched once its submit was answered whole, or somebody asked for it by its id
//! or found it in a list. Not here: HTTP.

use crate::{Fault, Seen, moment};
use bytes::Bytes;
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A job of a vendor.
#[derive(Debug, Clone, Default)]
pub struct Job {
    pub id: String,
    pub model: String,
    /// The vendor's own record of what was asked.
    pub input: Value,
    /// How often it is still to be asked for before it is done.
    pub polls_left: u32,
    /// In place of success: what the vendor's protocol has for a job that failed.
    pub failure: Option<Value>,
    /// The URLs of its files, made by [`World::file`].
    pub files: Vec<String>,
    /// Where the client wants to hear of it.
    pub callback_url: Option<String>,
    pub canceled: bool,
    /// The submit was answered whole, or the job was asked for since.
    pub matched: bool,
}

/// A callback that a vendor would send.
#[derive(Debug, Clone)]
pub struct CallbackOut {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What a gateway should make of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The task fails with this code (`content_rejected`, `input_rejected`, `provider_failed` …).
    Refused(&'static str),
    /// It is tried again later.
    NotNow,
    /// The route is out until its operator does something.
    Unusable,
    /// Nobody knows whether it was accepted.
    Unknown,
}

/// One documented error of a vendor.
#[derive(Debug, Clone)]
pub struct ErrorCase {
    pub name: &'static str,
    /// The answer to a submit, or how an accepted job ends.
    pub fault: Fault,
    pub expected: Expected,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    faults: VecDeque<Fault>,
    always: Option<Fault>,
    jobs: BTreeMap<String, Job>,
    /// Ids in the order of making.
    order: Vec<String>,
    files: BTreeMap<String, Bytes>,
    callbacks: Vec<CallbackOut>,
    polls: u32,
    next_failure: VecDeque<Value>,
    count: u64,
    /// In the place of the machine's time.
    now_ms: Option<i64>,
    forgets: bool,
    /// Pictures with more pixels are delivered as small ones.
    pixels_max: Option<u32>,
}

/// The memory of a stand-in; clones share it.
#[derive(Debug, Clone)]
pub struct World {
    origin: Arc<str>,
    state: Arc<Mutex<State>>,
}

impl World {
    pub(crate) fn new(origin: String) -> Self {
        Self { origin: origin.into(), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    // ---- for tests ----

    /// Every request so far, without those to the control path.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_seen(&self) {
        self.state().seen.clear();
    }

    /// How many requests are remembered.
    #[must_use]
    pub fn seen_count(&self) -> usize {
        self.state().seen.len()
    }

    /// Whether later requests are remembered. Under the load of a benchmark they would fill the memory.
    pub fn remember(&self, remembers: bool) {
        self.state().forgets = !remembers;
    }

    /// From now on it is this time here, in milliseconds since 1970, until it is told another one.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.state().now_ms = Some(now_ms);
    }

    /// From now on pictures with more pixels are delivered as small ones: a test of very many would spend its
    /// time on their bytes.
    pub fn set_pixels_max(&self, pixels_max: u32) {
        self.state().pixels_max = Some(pixels_max);
    }

    /// What happens to the next submit that has no fault yet.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// What happens to every submit without a fault of its own.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// How often later jobs are asked for before they are done.
    pub fn polls(&self, polls: u32) {
        self.state().polls = polls;
    }

    /// How the next job ends, in the vendor's own words.
    pub fn fail_next(&self, failure: Value) {
        self.state().next_failure.push_back(failure);
    }

    /// Every job, in the order of making.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        let state = self.state();
        state.order.iter().filter_map(|id| state.jobs.get(id).cloned()).collect()
    }

    /// Jobs that nobody knows of but the vendor.
    #[must_use]
    pub fn unmatched(&self) -> usize {
        self.state().jobs.values().filter(|job| !job.matched).count()
    }

    /// The callbacks so far; they are forgotten.
    #[must_use]
    pub fn take_callbacks(&self) -> Vec<CallbackOut> {
        std::mem::take(&mut self.state().callbacks)
    }

    // ---- for the vendors' modules ----

    /// What time a test said that it is.
    pub(crate) fn told_ms(&self) -> Option<i64> {
        self.state().now_ms
    }

    /// The time at this vendor.
    pub(crate) fn now_ms(&self) -> i64 {
        self.state().now_ms.unwrap_or_else(moment::now_ms)
    }

    /// The most pixels of a picture that is delivered in the size that was asked for.
    pub(crate) fn pixels_max(&self) -> u32 {
        self.state().pixels_max.unwrap_or(u32::MAX)
    }

    /// A number that no other call got.
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.state();
        state.count += 1;
        state.count
    }

    /// Remembers a request, which is made only if it is remembered.
    pub(crate) fn note(&self, seen: impl FnOnce() -> Seen) {
        if !self.state().forgets {
            let seen = seen();
            self.state().seen.push(seen);
        }
    }

    pub(crate) fn next_fault(&self) -> Option<Fault> {
        let mut state = self.state();
        match state.faults.pop_front() {
            Some(Fault::End(failure)) => {
                state.next_failure.push_back(failure);
                None
            }
            Some(fault) => Some(fault),
            None => state.always.clone(),
        }
    }

    /// Keeps a new job; `polls_left` and `failure` are filled in.
    pub(crate) fn make(&self, mut job: Job) -> Job {
        let mut state = self.state();
        job.polls_left = state.polls;
        if job.failure.is_none() {
            job.failure = state.next_failure.pop_front();
        }
        state.order.push(job.id.clone());
        state.jobs.insert(job.id.clone(), job.clone());
        job
    }

    pub(crate) fn matched(&self, id: &str) {
        if let Some(job) = self.state().jobs.get_mut(id) {
            job.matched = true;
        }
    }

    /// The job, once more asked for: each time brings it nearer to its end.
    #[must_use]
    pub fn ask(&self, id: &str) -> Option<(Job, bool)> {
        let mut state = self.state();
        let job = state.jobs.get_mut(id)?;
        job.matched = true;
        let done = job.polls_left == 0;
        job.polls_left = job.polls_left.saturating_sub(1);
        Some((job.clone(), done))
    }

    /// The job as it is.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<Job> {
        self.state().jobs.get(id).cloned()
    }

    /// Changes a job; `None` if there is none.
    pub fn change<T>(&self, id: &str, change: impl FnOnce(&mut Job) -> T) -> Option<T> {
        self.state().jobs.get_mut(id).map(change)
    }

    /// Keeps a file, and tells its public URL.
    #[must_use]
    pub fn file(&self, name: &str, bytes: Bytes) -> String {
        self.state().files.insert(name.to_owned(), bytes);
        format!("{}/files/{name}", self.origin)
    }

    pub(crate) fn stored(&self, name: &str) -> Option<Bytes> {
        self.state().files.get(name).cloned()
    }

    pub fn callback(&self, callback: CallbackOut) {
        self.state().callbacks.push(callback);
    }
}
