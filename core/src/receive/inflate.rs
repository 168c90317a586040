//! Compressed messages (RFC 7692 §7.2.2): bounded in what comes and in what comes of it.

use alloc::vec::Vec;

use super::assembly::Message;
use super::{Open, Receiver, Spent, Step, What, clamp};
use crate::close::Violation;
use crate::config::{Config, Delivery};
use crate::connection::Input;
use crate::deflate::{History, Inflation, Pool, Window};
use crate::mask;
use crate::message::MessageKind;

/// Room for a piece of a message that is delivered in pieces.
const CHUNK: usize = 16 << 10;

/// The compressed message that is open, and what later ones may refer to.
pub(super) struct Inflating {
    window: Window,
    history: History,
    /// Nothing until the first byte has come: a header must not cost so much.
    inflation: Option<Inflation>,
    produced: u64,
    /// Delivery in pieces: the piece that was handed out last.
    chunk: Vec<u8>,
    chunk_len: usize,
    /// Delivery in pieces: bytes at the start of the input that have lost their mask, but
    /// there was no room yet for what they stand for.
    ahead: usize,
}

impl Inflating {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            history: History::new(window.size()),
            inflation: None,
            produced: 0,
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

    fn inflation<'i>(
        inflation: &'i mut Option<Inflation>,
        history: &History,
    ) -> Result<&'i mut Inflation, Violation> {
        match inflation {
            Some(open) => Ok(open),
            None => Ok(inflation.insert(Inflation::new(history.slices())?)),
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
        self.produced = 0;
        if self.window.takeover {
            // Nothing if it was delivered in pieces: those are there already.
            self.history.push(message.assembled());
        } else {
            self.history.clear();
        }
        Ok(())
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

impl Open {
    /// Takes payload of a frame that belongs to a compressed message. None: the frame is
    /// complete, and more is to be found behind it.
    // By itself, so that payload which is not compressed does not pay for its stack.
    #[inline(never)]
    pub(super) fn inflate(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
    ) -> Result<Option<Step>, Violation> {
        match config.delivery {
            Delivery::Messages => self.inflate_message(input, config),
            Delivery::Chunks => self.inflate_chunk(input),
        }
    }

    fn inflate_message(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
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
        input.take_unmasked(len, frame.key);
        frame.key = mask::advance(frame.key, len);
        frame.remaining -= len as u64;
        message.received += len as u64;
        let last = frame.remaining == 0 && frame.fin;
        inflating.append(message, input.last(len), last, config.max_message)?;
        if frame.remaining > 0 {
            return Ok(Some(Step::NOTHING));
        }
        self.frame = None;
        if !last {
            return Ok(None);
        }
        inflating.finish(message)?;
        self.spent = Spent::Message;
        Ok(Some(Step::assembled(message.kind)))
    }

    fn inflate_chunk(&mut self, input: &mut Input<'_>) -> Result<Option<Step>, Violation> {
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
    /// Adds to the message what the next piece of it stands for.
    fn append(
        &mut self,
        message: &mut Message,
        mut piece: &[u8],
        last: bool,
        max_message: usize,
    ) -> Result<(), Violation> {
        if piece.is_empty() {
            return Ok(());
        }
        let inflation = Self::inflation(&mut self.inflation, &self.history)?;
        Pool::with(|pool| {
            let room = pool.piece();
            loop {
                // One byte above the limit is made, so that it shows, and no more.
                let left = (max_message as u64).saturating_sub(self.produced);
                let room = match room.get_mut(..clamp(left.saturating_add(1))) {
                    Some(room) => room,
                    None => &mut *room,
                };
                let [older, newer] = self.history.slices();
                let so_far = || [older, newer, message.assembled(), message.utf8.cut()];
                let done = inflation.inflate(piece, room, so_far)?;
                piece = piece.get(done.consumed..).unwrap_or_default();
                self.produced += done.produced as u64;
                if self.produced > max_message as u64 {
                    return Err(Violation::TooBig);
                }
                let made = room.get_mut(..done.produced).unwrap_or_default();
                let to_come = if last && done.is_exhausted {
                    0
                } else {
                    clamp(left)
                };
                match message.kind {
                    _ if made.is_empty() => {}
                    MessageKind::Text => message.push_text(made, [0; 4], to_come)?,
                    MessageKind::Binary => message.buffer.push(made, [0; 4], to_come),
                }
                if done.is_exhausted {
                    return Ok(());
                }
            }
        })
    }

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
        let inflation = Self::inflation(&mut self.inflation, &self.history)?;
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
            if done.is_exhausted || self.chunk_len == self.chunk.len() {
                return Ok((available - piece.len(), done.is_exhausted));
            }
        }
    }
}
