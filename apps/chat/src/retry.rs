//! What makes a second attempt harmless.

use alloc::collections::VecDeque;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_handler::Time;

use crate::store::Stamp;

/// How long a key is remembered.
const MEMORY: Duration = Duration::from_secs(300);

/// Keys that are remembered at a time. At most so many requests with an `id` can be had in the
/// five minutes before the oldest are forgotten early: 100 bytes each, so 50 MiB.
const CAPACITY: usize = 500_000;

/// The keys of what was accepted in the last 5 minutes, with the first answers.
pub(crate) struct Retries {
    /// Two keyed hashes stand for a key: 128 bits that nobody outside can aim at.
    hashers: [RandomState; 2],
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
struct Shard {
    seen: HashMap<Key, Option<Stamp>>,
    /// Oldest first.
    order: VecDeque<(Time, Key)>,
}

/// A hashed key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64, u64);

impl Retries {
    const SHARDS: usize = 16;

    pub(crate) fn new() -> Self {
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The key of a request: who, whereto, and its `id`.
    pub(crate) fn key(&self, parts: impl Hash) -> Key {
        let [first, second] = &self.hashers;
        Key(first.hash_one(&parts), second.hash_one(&parts))
    }

    /// The first answer, if the key was seen; otherwise what `first` answers is remembered, unless
    /// it refuses.
    ///
    /// Two attempts at the same time come one after the other.
    pub(crate) fn once<E>(
        &self,
        key: Key,
        now: Time,
        first: impl FnOnce() -> Result<Option<Stamp>, E>,
    ) -> Result<Option<Stamp>, E> {
        let mut shard = self.shard(key);
        shard.forget(now);
        match shard.seen.entry(key) {
            Entry::Occupied(seen) => Ok(seen.get().clone()),
            Entry::Vacant(free) => {
                let answer = first()?;
                free.insert(answer.clone());
                shard.order.push_back((now, key));
                Ok(answer)
            }
        }
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        // The index is below the number of shards.
        let shard = &self.shards[key.0 as usize % Self::SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn forget(&mut self, now: Time) {
        while let Some((at, key)) = self.order.front() {
            let overdue = now.saturating_since(*at) >= MEMORY;
            if !overdue && self.order.len() < CAPACITY / Retries::SHARDS {
                break;
            }
            self.seen.remove(key);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Epoch;

    fn stamp(off: u64) -> Option<Stamp> {
        Some(Stamp {
            off,
            epoch: Epoch("e".into()),
        })
    }

    #[test]
    fn a_key_has_one_answer_for_5_minutes() {
        let retries = Retries::new();
        let key = retries.key(("ana", "room", 1));
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let once = |off, at| retries.once(key, at, || Ok::<_, ()>(stamp(off)));
        assert_eq!(once(1, at(0)), Ok(stamp(1)));
        assert_eq!(once(2, at(299)), Ok(stamp(1)));
        assert_eq!(once(3, at(300)), Ok(stamp(3)));
        let other = retries.key(("ana", "room", 2));
        assert_eq!(
            retries.once(other, at(300), || Ok::<_, ()>(stamp(4))),
            Ok(stamp(4))
        );
    }

    #[test]
    fn what_is_refused_leaves_no_trace() {
        let retries = Retries::new();
        let key = retries.key("key");
        assert_eq!(retries.once(key, Time::ZERO, || Err(())), Err(()));
        assert_eq!(
            retries.once(key, Time::ZERO, || Ok::<_, ()>(stamp(1))),
            Ok(stamp(1))
        );
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let retries = Retries::new();
        for n in 0..CAPACITY + CAPACITY / 4 {
            let key = retries.key(n);
            assert_eq!(
                retries.once(key, Time::ZERO, || Ok::<_, ()>(None)),
                Ok(None)
            );
        }
        let shards = retries.shards.iter();
        let kept: usize = shards.map(|s| s.lock().map_or(0, |s| s.seen.len())).sum();
        assert!(kept <= CAPACITY, "{kept}");
    }
}
