//! A bounded queue from which several threads take.
//!
//! Invariant: who sends never waits; what was sent before the close is still taken. Not here: what is sent.
//!
//! A standard receiver behind a mutex wakes two threads for each job: the one that waits for it, and the one
//! that waits for the first one's mutex. Here nobody is woken unless he waits for a job.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Where jobs are sent; no more come once it is dropped.
pub(crate) struct Sender<T>(Arc<Channel<T>>);

/// Where threads take jobs.
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

/// All jobs that were sent until a moment.
pub(crate) struct Sent(u64);

struct Channel<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    capacity: usize,
}

struct State<T> {
    jobs: VecDeque<T>,
    /// How many were ever taken.
    taken: u64,
    /// Threads that wait and were not told of a job yet.
    idle: usize,
    closed: bool,
}

/// A queue of at most so many jobs.
pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { jobs: VecDeque::new(), taken: 0, idle: 0, closed: false };
    let channel = Arc::new(Channel { state: Mutex::new(state), arrived: Condvar::new(), capacity });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn next(&mut self) -> Option<T> {
        let job = self.jobs.pop_front();
        self.taken += u64::from(job.is_some());
        job
    }
}

impl<T> Sender<T> {
    /// Gives a job to whoever is free next; `false` if too many wait.
    pub(crate) fn try_send(&self, job: T) -> bool {
        let mut state = self.0.lock();
        if state.jobs.len() >= self.0.capacity {
            return false;
        }
        state.jobs.push_back(job);
        let wake = state.idle > 0;
        state.idle = state.idle.saturating_sub(1);
        drop(state);
        if wake {
            self.0.arrived.notify_one();
        }
        true
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Receiver<T> {
    /// Which jobs have been sent by now.
    pub(crate) fn sent(&self) -> Sent {
        let state = self.0.lock();
        Sent(state.taken + state.jobs.len() as u64)
    }

    /// The next job, if it is among those.
    pub(crate) fn next_of(&self, sent: &Sent) -> Option<T> {
        let mut state = self.0.lock();
        if state.taken < sent.0 { state.next() } else { None }
    }

    /// The next job, once there is one; `None` when the sender is gone and all are taken.
    pub(crate) fn recv(&self) -> Option<T> {
        let mut state = self.0.lock();
        loop {
            if let Some(job) = state.next() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, thread};

    #[test]
    fn each_job_is_taken_once_and_none_is_lost_at_the_end() {
        let (sender, receiver) = bounded(100_000);
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let receiver = receiver.clone();
                thread::spawn(move || std::iter::from_fn(|| receiver.recv()).collect::<Vec<u32>>())
            })
            .collect();
        assert!((0..50_000).all(|job| sender.try_send(job)));
        drop(sender);
        let taken: Vec<u32> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
        assert_eq!(taken.len(), 50_000);
        assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 50_000);
        assert_eq!(receiver.recv(), None);
    }

    #[test]
    fn what_is_sent_after_a_moment_is_not_among_what_was_sent_before() {
        let (sender, receiver) = bounded(10);
        assert!([1, 2].into_iter().all(|job| sender.try_send(job)));
        assert_eq!(receiver.recv(), Some(1));
        let sent = receiver.sent();
        assert!(sender.try_send(3));
        assert_eq!([receiver.next_of(&sent), receiver.next_of(&sent)], [Some(2), None]);
        assert_eq!(receiver.recv(), Some(3));
        assert_eq!(receiver.next_of(&receiver.sent()), None);
    }

    #[test]
    fn a_full_queue_takes_no_more_until_one_is_taken() {
        let (sender, receiver) = bounded(2);
        assert_eq!([1, 2, 3].map(|job| sender.try_send(job)), [true, true, false]);
        assert_eq!(receiver.recv(), Some(1));
        assert!(sender.try_send(4));
        assert_eq!([receiver.recv(), receiver.recv()], [Some(2), Some(4)]);
    }
}
