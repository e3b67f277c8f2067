//! Tells the other processes on this database that something may have changed: PostgreSQL's NOTIFY.
//!
//! Invariant: a ring is a hint. It may be lost, come twice or come late, so whoever waits also looks from
//! time to time; and it never holds up a commit, because it travels on a connection of its own. Not here:
//! what a ring means (the server's hub).

use crate::{
    error::StoreError,
    postgres::{Link, Postgres, Use},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Rings that may wait; more are dropped.
const WAITING_MAX: usize = 10_000;
/// PostgreSQL takes payloads of less than 8000 bytes.
const PAYLOAD_BYTES: usize = 7_000;
/// How long a listener waits before it looks whether it shall end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pause before a broken listener connects again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is called with each ring of another process.
pub(crate) type Heard = Box<dyn Fn(&str) + Send>;

/// The way out of this process.
pub(crate) struct Bell {
    rings: SyncSender<String>,
}

impl Bell {
    /// A bell, and what its thread does.
    pub(crate) fn new(link: Link, sender: String) -> (Self, impl FnOnce() + Send + 'static) {
        let (rings, queue) = sync_channel(WAITING_MAX);
        (Self { rings }, move || announce(link, &sender, &queue))
    }

    pub(crate) fn ring(&self, what: String) {
        // A hint that finds no room is made up for by those who look.
        drop(self.rings.try_send(what));
    }
}

/// Sends what is waiting, each thing once.
fn announce(link: Link, sender: &str, queue: &Receiver<String>) {
    let mut connection = Postgres::new(link, Use::Announce);
    while let Ok(first) = queue.recv() {
        let rings: BTreeSet<String> = std::iter::once(first).chain(queue.try_iter()).collect();
        let mut payload = sender.to_owned();
        for ring in rings {
            if payload.len() + ring.len() + 1 > PAYLOAD_BYTES {
                drop(connection.notify(&payload));
                payload = sender.to_owned();
            }
            payload.push(' ');
            payload.push_str(&ring);
        }
        drop(connection.notify(&payload));
    }
}

/// Hears until it shall end.
pub(crate) fn listen(link: Link, sender: &str, ended: &Arc<AtomicBool>, heard: &Heard) {
    let mut connection = Postgres::new(link, Use::Announce);
    while !ended.load(Ordering::Relaxed) {
        let hear = |payload: &str| {
            let mut words = payload.split(' ');
            if words.next() != Some(sender) {
                words.for_each(heard);
            }
        };
        if let Err(error) = hear_once(&mut connection, hear) {
            tracing::warn!(%error, "wake-ups of other processes are not heard; looking goes on");
            thread::sleep(PAUSE);
        }
    }
}

fn hear_once(connection: &mut Postgres, hear: impl FnMut(&str)) -> Result<(), StoreError> {
    connection.listen()?;
    connection.notifications(LOOK_EVERY).map(|payloads| payloads.iter().map(String::as_str).for_each(hear))
}
