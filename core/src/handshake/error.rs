use super::Response;
use core::fmt;

/// Why a request was not understood, or not accepted as an upgrade.
///
/// Each has its answer on the wire: [`response`](Self::response).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first byte begins no HTTP request (TLS on a plain port, for example): 400.
    NotHttp,
    /// A line ends in a line feed without a carriage return: 400.
    BareLineFeed,
    /// The request line is malformed: 400.
    RequestLine,
    /// The request line is longer than [`HttpLimits::line`](super::HttpLimits::line): 414.
    LineTooLong,
    /// The HTTP version is not 1.1, or not 1.0 for a request that is no upgrade: 505.
    HttpVersion,
    /// The request target is neither a path nor an `http`, `https`, `ws` or `wss` URL with this
    /// request's host: 400.
    Target,
    /// A header field is malformed: 400.
    Field,
    /// More header fields than [`HttpLimits::fields`](super::HttpLimits::fields): 431.
    TooManyFields,
    /// The head is longer than [`HttpLimits::head`](super::HttpLimits::head): 431.
    HeadTooLong,
    /// The `Host` field is missing, repeated or malformed: 400.
    Host,
    /// `Content-Length` is malformed, contradictory, or beside a `Transfer-Encoding`: 400.
    ContentLength,
    /// The body has a `Transfer-Encoding`; only `Content-Length` is served: 411.
    LengthRequired,
    /// The body is longer than [`HttpLimits::body`](super::HttpLimits::body): 413.
    BodyTooLong,
    /// The request does not ask for an upgrade to WebSocket: 426, saying that it must.
    NotUpgrade,
    /// An upgrade whose method is not `GET`: 405.
    Method,
    /// An upgrade that announces a body: 400.
    UpgradeBody,
    /// An upgrade without `Connection: upgrade`: 400.
    Connection,
    /// The WebSocket version is missing or not 13: 426, saying that it must be.
    Version,
    /// `Sec-WebSocket-Version` is repeated: 400.
    DuplicateVersion,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64: 400.
    Key,
    /// `Origin` is repeated: 400.
    DuplicateOrigin,
    /// `Sec-WebSocket-Protocol` holds something else than tokens: 400.
    Subprotocol,
    /// The request was not complete at the deadline: 408.
    TimedOut,
    /// The input ended before the request did: 400.
    Eof,
}

impl HandshakeError {
    /// The answer to send before closing.
    pub fn response(&self) -> Response {
        todo!()
    }

    /// The status of [`response`](Self::response).
    pub const fn status(&self) -> u16 {
        todo!()
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl core::error::Error for HandshakeError {}
