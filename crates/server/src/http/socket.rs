//! One connection's bytes: knows whether a request may be under way, and closes without a reset.
//!
//! Invariant: what the client sent is read until it closes too, within limits, before the socket goes: a
//! socket that goes with unread bytes resets the connection, and the client loses the answer. Not here: HTTP.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long and how much is read from a client that doesn't stop after it was answered.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 4 << 20;

const FRESH: u8 = 0;
const READ: u8 = 1;
const WRITTEN: u8 = 2;

/// What a connection did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing came yet.
    Fresh,
    /// Bytes came that nothing answered yet: a request, or the begin of one.
    Read,
    /// An answer went out.
    Written,
}

/// The view of a connection's activity from outside of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<AtomicU8>);

impl Activity {
    pub(super) fn last(&self) -> Last {
        match self.0.load(Ordering::Relaxed) {
            FRESH => Last::Fresh,
            READ => Last::Read,
            _ => Last::Written,
        }
    }

    fn note(&self, what: u8) {
        self.0.store(what, Ordering::Relaxed);
    }
}

/// How long a client may take no byte of an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// A stream, encrypted or not.
pub(super) struct Socket<T> {
    stream: T,
    activity: Activity,
    shutdown: Shutdown,
    patience: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

enum Shutdown {
    Open,
    Lingering { until: Pin<Box<Sleep>>, bytes_left: usize },
    Done,
}

impl<T> Socket<T> {
    pub(super) fn new(stream: T, activity: Activity) -> Self {
        let shutdown = Shutdown::Open;
        Self { stream, activity, shutdown, patience: WRITE_PATIENCE, stalled: None }
    }

    /// Ends a connection whose client has not read for too long: it would hold its place for ever.
    fn progress<R>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.note(READ);
        }
        polled
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.note(WRITTEN);
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.note(WRITTEN);
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.progress(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.shutdown {
                Shutdown::Open => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
                    let until = Box::pin(sleep(LINGER));
                    this.shutdown = Shutdown::Lingering { until, bytes_left: LINGER_BYTES };
                }
                Shutdown::Lingering { until, bytes_left } => {
                    if until.as_mut().poll(context).is_pending() {
                        ready!(poll_discard(&mut this.stream, context, bytes_left));
                    }
                    this.shutdown = Shutdown::Done;
                }
                Shutdown::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Ready at the end of the stream, at an error, or when the limit is reached.
fn poll_discard<T: AsyncRead + Unpin>(
    stream: &mut T,
    context: &mut Context<'_>,
    bytes_left: &mut usize,
) -> Poll<()> {
    let mut space = [0; 4096];
    while *bytes_left > 0 {
        let mut buffer = ReadBuf::new(&mut space);
        let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
        if read.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
        *bytes_left = bytes_left.saturating_sub(buffer.filled().len());
    }
    Poll::Ready(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn tells_what_happened_last() {
        let (client, server) = duplex(64);
        let activity = Activity::default();
        let mut socket = Socket::new(server, activity.clone());
        let mut client = client;
        assert_eq!(activity.last(), Last::Fresh);
        client.write_all(b"GET").await.unwrap();
        assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 3);
        assert_eq!(activity.last(), Last::Read);
        socket.write_all(b"ok").await.unwrap();
        assert_eq!(activity.last(), Last::Written);
    }

    #[tokio::test]
    async fn reads_to_the_end_before_it_closes() {
        let (mut client, server) = duplex(16);
        let mut socket = Socket::new(server, Activity::default());
        // More than the pipe holds: the client can finish only if somebody reads.
        let talk = async {
            client.write_all(&[0; 100_000]).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (closed, ()) = tokio::join!(socket.shutdown(), talk);
        assert!(closed.is_ok());
    }

    #[tokio::test]
    async fn does_not_wait_for_a_client_that_reads_nothing() {
        let (_client, server) = duplex(16);
        let mut socket = Socket::new(server, Activity::default());
        socket.patience = Duration::from_millis(1);
        let error = socket.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn does_not_read_for_ever() {
        let (mut client, server) = duplex(1 << 16);
        let mut socket = Socket::new(server, Activity::default());
        let talk = async { while client.write_all(&[0; 1 << 16]).await.is_ok() {} };
        let close = async {
            socket.shutdown().await.unwrap();
            drop(socket);
        };
        tokio::join!(close, talk);
    }
}
