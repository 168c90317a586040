//! Handlers written as a stream of outputs.

use futures_core::Stream;
use sockeye_core::{CloseCode, Message, OwnedMessage};

use crate::handler::{Decision, Handler, Service};
use crate::request::{Opening, Request, Scope};

/// Makes a service of a function from a scope and a receiver to a stream of outputs.
pub fn generator<F, St>(run: F) -> Generator<F>
where
    F: Fn(Scope, Receiver) -> St + Send + Sync + 'static,
    St: Stream<Item = Out> + Send + 'static,
{
    Generator(run)
}

/// A [`Service`] made of a generator; see [`generator`].
#[derive(Clone, Debug)]
pub struct Generator<F>(F);

/// The handler that runs a generator.
pub struct GeneratorHandler {
    _todo: (),
}

impl<F, St> Service for Generator<F>
where
    F: Fn(Scope, Receiver) -> St + Send + Sync + 'static,
    St: Stream<Item = Out> + Send + 'static,
{
    type Handler = GeneratorHandler;

    fn on_request(
        &self,
        request: &Request<'_>,
        cx: &mut Opening<'_>,
    ) -> Decision<GeneratorHandler> {
        let _ = (request, cx, &self.0);
        todo!()
    }
}

impl Handler for GeneratorHandler {
    fn on_message(&mut self, message: Message<'_>, cx: &mut crate::Context<'_>) {
        let _ = (message, cx);
        todo!()
    }
}

/// One output of a generator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Out {
    /// A message.
    Message(OwnedMessage),
    /// The end: what comes after it is dropped.
    Close(CloseCode, Box<str>),
}

/// The messages that a generator receives.
pub struct Receiver {
    _todo: (),
}

impl Receiver {
    /// The next message; `None` when the connection is closing or has ended.
    pub async fn recv(&mut self) -> Option<OwnedMessage> {
        todo!()
    }
}
