//! What a driver needs to know of either a bare connection or a whole server session.

use crate::close::Closed;
use crate::connection::{Connection, Transmit};
use crate::message::OwnedMessage;
use crate::time::Time;
use alloc::vec::Vec;
use core::task::Waker;

/// A protocol endpoint that a transport drives: bytes and time in, bytes out.
///
/// Both [`Messages`] and the handler crate's `Session` implement it, so that an
/// adapter has one driver for both. It owns what could not be parsed yet: all
/// bytes that are given are taken.
pub trait Endpoint {
    /// What it hands to its caller; `Infallible` if it handles all by itself.
    type Item;

    /// Takes the bytes of one read. Call only while `wants_input()`.
    ///
    /// Returns the first item in them; more may follow from [`poll_item`](Self::poll_item).
    fn handle_input(&mut self, bytes: &mut [u8], now: Time) -> Option<Self::Item>;
    /// The next item from what is held.
    fn poll_item(&mut self, now: Time) -> Option<Self::Item>;
    /// Whether input that was read already waits for `poll_item`: output may then wait too, so that it leaves in one write.
    fn holds_input(&self) -> bool;
    /// See [`Connection::read_target`].
    fn read_target(&mut self) -> Option<&mut [u8]>;
    /// See [`Connection::handle_read`].
    fn handle_read(&mut self, n: usize, now: Time);
    /// See [`Connection::handle_eof`].
    fn handle_eof(&mut self, now: Time);
    /// See [`Connection::handle_error`].
    fn handle_error(&mut self, now: Time);
    /// See [`Connection::handle_timeout`].
    fn handle_timeout(&mut self, now: Time);
    /// See [`Connection::poll_timeout`].
    fn poll_timeout(&self) -> Option<Time>;
    /// See [`Connection::poll_transmit`].
    fn poll_transmit(&mut self) -> Option<Transmit<'_>>;
    /// See [`Connection::handle_written`].
    fn handle_written(&mut self, n: usize, now: Time);
    /// See [`Connection::handle_shutdown`].
    fn handle_shutdown(&mut self, now: Time);
    /// Whether output above the soft mark waits: write before anything else.
    fn wants_flush(&self) -> bool;
    /// See [`Connection::wants_input`].
    fn wants_input(&self) -> bool;
    /// See [`Connection::is_drained`].
    fn is_drained(&self) -> bool;
    /// Whether the endpoint itself can be dropped: not before `is_drained`.
    ///
    /// A handler may still have work to do when its transport is gone. Until this is true,
    /// go on with `handle_wake` and `handle_timeout`; a driver that drops the endpoint
    /// earlier, for want of time, cuts that work off.
    fn is_finished(&self) -> bool {
        self.is_drained()
    }
    /// See [`Connection::lend`].
    fn lend(&mut self, buffer: Vec<u8>);
    /// See [`Connection::reclaim`].
    fn reclaim(&mut self) -> Option<Vec<u8>>;
    /// Keeps the waker to be woken when there is work from elsewhere (another thread's `Peer`).
    fn set_waker(&mut self, waker: &Waker) {
        let _ = waker;
    }
    /// Takes over the work that came from elsewhere. Call it first on every wake-up.
    fn handle_wake(&mut self, now: Time) {
        let _ = now;
    }
}

/// What [`Messages`] hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// A message.
    Message(OwnedMessage),
    /// A Ping, already answered.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// The end, once and last.
    Closed(Closed),
}

/// A [`Connection`] whose messages are owned and handed out one at a time: what a
/// streaming API (`recv().await`) stands on.
pub struct Messages {
    connection: Connection,
}

impl Messages {
    /// With the bytes that came behind the handshake.
    #[must_use]
    pub fn new(connection: Connection, left_over: &[u8]) -> Self {
        let _ = left_over;
        Self { connection }
    }
    /// The connection.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
