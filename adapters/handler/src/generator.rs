//! Handlers written as a stream of outputs.

use core::fmt;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;

use futures_core::Stream;
use sockeye_core::{CloseCode, Message, OwnedMessage};

use crate::channel::{Channel, Flushed, Sleep, pace, polled_handler};
use crate::context::Context;
use crate::handler::{Decision, Service};
use crate::peer::Peer;
use crate::request::{Opening, Request, Scope};

/// How many outputs a generator may still give when nothing can be sent any more, before it is
/// dropped: its last words, but not its life.
const LAST_WORDS: u32 = 1024;

/// Makes a service of a function from a scope and a receiver to a stream of outputs: outputs
/// are data.
///
/// ```
/// use async_stream::stream;
/// use sockeye_handler::{CloseCode, Out, generator};
///
/// let echo = generator(|_scope, mut receiver| {
///     stream! {
///         while let Some(message) = receiver.recv().await {
///             match message.as_text() {
///                 Some("exit") => yield Out::close(CloseCode::GOING_AWAY, "bye"),
///                 _ => yield Out::Message(message),
///             }
///         }
///     }
/// });
/// # drop(echo);
/// ```
///
/// The session polls the stream, without an executor, and only while there is room in the
/// output queue. When the stream ends, the connection closes with 1000. What it gives after an
/// [`Out::Close`] is dropped. When the connection ends first, [`Receiver::recv`] returns `None`,
/// and the stream has 5 s to end.
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
        Decision::accept(GeneratorHandler::new(request, cx, &self.0))
    }
}

/// The handler that runs a generator; see [`generator`].
pub struct GeneratorHandler {
    channel: Channel,
    stream: Option<Pin<Box<dyn Stream<Item = Out> + Send>>>,
    waker: Waker,
    has_paused: bool,
    last_words: u32,
}

impl GeneratorHandler {
    /// Runs `run` on the connection that this handler is accepted for. With [`generator`]
    /// nothing is decided; with this a service can look at the request first.
    pub fn new<St>(
        request: &Request<'_>,
        cx: &mut Opening<'_>,
        run: impl FnOnce(Scope, Receiver) -> St,
    ) -> Self
    where
        St: Stream<Item = Out> + Send + 'static,
    {
        let channel = Channel::default();
        let peer = cx.peer();
        let waker = peer.waker();
        let receiver = Receiver {
            channel: channel.clone(),
            peer,
        };
        Self {
            channel,
            stream: Some(Box::pin(run(Scope::new(request, cx), receiver))),
            waker,
            has_paused: false,
            last_words: LAST_WORDS,
        }
    }

    fn poll(&mut self, message: Option<Message<'_>>, cx: &mut Context<'_>) {
        self.channel.refresh(message, cx, &self.waker);
        while (cx.is_writable() || !cx.is_open())
            && let Some(stream) = &mut self.stream
        {
            match stream
                .as_mut()
                .poll_next(&mut TaskContext::from_waker(&self.waker))
            {
                Poll::Pending => break,
                Poll::Ready(Some(output)) => self.put(output, cx),
                Poll::Ready(None) => {
                    self.stream = None;
                    // Refused if it is closing already.
                    let _ = cx.close(CloseCode::NORMAL, "");
                }
            }
        }
        // A receiver sends nothing, so nothing is in there.
        let Flushed { has_room, .. } = self.channel.flush(&mut Vec::new(), cx);
        pace(has_room, &mut self.has_paused, cx);
    }

    fn put(&mut self, output: Out, cx: &mut Context<'_>) {
        if !cx.is_open() {
            self.last_words -= 1;
            if self.last_words == 0 {
                self.stream = None;
            }
            return;
        }
        // Refused only when it is closing.
        let _ = match output {
            Out::Message(message) => cx.send(message),
            Out::Close(code, reason) => {
                self.channel.end();
                cx.close(code, &reason)
            }
        };
    }
}

polled_handler!(GeneratorHandler, stream);

impl fmt::Debug for GeneratorHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratorHandler").finish_non_exhaustive()
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

impl Out {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Message(text.into().into())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Message(bytes.into().into())
    }

    /// A Close frame.
    #[must_use]
    pub fn close(code: CloseCode, reason: &str) -> Self {
        Self::Close(code, reason.into())
    }
}

impl From<OwnedMessage> for Out {
    fn from(message: OwnedMessage) -> Self {
        Self::Message(message)
    }
}

/// The messages that a generator receives, as a method and as a [`Stream`].
#[derive(Debug)]
pub struct Receiver {
    channel: Channel,
    peer: Peer,
}

impl Receiver {
    /// The next message. `None` when the connection is closing or has ended.
    pub fn recv(&mut self) -> impl Future<Output = Option<OwnedMessage>> {
        self.channel.recv()
    }

    /// Waits, by a timer of the session; see [`Ws::sleep`](crate::Ws::sleep).
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.channel.sleep(duration)
    }

    /// The connection's handle for everybody else.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Stream for Receiver {
    type Item = OwnedMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<OwnedMessage>> {
        self.channel.poll_recv(cx)
    }
}
