//! What a handler can do with its connection.

use sockeye_core::{CloseCode, Frame, Outgoing, SendError, Sender, Time};

use crate::address::Address;
use crate::peer::Peer;

/// One connection, as its handler sees it during a call.
pub struct Context<'a> {
    sender: &'a mut Sender,
    now: Time,
}

impl Context<'_> {
    /// Queues a message; see [`Sender::send`].
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.sender.send(message)
    }
    /// Queues a frame that was encoded once for many connections.
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        self.sender.send_frame(frame)
    }
    /// Queues a Ping, ahead of waiting data.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.ping(payload)
    }
    /// Queues a Close frame behind the data that is queued.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(code, reason)
    }
    /// Gives up without a close handshake.
    pub fn abort(&mut self) {
        self.sender.abort();
    }
    /// Bytes of output that are queued and not yet written.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.sender.buffered()
    }
    /// Whether the output queue is at or below the soft mark.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        todo!()
    }
    /// Whether messages can be sent: no Close has been sent or received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sender.is_open()
    }
    /// Stops receiving after this call, in the middle of a read if need be.
    pub fn pause(&mut self) {
        self.sender.pause();
    }
    /// Receives again.
    pub fn resume(&mut self) {
        self.sender.resume();
    }
    /// Asks for `on_timer(key)` at `at`. A key has one time: the newest.
    pub fn set_timer(&mut self, key: u64, at: Time) {
        let _ = (key, at);
        todo!()
    }
    /// Forgets a timer.
    pub fn clear_timer(&mut self, key: u64) {
        let _ = key;
        todo!()
    }
    /// The time of this call.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }
    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        todo!()
    }
    /// This connection's handle for everybody else.
    pub fn peer(&mut self) -> Peer {
        todo!()
    }
    /// Calls `inner` with a context whose sends go through `on_send`.
    pub fn layered<R>(
        &mut self,
        on_send: impl FnMut(Outgoing<'_>, &mut Context<'_>) -> Result<(), SendError>,
        inner: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let _ = on_send;
        inner(self)
    }
}
