//! Threads that read: each owns a connection and takes jobs from one queue.
//!
//! Invariant: a reader never writes, and each job sees one consistent snapshot. Not here: what is read.

use crate::{
    error::StoreError,
    tx::{Connection, Tx},
};
use std::sync::{Arc, Mutex, mpsc::Receiver};

/// A read on its way; it answers its caller itself.
pub(crate) type Read = Box<dyn FnOnce(Result<&mut dyn Tx, StoreError>) + Send>;

/// Works until every sender is gone.
pub(crate) fn run<C: Connection>(mut connection: C, queue: &Arc<Mutex<Receiver<Read>>>) {
    loop {
        let next = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(poisoned) => poisoned.into_inner().recv(),
        };
        let Ok(read) = next else { return };
        if let Err(error) = connection.begin() {
            read(Err(error));
            continue;
        }
        read(Ok(connection.as_tx()));
        if connection.in_transaction() {
            // A snapshot has nothing to lose.
            drop(connection.rollback());
        }
    }
}
