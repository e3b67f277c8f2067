//! Threads that read: each owns a connection and takes jobs from one queue.
//!
//! Invariant: a reader never writes, and each job sees one consistent snapshot. Not here: what is read.

use crate::{
    channel::Receiver,
    error::StoreError,
    tx::{Connection, Tx},
};

/// A read on its way; it answers its caller itself.
pub(crate) type Read = Box<dyn FnOnce(Result<&mut dyn Tx, StoreError>) + Send>;

/// Works until the sender is gone and all is read.
pub(crate) fn run<C: Connection>(mut connection: C, queue: &Receiver<Read>) {
    while let Some(first) = queue.recv() {
        // Whoever asks later must see what was committed by then, so a snapshot serves those alone who have
        // asked before it.
        let asked = queue.sent();
        let shares = connection.dialect().reads_share_a_snapshot();
        let (mut next, mut is_open) = (Some(first), false);
        while let Some(read) = next {
            match if is_open { Ok(()) } else { connection.begin() } {
                Ok(()) => read(Ok(connection.as_tx())),
                Err(error) => read(Err(error)),
            }
            is_open = shares && connection.in_transaction();
            next = if shares { queue.next_of(&asked) } else { None };
        }
        if connection.in_transaction() {
            // A snapshot has nothing to lose.
            drop(connection.rollback());
        }
    }
}
