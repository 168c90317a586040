//! Opening connections, in both roles.

use std::io;

use sockeye_async::{AcceptError, Clock, ConnectError, ConnectOptions, MaybeTls, Target};
use sockeye_core::SharedConfig;
use sockeye_core::handshake::{Accept, ClientRequest, Host, Request, Response, Url};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::WebSocket;
use crate::clock::{Alarm, TokioClock};
use crate::stream::Stream;

/// Opens a connection to a `ws://` URL, or to a `wss://` URL with the feature `tls`.
///
/// The name is looked up and its addresses are tried in turn; all of it, with the
/// handshake, ends within
/// [`handshake_timeout`](sockeye_core::Config::handshake_timeout).
///
/// # Errors
///
/// Each in one sentence that names the host; a server that refuses is
/// [`ConnectError::Rejected`], with the whole of its answer.
pub async fn connect(url: &str, options: &ConnectOptions) -> Result<WebSocket, ConnectError> {
    let begin = TokioClock::now();
    #[cfg(feature = "tls")]
    let (Target { url, request, host }, tls) = Target::with_tls(url, options)?;
    #[cfg(not(feature = "tls"))]
    let Target { url, request, host } = Target::new(url, options)?;
    let limit = options.config.handshake_timeout;
    let stream = match timeout(limit, reach(&url, &host)).await {
        Ok(reached) => reached?,
        Err(_) => return Err(ConnectError::TimedOut { host: host.into() }),
    };
    let deadline = begin + limit;
    #[cfg(feature = "tls")]
    let stream = MaybeTls::new(Stream::new(stream), tls);
    #[cfg(not(feature = "tls"))]
    let stream = MaybeTls::plain(Stream::new(stream));
    let alarm = Alarm::default();
    sockeye_async::connect(stream, alarm, &request, &options.config, &host, deadline).await
}

/// Opens a connection as a client over a stream that is connected already: through
/// a proxy, over TLS, over a Unix domain socket.
///
/// `host` names the server in errors.
///
/// # Errors
///
/// As [`connect`], after the stream was connected.
pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: &ClientRequest,
    config: &SharedConfig,
    host: &str,
) -> Result<WebSocket<S>, ConnectError> {
    let deadline = TokioClock::now() + config.handshake_timeout;
    let (stream, alarm) = (MaybeTls::plain(Stream::new(stream)), Alarm::default());
    sockeye_async::connect(stream, alarm, request, config, host, deadline).await
}

/// Accepts a connection as a server, over any stream.
///
/// `decide` sees the request, a valid upgrade, and accepts it, with a subprotocol
/// and fields if it wants, or answers with something else. What is refused, by it
/// or by the protocol, has been answered when this returns; all of it ends within
/// [`handshake_timeout`](sockeye_core::Config::handshake_timeout).
///
/// # Errors
///
/// There is no connection; the client has been told why.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket<S>, AcceptError> {
    let stream = MaybeTls::plain(Stream::new(stream));
    sockeye_async::accept(stream, Alarm::default(), config, decide).await
}

async fn reach(url: &Url<'_>, host: &str) -> Result<TcpStream, ConnectError> {
    let name = match url.host() {
        Host::Name(name) => name.to_owned(),
        Host::V4(address) => address.to_string(),
        Host::V6(address) => address.to_string(),
    };
    let addresses =
        lookup_host((name, url.port()))
            .await
            .map_err(|error| ConnectError::Resolve {
                host: host.into(),
                error,
            })?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                set_nodelay(&stream);
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(ConnectError::Connect {
        host: host.into(),
        error: failure,
    })
}

/// Nagle's algorithm waits for more to come; what leaves here is a whole batch.
pub(crate) fn set_nodelay(stream: &TcpStream) {
    // A failure means that the peer is gone, which the first read will tell.
    let _ = stream.set_nodelay(true);
}
