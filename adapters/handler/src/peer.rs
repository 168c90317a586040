//! A handle to a connection for everybody who is not its handler.

use alloc::sync::Arc;
use core::fmt;
use core::task::Waker;

use sockeye_core::{CloseCode, Frame, OwnedMessage};

use crate::address::Address;

/// A connection as others see it: another connection's handler, a thread, a subscriber.
#[derive(Clone)]
pub struct Peer(Arc<Shared>);

struct Shared {
    address: Address,
}

impl Peer {
    /// Queues a message.
    ///
    /// # Errors
    ///
    /// The message comes back if the queue is full or the connection has ended.
    pub fn send(&self, message: impl Into<OwnedMessage>) -> Result<(), Refused> {
        let _ = message.into();
        todo!()
    }
    /// Queues a frame that was encoded once for many connections.
    pub fn send_frame(&self, frame: &Frame) -> Result<(), PeerError> {
        let _ = frame;
        todo!()
    }
    /// Closes the connection behind what is queued. Always possible.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let _ = (code, reason);
        todo!()
    }
    /// Has the handler's `on_wake` called.
    pub fn wake(&self) {
        todo!()
    }
    /// A waker that does what [`wake`](Self::wake) does.
    #[must_use]
    pub fn waker(&self) -> Waker {
        todo!()
    }
    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }
    /// Whether the connection has not ended yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        todo!()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.address.fmt(f)
    }
}

/// Why a send through a [`Peer`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// The queue is above its mark.
    Full,
    /// The connection has ended.
    Closed,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: PeerError,
    /// The message.
    pub message: OwnedMessage,
}
