//! The time of the reactor.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::time::Instant;

use async_io::Timer;
use sockeye_async::{Clock, Sleep, instant_of, time_of};
use sockeye_core::Time;

/// The clock of the standard library.
#[derive(Debug)]
pub enum IoClock {}

impl Clock for IoClock {
    fn now() -> Time {
        time_of(Instant::now())
    }
}

/// A timer of the reactor.
#[derive(Debug)]
pub struct IoSleep(Timer);

impl Sleep for IoSleep {
    type Clock = IoClock;

    fn until(at: Time) -> Self {
        Self(Timer::at(instant_of(at)))
    }

    fn reset(&mut self, at: Time) {
        self.0.set_at(instant_of(at));
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

/// The timer of a connection.
pub type Alarm = sockeye_async::Alarm<IoSleep>;
