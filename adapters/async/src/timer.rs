//! What tells the time.

use core::task::{Context, Poll};
use sockeye_core::Time;

/// A runtime's clock.
pub trait Clock {
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
