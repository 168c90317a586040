//! The queue of output: small frames coalesce, large payloads stay where they are,
//! control frames overtake.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use bytes::Bytes;

use crate::frame::{First, Header, Opcode};
use crate::mask;

/// Coalesced output above which a new segment begins, so that what is written can
/// be let go and a control frame need not wait behind more.
pub(super) const SEGMENT: usize = 16 << 10;

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
struct Pending {
    /// Frames that coalesced, behind all segments.
    tail: Vec<u8>,
    /// How much of the first segment (of `tail` if there is none) is written.
    written: usize,
    more: Option<Box<More>>,
}

/// What only some connections need, and only for a while.
#[derive(Default)]
struct More {
    /// Before `tail`.
    segments: VecDeque<Segment>,
    /// The bytes in `segments`.
    bytes: usize,
    urgent: Urgent,
}

/// Whole frames: at its end, and only there, may a control frame come in.
enum Segment {
    Coalesced(Vec<u8>),
    Large {
        header: [u8; Header::MAX_ENCODED],
        header_len: usize,
        payload: Bytes,
    },
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Self::Coalesced(frames) => frames.len(),
            Self::Large {
                header_len,
                payload,
                ..
            } => header_len + payload.len(),
        }
    }

    /// What follows after the first `written` bytes.
    fn slices(&self, written: usize) -> [&[u8]; 2] {
        match self {
            Self::Coalesced(frames) => [frames.get(written..).unwrap_or_default(), &[]],
            Self::Large {
                header,
                header_len,
                payload,
            } => [
                header.get(written..*header_len).unwrap_or_default(),
                payload
                    .get(written.saturating_sub(*header_len)..)
                    .unwrap_or_default(),
            ],
        }
    }
}

/// Control frames that go out at the next frame boundary.
#[derive(Default)]
struct Urgent {
    encoded: Vec<u8>,
    written: usize,
    /// Where the newest of them begins.
    newest: usize,
}

/// Unsent control frames, in bytes, above which a new one replaces the newest: 16 of
/// the longest. A peer that pings without reading costs no more than this (RFC 6455
/// §5.5.3), and one that sends some pings in a row still gets each of them answered.
const UNSENT: usize = 2 << 10;

impl Queue {
    /// Has frames appended. Returns the [length](Self::len) by then.
    #[inline(always)]
    pub(super) fn append(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> usize {
        let pending = self.pending();
        if pending.tail.len() >= SEGMENT {
            pending.seal();
        }
        append(&mut pending.tail);
        pending.len()
    }

    /// Appends a frame whose payload stays where it is.
    pub(super) fn push(&mut self, first: First, key: Option<mask::Key>, payload: Bytes) {
        let (header, header_len) = first.encoded(key, payload.len() as u64);
        self.pending().push_segment(Segment::Large {
            header,
            header_len,
            payload,
        });
    }

    /// Appends a frame that is encoded already.
    pub(super) fn push_encoded(&mut self, frame: Bytes) {
        self.pending().push_segment(Segment::Large {
            header: Default::default(),
            header_len: 0,
            payload: frame,
        });
    }

    /// Adds a control frame that overtakes.
    pub(super) fn push_urgent(&mut self, opcode: Opcode, key: Option<mask::Key>, payload: &[u8]) {
        let more = self.pending().more.get_or_insert_default();
        more.urgent.push(opcode, key, payload);
    }

    /// Unwritten bytes, control frames that overtake aside.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pending| pending.len())
    }

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
        self.0
            .take_if(|pending| pending.is_empty())
            .map(OutputBuffer)
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
        Self(Box::new(Pending {
            tail: Vec::with_capacity(bytes),
            ..Pending::default()
        }))
    }

    /// How many bytes it has room for: a reason not to keep one that has grown.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.tail.capacity()
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
        let segments = self.more.as_ref().map_or(0, |more| more.bytes);
        segments + self.tail.len() - self.written
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.more.is_none() && self.tail.is_empty()
    }

    #[inline]
    fn output(&self) -> Option<Output<'_>> {
        if let Some(more) = &self.more {
            return Output::of(Several {
                more,
                tail: &self.tail,
                written: self.written,
            });
        }
        let first = self
            .tail
            .get(self.written..)
            .filter(|tail| !tail.is_empty())?;
        Some(Output {
            first,
            several: None,
        })
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
        }
        is_all
    }

    fn advance_several(&mut self, mut n: usize) -> bool {
        let Some(more) = &mut self.more else {
            return self.is_empty();
        };
        while n > 0 {
            let before = n;
            n = if self.written > 0 || more.urgent.is_empty() {
                more.advance(&mut self.tail, &mut self.written, n)
            } else {
                more.urgent.advance(n)
            };
            if n == before {
                // More than was offered.
                break;
            }
        }
        self.more
            .take_if(|more| more.segments.is_empty() && more.urgent.is_empty());
        self.is_empty()
    }

    fn push_segment(&mut self, segment: Segment) {
        self.seal();
        let more = self.more.get_or_insert_default();
        more.bytes += segment.len();
        more.segments.push_back(segment);
    }

    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let more = self.more.get_or_insert_default();
        // What is written of a lone tail stays counted by `written`.
        more.bytes += self.tail.len();
        let frames = core::mem::take(&mut self.tail);
        more.segments.push_back(Segment::Coalesced(frames));
    }
}

impl More {
    /// Lets go of up to `n` bytes of the first segment, or of the tail; returns what
    /// is left of `n`.
    fn advance(&mut self, tail: &mut Vec<u8>, written: &mut usize, n: usize) -> usize {
        let len = self.segments.front().map_or(tail.len(), Segment::len);
        let step = n.min(len - *written);
        *written += step;
        if *written == len {
            *written = 0;
            match self.segments.pop_front() {
                Some(segment) => {
                    self.bytes -= segment.len();
                    if let Segment::Large { payload, .. } = segment {
                        crate::buffers::recycle_bytes(payload);
                    }
                }
                None => tail.clear(),
            }
        }
        n - step
    }
}

impl Urgent {
    fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    fn push(&mut self, opcode: Opcode, key: Option<mask::Key>, payload: &[u8]) {
        if self.encoded.len() - self.written >= UNSENT && self.newest >= self.written {
            self.encoded.truncate(self.newest);
        }
        self.newest = self.encoded.len();
        encode_masked(&mut self.encoded, opcode, key, payload);
    }

    fn advance(&mut self, n: usize) -> usize {
        let step = n.min(self.encoded.len() - self.written);
        self.written += step;
        if self.written == self.encoded.len() {
            *self = Self::default();
        } else if self.written > UNSENT {
            // A peer that takes a little at a time must not make this grow.
            self.encoded.drain(..self.written);
            self.newest = self.newest.saturating_sub(self.written);
            self.written = 0;
        }
        n - step
    }
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

/// Queued output: one slice, or several for a vectored write.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    first: &'a [u8],
    /// Everything, `first` included, if that is not all.
    several: Option<Several<'a>>,
}

#[derive(Clone, Copy)]
struct Several<'a> {
    more: &'a More,
    tail: &'a [u8],
    written: usize,
}

/// One slice of an endpoint's own output, such as an HTTP response. It must not be
/// empty.
impl<'a> From<&'a [u8]> for Output<'a> {
    fn from(first: &'a [u8]) -> Self {
        Self {
            first,
            several: None,
        }
    }
}

impl<'a> Output<'a> {
    /// The first slice; never empty.
    #[must_use]
    #[inline]
    pub fn first(&self) -> &'a [u8] {
        self.first
    }

    /// Whether the first slice is all there is.
    #[must_use]
    #[inline]
    pub fn is_single(&self) -> bool {
        self.several.is_none()
    }

    /// All slices, in order.
    pub fn slices(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let single = self.is_single().then_some(self.first);
        single
            .into_iter()
            .chain(self.several.into_iter().flat_map(Several::slices))
    }

    fn of(several: Several<'a>) -> Option<Self> {
        let mut slices = several.slices();
        let first = slices.next()?;
        let is_single = slices.next().is_none();
        Some(Self {
            first,
            several: (!is_single).then_some(several),
        })
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slices()).finish()
    }
}

impl<'a> Several<'a> {
    fn slices(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self {
            more,
            tail,
            written,
        } = self;
        let data = move |range: Range<usize>| {
            let segments = more
                .segments
                .iter()
                .enumerate()
                .map(move |(at, segment)| segment.slices(if at == 0 { written } else { 0 }));
            let in_tail = if more.segments.is_empty() { written } else { 0 };
            let tail = [tail.get(in_tail..).unwrap_or_default(), &[]];
            let all = segments.chain(core::iter::once(tail));
            all.skip(range.start).take(range.len()).flatten()
        };
        // A control frame waits for the segment that is being written.
        let ahead = usize::from(written > 0);
        let urgent = more
            .urgent
            .encoded
            .get(more.urgent.written..)
            .unwrap_or_default();
        let slices = data(0..ahead)
            .chain(core::iter::once(urgent))
            .chain(data(ahead..usize::MAX));
        slices.filter(|slice| !slice.is_empty())
    }
}
