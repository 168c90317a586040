//! What waits besides the frames that coalesce: whole segments, and control frames that
//! overtake.

use alloc::collections::{VecDeque, vec_deque};
use alloc::vec::Vec;

use bytes::Bytes;

use super::queue::encode_masked;
use crate::frame::{EncodedHeader, Opcode};
use crate::mask;

/// Control frames that wait unsent, in bytes, above which a new one replaces the newest: 16
/// of the longest. A peer that pings without reading costs no more than this (RFC 6455
/// §5.5.3), and one that sends some pings in a row still gets each of them answered.
const UNSENT: usize = 2 << 10;

/// More places than this for segments are not kept once they are empty.
const PLACES: usize = 32;

/// Empty buffers that are kept: as many as the soft mark makes segments, but for the one in use.
const SPARES: usize = 3;

/// What only some connections need, and only for a while.
#[derive(Default)]
pub(super) struct Backlog {
    segments: VecDeque<Segment>,
    /// The bytes in `segments`.
    bytes: usize,
    urgent: Urgent,
    /// Empty buffers, to append to when what was appended before became a segment.
    spares: Vec<Vec<u8>>,
}

/// Whole frames: at its end, and only there, may a control frame come in.
pub(super) enum Segment {
    Coalesced(Vec<u8>),
    Large {
        header: EncodedHeader,
        payload: Bytes,
    },
}

impl Segment {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Coalesced(frames) => frames.len(),
            Self::Large { header, payload } => header.len() + payload.len(),
        }
    }

    /// What follows after the first `written` bytes.
    #[inline]
    pub(super) fn slices(&self, written: usize) -> [&[u8]; 2] {
        match self {
            Self::Coalesced(frames) => [frames.get(written..).unwrap_or_default(), &[]],
            Self::Large { header, payload } => {
                let in_payload = written.saturating_sub(header.len());
                [
                    header.as_slice().get(written..).unwrap_or_default(),
                    payload.get(in_payload..).unwrap_or_default(),
                ]
            }
        }
    }
}

impl Backlog {
    #[inline]
    pub(super) fn push(&mut self, segment: Segment) {
        self.bytes += segment.len();
        self.segments.push_back(segment);
    }

    /// Makes a segment of the frames in `tail`, unless there are none, and has it empty: with
    /// a spare buffer, or else with room for `room` bytes.
    #[inline]
    pub(super) fn seal(&mut self, tail: &mut Vec<u8>, room: usize) {
        if !tail.is_empty() {
            self.seal_frames(tail, room);
        }
    }

    fn seal_frames(&mut self, tail: &mut Vec<u8>, room: usize) {
        let empty = self.spares.pop();
        let empty = empty.unwrap_or_else(|| Vec::with_capacity(room));
        // What is written of a lone tail stays counted by who owns it.
        self.push(Segment::Coalesced(core::mem::replace(tail, empty)));
    }

    /// Adds a control frame that overtakes.
    pub(super) fn push_urgent(&mut self, opcode: Opcode, key: Option<mask::Key>, payload: &[u8]) {
        self.urgent.push(opcode, key, payload);
    }

    /// The bytes in segments.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.urgent.is_empty()
    }

    /// The only segment, if there are no control frames either.
    #[inline]
    pub(super) fn single(&self) -> Option<&Segment> {
        let is_single = self.segments.len() == 1 && self.urgent.is_empty();
        self.segments.front().filter(|_| is_single)
    }

    #[inline]
    pub(super) fn segments(&self) -> vec_deque::Iter<'_, Segment> {
        self.segments.iter()
    }

    /// Control frames that go out at the next frame boundary.
    #[inline]
    pub(super) fn urgent(&self) -> &[u8] {
        let urgent = &self.urgent;
        urgent.encoded.get(urgent.written..).unwrap_or_default()
    }

    /// The room that there is in spare buffers.
    pub(super) fn spare_capacity(&self) -> usize {
        self.spares.iter().map(Vec::capacity).sum()
    }

    /// Lets go of the spare buffers.
    pub(super) fn shrink(&mut self) {
        self.spares = Vec::new();
    }

    /// Makes an empty one worth keeping.
    #[inline]
    pub(super) fn trim(&mut self) {
        if self.segments.capacity() > PLACES {
            self.segments = VecDeque::new();
        }
    }

    /// Lets go of up to `n` bytes of what is to be written next: of control frames, of the
    /// first segment, or of `tail`, which comes last. Returns what is left of `n`.
    #[inline]
    pub(super) fn advance(&mut self, tail: &mut Vec<u8>, written: &mut usize, n: usize) -> usize {
        if *written == 0 && !self.urgent.is_empty() {
            return self.urgent.advance(n);
        }
        let len = self.segments.front().map_or(tail.len(), Segment::len);
        let step = n.min(len - *written);
        *written += step;
        if *written == len {
            *written = 0;
            match self.segments.pop_front() {
                Some(segment) => {
                    self.bytes -= len;
                    match segment {
                        Segment::Coalesced(frames) => self.reuse(tail, frames),
                        Segment::Large { payload, .. } => crate::buffers::recycle_bytes(payload),
                    }
                }
                None => tail.clear(),
            }
        }
        n - step
    }

    /// Has frames that are written gathered in the same place again.
    fn reuse(&mut self, tail: &mut Vec<u8>, mut frames: Vec<u8>) {
        frames.clear();
        if tail.capacity() == 0 {
            *tail = frames;
        } else if self.spares.len() < SPARES {
            self.spares.push(frames);
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

impl Urgent {
    #[inline]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_places_are_kept_and_many_are_not() {
        for (segments, kept) in [(PLACES, true), (PLACES + 1, false)] {
            let mut backlog = Backlog::default();
            for _ in 0..segments {
                backlog.push(Segment::Coalesced(alloc::vec![1; 10]));
            }
            let (mut tail, mut written) = (Vec::new(), 0);
            for _ in 0..segments {
                assert_eq!(backlog.advance(&mut tail, &mut written, 10), 0);
            }
            assert!(backlog.is_empty());
            backlog.trim();
            assert_eq!(backlog.segments.capacity() > 0, kept, "{segments}");
        }
    }
}
