//! The rooms of a node: by name, by when they need care, and those that nobody is in.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::sync::Arc;
use core::cmp::Reverse;
use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_handler::Time;
use sockeye_kit::metrics::prometheus_client::metrics::gauge::Gauge;
use sockeye_kit::name::Name;

use crate::room::Room;

pub(crate) struct Rooms {
    hasher: RandomState,
    shards: Box<[Shard]>,
    agenda: Mutex<Agenda>,
    count: Gauge,
}

type Shard = Mutex<HashMap<Name, Arc<Room>>>;

#[derive(Default)]
struct Agenda {
    /// Rooms that are to be looked after, by time; a room may stand there more than once.
    due: BinaryHeap<Reverse<(Time, Name)>>,
    /// Rooms without members, those that are so for longest first.
    idle: VecDeque<(Time, Name)>,
}

impl Rooms {
    const SHARDS: usize = 16;

    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(),
            agenda: Mutex::default(),
            count: Gauge::default(),
        }
    }

    pub(crate) fn get(&self, name: &Name) -> Option<Arc<Room>> {
        self.shard(name).get(name).cloned()
    }

    pub(crate) fn find(&self, name: &Name, make: impl FnOnce() -> Room) -> Arc<Room> {
        let mut shard = self.shard(name);
        if let Some(room) = shard.get(name) {
            return Arc::clone(room);
        }
        let room = Arc::new(make());
        shard.insert(name.clone(), Arc::clone(&room));
        self.count.inc();
        room
    }

    /// Drops this room, unless another of its name has taken its place already.
    pub(crate) fn remove(&self, room: &Room) -> bool {
        let mut shard = self.shard(room.name());
        let is_same = |known: &Arc<Room>| core::ptr::eq(Arc::as_ptr(known), room);
        if !shard.get(room.name()).is_some_and(is_same) {
            return false;
        }
        let removed = shard.remove(room.name());
        drop(shard);
        self.count.dec();
        removed.is_some()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Room>> {
        let mut rooms = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.extend(shard.values().cloned());
        }
        rooms
    }

    /// How many there are.
    pub(crate) fn count(&self) -> Gauge {
        self.count.clone()
    }

    pub(crate) fn schedule(&self, at: Time, room: &Room) {
        self.agenda().due.push(Reverse((at, room.name().clone())));
    }

    /// The next room that is due.
    pub(crate) fn pop_due(&self, now: Time) -> Option<Arc<Room>> {
        loop {
            let mut agenda = self.agenda();
            if agenda.due.peek().is_none_or(|Reverse((at, _))| *at > now) {
                return None;
            }
            let Reverse((_, name)) = agenda.due.pop()?;
            drop(agenda);
            if let Some(room) = self.get(&name) {
                return Some(room);
            }
        }
    }

    pub(crate) fn idle(&self, now: Time, room: &Room) {
        self.agenda().idle.push_back((now, room.name().clone()));
    }

    /// The next room that has been idle for so long.
    pub(crate) fn pop_idle(&self, now: Time, age: Duration) -> Option<Arc<Room>> {
        loop {
            let mut agenda = self.agenda();
            let (since, _) = agenda.idle.front()?;
            if now.saturating_since(*since) < age {
                return None;
            }
            let (_, name) = agenda.idle.pop_front()?;
            drop(agenda);
            if let Some(room) = self.get(&name) {
                return Some(room);
            }
        }
    }

    /// When the next room is due.
    pub(crate) fn next_due(&self, age: Duration) -> Option<Time> {
        let agenda = self.agenda();
        let due = agenda.due.peek().map(|Reverse((at, _))| *at);
        let idle = agenda.idle.front().map(|(since, _)| *since + age);
        [due, idle].into_iter().flatten().min()
    }

    fn shard(&self, name: &Name) -> MutexGuard<'_, HashMap<Name, Arc<Room>>> {
        // The index is below the number of shards.
        let shard = &self.shards[self.hasher.hash_one(name) as usize % Self::SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
