//! Handlers written as one asynchronous function.

use core::fmt;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;

use sockeye_core::{CloseCode, Frame, Message, OwnedMessage, SendError, Time};

pub use crate::channel::Sleep;
use crate::channel::{Channel, Output, pace, polled_handler};
use crate::context::Context;
use crate::handler::{Decision, Service};
use crate::peer::Peer;
use crate::request::{Opening, Request, Scope};

/// Makes a service of an asynchronous function: each connection is one call of it.
///
/// ```
/// use sockeye_handler::{SendError, linear};
///
/// let echo = linear(|mut ws| async move {
///     while let Some(message) = ws.recv().await {
///         ws.send(message).await?;
///     }
///     Ok::<_, SendError>(())
/// });
/// # drop(echo);
/// ```
///
/// No executor is involved: the session itself polls the future, whatever drives the session.
/// The future may wait for [`Ws`] and for anything that does not need a particular runtime
/// (channels, locks); what belongs to a runtime works where that runtime drives the session.
///
/// Messages are owned here and come one at a time. While the function does something else the
/// session does not receive, so the peer is slowed down, and pings are not answered; do not stay
/// away for longer than the other side's patience.
///
/// When the function returns, the connection closes with 1000, or with 1011 if it returns an
/// error. When the connection ends first, [`Ws::recv`] returns `None`, [`Ws::send`] an error,
/// and the function has 5 s to return: the code behind its loop runs, whatever ended it.
pub fn linear<F, Fut>(run: F) -> Linear<F>
where
    F: Fn(Ws) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    Linear(run)
}

/// A [`Service`] made of an asynchronous function; see [`linear`].
#[derive(Clone, Debug)]
pub struct Linear<F>(F);

impl<F, Fut> Service for Linear<F>
where
    F: Fn(Ws) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    type Handler = LinearHandler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<LinearHandler> {
        Decision::accept(LinearHandler::new(request, cx, &self.0))
    }
}

/// Room for this many outgoing messages is kept for the next time.
const KEPT: usize = 4;

/// The handler that runs an asynchronous function; see [`linear`].
pub struct LinearHandler {
    channel: Channel,
    future: Option<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    /// This connection's peer: being woken is to have the future polled.
    waker: Waker,
    outbox: Vec<Output>,
    has_paused: bool,
}

/// How the function has ended.
type Ended = Result<(), ()>;

impl LinearHandler {
    /// Runs `run` on the connection that this handler is accepted for. With [`linear`] nothing
    /// is decided; with this a service can look at the request first.
    pub fn new<Fut>(
        request: &Request<'_>,
        cx: &mut Opening<'_>,
        run: impl FnOnce(Ws) -> Fut,
    ) -> Self
    where
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let channel = Channel::default();
        let peer = cx.peer();
        let waker = peer.waker();
        let future = run(Ws {
            channel: channel.clone(),
            scope: Scope::new(request, cx),
            peer,
        });
        Self {
            channel,
            future: Some(Box::pin(async move { future.await.into_result() })),
            waker,
            outbox: Vec::new(),
            has_paused: false,
        }
    }

    fn poll(&mut self, message: Option<Message<'_>>, cx: &mut Context<'_>) {
        self.channel.refresh(message, cx, &self.waker);
        let Some(future) = &mut self.future else {
            return;
        };
        let polled = future
            .as_mut()
            .poll(&mut TaskContext::from_waker(&self.waker));
        let flushed = self.channel.flush(&mut self.outbox, cx);
        for output in self.outbox.drain(..) {
            let _ = output.send(cx);
        }
        if self.outbox.capacity() > KEPT {
            self.outbox = Vec::new();
        }
        if cx.is_writable() && flushed.waits_for_room {
            // Short messages take less of the output than of the outbox: below its mark there
            // is no `on_writable` to wait for.
            self.waker.wake_by_ref();
        }
        if let Poll::Ready(ended) = polled {
            self.future = None;
            let code = match ended {
                Ok(()) => CloseCode::NORMAL,
                Err(()) => CloseCode::INTERNAL_ERROR,
            };
            // Refused if it is closing already, as after an error that says just that.
            let _ = cx.close(code, "");
        } else {
            pace(flushed.has_room, &mut self.has_paused, cx);
        }
    }
}

polled_handler!(LinearHandler, future);

impl fmt::Debug for LinearHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinearHandler").finish_non_exhaustive()
    }
}

/// What an asynchronous function may return: nothing, or a `Result`.
///
/// An error closes the connection with 1011, unless it is closing already, so that `?` fits
/// sends.
pub trait Outcome {
    /// `Err` if something went wrong here.
    #[expect(clippy::result_unit_err, reason = "nobody looks at the error")]
    fn into_result(self) -> Result<(), ()>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), ()> {
        Ok(())
    }
}

impl<T, E> Outcome for Result<T, E> {
    fn into_result(self) -> Result<(), ()> {
        self.map(drop).map_err(drop)
    }
}

/// A connection as an asynchronous function sees it; see [`linear`].
#[derive(Debug)]
pub struct Ws {
    channel: Channel,
    scope: Scope,
    peer: Peer,
}

impl Ws {
    /// The next message. `None` when the connection is closing or has ended.
    ///
    /// Nothing is lost if this is dropped before it is ready.
    pub fn recv(&mut self) -> impl Future<Output = Option<OwnedMessage>> {
        self.channel.recv()
    }

    /// Queues a message. Waits while the output queue is above the soft mark, so a peer that
    /// does not read stops its own function and no other.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection is closing or has ended.
    pub fn send(
        &self,
        message: impl Into<OwnedMessage>,
    ) -> impl Future<Output = Result<(), SendError>> {
        self.channel.send(message.into())
    }

    /// Queues a frame that was encoded once for many connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_frame(&self, frame: Frame) -> impl Future<Output = Result<(), SendError>> {
        self.channel.send_frame(frame)
    }

    /// Closes behind what is queued. From here on nothing is sent or received.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.channel.close(code, reason);
    }

    /// Waits, by a timer of the session: it works on every runtime, and in tests the clock is
    /// virtual. Expect up to 0.1 s of delay.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.channel.sleep(duration)
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.channel.is_open()
    }

    /// The time when the session polled this function last.
    #[must_use]
    pub fn now(&self) -> Time {
        self.channel.now()
    }

    /// The request that has opened the connection, and what layers have added to it.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The connection's handle for everybody else.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// A handle that sends while this one receives.
    #[must_use]
    pub fn sender(&self) -> WsSender {
        WsSender(self.channel.clone())
    }
}

/// What sends beside a [`Ws`]. Cheap to clone.
///
/// It is for code that runs inside the same function, side by side with the code that receives
/// (`join`, `select`). From elsewhere use a [`Peer`](crate::Peer), which wakes the connection.
#[derive(Clone, Debug)]
pub struct WsSender(Channel);

impl WsSender {
    /// As [`Ws::send`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection is closing or has ended.
    pub fn send(
        &self,
        message: impl Into<OwnedMessage>,
    ) -> impl Future<Output = Result<(), SendError>> {
        self.0.send(message.into())
    }

    /// As [`Ws::close`].
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.close(code, reason);
    }

    /// As [`Ws::sleep`].
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }
}
