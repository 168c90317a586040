//! Opening connections, in both roles.

use core::net::SocketAddr;
use std::io;

#[cfg(feature = "tls")]
use sockeye_async::tls::{Tls, TlsServer};
use sockeye_async::{AcceptError, Clock, ConnectError, ConnectOptions, Dial, MaybeTls, connect_to};
use sockeye_core::SharedConfig;
use sockeye_core::handshake::{Accept, ClientRequest, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use crate::WebSocket;
use crate::clock::{Alarm, TokioClock, TokioSleep};
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
    connect_to::<Tcp>(url, options).await
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

/// Accepts a connection as a server, over any stream below TLS.
///
/// As [`accept`]; the handshake of TLS is the first part of all of it.
///
/// # Errors
///
/// Those of [`accept`]; what was wrong with TLS is the source of an
/// [`AcceptError::Io`], and a client that spoke it has had its alert.
#[cfg(feature = "tls")]
pub async fn accept_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tls: &TlsServer,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket<S>, AcceptError> {
    let tls = Tls::server(tls).map_err(io::Error::from)?;
    let stream = MaybeTls::new(Stream::new(stream), Some(tls));
    sockeye_async::accept(stream, Alarm::default(), config, decide).await
}

/// Reaches servers over TCP.
enum Tcp {}

impl Dial for Tcp {
    type Transport = Stream<TcpStream>;
    type Sleep = TokioSleep;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Stream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        set_nodelay(&stream);
        Ok(Stream::new(stream))
    }
}

/// Nagle's algorithm waits for more to come; what leaves here is a whole batch.
pub(crate) fn set_nodelay(stream: &TcpStream) {
    // A failure means that the peer is gone, which the first read will tell.
    let _ = stream.set_nodelay(true);
}
