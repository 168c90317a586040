//! The time.

use std::time::Instant;

use sockeye_core::Time;

/// The present moment, on the time line of the process.
pub(crate) fn now() -> Time {
    sockeye_common::time_of(Instant::now())
}
