//! WebSocket on async-std.
//!
//! ```
//! # async_std::task::block_on(async {
//! use sockeye_async_std::async_std::{ConnectOptions, accept, connect};
//! use sockeye_core::{CloseCode, SharedConfig, handshake::Accept};
//!
//! let listener = async_std::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//!
//! async_std::task::spawn(async move {
//!     let (stream, _) = listener.accept().await?;
//!     let config = SharedConfig::default();
//!     let mut ws = accept(stream, &config, |_request| Ok(Accept::new())).await?;
//!     while let Some(message) = ws.recv().await {
//!         ws.send(message).await?;
//!     }
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! });
//!
//! let mut ws = connect(&url, &ConnectOptions::default()).await?;
//! ws.send("hello").await?;
//! assert_eq!(ws.recv().await.unwrap().as_text(), Some("hello"));
//! ws.close(CloseCode::NORMAL, "").await?;
//! assert!(ws.closed().unwrap().is_clean());
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use std::io;

use ::async_std::net::{TcpListener, TcpStream, ToSocketAddrs};
use ::async_std::task;
use async_io::Async;
use sockeye_async::{Dial, connect_to};
use sockeye_handler::Service;

use crate::clock::{Alarm, IoSleep};
use crate::listener::{self, Spawn, Tcp};
use crate::stream::Stream;

#[cfg(feature = "tls")]
pub use crate::connect::accept_tls;
pub use crate::connect::{accept, connect_over};
use sockeye_async::MaybeTls;
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use sockeye_async::tls::{TlsClient, TlsConfigError, TlsError, TlsServer};
pub use sockeye_async::{
    AcceptError, ConnectError, ConnectOptions, ServeOptions, Server, Shutdown,
};

/// A connection over a stream of async-std; see [`sockeye_async::WebSocket`].
pub type WebSocket<S = TcpStream> = sockeye_async::WebSocket<MaybeTls<Stream<S>>, Alarm>;

/// The sending half of a [`WebSocket`].
pub type SendHalf<S = TcpStream> = sockeye_async::SendHalf<MaybeTls<Stream<S>>, Alarm>;

/// The receiving half of a [`WebSocket`].
pub type RecvHalf<S = TcpStream> = sockeye_async::RecvHalf<MaybeTls<Stream<S>>, Alarm>;

/// Opens a connection to a `ws://` URL.
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
    connect_to::<Reach>(url, options).await
}

/// Listens on an address, with a queue of 4,096 connections.
///
/// `TcpListener::bind` asks for 128; in a burst beyond that clients wait for a
/// second, until they repeat their request.
///
/// # Errors
///
/// Those of the last address tried, if the name has several.
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listener = listener::listen(address.to_socket_addrs().await?)?;
    Ok(listener.into_inner()?.into())
}

/// Serves `service` to everybody who connects to `listener`, on the global executor
/// of async-std.
///
/// The server runs until the [`Server`] is shut down or dropped.
///
/// # Errors
///
/// If the listener has no address, or is shared.
pub fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    options: &ServeOptions,
) -> io::Result<Server> {
    let local_addr = listener.local_addr()?;
    let listener = Tcp {
        listener: Arc::new(Async::new(listener.try_into()?)?),
        spawner: Global,
    };
    let (server, accepting) = sockeye_async::serve(listener, local_addr, service, options);
    task::spawn(accepting);
    Ok(server)
}

struct Global;

impl Spawn for Global {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        task::spawn(task);
    }
}

/// Reaches servers over TCP.
enum Reach {}

impl Dial for Reach {
    type Transport = Stream<TcpStream>;
    type Sleep = IoSleep;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host.as_str(), port).to_socket_addrs().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Stream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        // A failure means that the peer is gone, which the first read will tell.
        let _ = stream.set_nodelay(true);
        Ok(Stream::new(stream))
    }
}
