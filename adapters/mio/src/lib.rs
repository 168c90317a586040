//! WebSocket on mio, for programs without an asynchronous runtime.
//!
//! - [`serve`] runs a [`Service`](sockeye_handler::Service), whose handlers run
//!   unchanged on the other adapters, on a few threads with an event loop each, and
//!   ends it in good order.
//! - [`connect`] opens a connection to a URL, and [`accept`] takes one over on a
//!   socket; both give a [`WebSocket`] whose methods block.
//!
//! # A server
//!
//! ```
//! use std::net::TcpListener;
//!
//! use sockeye_handler::{Context, Decision, Handler, Message, Opening, Request, Service};
//! use sockeye_mio::{ConnectOptions, ServeOptions, Shutdown, connect, serve};
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     type Handler = Connection;
//!
//!     fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Connection> {
//!         Decision::accept(Connection)
//!     }
//! }
//!
//! struct Connection;
//!
//! impl Handler for Connection {
//!     fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
//!         let _ = cx.send(message); // refused only while the connection closes
//!     }
//! }
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut server = serve(listener, Echo, &ServeOptions::default())?;
//! let url = format!("ws://{}/", server.local_addr());
//!
//! let mut ws = connect(&url, &ConnectOptions::default())?;
//! ws.send("hello")?;
//! assert_eq!(ws.recv().unwrap().as_text(), Some("hello"));
//!
//! // When it is time to go, every connection gets a Close 1001.
//! let closing = std::thread::spawn(move || server.shut_down(Shutdown::default()));
//! assert!(ws.recv().is_none());
//! assert_eq!(ws.closed().unwrap().code.as_u16(), 1001);
//! assert_eq!(closing.join().unwrap(), 0);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # A connection on two threads
//!
//! ```
//! use std::net::TcpListener;
//! use std::thread;
//!
//! use sockeye_core::{CloseCode, SharedConfig, handshake::Accept};
//! use sockeye_mio::{ConnectOptions, accept, connect};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//! let server = thread::spawn(move || {
//!     let (stream, _) = listener.accept()?;
//!     let mut ws = accept(stream, &SharedConfig::default(), |_request| Ok(Accept::new()))?;
//!     while let Some(message) = ws.recv() {
//!         ws.send(message)?;
//!     }
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! });
//!
//! let (sender, mut receiver) = connect(&url, &ConnectOptions::default())?.split();
//! let receiving = thread::spawn(move || {
//!     let mut received = 0;
//!     while receiver.recv().is_some() {
//!         received += 1;
//!     }
//!     received
//! });
//! for _ in 0..10 {
//!     sender.send("hello")?;
//! }
//! sender.close(CloseCode::NORMAL, "")?;
//! assert_eq!(receiving.join().unwrap(), 10);
//! # server.join().unwrap().unwrap();
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

extern crate alloc;

mod clock;
mod connection;
mod link;
mod listen;
mod mailbox;
mod open;
mod places;
mod serve;
mod socket;
mod websocket;
mod wire;
mod worker;

pub use link::TimedOut;
#[cfg(feature = "tls")]
pub use open::accept_tls;
pub use open::{accept, connect, connect_over};
pub use serve::{ServeOptions, Server, serve};
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use sockeye_common::tls::{TlsClient, TlsConfigError, TlsError, TlsServer};
pub use sockeye_common::{AcceptError, ConnectError, ConnectOptions, Shutdown};
pub use websocket::{RecvHalf, SendHalf, WebSocket};
