//! What a room remembers of what was said.

use alloc::collections::VecDeque;
use core::time::Duration;

use sockeye_handler::{Frame, Time};

/// The newest messages of an epoch, encoded, oldest first and without holes.
#[derive(Default)]
pub(crate) struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    off: u64,
    at: Time,
    frame: Frame,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) count: usize,
    pub(crate) age: Duration,
    pub(crate) bytes: usize,
}

impl Ring {
    /// Adds a message, and forgets the oldest as far as the bounds ask for it.
    pub(crate) fn push(&mut self, off: u64, frame: Frame, at: Time, bounds: &Bounds, now: Time) {
        self.bytes += cost(&frame);
        self.entries.push_back(Entry { off, at, frame });
        self.trim(bounds, now);
    }

    /// Forgets what is too old, too many or too much.
    pub(crate) fn trim(&mut self, bounds: &Bounds, now: Time) {
        while let Some(oldest) = self.entries.front() {
            let is_kept = self.entries.len() <= bounds.count
                && self.bytes <= bounds.bytes
                && now.saturating_since(oldest.at) < bounds.age;
            if is_kept {
                break;
            }
            self.bytes -= cost(&oldest.frame);
            self.entries.pop_front();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What the memory of the messages comes to.
    pub(crate) fn bytes(&self) -> usize {
        if self.entries.is_empty() {
            0
        } else {
            // A room that nobody is in costs this much for the sake of its first message.
            self.bytes + 512
        }
    }

    /// The offset of the oldest message.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.off)
    }

    /// The messages with these offsets that are still here, oldest first.
    pub(crate) fn range(&self, from: u64, to: u64) -> impl ExactSizeIterator<Item = &Frame> {
        let first = self.oldest().unwrap_or(1);
        let index = |off: u64| {
            let index = usize::try_from(off.saturating_sub(first)).unwrap_or(usize::MAX);
            index.min(self.entries.len())
        };
        let (start, end) = (index(from), index(to.saturating_add(1)));
        self.entries
            .range(start..end.max(start))
            .map(|entry| &entry.frame)
    }
}

/// With the entry and what the allocator adds.
fn cost(frame: &Frame) -> usize {
    frame.encoded().len() + size_of::<Entry>() + 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        count: 5,
        age: Duration::from_secs(10),
        bytes: 100_000,
    };

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn texts(ring: &Ring, from: u64, to: u64) -> Vec<&[u8]> {
        ring.range(from, to).map(Frame::payload).collect()
    }

    fn ring(messages: u64) -> Ring {
        let mut ring = Ring::default();
        for off in 1..=messages {
            ring.push(off, Frame::new(off.to_string()), at(off), &BOUNDS, at(off));
        }
        ring
    }

    #[test]
    fn a_range_is_inclusive_and_holds_what_is_still_here() {
        let ring = ring(7);
        assert_eq!(ring.oldest(), Some(3));
        assert_eq!(texts(&ring, 5, 6), [b"5", b"6"]);
        assert_eq!(texts(&ring, 1, 4), [b"3", b"4"]);
        assert_eq!(texts(&ring, 7, u64::MAX), [b"7"]);
        assert!(texts(&ring, 8, 9).is_empty());
        assert!(texts(&ring, 6, 5).is_empty());
        assert!(texts(&Ring::default(), 0, u64::MAX).is_empty());
    }

    #[test]
    fn count_age_and_bytes_bound_it() {
        let mut ring = ring(4);
        ring.trim(&BOUNDS, at(12));
        assert_eq!(ring.oldest(), Some(3));
        let long = Frame::new("x".repeat(60_000));
        ring.push(5, long.clone(), at(12), &BOUNDS, at(12));
        ring.push(6, long, at(12), &BOUNDS, at(12));
        assert_eq!(ring.oldest(), Some(6));
        assert!(ring.bytes() > 60_000 && ring.bytes() < 61_000);
        ring.trim(&BOUNDS, at(100));
        assert_eq!((ring.bytes(), ring.oldest()), (0, None));
    }
}
