//! What an adapter must do to be tested: the same things under the same names, and
//! blocking, so that one suite can be mounted for each.

pub mod async_std;
pub mod asynchronous;
pub mod mio;
pub mod smol;
pub mod tokio;

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpStream;

use sockeye_async::{ConnectOptions, ServeOptions, Shutdown};
use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_core::{CloseCode, Closed, Incoming, OwnedMessage, SendError, SharedConfig};
use sockeye_handler::Service;
use sockeye_tokio::TlsServer;

/// An adapter under test.
pub trait Adapter: Sized + 'static {
    /// A connection, of either role.
    type WebSocket: Socket;

    /// A server that runs.
    type Server: Running;

    /// Serves on a free port of 127.0.0.1.
    fn serve(service: impl Service, options: &ServeOptions) -> Self::Server;

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// Those of the adapter.
    fn connect(url: &str, options: &ConnectOptions) -> Result<Self::WebSocket, Failure>;

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// Those of the adapter.
    fn accept(
        stream: TcpStream,
        config: &SharedConfig,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
    ) -> Result<Self::WebSocket, Failure>;

    /// Accepts a connection below TLS.
    ///
    /// # Errors
    ///
    /// Those of the adapter.
    fn accept_tls(
        stream: TcpStream,
        tls: &TlsServer,
        config: &SharedConfig,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
    ) -> Result<Self::WebSocket, Failure>;
}

/// A server that runs until it is shut down or dropped.
pub trait Running {
    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// Connections that have not ended yet.
    fn connections(&self) -> usize;

    /// Ends the server; how many connections had to be dropped.
    fn shut_down(&mut self, shutdown: Shutdown) -> usize;
}

/// A connection to receive from and send to.
pub trait Socket: Send + 'static {
    /// What [`split`](Self::split) gives to send to ...
    type Sender: SendHalf;

    /// ... and to receive from.
    type Receiver: RecvHalf;

    /// For two threads.
    fn split(self) -> (Self::Sender, Self::Receiver);

    /// The next message; `None` once the connection has ended.
    fn recv(&mut self) -> Option<OwnedMessage>;

    /// The same, given up after `patience`: then there is no answer.
    fn recv_within(&mut self, patience: Duration) -> Option<Option<OwnedMessage>>;

    /// The next message, Ping, Pong or end.
    fn incoming(&mut self) -> Option<Incoming>;

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// Those of the core.
    fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), SendError>;

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// Those of the core.
    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError>;

    /// Closes, and waits for the end.
    ///
    /// # Errors
    ///
    /// Those of the core.
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError>;

    /// How it ended.
    fn closed(&self) -> Option<&Closed>;

    /// The subprotocol that was agreed on.
    fn subprotocol(&self) -> Option<&str>;

    /// The server's response, on a client.
    fn response(&self) -> Option<&Response>;
}

/// The sending half of a connection.
pub trait SendHalf: Send + 'static {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// Those of the core.
    fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), SendError>;

    /// Waits until what was sent has left.
    ///
    /// # Errors
    ///
    /// Those of the core.
    fn flush(&mut self) -> Result<(), SendError>;

    /// Closes, and waits for the end.
    ///
    /// # Errors
    ///
    /// Those of the core.
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError>;
}

/// The receiving half of a connection.
pub trait RecvHalf: Send + 'static {
    /// The next message; `None` once the connection has ended.
    fn recv(&mut self) -> Option<OwnedMessage>;

    /// How it ended.
    fn closed(&self) -> Option<&Closed>;
}

/// Why there is no connection, whichever adapter says so.
#[derive(Debug)]
pub struct Failure {
    /// The error's own words.
    pub sentence: String,
    /// The response of a server that refused, or to a client that was.
    pub response: Option<Response>,
}

impl Failure {
    /// What `error` says.
    pub fn new(error: &dyn Error, response: Option<Response>) -> Self {
        Self {
            sentence: error.to_string(),
            response,
        }
    }
}
