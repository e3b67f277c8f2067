//! Bodies of requests brought into memory.
//!
//! Invariant: what all bodies beyond a small size hold together is bounded; who finds no room is told to come
//! back, and nobody waits while holding a part. Not here: what a body says (`app::request`).

use crate::{app::Error, http::error::Fail};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size are not counted: nearly all are smaller, and the connections bound them.
const FREE_BYTES: usize = 64 << 10;
/// What one permit stands for.
const PERMIT_BYTES: usize = 64 << 10;
/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// The memory that large bodies share.
#[derive(Clone)]
pub(crate) struct Bodies {
    memory: Arc<Semaphore>,
}

impl Bodies {
    pub(crate) fn new(bytes: usize) -> Self {
        let permits = (bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { memory: Arc::new(Semaphore::new(permits)) }
    }

    /// Reads a body of at most `limit_bytes`; its memory counts as long as the permit lives.
    pub(crate) async fn read(
        &self,
        body: Body,
        limit_bytes: usize,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Fail> {
        let mut frames = body.into_data_stream();
        let (mut read, mut held) = (BytesMut::new(), None);
        loop {
            let next = tokio::time::timeout(SILENCE, frames.next()).await;
            let frame = match next.map_err(|_| unreadable("the body stopped arriving"))? {
                None => return Ok((read.freeze(), held)),
                Some(frame) => frame.map_err(|_| unreadable("the body could not be read to its end"))?,
            };
            if read.len() + frame.len() > limit_bytes {
                return Err(Fail(Error::PayloadTooLarge { limit_bytes }));
            }
            read.extend_from_slice(&frame);
            self.count(&mut held, read.len())?;
        }
    }

    /// Holds as much as a body of that size needs.
    fn count(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Fail> {
        let needed = bytes.saturating_sub(FREE_BYTES).div_ceil(PERMIT_BYTES);
        let more = needed.saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Fail(Error::Overloaded))?;
        let permit = Arc::clone(&self.memory).try_acquire_many_owned(more);
        let permit = permit.map_err(|_| Fail(Error::Overloaded))?;
        match held {
            Some(held) => held.merge(permit),
            None => *held = Some(permit),
        }
        Ok(())
    }
}

fn unreadable(problem: &str) -> Fail {
    Fail(Error::field("", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: usize) -> Body {
        Body::from(vec![b'a'; bytes])
    }

    #[tokio::test]
    async fn large_bodies_share_a_bound_and_small_ones_need_none() {
        let bodies = Bodies::new(2 * PERMIT_BYTES);
        let (first, held) = bodies.read(body(3 * PERMIT_BYTES), 1 << 20).await.unwrap();
        assert_eq!(
            (first.len(), held.as_ref().map(OwnedSemaphorePermit::num_permits)),
            (3 * PERMIT_BYTES, Some(2))
        );
        let refused = bodies.read(body(2 * PERMIT_BYTES), 1 << 20).await.unwrap_err();
        assert_eq!(refused.0, Error::Overloaded);
        assert!(bodies.read(body(FREE_BYTES), 1 << 20).await.unwrap().1.is_none());
        drop(held);
        assert!(bodies.read(body(2 * PERMIT_BYTES), 1 << 20).await.unwrap().1.is_some());
        let refused = bodies.read(body(101), 100).await.unwrap_err();
        assert_eq!(refused.0, Error::PayloadTooLarge { limit_bytes: 100 });
    }
}
