//! The timers of a handler.

use sockeye_core::Time;

/// Times by key. A connection without timers pays a pointer.
#[derive(Default)]
pub(crate) struct Timers(Option<Box<Table>>);

/// Few handlers have more than two or three: a list is searched faster than a heap.
#[derive(Default)]
struct Table {
    entries: Vec<(u64, Time)>,
}

impl Timers {
    pub(crate) fn set(&mut self, key: u64, at: Time) {
        let table = self.0.get_or_insert_default();
        match table.entries.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = at,
            None => table.entries.push((key, at)),
        }
    }

    pub(crate) fn clear(&mut self, key: u64) {
        if let Some(table) = &mut self.0 {
            table.entries.retain(|(k, _)| *k != key);
        }
    }

    pub(crate) fn clear_all(&mut self) {
        self.0 = None;
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Time> {
        let table = self.0.as_ref()?;
        table.entries.iter().map(|(_, at)| *at).min()
    }

    /// How many times have come.
    pub(crate) fn due(&self, now: Time) -> usize {
        self.0.as_ref().map_or(0, |table| {
            table.entries.iter().filter(|(_, at)| *at <= now).count()
        })
    }

    /// Takes the earliest of those that have come.
    pub(crate) fn pop(&mut self, now: Time) -> Option<u64> {
        let entries = &mut self.0.as_mut()?.entries;
        let (index, (key, at)) = entries
            .iter()
            .copied()
            .enumerate()
            .min_by_key(|(_, (_, at))| *at)?;
        if at > now {
            return None;
        }
        entries.remove(index);
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
