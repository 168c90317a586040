//! A connection as two values for two tasks.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::Stream;
use futures_sink::Sink;
use sockeye_common::{Until, begin_close};
use sockeye_core::{
    CloseCode, Closed, Endpoint, Frame, Incoming, Messages, Outgoing, OwnedMessage, SendError,
    Sender,
};

use crate::driver::Driver;
use crate::timer::Timer;
use crate::transport::Transport;
use crate::websocket::{poll_flush, poll_incoming, poll_message};

/// The sending half of a [`WebSocket`](crate::WebSocket).
pub struct SendHalf<T, C>(Arc<Shared<T, C>>);

/// The receiving half of a [`WebSocket`](crate::WebSocket).
pub struct RecvHalf<T, C> {
    shared: Arc<Shared<T, C>>,
    closed: Option<Closed>,
}

struct Shared<T, C> {
    /// Held for one poll, never across an await.
    driver: Mutex<Driver<T, Messages, C>>,
    tasks: Arc<Tasks>,
    /// Wakes both: what the transport tells one half may be what the other waits for.
    waker: Waker,
}

/// The tasks that wait, one for each half.
#[derive(Default)]
struct Tasks(Mutex<[Option<Waker>; 2]>);

#[derive(Clone, Copy)]
enum Half {
    Send,
    Recv,
}

pub(crate) fn split<T, C>(
    driver: Driver<T, Messages, C>,
    closed: Option<Closed>,
) -> (SendHalf<T, C>, RecvHalf<T, C>) {
    let tasks = Arc::new(Tasks::default());
    let shared = Arc::new(Shared {
        driver: Mutex::new(driver),
        waker: Arc::clone(&tasks).into(),
        tasks,
    });
    let send = SendHalf(Arc::clone(&shared));
    (send, RecvHalf { shared, closed })
}

impl<T: Transport, C: Timer> Shared<T, C> {
    fn lock(&self) -> MutexGuard<'_, Driver<T, Messages, C>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls with the waker that wakes both halves.
    fn poll<R>(
        &self,
        half: Half,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Driver<T, Messages, C>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        // Before the poll, so that a wake-up in the middle of it is not lost.
        self.tasks.set(half, cx.waker());
        let mut driver = self.lock();
        let polled = poll(&mut driver, &mut Context::from_waker(&self.waker));
        let others = match half {
            Half::Send => driver.holds_input() || driver.endpoint().is_drained(),
            Half::Recv => !driver.endpoint().wants_flush(),
        };
        drop(driver);
        if polled.is_ready() {
            self.tasks.clear(half);
        }
        if others {
            self.tasks.wake_other(half);
        }
        polled
    }

    fn queue(
        &self,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.lock().queue(queue)
    }
}

impl Tasks {
    fn set(&self, half: Half, waker: &Waker) {
        let mut wakers = self.lock();
        match half.of(&mut wakers) {
            Some(known) => known.clone_from(waker),
            unknown @ None => *unknown = Some(waker.clone()),
        }
    }

    fn clear(&self, half: Half) {
        *half.of(&mut self.lock()) = None;
    }

    fn wake_other(&self, half: Half) {
        let other = match half {
            Half::Send => Half::Recv,
            Half::Recv => Half::Send,
        };
        let waker = other.of(&mut self.lock()).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Waker>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let [send, recv] = core::mem::take(&mut *self.lock());
        [send, recv].into_iter().flatten().for_each(Waker::wake);
    }
}

impl Half {
    fn of(self, [send, recv]: &mut [Option<Waker>; 2]) -> &mut Option<Waker> {
        match self {
            Self::Send => send,
            Self::Recv => recv,
        }
    }
}

impl<T: Transport, C: Timer> SendHalf<T, C> {
    /// As [`WebSocket::send`](crate::WebSocket::send), but always written by the poll
    /// that queues it: the receiving half may be busy elsewhere.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'m>(
        &mut self,
        message: impl Into<Outgoing<'m>>,
    ) -> impl Future<Output = Result<(), SendError>> {
        self.settle(move |sender| sender.send(message))
    }

    /// As [`WebSocket::send_frame`](crate::WebSocket::send_frame).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_frame(&mut self, frame: &Frame) -> impl Future<Output = Result<(), SendError>> {
        self.settle(move |sender| sender.send_frame(frame))
    }

    /// As [`WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ping(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), SendError>> {
        self.settle(move |sender| sender.ping(payload))
    }

    /// As [`WebSocket::flush`](crate::WebSocket::flush).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        poll_fn(|cx| self.poll_until(Until::Empty, cx)).await
    }

    /// Sends a Close frame behind what is queued, and waits until it is written.
    ///
    /// The receiving half goes on until it has the peer's answer. It is no error if
    /// the connection is closing or closed already.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseCode`] and [`SendError::TooLong`]; the connection is as
    /// before.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.0.queue(|sender| begin_close(sender, code, reason))?;
        match self.flush().await {
            Err(SendError::Closed) => Ok(()),
            flushed => flushed,
        }
    }

    /// Queues when it is first polled, under the lock under which it then writes.
    fn settle(
        &mut self,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> impl Future<Output = Result<(), SendError>> {
        let mut queue = Some(queue);
        poll_fn(move |cx| {
            self.0.poll(Half::Send, cx, |driver, cx| {
                if let Some(queue) = queue.take() {
                    driver.queue(queue)?;
                }
                poll_flush(driver, Until::BelowMark, cx)
            })
        })
    }

    fn poll_until(&mut self, until: Until, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let flush = |driver: &mut _, cx: &mut Context<'_>| poll_flush(driver, until, cx);
        self.0.poll(Half::Send, cx, flush)
    }
}

impl<T: Transport, C: Timer> RecvHalf<T, C> {
    /// As [`WebSocket::recv`](crate::WebSocket::recv).
    pub async fn recv(&mut self) -> Option<OwnedMessage> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`WebSocket::incoming`](crate::WebSocket::incoming).
    pub async fn incoming(&mut self) -> Option<Incoming> {
        poll_fn(|cx| self.poll_incoming(cx)).await
    }

    /// As [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Polls for what [`recv`](Self::recv) waits for.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedMessage>> {
        let held = self.shared.lock().poll_held();
        if held.is_some() {
            return Poll::Ready(held);
        }
        let closed = &mut self.closed;
        let poll = |driver: &mut _, cx: &mut Context<'_>| poll_message(driver, closed, cx);
        self.shared.poll(Half::Recv, cx, poll)
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let closed = &mut self.closed;
        let poll = |driver: &mut _, cx: &mut Context<'_>| poll_incoming(driver, closed, cx);
        self.shared.poll(Half::Recv, cx, poll)
    }
}

impl<T: Transport, C: Timer> Stream for RecvHalf<T, C> {
    type Item = OwnedMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<OwnedMessage>> {
        self.get_mut().poll_recv(cx)
    }
}

/// Closing the sink is [`SendHalf::close`] with code 1000.
impl<T: Transport, C: Timer, M: Into<Outgoing<'static>>> Sink<M> for SendHalf<T, C> {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_until(Until::BelowMark, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), SendError> {
        self.0.queue(|sender| sender.send(message))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_until(Until::Empty, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.0
            .queue(|sender| begin_close(sender, CloseCode::NORMAL, ""))?;
        match ready!(self.get_mut().poll_until(Until::Empty, cx)) {
            Err(SendError::Closed) => Poll::Ready(Ok(())),
            flushed => Poll::Ready(flushed),
        }
    }
}

impl<T, C> fmt::Debug for SendHalf<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHalf").finish_non_exhaustive()
    }
}

impl<T, C> fmt::Debug for RecvHalf<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvHalf")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
