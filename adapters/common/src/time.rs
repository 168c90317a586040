//! The time line of a process.

use std::sync::OnceLock;
use std::time::Instant;

use sockeye_core::Time;

/// The time line that all connections of a process share.
///
/// Its epoch is the first moment that was asked for.
#[must_use]
pub fn time_of(instant: Instant) -> Time {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let elapsed = instant.saturating_duration_since(*EPOCH.get_or_init(|| instant));
    Time::ZERO + elapsed
}
