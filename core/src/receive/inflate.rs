//! Compressed messages (RFC 7692 §7.2.2): bounded in what comes and in what comes of it.
//!
//! A message that is to be whole is kept as it came until it is, so that an open one costs
//! what its bytes paid for, as one that is not compressed does: neither a decompressor nor
//! what a few bytes stand for is ever held for a peer that does not go on. Only delivery in
//! pieces has a decompressor for each open message.
//!
//! Of several faults the first counts, in the order of what the message stands for: what
//! came out before the fault is looked at before it. Where the input was cut thus makes no
//! difference.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use super::assembly::Message;
use super::{Open, Receiver, Spent, Step, What, clamp};
use crate::buffers;
use crate::close::Violation;
use crate::connection::Input;
use crate::deflate::{History, Inflation, Pool, Status, Window};
use crate::mask;
use crate::message::MessageKind;

/// Room for a piece of a message that is delivered in pieces.
const CHUNK: usize = 16 << 10;

/// What later messages may refer to, and a message that is delivered in pieces.
pub(super) struct Inflating {
    window: Window,
    history: History,
    /// Nothing until the first byte has come: a header must not cost so much.
    inflation: Option<Inflation>,
    /// The piece that was handed out last.
    chunk: Vec<u8>,
    chunk_len: usize,
    /// Bytes at the start of the input that have lost their mask, but there was no room
    /// yet for what they stand for.
    ahead: usize,
}

impl Inflating {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            history: History::new(window.size()),
            inflation: None,
            chunk: Vec::new(),
            chunk_len: 0,
            ahead: 0,
        }
    }

    /// Whether nothing is needed once the message is handed out.
    pub(super) fn is_over(&mut self) -> bool {
        self.chunk = Vec::new();
        !self.window.takeover
    }
}

impl Receiver {
    /// The piece that [`What::InflatedChunk`] stands for.
    pub(crate) fn inflated(&self) -> &[u8] {
        let inflating = self.open.as_ref().and_then(|open| open.inflating.as_ref());
        inflating.map_or(&[], |inflating| {
            inflating
                .chunk
                .get(..inflating.chunk_len)
                .unwrap_or_default()
        })
    }
}

/// Whole messages.
impl Open {
    /// Makes the open message of its compressed bytes, all of which were put together.
    // By itself, so that payload which is not compressed does not pay for its stack.
    #[inline(never)]
    pub(super) fn inflate_assembled(
        &mut self,
        window: Window,
        max_message: usize,
    ) -> Result<(), Violation> {
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        let mut compressed = mem::take(&mut message.buffer);
        let inflated = self.inflate(compressed.finish(), window, max_message);
        buffers::recycle(compressed.into_bytes());
        inflated
    }

    /// Makes the open message of its compressed bytes.
    #[inline(never)]
    pub(super) fn inflate(
        &mut self,
        compressed: &[u8],
        window: Window,
        max_message: usize,
    ) -> Result<(), Violation> {
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        let inflating = self.inflating.as_ref();
        let history = inflating.map_or([&[][..]; 2], |inflating| inflating.history.slices());
        if !compressed.is_empty() {
            let mut inflation = Inflation::new(history)?;
            inflate(&mut inflation, message, history, compressed, max_message)?;
            inflation.finish()?;
        }
        if !message.utf8.is_boundary() {
            return Err(Violation::Utf8);
        }
        self.spent = Spent::Message;
        if window.takeover {
            self.inflating
                .get_or_insert_with(|| Box::new(Inflating::new(window)))
                .history
                .push(message.assembled());
        }
        Ok(())
    }
}

/// Appends to the message what its compressed bytes stand for.
fn inflate(
    inflation: &mut Inflation,
    message: &mut Message,
    [older, newer]: [&[u8]; 2],
    mut compressed: &[u8],
    max_message: usize,
) -> Result<(), Violation> {
    Pool::with(|pool| {
        let room = pool.piece();
        let mut produced = 0;
        loop {
            // One byte above the limit is made, so that it shows, and no more.
            let left = max_message - produced;
            let room = match room.get_mut(..left.saturating_add(1)) {
                Some(room) => room,
                None => &mut *room,
            };
            let so_far = || [older, newer, message.assembled(), message.utf8.cut()];
            let done = inflation.inflate(compressed, room, so_far)?;
            compressed = compressed.get(done.consumed..).unwrap_or_default();
            let is_too_big = done.produced > left;
            let made = room.get_mut(..done.produced.min(left)).unwrap_or_default();
            produced += made.len();
            let to_come = match done.status {
                Status::Exhausted => 0,
                Status::GoesOn | Status::Broken => left - made.len(),
            };
            match message.kind {
                _ if made.is_empty() => {}
                MessageKind::Text => message.push_text(made, [0; 4], to_come)?,
                MessageKind::Binary => message.buffer.push(made, [0; 4], to_come),
            }
            match done.status {
                _ if is_too_big => return Err(Violation::TooBig),
                Status::GoesOn => {}
                Status::Exhausted => return Ok(()),
                Status::Broken => return Err(Violation::Deflate),
            }
        }
    })
}

/// Delivery in pieces.
impl Open {
    /// Takes payload of a frame that belongs to a compressed message. None: the frame is
    /// complete, and more is to be found behind it.
    #[inline(never)]
    pub(super) fn inflate_chunk(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<Step>, Violation> {
        let (Some(frame), Some(message), Some(inflating)) =
            (&mut self.frame, &mut self.message, &mut self.inflating)
        else {
            return Ok(None);
        };
        let len = clamp(frame.remaining).min(input.remaining().len());
        if frame.remaining > 0 && len == 0 {
            return Ok(Some(Step::NOTHING));
        }
        if inflating.ahead < len {
            input.unmask(inflating.ahead, len, frame.key);
            frame.key = mask::advance(frame.key, len - inflating.ahead);
            inflating.ahead = len;
        }
        let piece = input.remaining().get(..len).unwrap_or_default();
        let (consumed, is_exhausted) = inflating.next_chunk(message, piece)?;
        input.skip(consumed);
        inflating.ahead -= consumed;
        frame.remaining -= consumed as u64;
        message.received += consumed as u64;
        let kind = message.kind;
        let is_whole = frame.remaining == 0 && is_exhausted;
        let last = is_whole && frame.fin;
        if is_whole {
            self.frame = None;
        }
        if last {
            inflating.finish(message)?;
            self.spent = Spent::Message;
        }
        Ok(match (last || inflating.chunk_len > 0, is_whole) {
            (true, _) => Some(Step {
                what: What::InflatedChunk { kind, last },
                len: 0,
            }),
            (false, true) => None,
            (false, false) => Some(Step::NOTHING),
        })
    }
}

impl Inflating {
    /// Makes the next piece to hand out: how much was consumed for it, and whether that is
    /// all there is.
    fn next_chunk(
        &mut self,
        message: &mut Message,
        mut piece: &[u8],
    ) -> Result<(usize, bool), Violation> {
        self.chunk_len = 0;
        if self.inflation.is_none() && piece.is_empty() {
            return Ok((0, true));
        }
        self.chunk.resize(CHUNK, 0);
        let inflation = match &mut self.inflation {
            Some(open) => open,
            none => none.insert(Inflation::new(self.history.slices())?),
        };
        let available = piece.len();
        loop {
            let room = self.chunk.get_mut(self.chunk_len..).unwrap_or_default();
            let history = &self.history;
            let done = inflation.inflate(piece, room, || history.slices())?;
            piece = piece.get(done.consumed..).unwrap_or_default();
            let made = room.get(..done.produced).unwrap_or_default();
            if message.kind == MessageKind::Text {
                message.utf8.feed(made, |_| ())?;
            }
            // Also without takeover: a stream may end and another begin.
            self.history.push(made);
            self.chunk_len += done.produced;
            match done.status {
                Status::GoesOn if self.chunk_len < self.chunk.len() => {}
                Status::GoesOn => return Ok((available - piece.len(), false)),
                Status::Exhausted => return Ok((available - piece.len(), true)),
                Status::Broken => return Err(Violation::Deflate),
            }
        }
    }

    /// The message ends: checks that its stream does.
    fn finish(&mut self, message: &Message) -> Result<(), Violation> {
        if let Some(inflation) = self.inflation.take() {
            inflation.finish()?;
        }
        if !message.utf8.is_boundary() {
            return Err(Violation::Utf8);
        }
        if !self.window.takeover {
            self.history.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
impl Open {
    /// Bytes of room for pieces to hand out.
    pub(super) fn held_in_pieces(&self) -> usize {
        let inflating = self.inflating.as_ref();
        inflating.map_or(0, |inflating| inflating.chunk.capacity())
    }
}
