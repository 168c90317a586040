//! mio: event loops for servers, plain threads for single connections.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::{TcpListener, TcpStream};

use sockeye_async::{ConnectOptions, ServeOptions, Shutdown};
use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_core::{CloseCode, Closed, Incoming, OwnedMessage, SendError, SharedConfig};
use sockeye_handler::Service;
use sockeye_mio::{AcceptError, ConnectError, Server, TlsServer, WebSocket};

use super::{Adapter, Failure, RecvHalf, Running, SendHalf, Socket};

/// mio.
pub struct Mio;

impl Adapter for Mio {
    type WebSocket = Plain;
    type Server = Loops;

    fn serve(service: impl Service, options: &ServeOptions) -> Loops {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut own = sockeye_mio::ServeOptions::default();
        own.config = options.config.clone();
        own.max_connections = options.max_connections;
        own.tls.clone_from(&options.tls);
        Loops(sockeye_mio::serve(listener, service, &own).expect("threads"))
    }

    fn connect(url: &str, options: &ConnectOptions) -> Result<Plain, Failure> {
        sockeye_mio::connect(url, options)
            .map(Plain)
            .map_err(|error| {
                let response = match &error {
                    ConnectError::Rejected { response, .. } => Some(response.clone()),
                    _ => None,
                };
                Failure::new(&error, response)
            })
    }

    fn accept(
        stream: TcpStream,
        config: &SharedConfig,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
    ) -> Result<Plain, Failure> {
        accepted(sockeye_mio::accept(stream, config, decide))
    }

    fn accept_tls(
        stream: TcpStream,
        tls: &TlsServer,
        config: &SharedConfig,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
    ) -> Result<Plain, Failure> {
        accepted(sockeye_mio::accept_tls(stream, tls, config, decide))
    }
}

fn accepted(result: Result<WebSocket, AcceptError>) -> Result<Plain, Failure> {
    result.map(Plain).map_err(|error| {
        let response = match &error {
            AcceptError::Refused(response) => Some(response.clone()),
            _ => None,
        };
        Failure::new(&error, response)
    })
}

/// A server.
pub struct Loops(Server);

impl Running for Loops {
    fn address(&self) -> SocketAddr {
        self.0.local_addr()
    }

    fn connections(&self) -> usize {
        self.0.connections()
    }

    fn shut_down(&mut self, shutdown: Shutdown) -> usize {
        self.0.shut_down(shutdown)
    }
}

/// A connection.
pub struct Plain(WebSocket);

impl Socket for Plain {
    type Sender = PlainSender;
    type Receiver = PlainReceiver;

    fn split(self) -> (PlainSender, PlainReceiver) {
        let (sender, receiver) = self.0.split();
        (PlainSender(sender), PlainReceiver(receiver))
    }

    fn recv(&mut self) -> Option<OwnedMessage> {
        self.0.recv()
    }

    fn recv_within(&mut self, patience: Duration) -> Option<Option<OwnedMessage>> {
        self.0.recv_timeout(patience).ok()
    }

    fn incoming(&mut self) -> Option<Incoming> {
        self.0.incoming()
    }

    fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        self.0.send(message.into())
    }

    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.0.ping(payload)
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.0.close(code, reason)
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

/// The sending half of a connection.
pub struct PlainSender(sockeye_mio::SendHalf);

impl SendHalf for PlainSender {
    fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        self.0.send(message.into())
    }

    fn flush(&mut self) -> Result<(), SendError> {
        self.0.flush()
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.0.close(code, reason)
    }
}

/// The receiving half of a connection.
pub struct PlainReceiver(sockeye_mio::RecvHalf);

impl RecvHalf for PlainReceiver {
    fn recv(&mut self) -> Option<OwnedMessage> {
        self.0.recv()
    }

    fn closed(&self) -> Option<&Closed> {
        self.0.closed()
    }
}
