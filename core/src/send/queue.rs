//! The queue of output: small frames coalesce, large payloads stay where they are,
//! control frames overtake.

use alloc::boxed::Box;
use alloc::collections::vec_deque;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::backlog::{Backlog, Segment};
use super::output::Output;
use crate::frame::{EncodedHeader, First, Opcode};
use crate::mask;

/// Coalesced output above which a new segment begins, so that what is written can
/// be let go and a control frame need not wait behind more.
pub(super) const SEGMENT: usize = 16 << 10;

/// Payloads above this size are queued by reference: copying them would cost more
/// than one more slice in a vectored write.
pub(super) const BY_REFERENCE: usize = 4096;

/// Encoded output in the order of the wire.
///
/// An idle connection owns nothing but this pointer.
#[derive(Default)]
pub(super) struct Queue(Option<Box<Pending>>);

/// A buffer that output gathers in, for one connection after another.
///
/// [`Connection::reclaim`](crate::Connection::reclaim) gives it, and
/// [`Connection::lend`](crate::Connection::lend) takes it. It is the size of a pointer.
pub struct OutputBuffer(Box<Pending>);

/// What waits to be written; without any of it, a buffer.
#[derive(Default)]
pub(super) struct Pending {
    /// Frames that coalesced, behind all segments.
    tail: Vec<u8>,
    /// How much of the first segment (of `tail` if there is none) is written.
    written: usize,
    /// Whatever does not wait in `tail`; never empty.
    more: Option<Box<Backlog>>,
    /// An empty one, to be the next `more`.
    idle: Option<Box<Backlog>>,
}

impl Queue {
    /// Where whole frames are to be appended.
    #[inline(always)]
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        let pending = self.pending();
        if pending.tail.len() >= SEGMENT {
            // As much may come again, and to grow in steps would copy it several times.
            pending.begin_segment(pending.tail.len());
        }
        &mut pending.tail
    }

    /// Has what is appended next, `len` bytes, begin a segment unless it is one with little
    /// before it.
    pub(super) fn separate(&mut self, len: usize) {
        let pending = self.pending();
        if pending.tail.len() + len > SEGMENT + BY_REFERENCE {
            pending.begin_segment(len);
        }
    }

    /// Appends a frame whose payload stays where it is.
    pub(super) fn push(&mut self, first: First, key: Option<mask::Key>, payload: Bytes) {
        let header = first.encoded(key, payload.len() as u64);
        self.pending()
            .push_segment(Segment::Large { header, payload });
    }

    /// Appends a frame that is encoded already.
    pub(super) fn push_encoded(&mut self, frame: Bytes) {
        self.pending().push_segment(Segment::Large {
            header: EncodedHeader::default(),
            payload: frame,
        });
    }

    /// Adds a control frame that overtakes.
    pub(super) fn push_urgent(&mut self, opcode: Opcode, key: Option<mask::Key>, payload: &[u8]) {
        let Pending { more, idle, .. } = self.pending();
        backlog(more, idle).push_urgent(opcode, key, payload);
    }

    /// Unwritten bytes, control frames that overtake aside.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pending| pending.len())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|pending| pending.is_empty())
    }

    /// Everything that waits, in the order of the wire; `None` if nothing does.
    #[inline]
    pub(super) fn output(&self) -> Option<Output<'_>> {
        self.0.as_ref()?.output()
    }

    /// Lets go of the first `n` bytes of what `output` offered. Returns whether it is empty
    /// then.
    #[inline]
    pub(super) fn advance(&mut self, n: usize) -> bool {
        let Some(pending) = &mut self.0 else {
            return true;
        };
        pending.advance(n)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes an empty buffer to append to, unless it has one.
    #[inline]
    pub(super) fn lend(&mut self, OutputBuffer(buffer): OutputBuffer) {
        match &mut self.0 {
            None => self.0 = Some(buffer),
            Some(pending) if pending.tail.capacity() == 0 => pending.tail = buffer.tail,
            Some(_) => {}
        }
    }

    #[inline]
    pub(super) fn wants_buffer(&self) -> bool {
        let pending = self.0.as_ref();
        pending.is_none_or(|pending| pending.tail.capacity() == 0)
    }

    /// Gives the buffer back if nothing is in it.
    #[inline]
    pub(super) fn reclaim(&mut self) -> Option<OutputBuffer> {
        match &mut self.0 {
            Some(pending) if !pending.is_empty() => pending.give_tail(),
            empty => empty.take().map(OutputBuffer),
        }
    }

    #[inline]
    fn pending(&mut self) -> &mut Pending {
        self.0.get_or_insert_default()
    }
}

impl OutputBuffer {
    /// An empty buffer with room for this many bytes. There is no need to begin with one:
    /// a connection that has none makes its own.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::of(Vec::with_capacity(bytes))
    }

    fn of(tail: Vec<u8>) -> Self {
        Self(Box::new(Pending {
            tail,
            ..Pending::default()
        }))
    }

    /// How many bytes it has room for: a reason not to keep one that has grown.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let idle = self.0.idle.as_ref();
        self.0.tail.capacity() + idle.map_or(0, |idle| idle.spare_capacity())
    }
}

impl fmt::Debug for OutputBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputBuffer")
            .field("capacity", &self.capacity())
            .finish()
    }
}

impl Pending {
    #[inline]
    fn len(&self) -> usize {
        let segments = self.more.as_ref().map_or(0, |more| more.len());
        segments + self.tail.len() - self.written
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.more.is_none() && self.tail.is_empty()
    }

    #[inline]
    fn output(&self) -> Option<Output<'_>> {
        if self.more.is_some() {
            return Output::of(self);
        }
        let first = self
            .tail
            .get(self.written..)
            .filter(|tail| !tail.is_empty())?;
        Some(Output::from(first))
    }

    /// The only segment, if that is all there is.
    #[inline]
    pub(super) fn single(&self) -> Option<&Segment> {
        let more = self.more.as_ref().filter(|_| self.tail.is_empty());
        more?.single()
    }

    #[inline]
    pub(super) fn segments(&self) -> vec_deque::Iter<'_, Segment> {
        let more = self.more.as_ref();
        more.map(|more| more.segments()).unwrap_or_default()
    }

    /// Control frames that go out at the next frame boundary.
    #[inline]
    pub(super) fn urgent(&self) -> &[u8] {
        let more = self.more.as_ref();
        more.map(|more| more.urgent()).unwrap_or_default()
    }

    /// Frames behind all segments.
    #[inline]
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// How much of the first segment (of the tail if there is none) is written.
    #[inline]
    pub(super) fn written(&self) -> usize {
        self.written
    }

    #[inline]
    fn advance(&mut self, n: usize) -> bool {
        if self.more.is_some() {
            return self.advance_several(n);
        }
        self.written = (self.written + n).min(self.tail.len());
        let is_all = self.written == self.tail.len();
        if is_all {
            self.tail.clear();
            self.written = 0;
        } else {
            self.shrink();
        }
        is_all
    }

    // Apart, so that the way of the one slice that there usually is stays short.
    #[inline(never)]
    fn advance_several(&mut self, mut n: usize) -> bool {
        let Some(more) = &mut self.more else {
            return self.is_empty();
        };
        while n > 0 {
            let before = n;
            n = more.advance(&mut self.tail, &mut self.written, n);
            if n == before {
                // More than was offered.
                break;
            }
        }
        if more.is_empty() {
            more.trim();
            self.idle = self.more.take();
        }
        let is_all = self.is_empty();
        if !is_all {
            self.shrink();
        }
        is_all
    }

    /// The peer takes no more at the moment: what waits for long keeps no empty buffers.
    #[cold]
    fn shrink(&mut self) {
        self.idle = None;
        if let Some(more) = &mut self.more {
            more.shrink();
        }
    }

    /// Gives away what is appended to, if nothing is in it: only segments wait.
    #[cold]
    fn give_tail(&mut self) -> Option<OutputBuffer> {
        let is_spare = self.tail.is_empty() && self.tail.capacity() > 0;
        is_spare.then(|| OutputBuffer::of(core::mem::take(&mut self.tail)))
    }

    #[inline]
    fn push_segment(&mut self, segment: Segment) {
        let more = backlog(&mut self.more, &mut self.idle);
        // Who sends large messages need not send a small one behind them.
        more.seal(&mut self.tail, 0);
        more.push(segment);
    }

    /// What is appended from now on may be overtaken by control frames.
    #[cold]
    fn begin_segment(&mut self, room: usize) {
        let more = backlog(&mut self.more, &mut self.idle);
        more.seal(&mut self.tail, room);
    }
}

/// The one that there is, or else the idle one, or a new one.
#[inline]
fn backlog<'p>(
    more: &'p mut Option<Box<Backlog>>,
    idle: &mut Option<Box<Backlog>>,
) -> &'p mut Backlog {
    more.get_or_insert_with(|| idle.take().unwrap_or_default())
}

/// Appends a whole frame, masked if there is a key.
#[inline]
pub(super) fn encode_masked(
    out: &mut Vec<u8>,
    opcode: Opcode,
    key: Option<mask::Key>,
    payload: &[u8],
) {
    First::whole(opcode).encode(key, payload.len() as u64, out);
    append_masked(out, key, payload);
}

/// Appends payload, masked if there is a key.
#[inline]
pub(super) fn append_masked(out: &mut Vec<u8>, key: Option<mask::Key>, payload: &[u8]) {
    match key {
        None => crate::frame::extend(out, payload),
        Some(key) => mask::append(out, payload, key),
    }
}
