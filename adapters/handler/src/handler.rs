//! What an application implements: one service, and a handler for each connection.

use core::future::Future;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;

use sockeye_core::handshake::{Accept, Response};
use sockeye_core::{Chunk, Closed, Message};

use crate::address::Address;
use crate::context::Context;
use crate::request::{Opening, Request};

/// What a server does: it decides about each request. One per server.
pub trait Service: Send + Sync + 'static {
    /// What takes over an accepted connection. [`BoxHandler`] if there are several kinds.
    type Handler: Handler;

    /// Decides about a request, an upgrade to WebSocket or plain HTTP.
    ///
    /// Called once per connection, when the head and the body, if there is one,
    /// have come. An upgrade that RFC 6455 §4.2.1 does not allow never comes here:
    /// it has its answer already.
    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<Self::Handler>;

    /// The server has refused a request by itself: one that is malformed, too late, or beyond
    /// what the server has room for. Returns what to answer instead, in the service's own
    /// words; the status should stay.
    fn on_refusal(&self, refusal: Response) -> Response {
        refusal
    }

    /// The server is about to take its first connection. Called once.
    fn on_start(&self) {}

    /// The server is to end, and has `within` for it: close the connections, through their
    /// [`Peer`](crate::Peer)s, at times that are spread over it, so that their clients do not
    /// all come back at once.
    ///
    /// Called once, and not to wait in; not if the server is dropped. Upgrades are refused from
    /// here on, everything else goes on. What is still open when the time is over is closed by
    /// the server; `within` is zero if that begins at once.
    fn on_drain(&self, within: Duration) {
        let _ = within;
    }

    /// The last connection has ended, and there will be no other. Called once.
    fn on_stop(&self) {}

    /// A handler, or `on_request` itself, has panicked; the connection ends with
    /// 1011, or 500, and no other connection is touched.
    ///
    /// The panic hook of the standard library has reported it already; what this
    /// adds is whose connection it was. `message` is the panic's, if it was text.
    fn on_panic(&self, address: &Address, message: &str) {
        let _ = (address, message);
    }
}

/// The answer to a request.
pub enum Decision<H> {
    /// Upgrade, and let the handler take over.
    Accept(Accept, H),
    /// Answer with plain HTTP: a page, or a refusal of the upgrade.
    Respond(Response),
    /// Decide later. The session polls it, under the handshake deadline; after that the
    /// answer is 503.
    Later(Pin<Box<dyn Future<Output = Self> + Send>>),
}

impl<H> Decision<H> {
    /// Accepts without a subprotocol or further fields.
    pub fn accept(handler: H) -> Self {
        Self::Accept(Accept::new(), handler)
    }

    /// Decides later.
    pub fn later(decision: impl Future<Output = Self> + Send + 'static) -> Self {
        Self::Later(Box::pin(decision))
    }

    /// Puts something around the handler, now or when the decision has been taken.
    pub fn map<T: 'static>(self, around: impl FnOnce(H) -> T + Send + 'static) -> Decision<T>
    where
        H: 'static,
    {
        match self {
            Self::Accept(accept, handler) => Decision::Accept(accept, around(handler)),
            Self::Respond(response) => Decision::Respond(response),
            Self::Later(decision) => Decision::later(async move { decision.await.map(around) }),
        }
    }
}

/// What can stand for a [`Decision`]: a handler, a response, or either in a `Result`.
pub trait IntoDecision {
    /// The handler of the decision.
    type Handler: Handler;

    /// The decision.
    fn into_decision(self) -> Decision<Self::Handler>;
}

impl<H: Handler> IntoDecision for Decision<H> {
    type Handler = H;

    fn into_decision(self) -> Self {
        self
    }
}

impl<H: Handler> IntoDecision for H {
    type Handler = H;

    fn into_decision(self) -> Decision<H> {
        Decision::accept(self)
    }
}

impl<H: Handler> IntoDecision for Result<H, Response> {
    type Handler = H;

    fn into_decision(self) -> Decision<H> {
        match self {
            Ok(handler) => Decision::accept(handler),
            Err(response) => Decision::Respond(response),
        }
    }
}

/// What happens on one connection. One per connection, never reused.
///
/// All calls for one connection come one after the other; they must not block,
/// because other connections of the same thread wait meanwhile.
pub trait Handler: Send + 'static {
    /// The connection is open; sending is possible from here on.
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// A whole message has come.
    ///
    /// It is lent: keep it with [`Message::into_owned`].
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>);

    /// A piece of a message has come; only with [`Delivery::Chunks`](sockeye_core::Delivery).
    fn on_chunk(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        let _ = (chunk, cx);
    }

    /// A Ping has come, and has been answered.
    fn on_ping(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        let _ = (payload, cx);
    }

    /// A Pong has come.
    fn on_pong(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        let _ = (payload, cx);
    }

    /// The time of [`Context::set_timer`] has come. The timer is unset.
    fn on_timer(&mut self, key: u64, cx: &mut Context<'_>) {
        let _ = (key, cx);
    }

    /// [`Peer::wake`](crate::Peer::wake) was called, once or several times.
    fn on_wake(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The output queue was above the soft mark and no longer is.
    fn on_writable(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The connection has ended: called exactly once for each handler, also after
    /// a panic and when the transport was lost.
    fn on_close(&mut self, closed: &Closed) {
        let _ = closed;
    }

    /// Whether there is work left after [`on_close`](Self::on_close).
    ///
    /// Called after it, and again after each wake-up and each timer, for 5 s at most;
    /// then the handler is dropped. Nothing can be sent any more.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

/// A handler of a kind that is known at run time only.
pub type BoxHandler = Box<dyn Handler>;

impl<H: Handler + ?Sized> Handler for Box<H> {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        (**self).on_open(cx);
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        (**self).on_message(message, cx);
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        (**self).on_chunk(chunk, cx);
    }

    fn on_ping(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        (**self).on_ping(payload, cx);
    }

    fn on_pong(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        (**self).on_pong(payload, cx);
    }

    fn on_timer(&mut self, key: u64, cx: &mut Context<'_>) {
        (**self).on_timer(key, cx);
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        (**self).on_wake(cx);
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        (**self).on_writable(cx);
    }

    fn on_close(&mut self, closed: &Closed) {
        (**self).on_close(closed);
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_finished(cx)
    }
}

/// A [`Service`] made of a closure; see [`service_fn`].
#[derive(Clone, Debug)]
pub struct ServiceFn<F>(F);

/// Makes a service of a closure that returns a handler, a `Result` of a handler or a
/// response, or a [`Decision`].
pub fn service_fn<F, D>(decide: F) -> ServiceFn<F>
where
    F: Fn(&Request<'_>, &mut Opening<'_>) -> D + Send + Sync + 'static,
    D: IntoDecision + 'static,
{
    ServiceFn(decide)
}

impl<F, D> Service for ServiceFn<F>
where
    F: Fn(&Request<'_>, &mut Opening<'_>) -> D + Send + Sync + 'static,
    D: IntoDecision + 'static,
{
    type Handler = D::Handler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<D::Handler> {
        (self.0)(request, cx).into_decision()
    }
}
