//! CPU time, and what is said about several measurements of it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time of this thread so far: what other processes do does not count.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One figure per round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, sample: f64) {
        let at = self.0.partition_point(|other| *other < sample);
        self.0.insert(at, sample);
    }

    pub fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }

    /// Half the distance between the quartiles, in parts of the median.
    pub fn spread(&self) -> Option<f64> {
        let n = self.0.len();
        let (low, high) = (self.0.get(n / 4)?, self.0.get(n * 3 / 4)?);
        Some((high - low) / 2.0 / self.median()?)
    }
}
