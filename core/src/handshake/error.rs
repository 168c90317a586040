use super::{Response, head::HeadFault};
use alloc::string::ToString;
use core::fmt;

/// Why a request was not understood, or not accepted as an upgrade.
///
/// Each has its answer on the wire, [`response`](Self::response), after which the connection is
/// to be closed and the rest of the input discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first byte begins no HTTP request; TLS on a plain port, for example: 400.
    NotHttp,
    /// A line ends in a line feed without a carriage return: 400.
    BareLineFeed,
    /// The request line is malformed: 400.
    RequestLine,
    /// The request line is longer than [`HttpLimits::line`](super::HttpLimits::line): 414.
    LineTooLong,
    /// The version of HTTP is neither 1.0 nor 1.1, or it is 1.0 and this is an upgrade: 505.
    HttpVersion,
    /// The request target is neither a path nor a URL with this request's host: 400.
    Target,
    /// A header field is malformed: 400.
    Field,
    /// There are more header fields than [`HttpLimits::fields`](super::HttpLimits::fields): 431.
    TooManyFields,
    /// The head is longer than [`HttpLimits::head`](super::HttpLimits::head): 431.
    HeadTooLong,
    /// The `Host` field is missing, repeated or malformed: 400.
    Host,
    /// `Content-Length` is malformed, repeated, or beside a `Transfer-Encoding`: 400.
    ContentLength,
    /// The body has a `Transfer-Encoding`; only `Content-Length` is served: 411.
    LengthRequired,
    /// The body is longer than [`HttpLimits::body`](super::HttpLimits::body): 413.
    BodyTooLong,
    /// The client waits for a 100 before it sends the body, which is none of the answers that
    /// are given here; it will send the body with the next request: 417.
    Expectation,
    /// The request does not ask for an upgrade to WebSocket: 426, which says that it must.
    NotUpgrade,
    /// An upgrade whose method is not `GET`: 405.
    Method,
    /// An upgrade that announces a body: 400.
    UpgradeBody,
    /// An upgrade without `Connection: upgrade`: 400.
    Connection,
    /// The WebSocket version is missing or not 13: 426, which says that it must be.
    Version,
    /// `Sec-WebSocket-Version` is repeated: 400.
    DuplicateVersion,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64: 400.
    Key,
    /// `Origin` is repeated: 403.
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
        let mut response = Response::text(self.status(), self.to_string());
        match self {
            // RFC 9110 §15.5.6: a 405 MUST say which methods are allowed.
            Self::Method => response.push_known("Allow", b"GET"),
            // RFC 9110 §15.5.22: a 426 MUST say to what; RFC 6455 §4.4: and in which version.
            Self::NotUpgrade | Self::Version => {
                response.push_known("Upgrade", b"websocket");
                response.push_known("Sec-WebSocket-Version", b"13");
            }
            _ => {}
        }
        response
    }

    /// The status code of [`response`](Self::response).
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotHttp
            | Self::BareLineFeed
            | Self::RequestLine
            | Self::Target
            | Self::Field
            | Self::Host
            | Self::ContentLength
            | Self::UpgradeBody
            | Self::Connection
            | Self::DuplicateVersion
            | Self::Key
            | Self::Subprotocol
            | Self::Eof => 400,
            // RFC 6455 §4.2.2: what an origin is answered that is not acceptable.
            Self::DuplicateOrigin => 403,
            Self::Method => 405,
            Self::TimedOut => 408,
            Self::LengthRequired => 411,
            Self::BodyTooLong => 413,
            Self::LineTooLong => 414,
            Self::Expectation => 417,
            Self::NotUpgrade | Self::Version => 426,
            Self::TooManyFields | Self::HeadTooLong => 431,
            Self::HttpVersion => 505,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "this is not an HTTP request",
            Self::BareLineFeed => "a line of the request ends in LF without CR",
            Self::RequestLine => "the request line is malformed",
            Self::LineTooLong => "the request line is too long",
            Self::HttpVersion => "the request needs to be HTTP/1.1",
            Self::Target => "the request target is neither a path nor a URL of this host",
            Self::Field => "a header field is malformed",
            Self::TooManyFields => "there are too many header fields",
            Self::HeadTooLong => "the header fields are too long",
            Self::Host => "the Host field is missing, repeated or malformed",
            Self::ContentLength => "the length of the body is malformed or contradictory",
            Self::LengthRequired => "a body needs a Content-Length",
            Self::BodyTooLong => "the body is too long",
            Self::Expectation => "a body is to be sent without asking first",
            Self::NotUpgrade => {
                "this is a WebSocket endpoint: the request needs Upgrade: websocket"
            }
            Self::Method => "the method of an upgrade is GET",
            Self::UpgradeBody => "an upgrade has no body",
            Self::Connection => "the Connection field of an upgrade needs to name upgrade",
            Self::Version => "the Sec-WebSocket-Version needs to be 13",
            Self::DuplicateVersion => "the Sec-WebSocket-Version is repeated",
            Self::Key => "the Sec-WebSocket-Key is missing, repeated or not 16 bytes in base64",
            Self::DuplicateOrigin => "the Origin is repeated",
            Self::Subprotocol => "the Sec-WebSocket-Protocol is not a list of tokens",
            Self::TimedOut => "the request took too long",
            Self::Eof => "the connection ended within the request",
        })
    }
}

impl core::error::Error for HandshakeError {}

impl From<HeadFault> for HandshakeError {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::BareLineFeed => Self::BareLineFeed,
            HeadFault::LineTooLong => Self::LineTooLong,
            HeadFault::TooManyFields => Self::TooManyFields,
            HeadFault::TooLong => Self::HeadTooLong,
        }
    }
}
