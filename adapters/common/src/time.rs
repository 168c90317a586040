//! The time line of a process.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use sockeye_core::Time;

/// The time line that all connections of a process share.
///
/// Its epoch is the first moment that was asked for.
#[must_use]
pub fn time_of(instant: Instant) -> Time {
    let elapsed = instant.saturating_duration_since(epoch(instant));
    Time::ZERO + elapsed
}

/// The moment that [`time_of`] gives `time` for.
#[must_use]
pub fn instant_of(time: Time) -> Instant {
    let since = time.saturating_since(Time::ZERO);
    let epoch = epoch(Instant::now());
    // Beyond what the system can name it is never in any case.
    let never = || epoch + Duration::from_secs(100 * 365 * 24 * 3600);
    epoch.checked_add(since).unwrap_or_else(never)
}

fn epoch(first: Instant) -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_line_leads_there_and_back() {
        let begin = time_of(Instant::now());
        for seconds in [0, 1, 1_000_000] {
            let time = begin + Duration::from_secs(seconds);
            assert_eq!(time_of(instant_of(time)), time);
        }
    }
}
