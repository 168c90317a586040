//! WebSocket on smol.
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_executor::Executor; // smol::Executor
//! use async_net::TcpListener; // smol::net::TcpListener
//! use sockeye_async_std::smol::{ConnectOptions, ServeOptions, Shutdown, connect, serve};
//! use sockeye_core::CloseCode;
//! use sockeye_handler::{Context, Handler, Message, service_fn};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
//!         let _ = cx.send(message); // refused only while the connection closes
//!     }
//! }
//!
//! let executor = Arc::new(Executor::new());
//! async_io::block_on(executor.run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let service = service_fn(|_, _| Echo);
//!     let options = ServeOptions::default();
//!     let mut server = serve(listener, service, &options, Arc::clone(&executor))?;
//!
//!     let url = format!("ws://{}/", server.local_addr());
//!     let mut ws = connect(&url, &ConnectOptions::default()).await?;
//!     ws.send("hello").await?;
//!     assert_eq!(ws.recv().await.unwrap().as_text(), Some("hello"));
//!     ws.close(CloseCode::NORMAL, "").await?;
//!     assert!(ws.closed().unwrap().is_clean());
//!
//!     server.shut_down(Shutdown::default()).await;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })).unwrap();
//! ```

use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::ops::Deref;
use std::io;

use async_executor::Executor;
use async_io::Async;
use async_net::{AsyncToSocketAddrs, TcpListener, TcpStream, resolve};
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

/// A connection over a stream of smol; see [`sockeye_async::WebSocket`].
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
pub async fn listen(address: impl AsyncToSocketAddrs) -> io::Result<TcpListener> {
    let listener = listener::listen(resolve(address).await?)?;
    Ok(listener.into())
}

/// Serves `service` to everybody who connects to `listener`, as tasks of `executor`:
/// an `Arc<Executor>`, or a reference to a static one.
///
/// The server runs while somebody runs the executor, until the [`Server`] is shut
/// down or dropped.
///
/// # Errors
///
/// If the listener has no address.
pub fn serve<S: Service, E>(
    listener: impl Into<Arc<Async<std::net::TcpListener>>>,
    service: S,
    options: &ServeOptions,
    executor: E,
) -> io::Result<Server>
where
    E: Deref<Target = Executor<'static>> + Clone + Unpin + Send + 'static,
{
    let listener = listener.into();
    let local_addr = listener.get_ref().local_addr()?;
    let listener = Tcp {
        listener,
        spawner: On(executor.clone()),
    };
    let (server, accepting) = sockeye_async::serve(listener, local_addr, service, options);
    executor.spawn(accepting).detach();
    Ok(server)
}

struct On<E>(E);

impl<E: Deref<Target = Executor<'static>> + Unpin> Spawn for On<E> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task).detach();
    }
}

/// Reaches servers over TCP.
enum Reach {}

impl Dial for Reach {
    type Transport = Stream<TcpStream>;
    type Sleep = IoSleep;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        resolve((host, port)).await
    }

    async fn connect(address: SocketAddr) -> io::Result<Stream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        // A failure means that the peer is gone, which the first read will tell.
        let _ = stream.set_nodelay(true);
        Ok(Stream::new(stream))
    }
}
