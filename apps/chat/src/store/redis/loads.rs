//! Which rooms are kept up to date here, and which are being read.

use alloc::collections::VecDeque;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use sockeye_kit::name::Name;

use super::super::{Away, Epoch};

/// Who waits for a room to be read.
pub(super) type Waiter = oneshot::Sender<Result<(), Away>>;

/// How many rooms are read at a time: each may come as half a megabyte in one message, and the
/// store drops subscribers that fall behind by some.
const AT_ONCE: usize = 4;

/// Rooms that are read, one after the other.
#[derive(Default)]
pub(super) struct Loads(Mutex<State>);

#[derive(Default)]
struct State {
    /// Read and kept up to date, with the newest epoch that the store had.
    installed: HashMap<Name, Epoch>,
    /// Asked for, by the number of the request.
    under_way: HashMap<u64, Load>,
    queue: VecDeque<Load>,
    last: u64,
}

/// A room to be read. Those who wait are told [`Away`] when it is dropped.
pub(super) struct Load {
    pub(super) room: Name,
    pub(super) waiters: Vec<Waiter>,
}

impl Loads {
    /// Reads a room after all that is known now; `waiter` is told.
    pub(super) fn want(&self, room: &Name, waiter: Option<Waiter>) {
        let mut state = self.lock();
        match state.queue.iter_mut().find(|load| load.room == *room) {
            Some(load) => load.waiters.extend(waiter),
            None => state.queue.push_back(Load {
                room: room.clone(),
                waiters: waiter.into_iter().collect(),
            }),
        }
    }

    /// Reads a room of which something is missing, unless it is being read: what comes of that
    /// is newer than what came before it.
    pub(super) fn want_missing(&self, room: &Name) {
        let is_coming = self
            .lock()
            .under_way
            .values()
            .any(|load| load.room == *room);
        if !is_coming {
            self.want(room, None);
        }
    }

    /// The next room to be asked for, with a number for the request.
    pub(super) fn next(&self) -> Option<(u64, Name)> {
        let mut state = self.lock();
        if state.under_way.len() >= AT_ONCE {
            return None;
        }
        let load = state.queue.pop_front()?;
        let room = load.room.clone();
        state.last += 1;
        let request = state.last;
        state.under_way.insert(request, load);
        Some((request, room))
    }

    /// A room has come; `None` if nobody waits for it any more.
    pub(super) fn arrived(&self, request: u64, epoch: &Epoch) -> Option<Load> {
        let mut state = self.lock();
        let load = state.under_way.remove(&request)?;
        state.installed.insert(load.room.clone(), epoch.clone());
        Some(load)
    }

    /// A room will not come.
    pub(super) fn failed(&self, request: u64) {
        let load = self.lock().under_way.remove(&request);
        // Whoever is told may do anything: not under the lock.
        drop(load);
    }

    /// A room that is kept up to date, and in which epoch.
    pub(super) fn installed(&self, room: &str) -> Option<(Name, Epoch)> {
        let state = self.lock();
        let (name, epoch) = state.installed.get_key_value(room)?;
        Some((name.clone(), epoch.clone()))
    }

    /// All of these rooms.
    pub(super) fn all_installed(&self) -> Vec<(Name, Epoch)> {
        let state = self.lock();
        let all = state.installed.iter();
        all.map(|(name, epoch)| (name.clone(), epoch.clone()))
            .collect()
    }

    /// A room need not be kept up to date.
    pub(super) fn forget(&self, room: &str) {
        self.lock().installed.remove(room);
    }

    /// What was asked for may not have been heard: it will be asked for again.
    pub(super) fn restart(&self) {
        let mut state = self.lock();
        let lost: Vec<Load> = state.under_way.drain().map(|(_, load)| load).collect();
        lost.into_iter()
            .for_each(|load| state.queue.push_front(load));
    }

    /// Nothing will come for a while.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        let dropped = (
            core::mem::take(&mut state.under_way),
            core::mem::take(&mut state.queue),
        );
        drop(state);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Tells those who wait that the room is there.
    pub(super) fn finish(self) {
        for waiter in self.waiters {
            let _ = waiter.send(Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn epoch() -> Epoch {
        Epoch("e".into())
    }

    #[test]
    fn one_answer_serves_all_who_asked_before_the_question() {
        let loads = Loads::default();
        let (first, mut first_pending) = oneshot::channel();
        let (second, mut second_pending) = oneshot::channel();
        loads.want(&name("a"), Some(first));
        let (request, room) = loads.next().expect("a room");
        assert_eq!(room, name("a"));
        // The question is out: its answer may be older than what this one has seen.
        loads.want(&name("a"), Some(second));
        loads.arrived(request, &epoch()).expect("awaited").finish();
        assert_eq!(first_pending.try_recv(), Ok(Some(Ok(()))));
        assert_eq!(second_pending.try_recv(), Ok(None));
        let (request, _) = loads.next().expect("the room again");
        loads.arrived(request, &epoch()).expect("awaited").finish();
        assert_eq!(second_pending.try_recv(), Ok(Some(Ok(()))));
        assert!(loads.next().is_none());
    }

    #[test]
    fn a_gap_is_not_asked_about_twice() {
        let loads = Loads::default();
        loads.want_missing(&name("a"));
        loads.want_missing(&name("a"));
        assert!(loads.next().is_some());
        loads.want_missing(&name("a"));
        assert!(loads.next().is_none());
    }

    #[test]
    fn only_some_are_asked_for_at_a_time() {
        let loads = Loads::default();
        for number in 0..10 {
            loads.want(&name(&format!("room{number}")), None);
        }
        let asked: Vec<u64> = core::iter::from_fn(|| loads.next())
            .map(|(id, _)| id)
            .collect();
        assert_eq!(asked.len(), AT_ONCE);
        loads.failed(asked[0]);
        assert!(loads.next().is_some());
        assert!(loads.next().is_none());
    }

    #[test]
    fn what_was_lost_is_asked_for_again_and_only_the_new_answer_counts() {
        let loads = Loads::default();
        let (waiter, mut pending) = oneshot::channel();
        loads.want(&name("a"), Some(waiter));
        let (old, _) = loads.next().expect("a room");
        loads.restart();
        assert!(loads.arrived(old, &epoch()).is_none());
        assert_eq!(pending.try_recv(), Ok(None));
        let (new, _) = loads.next().expect("the room again");
        loads.arrived(new, &epoch()).expect("awaited").finish();
        assert_eq!(pending.try_recv(), Ok(Some(Ok(()))));
    }

    #[test]
    fn who_waits_is_told_that_nothing_comes() {
        let loads = Loads::default();
        let (first, mut first_pending) = oneshot::channel::<Result<(), Away>>();
        let (second, mut second_pending) = oneshot::channel::<Result<(), Away>>();
        loads.want(&name("a"), Some(first));
        assert!(loads.next().is_some());
        loads.want(&name("b"), Some(second));
        loads.abandon();
        assert_eq!(first_pending.try_recv(), Err(oneshot::Canceled));
        assert_eq!(second_pending.try_recv(), Err(oneshot::Canceled));
    }
}
