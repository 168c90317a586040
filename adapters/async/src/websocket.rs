//! One connection as a value to receive from and send to.

use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use sockeye_common::opening::Opened;
use sockeye_common::{Until, begin_close};
use sockeye_core::handshake::Response;
use sockeye_core::{
    CloseCode, Closed, Connection, Endpoint, Frame, Incoming, Messages, Outgoing, OwnedMessage,
    SendError, Sender,
};

use crate::driver::Driver;
use crate::split::{self, RecvHalf, SendHalf};
use crate::timer::Timer;
use crate::transport::Transport;

/// A WebSocket connection, of either role.
///
/// ```text
/// while let Some(message) = ws.recv().await {
///     ws.send(message).await?;
/// }
/// ```
///
/// There is no task behind it: bytes move, Pings are answered and deadlines run
/// while one of its methods is awaited. A program that only receives still
/// answers Pings and closes; one that awaits something else for long should
/// [`split`](Self::split) it.
///
/// # When what is sent leaves
///
/// [`send`](Self::send) writes at once, unless a whole frame that was already read
/// still waits for [`recv`](Self::recv), which most often is the next message: then
/// the answers to all that one read brought leave in one write, when `recv` has
/// nothing more to hand out and would wait. A program that receives and then
/// awaits something else, without `send` having written, calls
/// [`flush`](Self::flush) first; until then or the next `recv` no deadline is looked
/// at either.
///
/// # How it ends
///
/// `recv` returns `None`, however the connection ended, and
/// [`closed`](Self::closed) tells how: a close handshake is no error. Dropping it
/// drops the transport without one; [`close`](Self::close) is the polite way.
pub struct WebSocket<T, C> {
    driver: Driver<T, Messages, C>,
    closed: Option<Closed>,
    opened: Option<Box<Opened>>,
}

impl<T: Transport, C: Timer> WebSocket<T, C> {
    /// After a handshake that was made elsewhere; `left_over` is what was read
    /// behind it.
    pub fn new(connection: Connection, left_over: Vec<u8>, transport: T, timer: C) -> Self {
        Self {
            driver: Driver::new(Messages::new(connection, left_over), transport, timer),
            closed: None,
            opened: None,
        }
    }

    pub(crate) fn with_opened(mut self, opened: Opened) -> Self {
        if opened.subprotocol.is_some() || opened.response.is_some() {
            self.opened = Some(Box::new(opened));
        }
        self
    }

    /// The next message; `None` once the connection has ended and its last byte
    /// has been written.
    ///
    /// After the peer's Close that takes until it has ended the transport, for
    /// which it has [`close_timeout`](sockeye_core::Config::close_timeout).
    ///
    /// Cancel-safe: dropped before it is ready, it has lost nothing.
    #[inline]
    pub fn recv(&mut self) -> Recv<'_, T, C> {
        Recv(self)
    }

    /// Like [`recv`](Self::recv), with the Pings, the Pongs and the end among the
    /// messages.
    pub async fn incoming(&mut self) -> Option<Incoming> {
        poll_fn(|cx| self.poll_incoming(cx)).await
    }

    /// Sends a message.
    ///
    /// It is queued when the future is first polled, and written then or later: see
    /// above. The future waits only while more than the soft mark is queued, which is
    /// also what ends when it is cancelled; the message stays queued. Dropped before it
    /// was polled, it has sent nothing.
    ///
    /// Nothing is received while it waits. Two sides that both send much before they
    /// receive wait for each other until the write timeout ends them; the halves of
    /// [`split`](Self::split) do not.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] and [`SendError::Closed`] when it is too late, and
    /// the others as in [`Sender::send`].
    #[inline]
    pub fn send<'m>(
        &mut self,
        message: impl Into<Outgoing<'m>>,
    ) -> impl Future<Output = Result<(), SendError>> {
        Sending {
            driver: &mut self.driver,
            // Here and not in the poll: it is in registers still.
            message: message.into(),
            is_queued: false,
        }
    }

    /// Sends a frame that was encoded once for many connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_frame(&mut self, frame: &Frame) -> impl Future<Output = Result<(), SendError>> {
        self.settle(move |sender| sender.send_frame(frame))
    }

    /// Sends a Ping of at most 125 bytes; [`incoming`](Self::incoming) gives the Pong.
    ///
    /// # Errors
    ///
    /// As [`Sender::ping`].
    #[inline]
    pub fn ping(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), SendError>> {
        self.settle(move |sender| sender.ping(payload))
    }

    /// Waits until all that was sent has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection ended before.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        poll_fn(|cx| poll_flush(&mut self.driver, Until::Empty, cx)).await
    }

    /// Closes: sends a Close frame behind what is queued, and waits for the
    /// peer's and for the end of the transport.
    ///
    /// Messages that still come are dropped: to receive them, give the Close to
    /// [`sender`](Self::sender) and go on with [`recv`](Self::recv). It is no error
    /// if the connection is closing or closed already;
    /// [`closed`](Self::closed) tells how it ended.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseCode`] and [`SendError::TooLong`]; the connection is as
    /// before.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        begin_close(self.sender(), code, reason)?;
        while self.incoming().await.is_some() {}
        Ok(())
    }

    /// How the connection ended, once [`recv`](Self::recv) has returned `None` or
    /// [`incoming`](Self::incoming) has said so.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.opened.as_ref()?.subprotocol.as_deref()
    }

    /// The server's response, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.opened.as_ref()?.response.as_ref()
    }

    /// The protocol's own sending half: what is given to it leaves with the next
    /// method that is awaited, [`flush`](Self::flush) for example.
    ///
    /// Several small messages go out in one write in this way, and large ones in
    /// fragments.
    pub fn sender(&mut self) -> &mut Sender {
        self.driver.sender()
    }

    /// The transport, to look at, until it is closed.
    pub fn transport(&self) -> Option<&T> {
        self.driver.transport()
    }

    /// Splits it in two that can be used from two tasks.
    ///
    /// Each half moves the bytes that it needs by itself, so neither waits for the
    /// other to be polled. Pings are answered while the receiving half is.
    pub fn split(self) -> (SendHalf<T, C>, RecvHalf<T, C>) {
        split::split(self.driver, self.closed)
    }

    /// Polls for what [`recv`](Self::recv) waits for.
    #[inline(always)]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedMessage>> {
        match self.driver.poll_held() {
            Some(message) => Poll::Ready(Some(message)),
            None => poll_message(&mut self.driver, &mut self.closed, cx),
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        poll_incoming(&mut self.driver, &mut self.closed, cx)
    }

    /// Queues when it is first polled: nothing is sent by a future that is only made,
    /// as `select!` makes those of its disabled branches.
    #[inline]
    fn settle(
        &mut self,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> impl Future<Output = Result<(), SendError>> {
        let driver = &mut self.driver;
        let mut queue = Some(queue);
        poll_fn(move |cx| {
            if let Some(queue) = queue.take() {
                driver.queue(queue)?;
            }
            poll_settled(driver, cx)
        })
    }
}

/// The future of [`WebSocket::recv`].
///
/// Not an `async fn`, and neither is `send`: a message would move through the state of
/// each of them.
#[must_use = "futures do nothing unless polled"]
pub struct Recv<'a, T, C>(&'a mut WebSocket<T, C>);

impl<T: Transport, C: Timer> Future for Recv<'_, T, C> {
    type Output = Option<OwnedMessage>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<OwnedMessage>> {
        self.0.poll_recv(cx)
    }
}

/// The future of [`WebSocket::send`].
struct Sending<'a, 'm, T, C> {
    driver: &'a mut Driver<T, Messages, C>,
    /// Until the first poll.
    message: Outgoing<'m>,
    is_queued: bool,
}

impl<T: Transport, C: Timer> Future for Sending<'_, '_, T, C> {
    type Output = Result<(), SendError>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = &mut *self;
        if !mem::replace(&mut this.is_queued, true) {
            this.driver.send(this.message.take())?;
        }
        poll_settled(this.driver, cx)
    }
}

/// The next message, past all else that came in.
#[inline(never)]
pub(crate) fn poll_message<T: Transport, C: Timer>(
    driver: &mut Driver<T, Messages, C>,
    closed: &mut Option<Closed>,
    cx: &mut Context<'_>,
) -> Poll<Option<OwnedMessage>> {
    loop {
        match ready!(poll_incoming(driver, closed, cx)) {
            Some(Incoming::Message(message)) => return Poll::Ready(Some(message)),
            Some(_) => {}
            None => return Poll::Ready(None),
        }
    }
}

/// The next thing that came in. The end is noted.
pub(crate) fn poll_incoming<T: Transport, C: Timer>(
    driver: &mut Driver<T, Messages, C>,
    closed: &mut Option<Closed>,
    cx: &mut Context<'_>,
) -> Poll<Option<Incoming>> {
    let incoming = ready!(driver.poll_item(cx));
    if let Some(Incoming::Closed(how)) = &incoming {
        *closed = Some(how.clone());
    }
    Poll::Ready(incoming)
}

/// What follows the queueing of a message: writes it, unless more answers are to
/// come; waits only above the soft mark.
#[inline(always)]
pub(crate) fn poll_settled<T: Transport, C: Timer>(
    driver: &mut Driver<T, Messages, C>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), SendError>> {
    if driver.holds_message() && !driver.endpoint().wants_flush() {
        return Poll::Ready(Ok(()));
    }
    poll_flush(driver, Until::BelowMark, cx)
}

#[inline(never)]
pub(crate) fn poll_flush<T: Transport, C: Timer>(
    driver: &mut Driver<T, Messages, C>,
    until: Until,
    cx: &mut Context<'_>,
) -> Poll<Result<(), SendError>> {
    ready!(driver.poll_write(until, cx));
    Poll::Ready(if driver.endpoint().is_drained() {
        Err(SendError::Closed)
    } else {
        Ok(())
    })
}

impl<T: Transport + Unpin, C: Timer + Unpin> Stream for WebSocket<T, C> {
    type Item = OwnedMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<OwnedMessage>> {
        self.get_mut().poll_recv(cx)
    }
}

/// Closing the sink is [`WebSocket::close`] with code 1000: messages that still
/// come are dropped.
impl<T, C, M> Sink<M> for WebSocket<T, C>
where
    T: Transport + Unpin,
    C: Timer + Unpin,
    M: Into<Outgoing<'static>>,
{
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        poll_settled(&mut self.get_mut().driver, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), SendError> {
        self.get_mut().sender().send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        poll_flush(&mut self.get_mut().driver, Until::Empty, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let ws = self.get_mut();
        begin_close(ws.sender(), CloseCode::NORMAL, "")?;
        while ready!(ws.poll_incoming(cx)).is_some() {}
        Poll::Ready(Ok(()))
    }
}

impl<T, C> fmt::Debug for WebSocket<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("opened", &self.opened)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
