//! Queued output as the transport takes it.

use alloc::collections::vec_deque;
use core::fmt;
use core::mem;

use super::backlog::Segment;
use super::queue::Pending;

/// Queued output: one slice, or several for a vectored write.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    first: &'a [u8],
    /// Everything, `first` included, if that is not all.
    several: Option<&'a Pending>,
}

/// One slice of an endpoint's own output, such as an HTTP response. It must not be
/// empty.
impl<'a> From<&'a [u8]> for Output<'a> {
    #[inline]
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
    // Inlined, so that an output of which only the first is asked for stays in registers.
    #[inline(always)]
    pub fn slices(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        match self.several {
            None => Slices::of_two([self.first, &[]]),
            Some(pending) => Slices::of(pending),
        }
    }

    // Apart, so that the way of the one slice that there usually is stays short.
    #[inline(never)]
    pub(super) fn of(pending: &'a Pending) -> Option<Self> {
        let mut slices = Slices::of(pending);
        let first = slices.next()?;
        let is_single = slices.next().is_none();
        Some(Self {
            first,
            several: (!is_single).then_some(pending),
        })
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slices()).finish()
    }
}

/// What is left of an output: `next` is before `urgent`, that before `segments`, and `tail`
/// is the last.
#[derive(Default)]
struct Slices<'a> {
    next: [&'a [u8]; 2],
    urgent: &'a [u8],
    segments: vec_deque::Iter<'a, Segment>,
    tail: &'a [u8],
}

impl<'a> Slices<'a> {
    #[inline]
    fn of(pending: &'a Pending) -> Self {
        // One large payload is all there is, as a rule.
        match pending.single() {
            Some(segment) => Self::of_two(segment.slices(pending.written())),
            None => Self::of_all(pending),
        }
    }

    #[inline]
    fn of_two(next: [&'a [u8]; 2]) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    #[inline(never)]
    fn of_all(pending: &'a Pending) -> Self {
        let (written, mut tail) = (pending.written(), pending.tail());
        let mut segments = pending.segments();
        let mut next = [&[][..]; 2];
        // A control frame waits for the segment that is being written.
        if written > 0 {
            match segments.next() {
                Some(segment) => next = segment.slices(written),
                None => {
                    next = [tail.get(written..).unwrap_or_default(), &[]];
                    tail = &[];
                }
            }
        }
        Self {
            next,
            urgent: pending.urgent(),
            segments,
            tail,
        }
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let [first, second] = mem::take(&mut self.next);
            if !first.is_empty() {
                self.next = [second, &[]];
                return Some(first);
            }
            if !second.is_empty() {
                return Some(second);
            }
            let urgent = mem::take(&mut self.urgent);
            if !urgent.is_empty() {
                return Some(urgent);
            }
            match self.segments.next() {
                Some(segment) => self.next = segment.slices(0),
                None => {
                    let tail = mem::take(&mut self.tail);
                    return (!tail.is_empty()).then_some(tail);
                }
            }
        }
    }
}
