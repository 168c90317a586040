//! WebSocket (RFC 6455) for any runtime: a protocol core that does no I/O, one
//! handler interface, and thin adapters.
//!
//! An application is written once, against `handler`, and runs on whichever
//! adapter a feature picks:
//!
//! | feature | gives |
//! |---|---|
//! | none | [`core`]: the protocol alone, for a runtime of your own |
//! | `handler` | and `handler`: services, handlers, routes, without I/O |
//! | `tokio` | and `tokio`: `serve`, `accept` and `connect` on tokio |
//! | `async-std` | and `async_std`: the same on async-std |
//! | `smol` | and `smol`: the same on smol |
//! | `mio` | and `mio`: `serve` on event loops, blocking `accept` and `connect`, no runtime |
//! | `tls` | and `wss://` on the adapters that are enabled |
//! | `deflate` | and permessage-deflate, where `Config::deflate` asks for it |
//!
//! # A server
//!
//! One handler for each connection. Messages are lent to it, and what it sends is
//! queued: a read that brings ten messages is answered with one write.
//!
//! ```
//! # #[cfg(feature = "tokio")] {
//! use sockeye::handler::{
//!     Context, Decision, Handler, Message, Opening, Request, Service,
//! };
//! use sockeye::tokio::{ServeOptions, Shutdown, listen, serve};
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
//! # ::tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let listener = listen("127.0.0.1:0").await?;
//! let mut server = serve(listener, Echo, &ServeOptions::default())?;
//! println!("listening on ws://{}", server.local_addr());
//! // ... until it is time to go: every connection gets a Close 1001.
//! server.shut_down(Shutdown::default()).await;
//! # Ok::<_, std::io::Error>(()) }).unwrap();
//! # }
//! ```
//!
//! # A client
//!
//! ```no_run
//! # #[cfg(feature = "tokio")] {
//! use sockeye::CloseCode;
//! use sockeye::tokio::{ConnectOptions, connect};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = connect("ws://127.0.0.1:9001/", &ConnectOptions::default()).await?;
//! ws.send("hello").await?;
//! if let Some(message) = ws.recv().await {
//!     println!("{message:?}");
//! }
//! ws.close(CloseCode::NORMAL, "done").await?;
//! # Ok(()) }
//! # }
//! ```

#![forbid(unsafe_code)]

#[doc(inline)]
pub use sockeye_core::{
    self as core, CloseCode, Closed, Config, Frame, Message, MessageKind, Outgoing, OwnedMessage,
    SendError, SharedConfig,
};

#[cfg(feature = "deflate")]
#[doc(inline)]
pub use sockeye_core::Deflate;

#[cfg(feature = "handler")]
#[doc(inline)]
pub use sockeye_handler as handler;

#[cfg(feature = "tokio")]
#[doc(inline)]
pub use sockeye_tokio as tokio;

#[cfg(feature = "async-std")]
#[doc(inline)]
pub use sockeye_async_std::async_std;

#[cfg(feature = "smol")]
#[doc(inline)]
pub use sockeye_async_std::smol;

#[cfg(feature = "mio")]
#[doc(inline)]
pub use sockeye_mio as mio;

/// The README's examples are tests.
#[cfg(all(
    doctest,
    feature = "tokio",
    feature = "async-std",
    feature = "smol",
    feature = "mio",
    feature = "deflate"
))]
#[doc = include_str!("../README.md")]
struct Readme;
