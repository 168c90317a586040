//! Time as an input: the core reads no clock.

use core::ops::Add;
use core::time::Duration;

/// A moment, in microseconds since an epoch that the caller chooses.
///
/// The epoch must be the same for everything that is driven together, and time
/// must not run backwards; a monotonic clock read once per wake-up is enough.
/// `std::time::Instant` is not used because it does not exist without `std` and
/// cannot be set by a virtual clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// The moment this many microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// A deadline in four bytes: a coarse tick, rounded up, or never.
///
/// A connection keeps several of these for its whole life, most of them idle,
/// so they are stored at a granularity of [`Deadline::TICK`]. A deadline is
/// never early, and at most one tick late. The ticks last for about nine years
/// after the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u32);

impl Deadline {
    /// The granularity: 2^16 microseconds, so that rounding is a shift.
    pub const TICK: Duration = Duration::from_micros(1 << Self::SHIFT);

    /// No deadline. It is later than every other.
    pub const NEVER: Self = Self(u32::MAX);

    const SHIFT: u32 = 16;

    /// The first tick at or after `time`.
    #[must_use]
    pub const fn at(time: Time) -> Self {
        let ticks = time.0.saturating_add((1 << Self::SHIFT) - 1) >> Self::SHIFT;
        // The last value means never.
        if ticks < u32::MAX as u64 {
            Self(ticks as u32)
        } else {
            Self::NEVER
        }
    }

    /// The first tick at or after `now` + `duration`.
    #[must_use]
    pub fn after(duration: Duration, now: Time) -> Self {
        Self::at(now + duration)
    }

    /// The moment it stands for, `None` for [`Deadline::NEVER`].
    #[must_use]
    pub const fn time(self) -> Option<Time> {
        match self {
            Self::NEVER => None,
            Self(ticks) => Some(Time((ticks as u64) << Self::SHIFT)),
        }
    }

    /// Whether it has been reached.
    #[must_use]
    pub const fn is_due(self, now: Time) -> bool {
        match self.time() {
            Some(time) => time.0 <= now.0,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_at_most_one_tick_late() {
        for micros in [0, 1, 65_535, 65_536, 65_537, 10_000_000, 123_456_789_012] {
            let time = Time::from_micros(micros);
            let deadline = Deadline::at(time);
            let stored = deadline.time().expect("in range");
            assert!(stored >= time, "{micros}");
            assert!(stored.saturating_since(time) < Deadline::TICK, "{micros}");
            assert!(deadline.is_due(stored));
            assert!(
                micros == 0 || !deadline.is_due(Time::from_micros(micros - 1)) || stored < time
            );
        }
    }

    #[test]
    fn what_is_out_of_range_is_never_due() {
        let deadline = Deadline::after(Duration::MAX, Time::from_micros(5));
        assert_eq!(deadline, Deadline::NEVER);
        assert!(!deadline.is_due(Time::from_micros(u64::MAX)));
        assert!(Deadline::at(Time::ZERO) < Deadline::NEVER);
    }
}
