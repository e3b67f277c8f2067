//! Where the bytes of a fetched file go, chunk by chunk.
//!
//! Invariant: a fetch holds one chunk, whatever the file has; a sink that refuses ends the fetch at once. Not
//! here: how much may come (`guarded`), files on disk (the server's).

use crate::guarded::FetchError;
use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, ready};

/// How much of a file may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    pub max_bytes: u64,
    /// The server says that it has `max_bytes`, neither more nor less; otherwise it says nothing.
    pub is_declared: bool,
}

/// Takes a file in the order of its bytes. It is whole only once the fetch says so.
pub trait Sink: Send {
    /// Hears before the first byte how much may come.
    fn begin(&mut self, length: Length) {
        let _ = length;
    }
    /// Takes the next bytes; the next chunk is not read before this is done.
    fn take(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), FetchError>>;
}

/// For files that are small by their limit.
impl Sink for BytesMut {
    fn take(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), FetchError>> {
        self.extend_from_slice(&chunk);
        Box::pin(ready(Ok(())))
    }
}
