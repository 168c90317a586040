//! The one loop that drives a protocol endpoint over a transport.

use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use sockeye_common::{SLICES, Until, gather, scratch};
use sockeye_core::{
    Endpoint, Messages, Outgoing, Output, OwnedMessage, SendError, Sender, Time, Transmit,
};

use crate::timer::Timer;
use crate::transport::Transport;

/// Reads in one poll; after that the other tasks of the thread have their turn.
const READS: usize = 16;

/// An endpoint, the transport below it and the timer beside it.
///
/// Whoever polls it is woken by the transport and the timer, and makes all
/// progress there is: there is no task behind it.
pub struct Driver<T, E: Endpoint, C> {
    endpoint: E,
    /// Gone once the endpoint is drained.
    transport: Option<T>,
    timer: C,
    /// Read while only writing was asked for; see [`poll_write`](Self::poll_write).
    stash: Option<E::Item>,
}

impl<T: Transport, E: Endpoint, C: Timer> Driver<T, E, C> {
    /// Drives `endpoint`.
    pub fn new(endpoint: E, transport: T, timer: C) -> Self {
        Self {
            endpoint,
            transport: Some(transport),
            timer,
            stash: None,
        }
    }

    /// The next item; `None` once the endpoint is finished.
    ///
    /// What is queued is written before this waits, and between two reads, so
    /// that all answers to one read leave together.
    pub fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<E::Item>> {
        if let Some(item) = self.stash.take() {
            return Poll::Ready(Some(item));
        }
        let now = self.begin();
        if self.endpoint.holds_input() {
            scratch::lend_output(&mut self.endpoint);
        }
        let item = self.drive(cx, now);
        self.end(cx);
        item
    }

    /// Writes until enough has left. Items are not lost by this: they stay for
    /// [`poll_item`](Self::poll_item).
    ///
    /// Ready too when the endpoint is drained: nothing can leave any more.
    pub fn poll_write(&mut self, until: Until, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.begin();
        let written = self.drive_output(until, cx, now);
        self.end(cx);
        written
    }

    /// Whether input that was read already waits for [`poll_item`](Self::poll_item).
    pub fn holds_input(&self) -> bool {
        self.stash.is_some() || self.endpoint.holds_input()
    }

    /// The endpoint, to give it something to send or to look at it.
    pub fn endpoint(&mut self) -> &mut E {
        &mut self.endpoint
    }

    /// The transport, until it is closed.
    pub fn transport(&self) -> Option<&T> {
        self.transport.as_ref()
    }

    /// The timer.
    pub fn timer(&self) -> &C {
        &self.timer
    }

    pub(crate) fn timer_mut(&mut self) -> &mut C {
        &mut self.timer
    }

    /// Takes over what came from elsewhere. Who may have something to send for it has a buffer
    /// then; others get one when there is something to answer.
    fn begin(&mut self) -> Time {
        let now = self.timer.now();
        if self.endpoint.wants_waker() {
            scratch::lend_output(&mut self.endpoint);
            self.endpoint.handle_wake(now);
        }
        now
    }

    /// An idle connection owns no buffer, and can be woken by whoever got to know
    /// it in this poll.
    fn end(&mut self, cx: &mut Context<'_>) {
        self.endpoint.set_waker(cx.waker());
        scratch::reclaim_output(&mut self.endpoint);
    }

    fn drive(&mut self, cx: &mut Context<'_>, mut now: Time) -> Poll<Option<E::Item>> {
        for reads in 0..READS {
            if let Some(item) = self.endpoint.poll_item(now) {
                if reads > 0 {
                    self.expire(now);
                }
                return Poll::Ready(Some(item));
            }
            let written = self.write(cx, now);
            if self.endpoint.is_drained() {
                self.transport = None;
                match self.endpoint.poll_item(now) {
                    None if !self.endpoint.is_finished() => {
                        now = ready!(self.wait(cx, now));
                        continue;
                    }
                    last => return Poll::Ready(last),
                }
            }
            if written.any && self.endpoint.holds_input() {
                continue;
            }
            match self.read(cx, now) {
                Poll::Ready(None) => {}
                Poll::Ready(item) => {
                    self.expire(now);
                    return Poll::Ready(item);
                }
                // Only now: what was not read may be what a deadline waits for.
                Poll::Pending => now = ready!(self.wait(cx, now)),
            }
        }
        self.expire(now);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn drive_output(&mut self, until: Until, cx: &mut Context<'_>, mut now: Time) -> Poll<()> {
        let known = self.endpoint.poll_timeout();
        for _ in 0..READS {
            let written = self.write(cx, now);
            let enough = match until {
                Until::BelowMark => !self.endpoint.wants_flush(),
                Until::Empty => written.all,
            };
            if enough || self.endpoint.is_drained() {
                // Nobody waits for the transport now, but the deadline of what it
                // did not take, or of the answer to a Close, must still wake
                // somebody: the other half may be waiting for a later one.
                let next = self.endpoint.poll_timeout();
                let is_new = next.is_some_and(|next| known.is_none_or(|known| next < known));
                if is_new || !written.all {
                    let _ = self.poll_deadline(cx, now);
                }
                return Poll::Ready(());
            }
            now = ready!(self.poll_deadline(cx, now));
            if !self.read_ahead(cx, now) {
                self.handle_timeout(now);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads what a deadline may be waiting for, if there is room to keep it.
    fn read_ahead(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        if self.holds_input() {
            return false;
        }
        let Poll::Ready(item) = self.read(cx, now) else {
            return false;
        };
        self.stash = item;
        true
    }

    /// Reads once, if the endpoint wants input.
    fn read(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<Option<E::Item>> {
        if !self.endpoint.wants_input() {
            return Poll::Pending;
        }
        let Some(transport) = &mut self.transport else {
            return Poll::Pending;
        };
        if let Some(target) = self.endpoint.read_target() {
            let read = ready!(transport.poll_read(cx, target));
            scratch::lend_output(&mut self.endpoint);
            if let Some(n) = progress(&mut self.endpoint, read, now) {
                self.endpoint.handle_read(n, now);
            }
            return Poll::Ready(None);
        }
        scratch::receive(&mut self.endpoint, now, |buffer| {
            transport.poll_read(cx, buffer)
        })
    }

    /// Writes until there is nothing left or the transport takes no more.
    #[inline]
    fn write(&mut self, cx: &mut Context<'_>, now: Time) -> Written {
        let mut any = false;
        let Some(transport) = &mut self.transport else {
            return Written { any, all: true };
        };
        while self.endpoint.has_output() {
            let Some(transmit) = self.endpoint.poll_transmit() else {
                break;
            };
            let result = match transmit {
                Transmit::Write(output) => {
                    let written = write_once(transport, cx, output);
                    let taken = match written {
                        Poll::Ready(Ok(n)) => n,
                        Poll::Ready(Err(_)) | Poll::Pending => 0,
                    };
                    self.endpoint.handle_written(taken, now);
                    written.map_ok(drop)
                }
                Transmit::Shutdown => transport
                    .poll_shutdown(cx)
                    .map_ok(|()| self.endpoint.handle_shutdown(now)),
            };
            match result {
                Poll::Ready(Ok(())) => any = true,
                Poll::Ready(Err(_)) => return self.fail(any, now),
                Poll::Pending => return Written { any, all: false },
            }
        }
        match transport.poll_flush(cx) {
            Poll::Ready(Ok(())) => Written { any, all: true },
            Poll::Ready(Err(_)) => self.fail(any, now),
            Poll::Pending => Written { any, all: false },
        }
    }

    fn fail(&mut self, any: bool, now: Time) -> Written {
        self.endpoint.handle_error(now);
        Written { any, all: true }
    }

    /// A peer that never stops sending does not stop the clock.
    fn expire(&mut self, now: Time) {
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.handle_timeout(now);
        }
    }

    /// Waits for the next deadline and handles it.
    #[inline]
    fn wait(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<Time> {
        let now = ready!(self.poll_deadline(cx, now));
        self.handle_timeout(now);
        Poll::Ready(now)
    }

    /// A deadline has come. What is sent then goes into this thread's buffer like all else.
    #[cold]
    fn handle_timeout(&mut self, now: Time) {
        scratch::lend_output(&mut self.endpoint);
        self.endpoint.handle_timeout(now);
    }

    /// Ready with the time when the next deadline has come.
    #[inline]
    fn poll_deadline(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<Time> {
        let Some(deadline) = self.endpoint.poll_timeout() else {
            return Poll::Pending;
        };
        if deadline <= now {
            return Poll::Ready(now);
        }
        self.timer.poll_until(deadline, now, cx).map(|()| deadline)
    }
}

impl<T: Transport, C: Timer> Driver<T, Messages, C> {
    /// The next message, if it was read already: most are, and need nothing of what
    /// [`poll_item`](Self::poll_item) does around it.
    #[inline(always)]
    pub(crate) fn poll_held(&mut self) -> Option<OwnedMessage> {
        match self.stash {
            None => self.endpoint.poll_held(),
            Some(_) => None,
        }
    }

    /// Whether what was read already may hold a message, and not only the beginning of
    /// one.
    #[inline]
    pub(crate) fn holds_message(&self) -> bool {
        self.stash.is_some() || self.endpoint.holds_frame()
    }

    /// Sends a message. What the sender refuses leaves it without a buffer, as idle as it
    /// was.
    #[inline(always)]
    pub(crate) fn send(&mut self, message: Outgoing<'_>) -> Result<(), SendError> {
        let queued = self.sender().send(message);
        self.or_idle(queued)
    }

    /// Gives the sender something else.
    #[inline]
    pub(crate) fn queue(
        &mut self,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let queued = queue(self.sender());
        self.or_idle(queued)
    }

    #[inline]
    fn or_idle(&mut self, queued: Result<(), SendError>) -> Result<(), SendError> {
        if queued.is_err() {
            scratch::reclaim_output(&mut self.endpoint);
        }
        queued
    }

    /// The sender, with this thread's buffer for what it is given.
    #[inline]
    pub(crate) fn sender(&mut self) -> &mut Sender {
        scratch::lend_output(&mut self.endpoint);
        self.endpoint.sender()
    }
}

/// The bytes of a read, or `None` after telling the endpoint that it was the last.
fn progress(endpoint: &mut impl Endpoint, read: io::Result<usize>, now: Time) -> Option<usize> {
    match read {
        Ok(0) => endpoint.handle_eof(now),
        Ok(n) => return Some(n),
        Err(_) => endpoint.handle_error(now),
    }
    None
}

/// One write: of the one slice there usually is, or of several together.
#[inline]
fn write_once(
    transport: &mut impl Transport,
    cx: &mut Context<'_>,
    output: Output<'_>,
) -> Poll<io::Result<usize>> {
    let written = if output.is_single() {
        ready!(transport.poll_write(cx, output.first()))
    } else {
        ready!(write_several(transport, cx, output))
    };
    Poll::Ready(match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        written => written,
    })
}

#[inline(never)]
fn write_several(
    transport: &mut impl Transport,
    cx: &mut Context<'_>,
    output: Output<'_>,
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    transport.poll_write_vectored(cx, gather(&output, &mut slices))
}

/// What an attempt to write came to.
struct Written {
    /// Whether anything was taken.
    any: bool,
    /// Whether nothing is left.
    all: bool,
}
