//! The queue of output: small frames coalesce, large payloads stay where they are,
//! control frames overtake.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::frame::{Header, MAX_CONTROL, Opcode};
use crate::mask::{self, Keys};

/// Coalesced output above which a new segment begins, so that what is written can
/// be let go and a control frame need not wait behind more.
const SEGMENT: usize = 16 << 10;

/// Encoded output in the order of the wire.
///
/// An idle connection owns nothing but this value: frames gather in `tail`, and
/// the rest exists only while it is needed.
#[derive(Default)]
pub(super) struct Queue {
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
    segments: VecDeque<Bytes>,
    /// The bytes in `segments`.
    bytes: usize,
    urgent: Urgent,
}

/// Control frames that go out at the next frame boundary.
#[derive(Default)]
struct Urgent {
    /// At most one unsent frame of each kind: the newest wins (RFC 6455 §5.5.3).
    pong: Option<Control>,
    ping: Option<Control>,
    /// Both as they were offered to the transport.
    encoded: Vec<u8>,
    written: usize,
}

struct Control {
    payload: [u8; MAX_CONTROL],
    len: u8,
}

impl Control {
    fn new(payload: &[u8]) -> Self {
        let mut control = Self {
            payload: [0; MAX_CONTROL],
            len: payload.len().min(MAX_CONTROL) as u8,
        };
        control
            .payload
            .iter_mut()
            .zip(payload)
            .for_each(|(to, from)| *to = *from);
        control
    }

    fn payload(&self) -> &[u8] {
        self.payload
            .get(..usize::from(self.len))
            .unwrap_or_default()
    }
}

impl Queue {
    /// Where frames are appended.
    #[inline]
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        if self.tail.len() >= SEGMENT {
            self.seal();
        }
        &mut self.tail
    }

    /// Appends by reference.
    pub(super) fn push(&mut self, segment: Bytes) {
        if segment.is_empty() {
            return;
        }
        self.seal();
        let more = self.more.get_or_insert_default();
        more.bytes += segment.len();
        more.segments.push_back(segment);
    }

    /// Replaces the unsent Pong or Ping.
    pub(super) fn set_urgent(&mut self, opcode: Opcode, payload: &[u8]) {
        let urgent = &mut self.more.get_or_insert_default().urgent;
        let slot = if opcode == Opcode::Pong {
            &mut urgent.pong
        } else {
            &mut urgent.ping
        };
        *slot = Some(Control::new(payload));
    }

    /// Drops control frames that have not started.
    pub(super) fn clear_urgent(&mut self) {
        if let Some(more) = &mut self.more {
            more.urgent.pong = None;
            more.urgent.ping = None;
            more.urgent.encode(None);
        }
        self.shed();
    }

    /// Unwritten bytes, control frames that overtake aside.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let segments = self.more.as_ref().map_or(0, |more| more.bytes);
        segments + self.tail.len() - self.written
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.more.is_none() && self.tail.is_empty()
    }

    /// Everything that waits, in the order of the wire; `None` if nothing does.
    #[inline]
    pub(super) fn output(&mut self, keys: Option<&mut Keys>) -> Option<Output<'_>> {
        if let Some(more) = &mut self.more {
            more.urgent.encode(keys);
            return Output::of(&self.tail, self.written, more);
        }
        let first = self
            .tail
            .get(self.written..)
            .filter(|tail| !tail.is_empty())?;
        Some(Output { first, rest: None })
    }

    /// Lets go of the first `n` bytes of what `output` offered.
    #[inline]
    pub(super) fn advance(&mut self, mut n: usize) {
        let Some(more) = &mut self.more else {
            self.written = (self.written + n).min(self.tail.len());
            if self.written == self.tail.len() {
                self.tail.clear();
                self.written = 0;
            }
            return;
        };
        if self.written > 0 {
            n = advance_front(
                &mut more.segments,
                &mut more.bytes,
                &mut self.tail,
                &mut self.written,
                n,
            );
        }
        if self.written == 0 {
            n = more.urgent.advance(n);
        }
        while n > 0 && (!more.segments.is_empty() || !self.tail.is_empty()) {
            n = advance_front(
                &mut more.segments,
                &mut more.bytes,
                &mut self.tail,
                &mut self.written,
                n,
            );
        }
        self.shed();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes an empty buffer to append to, unless it has one.
    #[inline]
    pub(super) fn lend(&mut self, buffer: Vec<u8>) {
        if self.tail.capacity() == 0 {
            self.tail = buffer;
            self.tail.clear();
        }
    }

    /// Gives the buffer back if nothing is in it.
    #[inline]
    pub(super) fn reclaim(&mut self) -> Option<Vec<u8>> {
        (self.tail.is_empty() && self.tail.capacity() > 0).then(|| core::mem::take(&mut self.tail))
    }

    fn shed(&mut self) {
        self.more
            .take_if(|more| more.segments.is_empty() && more.urgent.is_empty());
    }

    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let more = self.more.get_or_insert_default();
        // What is written of a lone tail stays counted by `written`.
        more.bytes += self.tail.len();
        more.segments
            .push_back(core::mem::take(&mut self.tail).into());
    }
}

/// Lets go of up to `n` bytes of the first segment or the tail; returns what is left of `n`.
fn advance_front(
    segments: &mut VecDeque<Bytes>,
    bytes: &mut usize,
    tail: &mut Vec<u8>,
    written: &mut usize,
    n: usize,
) -> usize {
    let len = segments.front().map_or(tail.len(), Bytes::len);
    let step = n.min(len - *written);
    *written += step;
    if *written == len {
        *written = 0;
        match segments.pop_front() {
            Some(segment) => {
                *bytes -= segment.len();
                crate::buffers::recycle_bytes(segment);
            }
            None => tail.clear(),
        }
    }
    n - step
}

impl Urgent {
    fn is_empty(&self) -> bool {
        self.pong.is_none() && self.ping.is_none() && self.encoded.is_empty()
    }

    /// Encodes what waits, unless some of an earlier frame is on the wire already.
    fn encode(&mut self, mut keys: Option<&mut Keys>) {
        if self.written > 0 {
            return;
        }
        self.encoded.clear();
        for (opcode, control) in [(Opcode::Pong, &self.pong), (Opcode::Ping, &self.ping)] {
            let Some(control) = control else { continue };
            let key = keys.as_deref_mut().map(Keys::next_key);
            encode_masked(&mut self.encoded, opcode, key, control.payload());
        }
    }

    fn advance(&mut self, n: usize) -> usize {
        let step = n.min(self.encoded.len() - self.written);
        if step > 0 && self.written == 0 {
            // They have started: what comes from now on is a newer one.
            self.pong = None;
            self.ping = None;
        }
        self.written += step;
        if self.written == self.encoded.len() {
            self.encoded.clear();
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
    let header = Header {
        fin: true,
        opcode,
        mask: key,
        len: payload.len() as u64,
    };
    header.encode(out);
    append_masked(out, key, payload);
}

/// Appends payload, masked if there is a key.
#[inline]
pub(super) fn append_masked(out: &mut Vec<u8>, key: Option<mask::Key>, payload: &[u8]) {
    let Some(mut key) = key else {
        return crate::frame::extend(out, payload);
    };
    out.reserve(payload.len());
    for piece in payload.chunks(crate::utf8::COPY_PIECE) {
        let start = out.len();
        out.extend_from_slice(piece);
        // The copy is still in the nearest cache.
        mask::apply(out.get_mut(start..).unwrap_or_default(), key);
        key = mask::advance(key, piece.len());
    }
}

/// Queued output: one slice, or several for a vectored write.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    first: &'a [u8],
    rest: Option<Rest<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Rest<'a> {
    urgent: &'a [u8],
    segments: &'a VecDeque<Bytes>,
    /// How many segments `first` or the time before it used up.
    skip: usize,
    tail: &'a [u8],
}

/// One slice of an endpoint's own output, such as an HTTP response. It must not be
/// empty.
impl<'a> From<&'a [u8]> for Output<'a> {
    fn from(first: &'a [u8]) -> Self {
        Self { first, rest: None }
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
        self.rest.is_none()
    }

    /// All slices, in order.
    pub fn slices(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let rest = self.rest.into_iter().flat_map(|rest| {
            core::iter::once(rest.urgent)
                .chain(
                    rest.segments
                        .iter()
                        .skip(rest.skip)
                        .map(|segment| &**segment),
                )
                .chain(core::iter::once(rest.tail))
        });
        core::iter::once(self.first).chain(rest.filter(|slice| !slice.is_empty()))
    }

    fn of(tail: &'a [u8], written: usize, more: &'a More) -> Option<Self> {
        let urgent = more
            .urgent
            .encoded
            .get(more.urgent.written..)
            .unwrap_or_default();
        let front = more.segments.front().map_or(tail, |segment| segment);
        let front = front.get(written..).unwrap_or_default();
        // A control frame waits for the segment that is being written.
        let (first, urgent, used) = match (written, urgent) {
            (0, [_, ..]) => (urgent, &[][..], false),
            _ => (front, urgent, true),
        };
        let front_is_tail = more.segments.is_empty();
        let rest = Rest {
            urgent,
            segments: &more.segments,
            skip: usize::from(used),
            tail: if used && front_is_tail { &[] } else { tail },
        };
        if first.is_empty() {
            // Nothing in front: a control frame alone was handled above.
            return None;
        }
        let single =
            rest.urgent.is_empty() && rest.segments.len() <= rest.skip && rest.tail.is_empty();
        Some(Self {
            first,
            rest: (!single).then_some(rest),
        })
    }
}
