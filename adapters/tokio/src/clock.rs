//! The time of tokio.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use sockeye_async::{Clock, instant_of, time_of};
use sockeye_core::Time;
use tokio::task::unconstrained;
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
        // A pause for the sake of other tasks would look like a timer that is set.
        pin!(unconstrained(self.0.as_mut())).poll(cx)
    }
}

/// The timer of a connection.
pub type Alarm = sockeye_async::Alarm<TokioSleep>;

#[cfg(test)]
mod tests {
    use core::future::poll_fn;
    use core::mem;
    use core::task::Waker;
    use core::time::Duration;

    use sockeye_async::Timer;
    use tokio::task::consume_budget;
    use tokio::time::timeout;

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

    fn assert_in_time(deadline: Time) {
        let now = TokioClock::now();
        let late = now.saturating_since(deadline);
        assert!(
            now >= deadline && late < Duration::from_millis(5),
            "{late:?}"
        );
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
            assert_in_time(at(wanted));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_wakes_whoever_asked_last() {
        let mut alarm = Alarm::default();
        let deadline = TokioClock::now() + Duration::from_secs(5);
        let nobody = &mut Context::from_waker(Waker::noop());
        assert!(alarm.poll_until(deadline, alarm.now(), nobody).is_pending());
        let waiting = wait_until(&mut alarm, deadline);
        // Which, without the alarm, ends it all the same.
        let _ = timeout(Duration::from_secs(60), waiting).await;
        assert_in_time(deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_for_a_task_that_had_used_up_its_turn() {
        let mut alarm = Alarm::default();
        let deadline = TokioClock::now() + Duration::from_secs(5);
        let mut is_first = true;
        let waiting = poll_fn(|cx| {
            if mem::take(&mut is_first) {
                while pin!(consume_budget()).poll(cx).is_ready() {}
            }
            match alarm.now() {
                now if deadline <= now => Poll::Ready(()),
                now => alarm.poll_until(deadline, now, cx),
            }
        });
        let _ = timeout(Duration::from_secs(60), waiting).await;
        assert_in_time(deadline);
    }
}
