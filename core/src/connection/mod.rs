//! One WebSocket connection after its handshake.

use crate::close::Closed;
use crate::config::SharedConfig;
use crate::message::{Chunk, Message};
use crate::send::Sender;
use crate::time::Time;
use alloc::vec::Vec;

/// Which side of the connection this is (RFC 6455 §5.1: clients mask).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepts connections.
    Server,
    /// Opens them. Its masking keys come from a generator with this seed.
    Client,
}

/// The seed of a client's masking keys (RFC 6455 §10.3): 32 bytes from the operating system's generator.
pub struct Seed(pub(crate) [u8; 32]);
impl Seed {
    /// From unpredictable bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The bytes of one read, and how far they are parsed.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    at: usize,
    fresh: bool,
}
impl<'b> Input<'b> {
    /// Payloads are unmasked in place.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            fresh: true,
        }
    }
    /// What is not parsed yet.
    pub fn remaining(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
    /// Whether all of it is parsed.
    pub fn is_empty(&self) -> bool {
        let _ = self.fresh;
        self.at == self.bytes.len()
    }
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A piece of a message, with `Delivery::Chunks` only.
    Chunk(Chunk<'a>),
    /// A Ping; it has been answered already.
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// The end: once and last.
    Closed(Closed),
}

/// What the transport must do next.
#[derive(Debug)]
pub enum Transmit<'a> {
    /// Write some of these bytes, then say how many with `handle_written`.
    Write(Output<'a>),
    /// Half-close: shut the writing direction down, then call `handle_shutdown`.
    Shutdown,
}

/// Queued output: one slice, or several for a vectored write.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    first: &'a [u8],
}
impl<'a> Output<'a> {
    /// The first slice, never empty.
    #[must_use]
    pub fn first(&self) -> &'a [u8] {
        self.first
    }
    /// Whether the first slice is all.
    #[must_use]
    pub fn is_single(&self) -> bool {
        true
    }
    /// All slices, in order, none empty.
    pub fn slices(&self) -> impl Iterator<Item = &'a [u8]> {
        core::iter::once(self.first)
    }
}

/// One connection, either role.
pub struct Connection {
    _todo: (),
}

impl Connection {
    /// A server's connection, after the handshake.
    #[must_use]
    pub fn server(config: &SharedConfig, now: Time) -> Self {
        let _ = (config, now);
        todo!()
    }
    /// A client's connection, after the handshake.
    #[must_use]
    pub fn client(config: &SharedConfig, seed: Seed, now: Time) -> Self {
        let _ = (config, seed, now);
        todo!()
    }
    /// The next event and the sender to answer it with. `None`: all of `input` is consumed, or receiving is paused (`!wants_input()`).
    ///
    /// After `handle_eof`, `handle_error`, `handle_timeout` and `sender().abort()` call it with an empty input: the `Closed` event may be waiting.
    pub fn poll_event<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        now: Time,
    ) -> Option<(Event<'a>, &'a mut Sender)> {
        let _ = (input, now);
        todo!()
    }
    /// The sending half.
    pub fn sender(&mut self) -> &mut Sender {
        todo!()
    }
    /// A large binary message's own buffer to read into: then call `handle_read` instead of `poll_event` with those bytes.
    pub fn read_target(&mut self) -> Option<&mut [u8]> {
        todo!()
    }
    /// `n` bytes were read into `read_target()`.
    pub fn handle_read(&mut self, n: usize, now: Time) {
        let _ = (n, now);
        todo!()
    }
    /// The peer's bytes have ended.
    pub fn handle_eof(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    /// The transport failed: nothing more can be read or written.
    pub fn handle_error(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    /// Time has passed. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    /// When to call `handle_timeout`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        todo!()
    }
    /// What the transport must do next.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        todo!()
    }
    /// `n` bytes were written. To be called after every attempt, with 0 when the transport takes nothing.
    pub fn handle_written(&mut self, n: usize, now: Time) {
        let _ = (n, now);
        todo!()
    }
    /// The writing direction is shut down.
    pub fn handle_shutdown(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    /// Whether to read.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        todo!()
    }
    /// Whether the transport can be dropped.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        todo!()
    }
    /// Lends an empty buffer for output, so that an idle connection need not own one.
    pub fn lend(&mut self, buffer: Vec<u8>) {
        let _ = buffer;
        todo!()
    }
    /// Gives the output buffer back when nothing is queued.
    pub fn reclaim(&mut self) -> Option<Vec<u8>> {
        todo!()
    }
}
