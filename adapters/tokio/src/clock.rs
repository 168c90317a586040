//! The time of tokio.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use sockeye_async::{Clock, Timer, time_of};
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

/// A timer of tokio's, made when it is first needed and set again only when its
/// time has come or an earlier one is wanted.
#[derive(Default)]
pub struct Alarm(Option<Armed>);

struct Armed {
    at: Time,
    sleep: Pin<Box<Sleep>>,
}

impl Timer for Alarm {
    fn now(&self) -> Time {
        TokioClock::now()
    }

    fn poll_until(&mut self, deadline: Time, now: Time, cx: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + deadline.saturating_since(now);
        let armed = self.0.get_or_insert_with(|| Armed {
            at: deadline,
            sleep: Box::pin(sleep_until(until)),
        });
        if deadline < armed.at || armed.at <= now {
            armed.at = deadline;
            armed.sleep.as_mut().reset(until);
        }
        match armed.sleep.as_mut().poll(cx) {
            Poll::Ready(()) if armed.at < deadline => {
                // An old wake-up: there is a rest to wait for.
                armed.at = deadline;
                armed.sleep.as_mut().reset(until);
                armed.sleep.as_mut().poll(cx)
            }
            polled => polled,
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm")
            .field(&self.0.as_ref().map(|armed| armed.at))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;
    use core::time::Duration;

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
