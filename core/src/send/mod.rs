//! The sending half of a connection.

mod backlog;
#[cfg(feature = "deflate")]
mod compress;
mod gate;
mod lifecycle;
mod output;
mod put;
mod queue;

use alloc::boxed::Box;
use core::fmt;

use self::gate::Gate;
pub use self::output::Output;
pub use self::queue::OutputBuffer;
use self::queue::Queue;
use crate::close::machine::{Action, Occurrence, State};
use crate::close::{Cause, CloseCode, Closed, Initiator};
use crate::config::{Delivery, SharedConfig};
use crate::connection::Role;
#[cfg(feature = "deflate")]
use crate::deflate::Deflater;
use crate::frame::{First, Frame, MAX_CONTROL, Opcode};
use crate::mask::{Keys, Seed};
use crate::message::{MessageKind, Outgoing, Payload};
use crate::time::Time;
use crate::timer::{Timer, Timers};

/// The sending half of a [`Connection`](crate::Connection), with its close machine.
///
/// It comes with every event, so that a message can be answered while its payload
/// is still borrowed. Nothing here does I/O: what is queued leaves through
/// [`Connection::poll_transmit`](crate::Connection::poll_transmit).
pub struct Sender {
    pub(crate) config: SharedConfig,
    queue: Queue,
    state: State,
    pub(crate) gate: Gate,
    flags: u8,
    stream: Stream,
    pub(crate) timers: Timers,
    rare: Option<Box<Rare>>,
}

/// What only some connections need, or only at the end.
#[derive(Default)]
struct Rare {
    /// A client's masking keys.
    keys: Option<Keys>,
    /// The outcome, until it is given out as an event.
    outcome: Option<Closed>,
    /// A compressor that goes on from message to message, or that a message which is sent
    /// in fragments has taken.
    #[cfg(feature = "deflate")]
    deflater: Option<Deflater>,
}

/// A message that is sent in fragments, and the window to compress with, in one byte.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Stream(u8);

impl Stream {
    /// Bits of the window; without any nothing is compressed.
    #[cfg(feature = "deflate")]
    const WINDOW: u8 = 0x0f;
    #[cfg(feature = "deflate")]
    const TAKEOVER: u8 = 0x10;
    /// The message that is sent in fragments is compressed.
    #[cfg(feature = "deflate")]
    const COMPRESSED: u8 = 0x20;
    /// Its first fragment is still to come, as text or binary.
    const FIRST_TEXT: u8 = 0x40;
    const FIRST_BINARY: u8 = 0x80;

    fn begin(&mut self, kind: MessageKind) {
        self.0 |= match kind {
            MessageKind::Text => Self::FIRST_TEXT,
            MessageKind::Binary => Self::FIRST_BINARY,
        };
    }

    /// What the next fragment is.
    fn next_opcode(&mut self) -> Opcode {
        let first = self.0 & (Self::FIRST_TEXT | Self::FIRST_BINARY);
        self.0 &= !first;
        match first {
            Self::FIRST_TEXT => Opcode::Text,
            Self::FIRST_BINARY => Opcode::Binary,
            _ => Opcode::Continuation,
        }
    }
}

/// A message is being sent in fragments.
const FRAGMENTING: u8 = 1;
/// Messages may be compressed.
#[cfg(feature = "deflate")]
const DEFLATE: u8 = 2;
/// This is a client.
const CLIENT: u8 = 4;
/// The writing direction of the transport is shut down.
const SHUT_DOWN: u8 = 8;
/// The peer's bytes have ended.
const EOF: u8 = 16;
/// The connection failed: input is discarded, and only for a while.
const FAILED: u8 = 32;
/// We closed while receiving was paused: data is read, and discarded.
const DISCARDING: u8 = 64;
/// A message was sent since the idle deadline was set.
const SENT: u8 = 128;

impl Sender {
    pub(crate) fn new(config: &SharedConfig, seed: Option<&Seed>, now: Time) -> Self {
        let mut timers = Timers::default();
        if let Some(interval) = config.ping_interval {
            timers.set_after(Timer::Peer, interval, now);
        }
        let mut gate = Gate(0);
        gate.set(Gate::SETTINGS, config.delivery == Delivery::Chunks);
        if let Some(idle) = config.idle_timeout {
            timers.set_after(Timer::Idle, idle, now);
            gate.set(Gate::SETTINGS, true);
        }
        Self {
            config: config.clone(),
            queue: Queue::default(),
            state: State::Open,
            gate,
            flags: if seed.is_some() { CLIENT } else { 0 },
            stream: Stream::default(),
            timers,
            rare: seed.map(|seed| Box::new(Rare::with_keys(seed))),
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if more than [`Config::hard_mark`](crate::Config) bytes
    /// are queued already; [`SendError::Closing`] and [`SendError::Closed`] when it
    /// is too late; [`SendError::Fragmenting`] between [`begin`](Self::begin) and
    /// [`finish`](Self::finish). The message is dropped.
    // Inlined down to the copy, so that the message never goes through memory.
    #[inline(always)]
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        let message = message.into();
        #[cfg(feature = "deflate")]
        if self.flags & (FRAGMENTING | DEFLATE) != 0 {
            return self.send_compressed(message);
        }
        self.admit()?;
        self.put(First::whole(message.kind.into()), message.payload);
        Ok(())
    }

    /// Queues a frame that was encoded once for many connections.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        if self.flags & CLIENT != 0 {
            return self.send(frame);
        }
        #[cfg(feature = "deflate")]
        if self.flags & (FRAGMENTING | DEFLATE) != 0 {
            return self.send_compressed_frame(frame);
        }
        self.admit()?;
        self.put_encoded(frame.encoded());
        Ok(())
    }

    /// Begins a message that is sent in fragments, for payloads that are not known
    /// as a whole (RFC 6455 §5.4). Nothing is queued until a fragment follows.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn begin(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.begin_uncompressed(kind)?;
        #[cfg(feature = "deflate")]
        self.begin_compressed();
        Ok(())
    }

    /// The same for a message that must not be compressed; see
    /// [`Outgoing::uncompressed`].
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn begin_uncompressed(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.admit()?;
        self.flags |= FRAGMENTING;
        self.stream.begin(kind);
        Ok(())
    }

    /// Sends the next fragment of the message that was begun.
    ///
    /// The fragments of a text may be cut inside a character; that the whole is
    /// UTF-8 is the caller's duty here.
    ///
    /// # Errors
    ///
    /// [`SendError::Fragmenting`] if none was begun; otherwise as for
    /// [`send`](Self::send), and the message stays open.
    pub fn append(&mut self, fragment: &[u8]) -> Result<(), SendError> {
        self.fragment(fragment, false)
    }

    /// Sends the last fragment of the message that was begun; it may be empty.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    pub fn finish(&mut self, fragment: &[u8]) -> Result<(), SendError> {
        self.fragment(fragment, true)
    }

    /// Queues a Ping of at most 125 bytes, ahead of all data that waits.
    ///
    /// Where 2 KiB of control frames wait already, it replaces the newest of them.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLong`], [`SendError::Closing`], [`SendError::Closed`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload)
    }

    /// Queues an unsolicited Pong of at most 125 bytes (RFC 6455 §5.5.3). Pings are
    /// answered without this.
    ///
    /// # Errors
    ///
    /// As for [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload)
    }

    /// Queues a Close frame behind the data that is queued (RFC 6455 §7.1.2).
    ///
    /// Messages that were under way are still received, unless receiving was
    /// paused: then they are discarded, so that the peer's Close can be read.
    /// [`CloseCode::NO_STATUS`] with an empty reason sends a Close without a payload.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseCode`] for a code that must not be sent,
    /// [`SendError::TooLong`] for a reason above 123 bytes, [`SendError::Closing`]
    /// and [`SendError::Closed`] when the connection is closing already.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if !code.is_sendable() && (code != CloseCode::NO_STATUS || !reason.is_empty()) {
            return Err(SendError::CloseCode);
        }
        if reason.len() > MAX_CONTROL - 2 {
            return Err(SendError::TooLong);
        }
        match self.step(Occurrence::LocalClose) {
            Action::RefuseClosing => return Err(SendError::Closing),
            Action::RefuseClosed => return Err(SendError::Closed),
            _ => {}
        }
        if self.gate.is_paused() {
            self.gate.set(Gate::PAUSED | Gate::FULL, false);
            self.flags |= DISCARDING;
        }
        self.put_close(code, reason);
        Ok(())
    }

    /// Stops receiving, from the next message on: no event comes and
    /// [`wants_input`](crate::Connection::wants_input) is false until
    /// [`resume`](Self::resume). Closing lifts it.
    pub fn pause(&mut self) {
        if self.state == State::Open {
            self.gate.set(Gate::PAUSED, true);
            self.gate.forgive();
        }
    }

    /// Receives again.
    pub fn resume(&mut self) {
        self.gate.set(Gate::PAUSED, false);
    }

    /// Ends the connection without a close handshake; what is queued is dropped.
    pub fn abort(&mut self) {
        if self.step(Occurrence::Abort) == Action::End {
            self.conclude(CloseCode::ABNORMAL, "", Initiator::Local, Cause::Aborted);
        }
    }

    /// Bytes of output that are queued and not yet written.
    #[must_use]
    #[inline]
    pub fn buffered(&self) -> usize {
        self.queue.len()
    }

    /// Whether messages can be sent: no Close frame went either way, and the
    /// transport is there.
    #[must_use]
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether receiving waits, by [`pause`](Self::pause) or because output above
    /// the soft mark is queued.
    #[must_use]
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.gate.is_paused()
    }

    /// Whether output above the soft mark waits: a good moment to hold back.
    #[must_use]
    #[inline]
    pub fn wants_flush(&self) -> bool {
        self.queue.len() > self.config.soft_mark
    }

    /// The settings of the connection.
    #[must_use]
    #[inline]
    pub fn config(&self) -> &SharedConfig {
        &self.config
    }

    /// Which side this is.
    #[must_use]
    #[inline]
    pub fn role(&self) -> Role {
        if self.flags & CLIENT != 0 {
            Role::Client
        } else {
            Role::Server
        }
    }

    #[inline]
    fn admit(&self) -> Result<(), SendError> {
        if self.flags & FRAGMENTING != 0 {
            return Err(SendError::Fragmenting);
        }
        self.room()
    }

    #[inline]
    fn room(&self) -> Result<(), SendError> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if self.queue.len() > self.config.hard_mark {
            return Err(SendError::Full);
        }
        Ok(())
    }

    #[inline]
    fn refusal(&self) -> Option<SendError> {
        match self.state {
            State::Open => None,
            State::Closing => Some(SendError::Closing),
            State::Draining | State::Drained => Some(SendError::Closed),
        }
    }

    fn fragment(&mut self, fragment: &[u8], fin: bool) -> Result<(), SendError> {
        if self.flags & FRAGMENTING == 0 {
            return Err(self.refusal().unwrap_or(SendError::Fragmenting));
        }
        self.room()?;
        let opcode = self.stream.next_opcode();
        if fin {
            self.flags &= !FRAGMENTING;
        }
        #[cfg(feature = "deflate")]
        if self.stream.0 & Stream::COMPRESSED != 0 {
            self.put_compressed_fragment(fin, opcode, fragment);
            return Ok(());
        }
        self.put(First::of(fin, opcode), Payload::Lent(fragment));
        Ok(())
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if payload.len() > MAX_CONTROL {
            return Err(SendError::TooLong);
        }
        self.put_urgent(opcode, payload);
        Ok(())
    }

    #[inline]
    fn queued(&mut self) {
        self.flags |= SENT;
        if self.wants_flush() {
            self.hold_back();
        }
    }

    #[cold]
    fn hold_back(&mut self) {
        if self.state == State::Open && self.gate.0 & Gate::DUPLEX == 0 {
            self.gate.set(Gate::FULL, true);
            self.gate.forgive();
        }
    }
}

impl Rare {
    fn with_keys(seed: &Seed) -> Self {
        Self {
            keys: Some(Keys::new(seed)),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("role", &self.role())
            .field("state", &self.state)
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

/// What the transport must do next.
#[derive(Clone, Copy, Debug)]
pub enum Transmit<'a> {
    /// Write these bytes, or the first of them, and say how many were taken with
    /// [`handle_written`](crate::Connection::handle_written).
    Write(Output<'a>),
    /// Half-close: end the writing direction, then call
    /// [`handle_shutdown`](crate::Connection::handle_shutdown).
    Shutdown,
}

/// Why a call to send was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closing: our Close is queued.
    Closing,
    /// The connection has ended.
    Closed,
    /// The output queue is above its hard mark.
    Full,
    /// A fragmented message is open, or none is.
    Fragmenting,
    /// A control payload is longer than 125 bytes, or a close reason than 123.
    TooLong,
    /// The close code must not be sent (RFC 6455 §7.4).
    CloseCode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the connection is closing",
            Self::Closed => "the connection is closed",
            Self::Full => "the output queue is full",
            Self::Fragmenting => "the call does not fit an open fragmented message",
            Self::TooLong => "a control frame carries at most 125 bytes",
            Self::CloseCode => "this close code must not be sent",
        })
    }
}

impl core::error::Error for SendError {}
