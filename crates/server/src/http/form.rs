//! A `multipart/form-data` body, part by part.
//!
//! Invariant: the parser, which keeps and searches everything up to a part's content, is never given more
//! than [`AROUND_PARTS_BYTES`] of that. Not here: what the parts are (`file`).

use crate::{app::Error, http::error::Fail};
use axum::{
    body::{Body, BodyDataStream},
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::Bytes;
use futures::Stream;
use http::StatusCode;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

/// What may stand between the contents of two parts: boundaries and headers.
pub(crate) const AROUND_PARTS_BYTES: usize = 64 << 10;
/// Parts of one body, each of which may have so many headers.
const PARTS_MAX: usize = 64;
/// What the parser is given at once of headers, and of content.
const HEADERS_PIECE_BYTES: usize = 4 << 10;
const CONTENT_PIECE_BYTES: usize = 64 << 10;
/// Longest wait for the next piece.
const IDLE: Duration = Duration::from_secs(10);

/// A body and the parser that reads it.
pub(crate) struct Form {
    parser: Multipart,
    gate: Arc<Gate>,
    parts: usize,
    limit_bytes: usize,
    idle: Duration,
}

/// A part whose content is to be read to its end before the next part.
pub(crate) struct Part<'a> {
    field: Field<'a>,
    gate: Arc<Gate>,
    limit_bytes: usize,
    idle: Duration,
}

impl Form {
    /// The parts of a request's body. `limit_bytes` is what a refusal of a body that is too large names.
    pub(crate) async fn new(request: Request, limit_bytes: usize) -> Result<Self, Fail> {
        let gate = Arc::new(Gate::default());
        let request = request.map(|body| {
            let body = body.into_data_stream();
            Body::from_stream(Gated { body, waiting: Bytes::new(), paused: false, gate: Arc::clone(&gate) })
        });
        let parser = Multipart::from_request(request, &()).await;
        let parser = parser.map_err(|_| Fail(Error::UnsupportedMediaType))?;
        Ok(Self { parser, gate, parts: 0, limit_bytes, idle: IDLE })
    }

    /// The next part.
    pub(crate) async fn next(&mut self) -> Result<Option<Part<'_>>, Fail> {
        let (gate, limit_bytes, idle) = (Arc::clone(&self.gate), self.limit_bytes, self.idle);
        gate.turn(false);
        let next = tokio::time::timeout(idle, self.parser.next_field()).await.map_err(|_| stalled(idle))?;
        let Some(field) = next.map_err(|error| unreadable(&error, &gate, limit_bytes))? else {
            return Ok(None);
        };
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(Fail(Error::field("", format!("the body has more than {PARTS_MAX} parts"))));
        }
        gate.turn(true);
        Ok(Some(Part { field, gate, limit_bytes, idle }))
    }
}

impl Part<'_> {
    pub(crate) fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// The next bytes of its content.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Fail> {
        let chunk = tokio::time::timeout(self.idle, self.field.chunk()).await;
        let chunk = chunk.map_err(|_| stalled(self.idle))?;
        chunk.map_err(|error| unreadable(&error, &self.gate, self.limit_bytes))
    }
}

fn stalled(idle: Duration) -> Fail {
    Fail(Error::field("", format!("nothing more of the body arrived in {} seconds", idle.as_secs())))
}

fn unreadable(error: &MultipartError, gate: &Gate, limit_bytes: usize) -> Fail {
    if gate.around_bytes.load(Ordering::Relaxed) > AROUND_PARTS_BYTES {
        let problem =
            format!("the body has more than {AROUND_PARTS_BYTES} bytes before or between its parts");
        return Fail(Error::field("", problem));
    }
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Fail(Error::PayloadTooLarge { limit_bytes });
    }
    Fail(Error::field("", "the body is no whole multipart/form-data"))
}

/// What the reader of the parts tells the stream below the parser.
#[derive(Default)]
struct Gate {
    /// Content is read, which the parser hands on at once.
    in_part: AtomicBool,
    /// The reader has just begun something else: the parser looks at what it has before it is given more.
    turned: AtomicBool,
    /// What the parser was given since the last content.
    around_bytes: AtomicUsize,
}

impl Gate {
    fn turn(&self, in_part: bool) {
        self.in_part.store(in_part, Ordering::Relaxed);
        self.turned.store(true, Ordering::Relaxed);
        self.around_bytes.store(0, Ordering::Relaxed);
    }
}

/// A body in small pieces. The parser takes all that is ready before it looks at any of it, so after each
/// piece nothing is ready until it has looked.
struct Gated {
    body: BodyDataStream,
    waiting: Bytes,
    paused: bool,
    gate: Arc<Gate>,
}

impl Stream for Gated {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.gate.turned.swap(false, Ordering::Relaxed) || std::mem::take(&mut this.paused) {
            this.paused = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while this.waiting.is_empty() {
            match std::task::ready!(Pin::new(&mut this.body).poll_next(context)) {
                Some(Ok(bytes)) => this.waiting = bytes,
                other => return Poll::Ready(other),
            }
        }
        let in_part = this.gate.in_part.load(Ordering::Relaxed);
        let most = if in_part { CONTENT_PIECE_BYTES } else { HEADERS_PIECE_BYTES };
        let piece = this.waiting.split_to(this.waiting.len().min(most));
        if !in_part {
            let before = this.gate.around_bytes.fetch_add(piece.len(), Ordering::Relaxed);
            if before.saturating_add(piece.len()) > AROUND_PARTS_BYTES {
                return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(
                    "too much around parts",
                )))));
            }
        }
        this.paused = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use std::convert::Infallible;

    async fn form_of(first: &'static str) -> Form {
        let body = stream::iter([Ok::<_, Infallible>(first)]).chain(stream::pending());
        let request = Request::builder().header("content-type", "multipart/form-data; boundary=XX");
        let request = request.body(Body::from_stream(body)).unwrap();
        let form = Form::new(request, 1000).await.ok().unwrap();
        Form { idle: Duration::from_millis(20), ..form }
    }

    fn problem(fail: Fail) -> String {
        let Error::Invalid(fields) = fail.0 else { return String::new() };
        fields.into_iter().map(|field| field.problem).collect()
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        for first in ["--XX\r\n", "--XX\r\ncontent-disposition: form-data; name=\"file\"\r\n"] {
            let mut form = form_of(first).await;
            let fail = form.next().await.err().unwrap();
            assert_eq!(problem(fail), "nothing more of the body arrived in 0 seconds");
        }
        let mut form = form_of("--XX\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nabc").await;
        let mut part = form.next().await.ok().flatten().unwrap();
        assert_eq!(part.chunk().await.ok().flatten().unwrap(), "abc");
        let fail = part.chunk().await.err().unwrap();
        assert_eq!(problem(fail), "nothing more of the body arrived in 0 seconds");
        assert_eq!(IDLE, Duration::from_secs(10));
    }
}
