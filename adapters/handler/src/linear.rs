//! Handlers written as one asynchronous function.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use sockeye_core::{CloseCode, Message, OwnedMessage, SendError};

use crate::handler::{Decision, Handler, Service};
use crate::request::{Opening, Request, Scope};

/// Makes a service of an asynchronous function: `linear(|ws| async move { … })`.
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

/// The handler that runs an asynchronous function.
pub struct LinearHandler {
    _todo: (),
}

impl<F, Fut> Service for Linear<F>
where
    F: Fn(Ws) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    type Handler = LinearHandler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<LinearHandler> {
        let _ = (request, cx, &self.0);
        todo!()
    }
}

impl Handler for LinearHandler {
    fn on_message(&mut self, message: Message<'_>, cx: &mut crate::Context<'_>) {
        let _ = (message, cx);
        todo!()
    }
}

/// What an asynchronous handler returns: nothing, or a `Result`, whose error closes with 1011.
pub trait Outcome {
    /// Whether the connection ends as planned.
    fn is_success(&self) -> bool;
}
impl Outcome for () {
    fn is_success(&self) -> bool {
        true
    }
}
impl<T, E> Outcome for Result<T, E> {
    fn is_success(&self) -> bool {
        self.is_ok()
    }
}

/// A connection as an asynchronous handler sees it.
pub struct Ws {
    _todo: (),
}

impl Ws {
    /// The next message; `None` when the connection is closing or has ended.
    pub async fn recv(&mut self) -> Option<OwnedMessage> {
        todo!()
    }
    /// Queues a message; waits while the output queue is above the soft mark.
    pub async fn send(&self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        let _ = message.into();
        todo!()
    }
    /// Waits.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let _ = duration;
        todo!()
    }
    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        todo!()
    }
    /// Closes behind what is queued.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let _ = (code, reason);
        todo!()
    }
    /// The request that opened the connection.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        todo!()
    }
    /// A handle that sends while this one receives.
    #[must_use]
    pub fn sender(&self) -> WsSender {
        todo!()
    }
}

/// The sending half of a [`Ws`]. Cheap to clone.
#[derive(Clone)]
pub struct WsSender {
    _todo: (),
}

/// See [`Ws::sleep`].
pub struct Sleep {
    _todo: (),
}

impl Future for Sleep {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        todo!()
    }
}
