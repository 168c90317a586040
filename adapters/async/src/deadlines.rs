//! The deadlines of all connections of a server, behind one timer of the runtime.

use core::task::{Context, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_common::DeadlineHeap;
use sockeye_core::{Deadline, Time};

/// Wakes tasks at coarse deadlines.
///
/// A connection touches it when its next deadline becomes *earlier* than the
/// wake-up it already has, which is seldom: keepalive deadlines only move later,
/// and are looked at again when the old wake-up comes.
///
/// The wakers are kept outside the heap, in places that are given up with their
/// connection: in the heap they would keep dead tasks alive until their time.
#[derive(Default)]
pub(crate) struct Deadlines(Mutex<State>);

#[derive(Default)]
struct State {
    /// By place.
    wakers: Vec<Option<Waker>>,
    vacant: Vec<u32>,
    heap: DeadlineHeap,
    /// The task that waits for the first entry ...
    driver: Option<Waker>,
    /// ... at this time.
    next: Option<Deadline>,
}

/// No place.
pub(crate) const NOWHERE: u32 = u32::MAX;

impl Deadlines {
    /// Wakes `waker` at `deadline`, instead of when the place would have been
    /// woken otherwise. A place is taken if there is none yet.
    pub(crate) fn arm(&self, place: &mut u32, deadline: Deadline, waker: &Waker) {
        let driver = {
            let mut state = self.lock();
            if *place == NOWHERE {
                *place = state.take_place();
            }
            state.arm(*place, deadline, waker)
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Gives a place up.
    pub(crate) fn leave(&self, place: u32) {
        if place == NOWHERE {
            return;
        }
        let waker = {
            let mut state = self.lock();
            state.vacant.push(place);
            state.heap.arm(place, Deadline::NEVER);
            state.wakers.get_mut(place as usize).and_then(Option::take)
        };
        // Outside the lock: the last waker of a task drops the task.
        drop(waker);
    }

    /// Wakes what is due and says when the next deadline is; the task of `cx` is
    /// woken when an earlier one is set.
    pub(crate) fn poll(&self, now: Time, cx: &mut Context<'_>) -> Option<Time> {
        let (due, next) = {
            let mut state = self.lock();
            let due = state.take_due(now);
            state.next = state.heap.next();
            match &mut state.driver {
                Some(driver) => driver.clone_from(cx.waker()),
                driver @ None => *driver = Some(cx.waker().clone()),
            }
            (due, state.next)
        };
        due.into_iter().for_each(Waker::wake);
        next.and_then(Deadline::time)
    }

    /// Wakes everybody who has a place, and the task that polls.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let state = self.lock();
            let wakers = state.wakers.iter().flatten();
            wakers.chain(&state.driver).cloned().collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes the task that polls.
    pub(crate) fn wake_driver(&self) {
        let driver = self.lock().driver.clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_place(&mut self) -> u32 {
        self.vacant.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            self.wakers.len() as u32 - 1
        })
    }

    fn arm(&mut self, place: u32, deadline: Deadline, waker: &Waker) -> Option<Waker> {
        match self.wakers.get_mut(place as usize)? {
            Some(known) => known.clone_from(waker),
            unknown @ None => *unknown = Some(waker.clone()),
        }
        self.heap.arm(place, deadline);
        if deadline == Deadline::NEVER || self.next.is_some_and(|next| next <= deadline) {
            return None;
        }
        self.next = Some(deadline);
        self.driver.clone()
    }

    fn take_due(&mut self, now: Time) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(place) = self.heap.pop_due(now) {
            due.extend(self.wakers.get(place as usize).cloned().flatten());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn taken(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), count.into())
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn poll(deadlines: &Deadlines, now: Time, driver: &Waker) -> Option<Time> {
        deadlines.poll(now, &mut Context::from_waker(driver))
    }

    #[test]
    fn a_task_is_woken_once_when_its_deadline_has_come_and_not_before() {
        let deadlines = Deadlines::default();
        let (woken, waker) = counter();
        let (_, driver) = counter();
        let mut place = NOWHERE;
        deadlines.arm(&mut place, Deadline::at(at(5)), &waker);
        let next = poll(&deadlines, at(4), &driver).expect("a deadline");
        assert!(next >= at(5) && next < at(6));
        assert_eq!(woken.taken(), 0);
        assert_eq!(poll(&deadlines, at(6), &driver), None);
        assert_eq!(woken.taken(), 1);
        poll(&deadlines, at(7), &driver);
        assert_eq!(woken.taken(), 0);
    }

    #[test]
    fn an_earlier_deadline_wakes_the_driver_and_voids_the_later_one() {
        let deadlines = Deadlines::default();
        let (woken, waker) = counter();
        let (driven, driver) = counter();
        let mut place = NOWHERE;
        deadlines.arm(&mut place, Deadline::at(at(20)), &waker);
        poll(&deadlines, at(0), &driver);
        deadlines.arm(&mut place, Deadline::at(at(10)), &waker);
        assert_eq!(driven.taken(), 1);
        poll(&deadlines, at(11), &driver);
        assert_eq!(woken.taken(), 1);
        poll(&deadlines, at(21), &driver);
        assert_eq!(woken.taken(), 0, "void");
    }

    #[test]
    fn a_place_that_was_left_keeps_no_task_and_wakes_nobody() {
        let deadlines = Deadlines::default();
        let (woken, waker) = counter();
        let (_, driver) = counter();
        let mut place = NOWHERE;
        deadlines.arm(&mut place, Deadline::at(at(5)), &waker);
        drop(waker);
        deadlines.leave(place);
        assert_eq!(Arc::strong_count(&woken), 1);
        let (other, waker) = counter();
        let mut second = NOWHERE;
        deadlines.arm(&mut second, Deadline::at(at(50)), &waker);
        assert_eq!(second, place, "used again");
        poll(&deadlines, at(6), &driver);
        assert_eq!((woken.taken(), other.taken()), (0, 0));
    }

    #[test]
    fn everybody_can_be_woken_at_once() {
        let deadlines = Deadlines::default();
        let (woken, waker) = counter();
        let (driven, driver) = counter();
        for _ in 0..3 {
            deadlines.arm(&mut { NOWHERE }, Deadline::at(at(5)), &waker);
        }
        poll(&deadlines, at(0), &driver);
        deadlines.wake_all();
        assert_eq!((woken.taken(), driven.taken()), (3, 1));
    }
}
