//! What a driver needs to know of either a bare connection or a whole server session.

use crate::buffers;
use crate::close::Closed;
use crate::connection::{Connection, Cut, Event, Input};
use crate::message::{INLINE, MessageKind, OwnedMessage};
use crate::receive::Plain;
use crate::send::{OutputBuffer, Sender, Transmit};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::task::Waker;

/// A protocol endpoint that a transport drives: bytes and time in, bytes out.
///
/// Both [`Messages`] and the handler crate's `Session` implement it, so that an
/// adapter has one driver for both. It owns what could not be parsed yet.
pub trait Endpoint {
    /// What it hands to its caller; `Infallible` if it handles all by itself.
    type Item;

    /// Takes the bytes of one read. Call only while `wants_input()`.
    ///
    /// Returns the first item in them; more may follow from [`poll_item`](Self::poll_item).
    fn handle_input(&mut self, bytes: &mut [u8], now: Time) -> Option<Self::Item> {
        self.take_input(&mut Input::new(bytes), now)
    }

    /// The same for an input that can go on, if it was made by [`Input::continued`].
    ///
    /// Of such a one the beginning of a frame may remain, and only if there is no item: then
    /// [`Input::cut`] says so, and the caller gives it again. All else is taken, of other
    /// inputs everything. An implementation must leave nothing without a cut: the caller
    /// takes it for used up. (But for [`Messages`], which leave what they [`hold`](Self::hold).)
    fn take_input(&mut self, input: &mut Input<'_>, now: Time) -> Option<Self::Item>;

    /// Holds what [`take_input`](Self::take_input) has left behind an item: `rest` of `bytes`.
    ///
    /// It may take all of `bytes` and leave an empty slice. [`ReadBuffer`](crate::ReadBuffer)
    /// asks for it, and only endpoints that leave something need it. Who stands around
    /// [`Messages`] passes this and [`give_back`](Self::give_back) on, or bytes are lost.
    fn hold(&mut self, bytes: &mut Box<[u8]>, rest: Range<usize>) {
        debug_assert!(rest.is_empty(), "nobody holds the rest");
        let _ = bytes;
    }

    /// Gives back what it holds, all of it or a copy, and where that ends, if only the
    /// beginning of a frame is left: more is to be read behind it.
    fn give_back(&mut self) -> Option<(Box<[u8]>, usize, Cut)> {
        None
    }

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
    /// See [`Connection::has_output`].
    fn has_output(&self) -> bool;
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
    /// See [`Connection::lend`].
    fn lend(&mut self, buffer: OutputBuffer);
    /// See [`Connection::wants_buffer`].
    fn wants_buffer(&self) -> bool;
    /// See [`Connection::reclaim`].
    fn reclaim(&mut self) -> Option<OutputBuffer>;
    /// Whether the endpoint itself can be dropped. An application may go on for a
    /// little after the transport is gone.
    fn is_finished(&self) -> bool {
        self.is_drained()
    }

    /// Whether somebody else could have work for it, so that it needs a waker.
    ///
    /// For drivers to which a waker costs something; it stays so until the end.
    fn wants_waker(&self) -> bool {
        false
    }

    /// Keeps the waker to be woken when there is work from elsewhere, such as a
    /// message that another thread sends.
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
    /// A piece of a message; only with [`Delivery::Chunks`](crate::Delivery::Chunks).
    Chunk {
        /// What kind of message it belongs to.
        kind: MessageKind,
        /// The bytes.
        payload: Vec<u8>,
        /// Whether the message ends here.
        last: bool,
    },
    /// A Ping, already answered.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// The end, once and last.
    Closed(Closed),
}

/// Bytes of the longest frame whose length is in its second byte.
const LONGEST_SHORT: usize = 2 + 4 + 125;

/// A [`Connection`] whose messages are owned and come one at a time: what a
/// streaming interface (`recv().await`) stands on.
///
/// What a read brought behind the first message is held, at most one read, until
/// [`poll_item`](Endpoint::poll_item) has taken it: where it was read, if it is an eighth of
/// the [`ReadBuffer`](crate::ReadBuffer) or more, which is the connection's until the last
/// message is taken; otherwise in a copy, of 1 KiB if that is enough. So a connection whose
/// application lingers holds at most two reads, 34 KiB by default.
///
/// Output above the soft mark does not pause receiving here: two such endpoints
/// that send to each other without end would wait for each other. The caller holds
/// back instead, by not sending while [`wants_flush`](Endpoint::wants_flush).
#[derive(Debug)]
pub struct Messages {
    connection: Connection,
    held: Box<[u8]>,
    /// What of it is used up.
    parsed: usize,
    end: usize,
    /// Of what came from a read buffer a cut frame may stay that would fit there.
    longest: usize,
    /// All that is left is the beginning of a frame.
    cut: Option<Cut>,
}

/// Behind what is copied, so that the last of it is taken like all before: as many bytes at
/// once as a short message may have.
const BEHIND: usize = INLINE + 1;

/// A buffer that is this many times as long as what is left in it stays with the thread.
const SHARE: usize = 8;

impl Messages {
    /// Takes over a connection, with the bytes that came behind its handshake.
    #[must_use]
    pub fn new(mut connection: Connection, left_over: Vec<u8>) -> Self {
        connection.sender().set_duplex();
        Self {
            connection,
            parsed: 0,
            end: left_over.len(),
            held: left_over.into(),
            longest: 0,
            cut: None,
        }
    }

    /// The connection below.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The sending half.
    #[must_use]
    pub fn sender(&mut self) -> &mut Sender {
        self.connection.sender()
    }

    /// The next message, if it was read already and lies there whole, as most do.
    ///
    /// What [`poll_item`](Endpoint::poll_item) would return, by a way that needs no time
    /// and leaves no output. `None` says only that the other one is to be asked.
    // Inlined, so that the message goes from the input to where it is used in registers.
    #[inline(always)]
    pub fn poll_held(&mut self) -> Option<OwnedMessage> {
        let unparsed = self.held.get(self.parsed..self.end)?;
        let plain = self.connection.plain(unparsed)?;
        // What lies behind the end does not matter.
        let short = plain.short(self.held.get(self.parsed..)?);
        match (short, plain.kind) {
            (Some(inline), kind) => {
                // As long as it is no message there is none to be dropped if this panics.
                self.advance(plain.whole());
                Some(OwnedMessage::short(kind, inline))
            }
            (None, _) if plain.is_short() => None,
            (None, MessageKind::Binary) => Some(OwnedMessage::copied(self.take_binary(plain))),
            (None, MessageKind::Text) => Some(self.take_text(plain)?.into()),
        }
    }

    #[inline(never)]
    fn take_binary(&mut self, plain: Plain) -> Vec<u8> {
        let payload = plain.binary(self.unparsed());
        self.advance(plain.whole());
        payload
    }

    #[inline(never)]
    fn take_text(&mut self, plain: Plain) -> Option<String> {
        let unparsed = self.held.get_mut(self.parsed..self.end)?;
        let payload = plain.text(unparsed)?;
        self.advance(plain.whole());
        Some(payload)
    }

    /// Whether input that was read already may hold a message, and not only the
    /// beginning of one: output may then wait for the answer to that.
    ///
    /// It looks at one header; what it cannot tell by that, it takes for a message.
    #[must_use]
    #[inline]
    pub fn holds_frame(&self) -> bool {
        // Most often there is enough for any frame of such a length.
        if self.end >= self.parsed + LONGEST_SHORT
            && let Some(second) = self.held.get(self.parsed + 1)
            && second & 0x7f <= 125
        {
            return true;
        }
        let unparsed = self.unparsed();
        !unparsed.is_empty() && self.cut.is_none() && self.connection.may_be_whole(unparsed)
    }

    /// Whether all that is held is the beginning of a frame, in as much memory as one read
    /// takes.
    ///
    /// Before a driver waits it gives that to the next read's [`ReadBuffer`](crate::ReadBuffer),
    /// whether there is anything to be read or not:
    /// [`target_for`](crate::ReadBuffer::target_for), and then
    /// [`give_rest`](crate::ReadBuffer::give_rest).
    #[must_use]
    #[inline]
    pub fn holds_cut(&self) -> bool {
        self.cut.is_some()
    }

    #[inline]
    fn unparsed(&self) -> &[u8] {
        self.held.get(self.parsed..self.end).unwrap_or_default()
    }

    #[inline]
    fn advance(&mut self, consumed: usize) {
        self.parsed += consumed;
        if self.parsed == self.end {
            self.let_go();
        }
    }

    /// Lets go of what is used up: the thread has back what it can use again.
    #[inline(never)]
    fn let_go(&mut self) {
        let held = core::mem::take(&mut self.held);
        if self.longest == held.len() {
            buffers::recycle_read(held);
        } else {
            buffers::recycle_copy(held);
        }
        self.set_held(Box::default(), 0..0, 0);
    }

    /// Holds a copy, behind what is held.
    fn hold_copy(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        let unparsed = self.unparsed();
        let (before, all) = (unparsed.len(), unparsed.len() + rest.len());
        let held = match buffers::take_copy(all + BEHIND) {
            Some(mut room) => {
                for (place, bytes) in [(0..before, unparsed), (before..all, rest)] {
                    if let Some(place) = room.get_mut(place) {
                        place.copy_from_slice(bytes);
                    }
                }
                room
            }
            None => [unparsed, rest, &[0; BEHIND]].concat().into(),
        };
        if self.end > 0 {
            self.let_go();
        }
        self.set_held(held, 0..all, 0);
    }

    fn set_held(&mut self, held: Box<[u8]>, unparsed: Range<usize>, longest: usize) {
        self.held = held;
        self.parsed = unparsed.start;
        self.end = unparsed.end;
        self.longest = longest;
        self.cut = None;
    }

    /// The next item from what is held, or from elsewhere.
    fn poll_slowly(&mut self, now: Time) -> Option<Incoming> {
        let unparsed = self.held.get_mut(self.parsed..self.end);
        let mut input = Input::held(unparsed.unwrap_or_default()).within(self.longest);
        let item = Self::next(&mut self.connection, &mut input, now);
        let (consumed, cut) = (input.consumed(), input.cut());
        self.cut = cut;
        self.advance(consumed);
        item
    }

    fn next(connection: &mut Connection, input: &mut Input<'_>, now: Time) -> Option<Incoming> {
        connection
            .poll_event(input, now)
            .map(|(event, _)| match event {
                Event::Message(message) => Incoming::Message(message.into_owned()),
                Event::Chunk(chunk) => Incoming::Chunk {
                    kind: chunk.kind,
                    payload: chunk.payload.to_vec(),
                    last: chunk.last,
                },
                Event::Ping(payload) => Incoming::Ping(payload.to_vec()),
                Event::Pong(payload) => Incoming::Pong(payload.to_vec()),
                Event::Closed(closed) => Incoming::Closed(closed.clone()),
            })
    }
}

impl Endpoint for Messages {
    type Item = Incoming;

    fn take_input(&mut self, input: &mut Input<'_>, now: Time) -> Option<Incoming> {
        if self.cut.is_some() {
            // It was not asked to give it back.
            if input.take_fresh() {
                self.connection.sender().touch(now);
            }
            self.hold_copy(input.remaining());
            input.discard();
            return self.poll_item(now);
        }
        let message = self.connection.poll_owned(input, now);
        let item = match message {
            Some(message) => Some(Incoming::Message(message)),
            None => Self::next(&mut self.connection, input, now),
        };
        let stays = match &item {
            Some(_) => input.is_taken(),
            None => input.cut().is_some(),
        };
        if !stays {
            self.hold_copy(input.remaining());
            input.discard();
        }
        item
    }

    fn hold(&mut self, bytes: &mut Box<[u8]>, rest: Range<usize>) {
        let len = bytes.len();
        // Without `std` there is no thread to have it back.
        if cfg!(feature = "std") && self.end == 0 && rest.len() >= len / SHARE {
            self.set_held(core::mem::take(bytes), rest, len);
        } else {
            self.hold_copy(bytes.get(rest).unwrap_or_default());
            self.longest = len;
        }
    }

    fn give_back(&mut self) -> Option<(Box<[u8]>, usize, Cut)> {
        let cut = self.cut?;
        let (bytes, end) = (core::mem::take(&mut self.held), self.end);
        self.set_held(Box::default(), 0..0, 0);
        Some((bytes, end, cut))
    }

    #[inline]
    fn poll_item(&mut self, now: Time) -> Option<Incoming> {
        // So it is whenever a driver asks before it reads.
        if self.end == 0 && self.connection.is_quiet() {
            return None;
        }
        self.poll_slowly(now)
    }

    fn holds_input(&self) -> bool {
        self.end > 0 && self.cut.is_none()
    }

    fn read_target(&mut self) -> Option<&mut [u8]> {
        if self.end == 0 {
            self.connection.read_target()
        } else {
            None
        }
    }

    fn handle_read(&mut self, n: usize, now: Time) {
        self.connection.handle_read(n, now);
    }

    #[cold]
    fn handle_eof(&mut self, now: Time) {
        self.connection.handle_eof(now);
    }

    #[cold]
    fn handle_error(&mut self, now: Time) {
        self.connection.handle_error(now);
    }

    #[cold]
    fn handle_timeout(&mut self, now: Time) {
        if self.holds_input() {
            // A pong may lie unread behind what the application has not taken.
            self.connection.forgive();
        }
        self.connection.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }

    fn has_output(&self) -> bool {
        self.connection.has_output()
    }

    fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.connection.poll_transmit()
    }

    fn handle_written(&mut self, n: usize, now: Time) {
        self.connection.handle_written(n, now);
    }

    #[cold]
    fn handle_shutdown(&mut self, now: Time) {
        self.connection.handle_shutdown(now);
    }

    fn wants_flush(&self) -> bool {
        self.connection.wants_flush()
    }

    fn wants_input(&self) -> bool {
        !self.holds_input() && self.connection.wants_input()
    }

    fn is_drained(&self) -> bool {
        self.connection.is_drained()
    }

    fn lend(&mut self, buffer: OutputBuffer) {
        self.connection.lend(buffer);
    }

    fn wants_buffer(&self) -> bool {
        self.connection.wants_buffer()
    }

    fn reclaim(&mut self) -> Option<OutputBuffer> {
        self.connection.reclaim()
    }
}
