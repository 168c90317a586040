//! What the asynchronous adapters have in common.

use core::future::{Future, poll_fn};
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use sockeye_async::{
    AcceptError, Alarm, Clock, ConnectError, Server, Shutdown, Sleep, Timer, Transport, WebSocket,
};
use sockeye_core::handshake::Response;
use sockeye_core::{CloseCode, Closed, Incoming, OwnedMessage, SendError};

use super::{Failure, RecvHalf, Running, SendHalf, Socket};

/// A runtime, to block on.
pub trait Runtime: Send + 'static {
    /// Its streams.
    type Transport: Transport + Send + 'static;

    /// Its timers.
    type Sleep: Sleep + Send + 'static;

    /// Runs `future` to its end.
    fn block_on<F: Future>(future: F) -> F::Output;
}

/// A connection on `R` that blocks.
pub struct Blocking<R: Runtime>(WebSocket<R::Transport, Alarm<R::Sleep>>);

impl<R: Runtime> Blocking<R> {
    /// The connection itself, to be awaited.
    pub fn into_inner(self) -> WebSocket<R::Transport, Alarm<R::Sleep>> {
        self.0
    }

    pub(crate) fn connected(
        result: Result<WebSocket<R::Transport, Alarm<R::Sleep>>, ConnectError>,
    ) -> Result<Self, Failure> {
        result.map(Self).map_err(|error| {
            let response = match &error {
                ConnectError::Rejected { response, .. } => Some(response.clone()),
                _ => None,
            };
            Failure::new(&error, response)
        })
    }

    pub(crate) fn accepted(
        result: Result<WebSocket<R::Transport, Alarm<R::Sleep>>, AcceptError>,
    ) -> Result<Self, Failure> {
        result.map(Self).map_err(|error| {
            let response = match &error {
                AcceptError::Refused(response) => Some(response.clone()),
                _ => None,
            };
            Failure::new(&error, response)
        })
    }
}

impl<R: Runtime> Socket for Blocking<R> {
    type Sender = BlockingSender<R>;
    type Receiver = BlockingReceiver<R>;

    fn split(self) -> (BlockingSender<R>, BlockingReceiver<R>) {
        let (sender, receiver) = self.0.split();
        (BlockingSender(sender), BlockingReceiver(receiver))
    }

    fn recv(&mut self) -> Option<OwnedMessage> {
        R::block_on(self.0.recv())
    }

    fn recv_within(&mut self, patience: Duration) -> Option<Option<OwnedMessage>> {
        R::block_on(async {
            let deadline = <R::Sleep as Sleep>::Clock::now() + patience;
            let mut alarm = Alarm::<R::Sleep>::default();
            let mut recv = pin!(self.0.recv());
            poll_fn(|cx| {
                if let Poll::Ready(message) = recv.as_mut().poll(cx) {
                    return Poll::Ready(Some(message));
                }
                let now = alarm.now();
                if deadline <= now {
                    return Poll::Ready(None);
                }
                alarm.poll_until(deadline, now, cx).map(|()| None)
            })
            .await
        })
    }

    fn incoming(&mut self) -> Option<Incoming> {
        R::block_on(self.0.incoming())
    }

    fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        R::block_on(self.0.send(message.into()))
    }

    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        R::block_on(self.0.ping(payload))
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        R::block_on(self.0.close(code, reason))
    }

    fn closed(&self) -> Option<&Closed> {
        self.0.closed()
    }

    fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol()
    }

    fn response(&self) -> Option<&Response> {
        self.0.response()
    }
}

/// The sending half of a connection on `R`.
pub struct BlockingSender<R: Runtime>(sockeye_async::SendHalf<R::Transport, Alarm<R::Sleep>>);

impl<R: Runtime> SendHalf for BlockingSender<R> {
    fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        R::block_on(self.0.send(message.into()))
    }

    fn flush(&mut self) -> Result<(), SendError> {
        R::block_on(self.0.flush())
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        R::block_on(self.0.close(code, reason))
    }
}

/// The receiving half of a connection on `R`.
pub struct BlockingReceiver<R: Runtime>(sockeye_async::RecvHalf<R::Transport, Alarm<R::Sleep>>);

impl<R: Runtime> RecvHalf for BlockingReceiver<R> {
    fn recv(&mut self) -> Option<OwnedMessage> {
        R::block_on(self.0.recv())
    }

    fn closed(&self) -> Option<&Closed> {
        self.0.closed()
    }
}

/// A server on `R`.
pub struct BlockingServer<R>(Server, PhantomData<R>);

impl<R> BlockingServer<R> {
    pub(crate) fn new(server: Server) -> Self {
        Self(server, PhantomData)
    }
}

impl<R: Runtime> Running for BlockingServer<R> {
    fn address(&self) -> SocketAddr {
        self.0.local_addr()
    }

    fn connections(&self) -> usize {
        self.0.connections()
    }

    fn shut_down(&mut self, shutdown: Shutdown) -> usize {
        R::block_on(self.0.shut_down(shutdown))
    }
}
