//! What tells the time.

use core::fmt;
use core::task::{Context, Poll, Waker};

use sockeye_core::Time;

/// A runtime's clock.
pub trait Clock: 'static {
    /// The present moment, on the time line of [`time_of`](crate::time_of).
    fn now() -> Time;
}

/// A clock that wakes a task.
pub trait Timer {
    /// The present moment.
    fn now(&self) -> Time;

    /// Ready if `deadline`, which is later than `now`, has come in the meantime;
    /// otherwise the task is woken when it has.
    ///
    /// It is called again with whatever deadline is the next by then. A wake-up
    /// that was arranged before may stay: one too many does no harm, so a timer
    /// need not be touched while its deadline only moves later.
    fn poll_until(&mut self, deadline: Time, now: Time, cx: &mut Context<'_>) -> Poll<()>;
}

/// A runtime's own timer, for one moment at a time.
pub trait Sleep: Unpin {
    /// The clock that it goes by.
    type Clock: Clock;

    /// A timer that is set to `at`.
    fn until(at: Time) -> Self;

    /// Sets it anew.
    fn reset(&mut self, at: Time);

    /// Ready once the moment has come; until then the task is woken when it does.
    ///
    /// The same task does not ask again before that, so it must not be woken while the clock
    /// is still before the moment.
    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A timer of a runtime's, made when it is first needed and set again only when
/// its time has come or an earlier one is wanted.
pub struct Alarm<Z>(Option<Armed<Z>>);

struct Armed<Z> {
    at: Time,
    sleep: Z,
    /// The task that `sleep` wakes, if it was polled since it was set.
    task: Option<Waker>,
}

impl<Z> Default for Alarm<Z> {
    fn default() -> Self {
        Self(None)
    }
}

impl<Z: Sleep> Timer for Alarm<Z> {
    fn now(&self) -> Time {
        Z::Clock::now()
    }

    fn poll_until(&mut self, deadline: Time, now: Time, cx: &mut Context<'_>) -> Poll<()> {
        let armed = self.0.get_or_insert_with(|| Armed {
            at: deadline,
            sleep: Z::until(deadline),
            task: None,
        });
        if deadline < armed.at || armed.at <= now {
            armed.set(deadline);
        }
        let is_known = |task: &Waker| task.will_wake(cx.waker());
        if armed.task.as_ref().is_some_and(is_known) {
            return Poll::Pending;
        }
        match armed.poll(cx) {
            Poll::Ready(()) if armed.at < deadline => {
                // An old wake-up: there is a rest to wait for.
                armed.set(deadline);
                armed.poll(cx)
            }
            polled => polled,
        }
    }
}

impl<Z: Sleep> Armed<Z> {
    fn set(&mut self, at: Time) {
        self.at = at;
        self.sleep.reset(at);
        self.task = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.sleep.poll_elapsed(cx);
        self.task = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

impl<Z> fmt::Debug for Alarm<Z> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm")
            .field(&self.0.as_ref().map(|armed| armed.at))
            .finish()
    }
}
