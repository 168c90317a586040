//! Queueing for many connections under a lock, and waking them after it.

use core::task::Waker;

use sockeye_handler::{CloseCode, Frame, Peer};

/// A connection reads too slowly.
pub(crate) const SLOW: CloseCode = CloseCode::new(4008);

/// Whom to wake. Declared before a lock is taken, it wakes after the lock is free: a waker may
/// do anything.
#[derive(Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Queues a frame that must not be missing; whether it could be. If the queue is full, what
    /// is in it will not be read anyway: the connection closes, and recovers by offset.
    pub(crate) fn enqueue(&mut self, peer: &Peer, frame: &Frame) -> bool {
        let (waker, is_queued) = match peer.enqueue_or_close(frame, SLOW, "slow consumer") {
            Ok(waker) => (waker, true),
            Err((_, waker)) => (waker, false),
        };
        self.add(waker);
        is_queued
    }

    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}
