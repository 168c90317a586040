//! The timers of a handler.

use sockeye_core::Time;

/// Times by key.
///
/// Few handlers have more than two or three: a list is searched faster than a heap.
#[derive(Default)]
pub(crate) struct Timers(Vec<(u64, Time)>);

impl Timers {
    pub(crate) fn set(&mut self, key: u64, at: Time) {
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = at,
            None => {
                // One by one: a list that doubles begins with room for four.
                self.0.reserve_exact(1);
                self.0.push((key, at));
            }
        }
    }

    pub(crate) fn clear(&mut self, key: u64) {
        self.0.retain(|(k, _)| *k != key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Time> {
        self.0.iter().map(|(_, at)| *at).min()
    }

    /// How many times have come.
    pub(crate) fn due(&self, now: Time) -> usize {
        self.0.iter().filter(|(_, at)| *at <= now).count()
    }

    /// Takes the earliest of those that have come.
    pub(crate) fn pop(&mut self, now: Time) -> Option<u64> {
        let times = self.0.iter().copied().enumerate();
        let (index, (key, at)) = times.min_by_key(|(_, (_, at))| *at)?;
        if at > now {
            return None;
        }
        self.0.remove(index);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_the_order_of_their_times() {
        let at = Time::from_micros;
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(1, at(30));
        timers.set(2, at(10));
        timers.set(3, at(20));
        timers.set(4, at(5));
        timers.set(1, at(15));
        timers.clear(4);
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.due(at(20)), 3);
        assert_eq!(timers.pop(at(20)), Some(2));
        assert_eq!(timers.pop(at(20)), Some(1));
        assert_eq!(timers.pop(at(20)), Some(3));
        assert_eq!(timers.pop(at(20)), None);
    }
}
