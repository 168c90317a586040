//! WebSocket on tokio.
//!
//! - [`serve`] runs a [`Service`](sockeye_handler::Service), whose handlers run
//!   unchanged on the other adapters, and ends it in good order.
//! - [`connect`] opens a connection to a URL, and [`accept`] takes one over on any
//!   stream; both give a [`WebSocket`] to receive from and send to.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use sockeye_tokio::{ConnectOptions, accept, connect};
//! use sockeye_core::{CloseCode, SharedConfig, handshake::Accept};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//!
//! tokio::spawn(async move {
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

#![forbid(unsafe_code)]

mod clock;
mod connect;
mod serve;
mod stream;

pub use clock::{Alarm, TokioClock, TokioSleep};
#[cfg(feature = "tls")]
pub use connect::accept_tls;
pub use connect::{accept, connect, connect_over};
pub use serve::{listen, serve};
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use sockeye_async::tls::{TlsClient, TlsConfigError, TlsError, TlsServer};
pub use sockeye_async::{
    AcceptError, Clock, ConnectError, ConnectOptions, MaybeTls, ServeOptions, Server, Shutdown,
};
pub use stream::Stream;

use tokio::net::TcpStream;

/// A connection over a stream of tokio; see [`sockeye_async::WebSocket`].
pub type WebSocket<S = TcpStream> = sockeye_async::WebSocket<MaybeTls<Stream<S>>, Alarm>;

/// The sending half of a [`WebSocket`].
pub type SendHalf<S = TcpStream> = sockeye_async::SendHalf<MaybeTls<Stream<S>>, Alarm>;

/// The receiving half of a [`WebSocket`].
pub type RecvHalf<S = TcpStream> = sockeye_async::RecvHalf<MaybeTls<Stream<S>>, Alarm>;
