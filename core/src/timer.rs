//! The deadlines of a connection: one enum, one table.

use core::time::Duration;

use crate::time::{Deadline, Time};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// While open, the peer was silent: send a Ping, or miss its answer. Later, it owes a
    /// Close frame, or the end of its bytes.
    Peer,
    /// No message either way.
    Idle,
    /// The transport takes no output.
    Write,
}

impl Timer {
    const ALL: [Self; 3] = [Self::Peer, Self::Idle, Self::Write];
}

/// The next deadline of each kind.
#[derive(Debug)]
pub(crate) struct Timers([Deadline; 3]);

impl Default for Timers {
    fn default() -> Self {
        Self([Deadline::NEVER; 3])
    }
}

impl Timers {
    pub(crate) fn set_after(&mut self, timer: Timer, duration: Duration, now: Time) {
        self.set(timer, Deadline::after(duration, now));
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.set(timer, Deadline::NEVER);
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Deadline::NEVER
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        let [first, rest @ ..] = self.0;
        rest.into_iter().fold(first, Ord::min).time()
    }

    /// Takes out a timer that is due.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Timer> {
        let due = Timer::ALL
            .into_iter()
            .find(|&timer| self.0[timer as usize].is_due(now))?;
        self.clear(due);
        Some(due)
    }

    fn set(&mut self, timer: Timer, deadline: Deadline) {
        self.0[timer as usize] = deadline;
    }
}
