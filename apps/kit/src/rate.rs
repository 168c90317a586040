//! How often something may happen.

use core::num::NonZeroU32;
use core::time::Duration;

use sockeye_handler::Time;

/// A token bucket in 16 bytes: so many a second, with bursts.
///
/// It holds one time instead of tokens and a time: the one at which it would be full again.
/// (The generic cell rate algorithm.)
///
/// ```
/// use core::num::NonZeroU32;
/// use core::time::Duration;
/// use sockeye_handler::Time;
/// use sockeye_kit::rate::Bucket;
///
/// let [rate, burst] = [10, 2].map(|n| NonZeroU32::new(n).expect("not zero"));
/// let mut bucket = Bucket::new(rate, burst);
/// assert!(bucket.take(Time::ZERO) && bucket.take(Time::ZERO));
/// assert!(!bucket.take(Time::ZERO));
/// assert!(bucket.take(Time::ZERO + Duration::from_millis(100)));
/// ```
#[derive(Clone, Debug)]
pub struct Bucket {
    /// When it is full again, in microseconds.
    full_at: u64,
    /// Microseconds for one.
    interval: u32,
    burst: NonZeroU32,
}

impl Bucket {
    /// A full bucket: `burst` at once, and `rate` a second from there on.
    #[must_use]
    pub fn new(rate: NonZeroU32, burst: NonZeroU32) -> Self {
        Self {
            full_at: 0,
            interval: 1_000_000 / rate,
            burst,
        }
    }

    /// Takes one, if there is one. A refusal costs nothing.
    #[must_use]
    pub fn take(&mut self, now: Time) -> bool {
        let available = self.wait(now).is_zero();
        if available {
            self.full_at = self.full_at.max(now.as_micros()) + u64::from(self.interval);
        }
        available
    }

    /// How long it takes until there is one.
    #[must_use]
    pub fn wait(&self, now: Time) -> Duration {
        let spare = u64::from(self.burst.get() - 1) * u64::from(self.interval);
        let ready_at = self.full_at.saturating_sub(spare);
        Duration::from_micros(ready_at.saturating_sub(now.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: u32, burst: u32) -> Bucket {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        Bucket::new(number(rate), number(burst))
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    /// How many can be taken at once.
    fn drain(bucket: &mut Bucket, now: Time) -> usize {
        (0..1000).take_while(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_burst_at_once_and_then_the_rate() {
        for start in [0, 1_000_000] {
            let mut bucket = bucket(20, 40);
            assert_eq!(drain(&mut bucket, at(start)), 40);
            assert_eq!(drain(&mut bucket, at(start + 49)), 0);
            assert_eq!(drain(&mut bucket, at(start + 50)), 1);
            assert_eq!(drain(&mut bucket, at(start + 1050)), 20);
            assert_eq!(drain(&mut bucket, at(start + 60_000)), 40);
        }
    }

    #[test]
    fn a_refusal_costs_nothing_and_says_how_long_it_lasts() {
        let mut bucket = bucket(10, 1);
        assert!(bucket.take(at(0)));
        for _ in 0..1000 {
            assert!(!bucket.take(at(40)));
        }
        assert_eq!(bucket.wait(at(40)), Duration::from_millis(60));
        assert!(bucket.take(at(100)));
        assert_eq!(bucket.wait(at(1000)), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_stands_still_or_runs_back_gives_no_more() {
        let mut bucket = bucket(1, 3);
        assert_eq!(drain(&mut bucket, at(5000)), 3);
        assert_eq!(drain(&mut bucket, at(1000)), 0);
        assert_eq!(drain(&mut bucket, at(6000)), 1);
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Bucket>(), 16);
    }
}
