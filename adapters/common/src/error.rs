//! Why a connection could not be opened.

use core::fmt;
use std::io;

#[cfg(feature = "tls")]
use crate::tls::{TlsConfigError, TlsError};
use sockeye_core::handshake::{
    self, HandshakeError, InvalidField, InvalidResponse, InvalidUrl, Response,
};

/// Why a client has no connection.
///
/// The message is one sentence that names whom it could not talk to.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one for WebSocket.
    Url {
        /// The URL that was given.
        url: Box<str>,
        /// What is wrong with it.
        error: InvalidUrl,
    },
    /// A `wss` URL, without TLS.
    Tls {
        /// The host and port of the URL.
        host: Box<str>,
    },
    /// A header field or a subprotocol cannot be sent.
    Request(InvalidField),
    /// The operating system gave no random bytes.
    Random(io::Error),
    /// The host has no address.
    Resolve {
        /// The host and port of the URL.
        host: Box<str>,
        /// What the resolver said.
        error: io::Error,
    },
    /// There is nobody at any of the host's addresses.
    Connect {
        /// The host and port of the URL.
        host: Box<str>,
        /// What the last attempt failed with.
        error: io::Error,
    },
    /// The server answered, but did not accept.
    Rejected {
        /// The host and port of the URL.
        host: Box<str>,
        /// The answer: status, fields and the beginning of the body.
        response: Response,
    },
    /// The server's answer is none that WebSocket knows.
    InvalidResponse {
        /// The host and port of the URL.
        host: Box<str>,
        /// What is wrong with it.
        error: InvalidResponse,
    },
    /// The server closed the transport before its answer was whole.
    Eof {
        /// The host and port of the URL.
        host: Box<str>,
    },
    /// The transport failed during the handshake.
    Io {
        /// The host and port of the URL.
        host: Box<str>,
        /// How it failed.
        error: io::Error,
    },
    /// There is no TLS with the server.
    #[cfg(feature = "tls")]
    TlsFailed {
        /// The host and port of the URL.
        host: Box<str>,
        /// What is wrong, its certificate for example.
        error: TlsError,
    },
    /// The platform does not say whom to trust behind `wss` URLs.
    #[cfg(feature = "tls")]
    Trust(TlsConfigError),
    /// There was no answer within
    /// [`handshake_timeout`](sockeye_core::Config::handshake_timeout).
    TimedOut {
        /// The host and port of the URL.
        host: Box<str>,
    },
}

impl ConnectError {
    /// What the protocol says, about this host.
    pub fn handshake(host: &str, error: handshake::ConnectError) -> Self {
        use handshake::ConnectError as E;
        let host = host.into();
        match error {
            E::Rejected(response) => Self::Rejected { host, response },
            E::InvalidResponse(error) => Self::InvalidResponse { host, error },
            E::TimedOut => Self::TimedOut { host },
            E::Eof => Self::Eof { host },
            // A kind of failure that this version does not tell apart.
            other => Self::Io {
                host,
                error: io::Error::other(other),
            },
        }
    }
}

impl ConnectError {
    /// The transport to `host` failed.
    #[must_use]
    pub fn io(host: &str, error: io::Error) -> Self {
        let host = host.into();
        #[cfg(feature = "tls")]
        if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref()) {
            return Self::TlsFailed {
                host,
                error: TlsError::clone(error),
            };
        }
        Self::Io { host, error }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, error } => write!(f, "cannot connect to {}: {error}", Line(url)),
            Self::Tls { host } => {
                write!(
                    f,
                    "cannot connect to {host}: wss:// needs TLS, which is not built in"
                )
            }
            Self::Request(error) => write!(f, "cannot make the request: {error}"),
            Self::Random(error) => write!(f, "no random bytes for a masking key: {error}"),
            Self::Resolve { host, error } => write!(f, "cannot find {host}: {error}"),
            Self::Connect { host, error } => write!(f, "cannot connect to {host}: {error}"),
            Self::Rejected { host, response } => rejected(f, host, response),
            Self::InvalidResponse { host, error } => {
                write!(f, "{host} does not speak WebSocket: {error}")
            }
            Self::Eof { host } => write!(f, "{host} closed the connection without an answer"),
            Self::Io { host, error } => write!(f, "the connection to {host} failed: {error}"),
            Self::TimedOut { host } => write!(f, "{host} did not answer in time"),
            #[cfg(feature = "tls")]
            Self::TlsFailed { host, error } => write!(f, "cannot connect to {host}: {error}"),
            #[cfg(feature = "tls")]
            Self::Trust(error) => write!(f, "cannot verify any server: {error}"),
        }
    }
}

fn rejected(f: &mut fmt::Formatter<'_>, host: &str, response: &Response) -> fmt::Result {
    write!(f, "{host} answered {}", response.status())?;
    if !response.reason().is_empty() {
        write!(f, " {}", Line(response.reason()))?;
    }
    let body = String::from_utf8_lossy(response.content());
    match body.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => write!(f, ": {}", Line(line)),
        None => Ok(()),
    }
}

/// Text of somebody else's, fit for one line of a terminal or a log.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        for c in self.0.chars().take(LONGEST) {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        if self.0.chars().nth(LONGEST).is_some() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

impl core::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Url { error, .. } => Some(error),
            Self::Request(error) => Some(error),
            Self::Random(error)
            | Self::Resolve { error, .. }
            | Self::Connect { error, .. }
            | Self::Io { error, .. } => Some(error),
            Self::InvalidResponse { error, .. } => Some(error),
            #[cfg(feature = "tls")]
            Self::TlsFailed { error, .. } => Some(error),
            #[cfg(feature = "tls")]
            Self::Trust(error) => Some(error),
            Self::Tls { .. } | Self::Rejected { .. } | Self::Eof { .. } | Self::TimedOut { .. } => {
                None
            }
        }
    }
}

/// Why a server has no connection. The client has its answer already.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The request is not a valid upgrade.
    Handshake(HandshakeError),
    /// The decision was to answer with this instead.
    Refused(Response),
    /// The client left without a request.
    Eof,
    /// The transport failed.
    Io(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Refused(response) => {
                write!(f, "the request was answered with {}", response.status())
            }
            Self::Eof => f.write_str("the client left without a request"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Handshake(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Refused(_) | Self::Eof => None,
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_one_line_with_status_and_the_first_line_of_the_body() {
        let error = |response| ConnectError::Rejected {
            host: "example.com:80".into(),
            response,
        };
        let forbidden = Response::text(403, "\n go \x1b[31maway\nnow\n");
        assert_eq!(
            error(forbidden).to_string(),
            "example.com:80 answered 403 Forbidden: go \\u{1b}[31maway"
        );
        assert_eq!(
            error(Response::text(404, "")).to_string(),
            "example.com:80 answered 404 Not Found"
        );
        let long = error(Response::text(500, "x".repeat(10_000))).to_string();
        assert!(long.len() < 300 && long.ends_with('…'));
    }
}
