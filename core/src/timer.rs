//! The deadlines of a connection: one enum, one table.

use core::time::Duration;

use crate::time::{Deadline, Time};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The peer was silent: send a Ping, or miss its answer.
    Keepalive,
    /// No message either way.
    Idle,
    /// The peer owes a Close frame, or the end of its bytes.
    Close,
    /// The transport takes no output.
    Write,
}

impl Timer {
    const ALL: [Self; 4] = [Self::Keepalive, Self::Idle, Self::Close, Self::Write];
}

/// The next deadline of each kind.
#[derive(Debug)]
pub(crate) struct Timers {
    deadlines: [Deadline; 4],
    /// A Ping is out, and nothing has come since.
    awaiting_pong: bool,
    /// Receiving was paused since the deadline was set.
    forgiven: bool,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            deadlines: [Deadline::NEVER; 4],
            awaiting_pong: false,
            forgiven: false,
        }
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
        self.deadlines[timer as usize] != Deadline::NEVER
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        let [first, rest @ ..] = self.deadlines;
        rest.into_iter().fold(first, Ord::min).time()
    }

    /// Takes out a timer that is due.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Timer> {
        let due = Timer::ALL
            .into_iter()
            .find(|&timer| self.deadlines[timer as usize].is_due(now))?;
        self.clear(due);
        Some(due)
    }

    /// Bytes came: the next Ping is due after `interval`.
    #[inline]
    pub(crate) fn heard(&mut self, interval: Duration, now: Time) {
        self.awaiting_pong = false;
        self.set_after(Timer::Keepalive, interval, now);
    }

    /// A Ping went out, or its answer gets more time.
    pub(crate) fn await_pong(&mut self, timeout: Duration, now: Time) {
        self.awaiting_pong = true;
        self.set_after(Timer::Keepalive, timeout, now);
    }

    pub(crate) fn awaiting_pong(&self) -> bool {
        self.awaiting_pong
    }

    /// The pong deadline does not count when it is next reached.
    pub(crate) fn forgive(&mut self) {
        self.forgiven = true;
    }

    pub(crate) fn take_forgiveness(&mut self) -> bool {
        core::mem::take(&mut self.forgiven)
    }

    fn set(&mut self, timer: Timer, deadline: Deadline) {
        self.deadlines[timer as usize] = deadline;
    }
}
