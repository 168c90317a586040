use super::{HttpLimits, InvalidField, Response, Url};
use crate::time::Time;
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

/// The request of a client.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    host: String,
    target: String,
}

impl ClientRequest {
    /// Asks for `url`.
    pub fn new(url: &Url<'_>) -> Self {
        let _ = url;
        todo!()
    }
    /// Adds a field: `Cookie` or `Authorization`, for example.
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        let _ = (name, value);
        todo!()
    }
    /// Offers a subprotocol, after those that were offered before.
    pub fn subprotocol(self, name: &str) -> Result<Self, InvalidField> {
        let _ = name;
        todo!()
    }
    /// Sends this `Origin`, as a browser does.
    pub fn origin(self, origin: &str) -> Result<Self, InvalidField> {
        let _ = (origin, &self.target);
        todo!()
    }
    /// Sends this `Host` instead of the URL's.
    pub fn host(self, host: &str) -> Result<Self, InvalidField> {
        let _ = (host, &self.host);
        todo!()
    }
}

/// The client's side of a connection until the server has accepted or not.
#[derive(Debug)]
pub struct ClientHandshake {
    deadline: Time,
}

/// The server has accepted.
#[derive(Debug)]
pub struct Opened {
    /// The server's response, with its fields.
    pub response: Response,
    /// The subprotocol that the server chose, one of those offered.
    pub subprotocol: Option<Box<str>>,
    /// How many bytes of the input given last belong to the response; the rest are the
    /// connection's.
    pub consumed: usize,
}

impl ClientHandshake {
    /// Begins a handshake that ends by `deadline`.
    ///
    /// `nonce` must be random, and new for each connection (RFC 6455 §4.1).
    pub fn new(
        request: &ClientRequest,
        nonce: [u8; 16],
        limits: HttpLimits,
        deadline: Time,
    ) -> Self {
        let _ = (request, nonce, limits, deadline);
        todo!()
    }
    /// Bytes to send, until all were reported as sent.
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        todo!()
    }
    /// The first `count` bytes of [`poll_transmit`](Self::poll_transmit) were sent.
    pub fn handle_transmitted(&mut self, count: usize) {
        let _ = count;
        todo!()
    }
    /// Takes the bytes of one read. `None`: all of it was taken, and more is needed.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Option<Opened>, ConnectError> {
        let _ = input;
        todo!()
    }
    /// The server will send nothing more.
    pub fn handle_eof(&mut self) -> ConnectError {
        todo!()
    }
    /// Ends the handshake if its deadline has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), ConnectError> {
        let _ = now;
        todo!()
    }
    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        Some(self.deadline)
    }
}

/// Why a client's handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server answered something else than 101: a redirect, a refusal, a page.
    Rejected(Response),
    /// The server's answer is not one that RFC 6455 §4.1 allows.
    InvalidResponse(InvalidResponse),
    /// There was no whole answer at the deadline.
    TimedOut,
    /// The server closed before its answer was whole.
    Eof,
}

/// What is wrong with a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// It is not HTTP/1.1.
    NotHttp,
    /// The status line is malformed or too long.
    StatusLine,
    /// A header field is malformed, or a line ends in a bare line feed.
    Field,
    /// The head is longer, or has more fields, than [`HttpLimits`] allow.
    TooLong,
    /// `Upgrade` is not exactly `websocket`.
    Upgrade,
    /// `Connection` lacks `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not belong to this request.
    Accept,
    /// `Sec-WebSocket-Protocol` is repeated, or was not offered.
    Subprotocol,
    /// `Sec-WebSocket-Extensions` names an extension that was not offered.
    Extension,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl core::error::Error for ConnectError {}
impl fmt::Display for InvalidResponse {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl core::error::Error for InvalidResponse {}
