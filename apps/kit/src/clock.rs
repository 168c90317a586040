//! Time: the clock of an application, its thread for deadlines, and how times are written.

use alloc::sync::Arc;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::panic::catch_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sockeye_handler::Time;

/// A time as it stands in messages: RFC 3339, in UTC, with milliseconds.
///
/// ```
/// use core::time::Duration;
/// use std::time::UNIX_EPOCH;
///
/// let time = UNIX_EPOCH + Duration::from_millis(1_795_251_600_123);
/// assert_eq!(sockeye_kit::clock::rfc3339(time), "2026-11-21T09:00:00.123Z");
/// ```
///
/// Times before 1970 or after the year 9999 are shown as the nearest that can be written.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let last = Duration::from_millis(253_402_300_799_999);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_millis(UNIX_EPOCH + since.min(last)).to_string()
}

/// What an application knows the time by, the same for all of its threads and connections.
///
/// The `now` of a [`Context`](sockeye_handler::Context) belongs to one server; what outlives a
/// connection is told the time by this clock. Under test it is set by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's clock, monotonic; the epoch is now.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System {
            start: Instant::now(),
        })
    }

    /// A clock that stands still until [`advance`](Self::advance)d.
    #[must_use]
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// Lets time pass on a manual clock, for all who have a clone of it. The system's goes by
    /// itself.
    pub fn advance(&self, duration: Duration) {
        if let Source::Manual(micros) = &self.0 {
            let later = Time::from_micros(micros.load(Ordering::Relaxed)) + duration;
            micros.store(later.as_micros(), Ordering::Relaxed);
        }
    }

    /// The time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System { start } => Time::ZERO + start.elapsed(),
            Source::Manual(micros) => Time::from_micros(micros.load(Ordering::Relaxed)),
        }
    }

    /// The time of day: what tokens expire by, and messages are stamped with.
    ///
    /// A manual clock begins at 2026-11-21T09:00:00Z.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System { .. } => SystemTime::now(),
            Source::Manual(_) => {
                let start = UNIX_EPOCH + Duration::from_secs(1_795_251_600);
                start + self.now().saturating_since(Time::ZERO)
            }
        }
    }
}

/// Asks a [`Ticker`] for a call. Cheap to clone, and usable from any thread.
///
/// It can be made, and rung, before there is a ticker, so that an application can hold one.
#[derive(Clone, Default)]
pub struct Alarm(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When the next call is due.
    due: Option<Time>,
    stopped: bool,
}

impl Alarm {
    /// For a ticker that is still to be started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a call once `at` has come, unless an earlier one is due anyway.
    pub fn set(&self, at: Time) {
        let mut state = self.0.lock();
        if state.due.is_none_or(|due| at < due) {
            state.due = Some(at);
            drop(state);
            self.0.changed.notify_one();
        }
    }

    /// When the next call is due, if any.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.0.lock().due
    }

    /// Takes the time that was asked for, once it has come: how a test ticks by hand.
    #[must_use]
    pub fn take_due(&self, now: Time) -> bool {
        let mut state = self.0.lock();
        let is_due = state.due.is_some_and(|due| due <= now);
        if is_due {
            state.due = None;
        }
        is_due
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread that calls an application when its deadlines come: windows that close, leases
/// that are to be renewed.
///
/// Dropping it ends the thread, after the call that is being made.
#[derive(Debug)]
pub struct Ticker {
    alarm: Alarm,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread, which calls `tick` with the time whenever `alarm` is due, and again
    /// at the time that `tick` returns.
    ///
    /// A panic of `tick` is reported, and the next call is made all the same.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub fn start(
        name: &str,
        clock: &Clock,
        alarm: &Alarm,
        mut tick: impl FnMut(Time) -> Option<Time> + Send + 'static,
    ) -> io::Result<Self> {
        let clock = clock.clone();
        let run = {
            let alarm = alarm.clone();
            move || {
                while let Some(now) = alarm.0.wait(&clock) {
                    match catch_unwind(AssertUnwindSafe(|| tick(now))) {
                        Ok(Some(next)) => alarm.set(next),
                        Ok(None) => {}
                        Err(_) => tracing::error!("the application's thread has panicked"),
                    }
                }
            }
        };
        let thread = thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Self {
            alarm: alarm.clone(),
            thread: Some(thread),
        })
    }
}

impl Shared {
    /// The time when a call is due; `None` at the end.
    fn wait(&self, clock: &Clock) -> Option<Time> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let now = clock.now();
            match state.due {
                None => {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(due) if due <= now => {
                    state.due = None;
                    return Some(now);
                }
                Some(due) => {
                    let left = due.saturating_since(now);
                    let woken = self.changed.wait_timeout(state, left);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.alarm.0.lock().stopped = true;
        self.alarm.0.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // It catches the panics of what it calls.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let written = |millis| rfc3339(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(written(u64::MAX / 2), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(UNIX_EPOCH - SECOND), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_manual_clock_moves_by_hand_for_everybody() {
        let clock = Clock::manual();
        let other = clock.clone();
        assert_eq!(rfc3339(other.wall()), "2026-11-21T09:00:00.000Z");
        clock.advance(Duration::from_millis(1500));
        assert_eq!(other.now(), Time::from_micros(1_500_000));
        assert_eq!(rfc3339(other.wall()), "2026-11-21T09:00:01.500Z");
    }

    #[test]
    fn the_earliest_time_counts_and_is_taken_once() {
        let alarm = Alarm::new();
        let at = |seconds| Time::ZERO + SECOND * seconds;
        alarm.set(at(5));
        alarm.set(at(3));
        alarm.set(at(4));
        assert!(!alarm.take_due(at(2)));
        assert!(alarm.take_due(at(3)));
        assert!(!alarm.take_due(at(9)));
    }

    #[test]
    fn the_thread_calls_when_asked_and_when_it_asked_itself_and_not_before() {
        let clock = Clock::system();
        let alarm = Alarm::new();
        let (calls, called) = channel();
        let mut left = 3;
        let ticker = Ticker::start("ticker-test", &clock, &alarm, move |now| {
            let _ = calls.send(now);
            left -= 1;
            (left > 0).then(|| now + Duration::from_millis(20))
        });
        let _ticker = ticker.expect("a thread");
        let quiet = called.recv_timeout(Duration::from_millis(50));
        assert_eq!(quiet, Err(RecvTimeoutError::Timeout));
        let asked = clock.now() + Duration::from_millis(20);
        alarm.set(clock.now() + 60 * SECOND);
        alarm.set(asked);
        let times: Vec<_> = called.iter().take(3).collect();
        assert!(times[0] >= asked);
        for pair in times.windows(2) {
            assert!(pair[1].saturating_since(pair[0]) >= Duration::from_millis(20));
        }
    }

    #[test]
    fn a_panic_ends_neither_the_thread_nor_its_deadlines() {
        let alarm = Alarm::new();
        let (calls, called) = channel();
        let mut first = true;
        let ticker = Ticker::start("ticker-test", &Clock::system(), &alarm, move |_| {
            let panics = core::mem::take(&mut first);
            let _ = calls.send(panics);
            assert!(!panics, "on purpose");
            None
        });
        let _ticker = ticker.expect("a thread");
        alarm.set(Time::ZERO);
        assert_eq!(called.recv_timeout(10 * SECOND), Ok(true));
        alarm.set(Time::ZERO);
        assert_eq!(called.recv_timeout(10 * SECOND), Ok(false));
    }

    #[test]
    fn dropping_the_ticker_ends_its_thread() {
        let (calls, called) = channel::<()>();
        let alarm = Alarm::new();
        let ticker = Ticker::start("ticker-test", &Clock::system(), &alarm, move |_| {
            let _ = calls.send(());
            None
        });
        drop(ticker.expect("a thread"));
        // The closure is gone, and its end of the channel with it.
        assert!(
            called
                .recv_timeout(10 * SECOND)
                .is_err_and(|e| e == RecvTimeoutError::Disconnected)
        );
    }
}
