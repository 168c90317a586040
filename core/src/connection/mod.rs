//! One WebSocket connection after its handshake: the wiring of its two halves.

mod input;
mod read_buffer;
#[cfg(test)]
mod tests;

use core::fmt;

pub use self::input::{Cut, Input};
pub use self::read_buffer::ReadBuffer;
use crate::close::machine::State;
use crate::close::{Closed, Violation};
use crate::config::SharedConfig;
use crate::extensions::Extensions;
use crate::frame::Opcode;
use crate::mask::Seed;
use crate::message::{Binary, Chunk, Lent, Message, MessageKind, OwnedMessage, Text};
use crate::receive::{Plain, Receiver, Step, What};
use crate::send::{OutputBuffer, Sender, Transmit};
use crate::time::Time;

/// Which side of a connection this is (RFC 6455 §5.1: only clients mask).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It accepted the connection.
    Server,
    /// It opened the connection.
    Client,
}

/// What happened on a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message came.
    Message(Message<'a>),
    /// A piece of a message came; only with
    /// [`Delivery::Chunks`](crate::Delivery::Chunks).
    Chunk(Chunk<'a>),
    /// A Ping came. Its Pong is queued already.
    Ping(&'a [u8]),
    /// A Pong came, asked for or not.
    Pong(&'a [u8]),
    /// The end, once and last.
    Closed(&'a Closed),
}

/// One connection, in either role.
///
/// Bytes and time go in, events and bytes come out:
///
/// | in | out |
/// |---|---|
/// | [`poll_event`] with the bytes of a read, [`handle_read`], [`handle_eof`], [`handle_error`] | events |
/// | [`handle_written`], [`handle_shutdown`] | [`has_output`], [`poll_transmit`] |
/// | [`handle_timeout`] | [`poll_timeout`] |
/// | | [`wants_input`], [`is_drained`] |
///
/// Input never returns an error: a fault of the peer becomes a Close frame with
/// the right code and one [`Event::Closed`]. That event is the end for the
/// application; the transport is needed until [`is_drained`], so that the Close
/// frame arrives.
///
/// [`poll_event`]: Self::poll_event
/// [`handle_read`]: Self::handle_read
/// [`handle_eof`]: Self::handle_eof
/// [`handle_error`]: Self::handle_error
/// [`handle_written`]: Self::handle_written
/// [`handle_shutdown`]: Self::handle_shutdown
/// [`has_output`]: Self::has_output
/// [`poll_transmit`]: Self::poll_transmit
/// [`handle_timeout`]: Self::handle_timeout
/// [`poll_timeout`]: Self::poll_timeout
/// [`wants_input`]: Self::wants_input
/// [`is_drained`]: Self::is_drained
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
}

impl Connection {
    /// A server's side, right after the handshake.
    ///
    /// What came behind the handshake's head belongs to the connection: give it to
    /// [`poll_event`](Self::poll_event) first.
    #[must_use]
    pub fn server(config: &SharedConfig, now: Time) -> Self {
        Self::new(Role::Server, config, None, now)
    }

    /// A client's side, right after the handshake. Its masking keys come from a
    /// cryptographic generator with this seed.
    #[must_use]
    pub fn client(config: &SharedConfig, seed: &Seed, now: Time) -> Self {
        Self::new(Role::Client, config, Some(seed), now)
    }

    /// With what the handshake agreed on. To be called before anything else.
    #[must_use]
    #[cfg(feature = "deflate")]
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        if let Some(agreed) = extensions.deflate() {
            self.receiver.set_deflate(agreed.receive);
            self.sender.set_deflate(agreed.send);
        }
        self
    }

    /// With what the handshake agreed on: nothing, since there is no extension.
    #[must_use]
    #[cfg(not(feature = "deflate"))]
    pub fn with_extensions(self, Extensions {}: Extensions) -> Self {
        self
    }

    /// The next event, and the sender to answer it with.
    ///
    /// Call it until it returns `None`: then `input` is used up, or receiving is
    /// paused ([`wants_input`](Self::wants_input) is false) and what remains must be
    /// given again later. With an empty input it collects what came from elsewhere:
    /// the end after a time-out, an error or an abort.
    // Inlined, so that the event of the shortest path stays in registers.
    #[inline(always)]
    pub fn poll_event<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        now: Time,
    ) -> Option<(Event<'a>, &'a mut Sender)> {
        if input.take_fresh() {
            self.sender.touch(now);
        }
        let clear = self.sender.gate.is_clear();
        let fast = if clear {
            self.receiver.fast(input)
        } else {
            None
        };
        let Step { what, len } = match fast {
            Some(step) => step,
            // What a read brought mostly ends with a whole message.
            None if clear && input.is_empty() && self.receiver.is_idle() => return None,
            None => self.step(input, now),
        };
        // A loan must begin where it is returned: the step says where, and only here
        // do places turn into slices.
        let event = match what {
            What::Nothing => return None,
            What::Binary => Event::Message(Message::Binary(Binary(Lent::Input(input.last(len))))),
            What::Text => match simdutf8::basic::from_utf8(input.last(len)) {
                Ok(text) => Event::Message(Message::Text(Text(Lent::Input(text)))),
                Err(_) => {
                    self.sender.fail(Violation::Utf8, now);
                    Event::Closed(self.receiver.end(self.sender.take_outcome()?))
                }
            },
            What::AssembledText => Event::Message(Message::Text(Text(self.receiver.text()?))),
            What::AssembledBinary => Event::Message(Message::Binary(Binary(Lent::Assembled(
                self.receiver.binary()?,
            )))),
            What::Chunk { kind, last } => Event::Chunk(Chunk {
                kind,
                payload: input.last(len),
                last,
            }),
            #[cfg(feature = "deflate")]
            What::InflatedChunk { kind, last } => Event::Chunk(Chunk {
                kind,
                payload: self.receiver.inflated(),
                last,
            }),
            What::Control(Opcode::Ping) => Event::Ping(input.last(len)),
            What::Control(_) => Event::Pong(input.last(len)),
            What::AssembledControl(Opcode::Ping) => Event::Ping(self.receiver.control()),
            What::AssembledControl(_) => Event::Pong(self.receiver.control()),
            What::Closed => Event::Closed(self.receiver.end(self.sender.take_outcome()?)),
        };
        Some((event, &mut self.sender))
    }

    /// The next message, to be kept, if it is one that lies whole in `input`, as most do.
    ///
    /// For whoever keeps each message: it loses its mask on the way into an allocation of its
    /// own, where [`into_owned`](Message::into_owned) copies what has lost it before. `None`
    /// says only that [`poll_event`](Self::poll_event) is to be asked.
    #[inline(always)]
    pub fn poll_owned(&mut self, input: &mut Input<'_>, now: Time) -> Option<OwnedMessage> {
        if input.take_fresh() {
            self.sender.touch(now);
        }
        let bytes = input.rest()?;
        let plain = self.plain(bytes)?;
        let message = match (plain.short(bytes), plain.kind) {
            (Some(inline), kind) => OwnedMessage::short(kind, inline),
            // It is the last, or no text.
            (None, _) if plain.is_short() => return None,
            (None, MessageKind::Binary) => OwnedMessage::copied(plain.binary(bytes)),
            (None, MessageKind::Text) => plain.text(input.rest_mut())?.into(),
        };
        input.skip(plain.whole());
        Some(message)
    }

    /// What `bytes` begin with, if it is a message that takes the shortest path, which needs
    /// no time.
    #[inline(always)]
    pub(crate) fn plain(&self, bytes: &[u8]) -> Option<Plain> {
        if self.sender.gate.is_clear() {
            self.receiver.plain(bytes)
        } else {
            None
        }
    }

    /// Whether there is nothing to collect without input: nothing is open, and nothing ends.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.sender.gate.is_clear() && self.receiver.is_idle()
    }

    /// See [`Receiver::may_be_whole`].
    pub(crate) fn may_be_whole(&self, bytes: &[u8]) -> bool {
        self.receiver.may_be_whole(bytes)
    }

    /// The sending half.
    #[must_use]
    #[inline]
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Room in the buffer of a large binary message that is under way: the caller
    /// may read into it directly, and must then call [`handle_read`](Self::handle_read).
    ///
    /// Offered when at least 16 KiB of the message have arrived and 4 KiB of the
    /// frame are still to come: 256 KiB at most, and no more than as much again as has
    /// arrived, unless the thread had a larger buffer to lend. All
    /// earlier input must be used up.
    #[inline]
    pub fn read_target(&mut self) -> Option<&mut [u8]> {
        // Between whole messages there is none.
        if self.receiver.is_idle() || self.sender.state() == State::Draining || !self.wants_input()
        {
            return None;
        }
        self.receiver.read_target(&self.sender.config)
    }

    /// `n` bytes were read into [`read_target`](Self::read_target). Collect the event
    /// with [`poll_event`](Self::poll_event) and an empty input.
    pub fn handle_read(&mut self, n: usize, now: Time) {
        self.sender.touch(now);
        self.receiver.handle_read(n);
    }

    /// The peer's bytes have ended.
    pub fn handle_eof(&mut self, now: Time) {
        self.sender.handle_eof(now);
    }

    /// The transport failed: nothing can be read or written any more.
    pub fn handle_error(&mut self, _now: Time) {
        self.sender.handle_error();
    }

    /// Time has passed. Call it when [`poll_timeout`](Self::poll_timeout) is
    /// reached, after all input that is there was given; a call too early or too
    /// often does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        self.sender.handle_timeout(now);
    }

    /// The earliest deadline. It moves with almost every call, nearly always later,
    /// so a timer that is armed already can be left alone until it fires.
    #[must_use]
    #[inline]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.sender.timers.next()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something: for whoever asks often,
    /// this is the shorter question.
    #[must_use]
    #[inline]
    pub fn has_output(&self) -> bool {
        self.sender.has_output()
    }

    /// What the transport must do next; the same again until it is done.
    ///
    /// The answer is for a write that follows at once: call
    /// [`handle_written`](Self::handle_written) before anything else.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.sender.poll_transmit()
    }

    /// `n` bytes of the last [`poll_transmit`](Self::poll_transmit) were taken. Call
    /// it after every attempt, with 0 if the transport takes nothing now: that
    /// starts the deadline for a peer that does not read.
    #[inline]
    pub fn handle_written(&mut self, n: usize, now: Time) {
        self.sender.handle_written(n, now);
    }

    /// The writing direction has ended, as [`Transmit::Shutdown`] asked.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.sender.handle_shutdown(now);
    }

    /// Whether to read. Not while receiving is paused, and never again after the
    /// end of the peer's bytes.
    #[must_use]
    #[inline]
    pub fn wants_input(&self) -> bool {
        self.sender.wants_input()
    }

    /// Whether output above the soft mark waits, so that receiving pauses until it
    /// is written.
    #[must_use]
    #[inline]
    pub fn wants_flush(&self) -> bool {
        self.sender.wants_flush()
    }

    /// Whether all is done and the transport can be dropped.
    #[must_use]
    #[inline]
    pub fn is_drained(&self) -> bool {
        self.sender.state() == State::Drained
    }

    /// Lends a buffer to encode output into. Without this one is allocated when it is
    /// needed.
    ///
    /// If it has one, this one is dropped: ask [`wants_buffer`](Self::wants_buffer)
    /// first, and call [`reclaim`](Self::reclaim) when the turn is over, or it stays.
    /// With [`reclaim`](Self::reclaim) one buffer per thread serves all connections.
    pub fn lend(&mut self, buffer: OutputBuffer) {
        self.sender.lend(buffer);
    }

    /// Whether there is none, so that one would be taken.
    #[must_use]
    #[inline]
    pub fn wants_buffer(&self) -> bool {
        self.sender.wants_buffer()
    }

    /// Takes the output buffer back, when nothing is queued in it.
    #[must_use]
    pub fn reclaim(&mut self) -> Option<OutputBuffer> {
        self.sender.reclaim()
    }

    /// Gives a longer pong deadline: input that was read waits for the application.
    pub(crate) fn forgive(&mut self) {
        self.sender.gate.forgive();
    }

    fn new(role: Role, config: &SharedConfig, seed: Option<&Seed>, now: Time) -> Self {
        Self {
            receiver: Receiver::new(role, config),
            sender: Sender::new(config, seed, now),
        }
    }

    /// Everything that is not a whole message in plain sight.
    #[inline(never)]
    fn step(&mut self, input: &mut Input<'_>, now: Time) -> Step {
        loop {
            if matches!(self.sender.state(), State::Draining | State::Drained) {
                // RFC 6455 §7.1.7: no more data is processed.
                input.discard();
                self.receiver.clear();
                return if self.sender.has_outcome() {
                    Step::CLOSED
                } else {
                    Step::NOTHING
                };
            }
            if self.sender.gate.is_paused() {
                return Step::NOTHING;
            }
            let step = match self.receiver.step(input, &self.sender.config) {
                Ok(step) => step,
                Err(violation) => {
                    self.sender.fail(violation, now);
                    continue;
                }
            };
            match step.what {
                What::Nothing | What::Closed => return step,
                What::Text
                | What::Binary
                | What::AssembledText
                | What::AssembledBinary
                | What::Chunk { .. } => {
                    self.sender.touch_idle(now);
                    if self.sender.delivers() {
                        return step;
                    }
                    if step.what == What::Text
                        && simdutf8::basic::from_utf8(input.last(step.len)).is_err()
                    {
                        self.sender.fail(Violation::Utf8, now);
                    }
                }
                #[cfg(feature = "deflate")]
                What::InflatedChunk { .. } => {
                    self.sender.touch_idle(now);
                    if self.sender.delivers() {
                        return step;
                    }
                }
                What::Control(opcode) => {
                    if self
                        .sender
                        .handle_control(opcode, input.last(step.len), now)
                    {
                        return step;
                    }
                }
                What::AssembledControl(opcode) => {
                    if self
                        .sender
                        .handle_control(opcode, self.receiver.control(), now)
                    {
                        return step;
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
