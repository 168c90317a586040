//! Opening connections over any stream, on either runtime.

#[cfg(feature = "tls")]
use std::io;

use futures_io::{AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use sockeye_async::tls::{Tls, TlsServer};
use sockeye_async::{AcceptError, Clock, ConnectError, MaybeTls, WebSocket};
use sockeye_core::SharedConfig;
use sockeye_core::handshake::{Accept, ClientRequest, Request, Response};

use crate::clock::{Alarm, IoClock};
use crate::stream::Stream;

/// Opens a connection as a client over a stream that is connected already: through
/// a proxy, over TLS, over a Unix domain socket.
///
/// `host` names the server in errors.
///
/// # Errors
///
/// As `connect`, after the stream was connected.
pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    request: &ClientRequest,
    config: &SharedConfig,
    host: &str,
) -> Result<WebSocket<MaybeTls<Stream<S>>, Alarm>, ConnectError> {
    let deadline = IoClock::now() + config.handshake_timeout;
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
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket<MaybeTls<Stream<S>>, Alarm>, AcceptError> {
    let stream = MaybeTls::plain(Stream::new(stream));
    sockeye_async::accept(stream, Alarm::default(), config, decide).await
}

/// Accepts a connection as a server, over any stream below TLS.
///
/// As [`accept`]; the handshake of TLS is the first part of all of it.
///
/// # Errors
///
/// Those of [`accept`]; what was wrong with TLS is the source of an
/// [`AcceptError::Io`], and a client that spoke it has had its alert.
#[cfg(feature = "tls")]
pub async fn accept_tls<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    tls: &TlsServer,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket<MaybeTls<Stream<S>>, Alarm>, AcceptError> {
    let tls = Tls::server(tls).map_err(io::Error::from)?;
    let stream = MaybeTls::new(Stream::new(stream), Some(tls));
    sockeye_async::accept(stream, Alarm::default(), config, decide).await
}
