//! The time of tokio.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use sockeye_async::{Clock, instant_of, time_of};
use sockeye_core::Time;
use tokio::time::{Instant, Sleep, sleep_until};

/// The clock of tokio, which tests can pause.
#[derive(Debug)]
pub enum TokioClock {}

impl Clock for TokioClock {
    fn now() -> Time {
        time_of(Instant::now().into_std())
    }
}

/// A timer of tokio's.
#[derive(Debug)]
pub struct TokioSleep(Pin<Box<Sleep>>);

impl sockeye_async::Sleep for TokioSleep {
    type Clock = TokioClock;

    fn until(at: Time) -> Self {
        Self(Box::pin(sleep_until(instant_of(at).into())))
    }

    fn reset(&mut self, at: Time) {
        self.0.as_mut().reset(instant_of(at).into());
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// The timer of a connection.
pub type Alarm = sockeye_async::Alarm<TokioSleep>;

#[cfg(test)]
mod tests {
    use core::future::poll_fn;
    use core::time::Duration;

    use sockeye_async::Timer;

    use super::*;

    async fn wait_until(alarm: &mut Alarm, deadline: Time) {
        poll_fn(|cx| {
            let now = alarm.now();
            if deadline <= now {
                Poll::Ready(())
            } else {
                alarm.poll_until(deadline, now, cx)
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_its_deadline_whichever_way_that_was_moved() {
        let mut alarm = Alarm::default();
        let begin = TokioClock::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        for (armed, wanted) in [(10, 5), (20, 40), (60, 60), (61, 70)] {
            // Polled once for the first, waited for by the second.
            poll_fn(|cx| {
                assert!(alarm.poll_until(at(armed), alarm.now(), cx).is_pending());
                Poll::Ready(())
            })
            .await;
            wait_until(&mut alarm, at(wanted)).await;
            let late = TokioClock::now().saturating_since(at(wanted));
            assert!(
                TokioClock::now() >= at(wanted) && late < Duration::from_millis(5),
                "{late:?}"
            );
        }
    }
}
