//! The deadlines of any number of connections, in one heap.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use core::mem;

use sockeye_core::{Deadline, Time};

/// Coarse deadlines of numbered places, earliest first.
///
/// A connection touches it when its next deadline becomes *earlier* than the one it
/// has here, which is seldom: keepalive deadlines only move later, and are looked at
/// again when the old one has come.
#[derive(Debug, Default)]
pub struct DeadlineHeap {
    armed: Vec<Deadline>,
    /// Entries whose deadline is not the one of their place are void.
    heap: BinaryHeap<Reverse<(Deadline, u32)>>,
}

impl DeadlineHeap {
    /// Sets the deadline of a place, instead of the one it had.
    pub fn arm(&mut self, place: u32, deadline: Deadline) {
        let index = place as usize;
        if index >= self.armed.len() {
            self.armed.resize(index + 1, Deadline::NEVER);
        }
        if let Some(armed) = self.armed.get_mut(index) {
            *armed = deadline;
        }
        if deadline != Deadline::NEVER {
            self.heap.push(Reverse((deadline, place)));
            if self.heap.len() > 64 + 2 * self.armed.len() {
                self.remove_void_entries();
            }
        }
    }

    /// The deadline that a place has now.
    #[must_use]
    pub fn armed(&self, place: u32) -> Deadline {
        let armed = self.armed.get(place as usize);
        armed.copied().unwrap_or(Deadline::NEVER)
    }

    /// A time before which no place is due; it may be that of a deadline that was
    /// replaced by a later one.
    #[must_use]
    pub fn next(&self) -> Option<Deadline> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes out a place that is due. It has no deadline then.
    pub fn pop_due(&mut self, now: Time) -> Option<u32> {
        while let Some(Reverse((deadline, place))) = self.heap.peek().copied() {
            if !deadline.is_due(now) {
                return None;
            }
            self.heap.pop();
            if let Some(armed) = self.armed.get_mut(place as usize)
                && *armed == deadline
            {
                *armed = Deadline::NEVER;
                return Some(place);
            }
        }
        None
    }

    /// At most one entry for each place stays, so this is worth what it costs.
    fn remove_void_entries(&mut self) {
        let mut entries = mem::take(&mut self.heap).into_vec();
        entries.retain(|Reverse((deadline, place))| self.armed(*place) == *deadline);
        entries.sort_unstable();
        entries.dedup();
        self.heap = entries.into();
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn places_come_out_once_when_they_are_due_and_not_before() {
        let mut heap = DeadlineHeap::default();
        heap.arm(7, Deadline::at(at(9)));
        heap.arm(3, Deadline::at(at(5)));
        assert_eq!(heap.next(), Some(Deadline::at(at(5))));
        assert_eq!(heap.pop_due(at(4)), None);
        assert_eq!(heap.pop_due(at(6)), Some(3));
        assert_eq!(heap.armed(3), Deadline::NEVER);
        assert_eq!(heap.pop_due(at(6)), None);
        assert_eq!(heap.pop_due(at(10)), Some(7));
        assert_eq!((heap.pop_due(at(10)), heap.next()), (None, None));
    }

    #[test]
    fn a_deadline_that_was_replaced_or_cleared_is_void() {
        let mut heap = DeadlineHeap::default();
        heap.arm(0, Deadline::at(at(20)));
        heap.arm(0, Deadline::at(at(10)));
        heap.arm(1, Deadline::at(at(15)));
        heap.arm(1, Deadline::NEVER);
        assert_eq!(heap.pop_due(at(11)), Some(0));
        assert_eq!(heap.pop_due(at(21)), None);
    }

    #[test]
    fn deadlines_that_alternate_do_not_pile_up() {
        let mut heap = DeadlineHeap::default();
        for second in 0..10_000 {
            heap.arm(0, Deadline::at(at(100_000)));
            heap.arm(0, Deadline::at(at(second)));
            assert_eq!(heap.pop_due(at(second + 1)), Some(0));
        }
        assert!(heap.heap.len() <= 64 + 2 * heap.armed.len());
    }
}
