//! WebSocket services for any runtime: what an application implements, and what drives it.
//!
//! An application is a [`Service`], which decides about each request, and a [`Handler`], one for
//! each connection, which is told what happens and answers through a [`Context`]. Neither knows
//! a socket, a clock or a runtime, so the same application runs wherever a [`Session`] is driven.
//!
//! ```
//! use sockeye_handler::testing::TestServer;
//! use sockeye_handler::{CloseCode, Context, Handler, Message, Response, RouteError, Router};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
//!         // An error says that the connection is closing: `on_close` follows.
//!         let _ = cx.send(message);
//!     }
//! }
//!
//! fn service() -> Result<Router, RouteError> {
//!     Router::new()
//!         .ws("/echo", |_request, _cx| Echo)?
//!         .get("/healthz", |_request| Response::text(200, "well\n"))
//! }
//!
//! let server = TestServer::new(service()?);
//! let mut client = server.connect("/echo").expect("accepted");
//! client.send("hello").expect("open");
//! assert_eq!(client.recv_text().as_deref(), Some("hello"));
//! client.close(CloseCode::NORMAL, "");
//! assert_eq!(server.get("/healthz").map(|response| response.status()), Some(200));
//! # Ok::<_, RouteError>(())
//! ```
//!
//! | for | there is |
//! |---|---|
//! | several paths, pages beside WebSocket, middleware | [`Router`], [`Layer`] |
//! | one asynchronous function per connection | [`linear`] |
//! | outputs as data | [`generator`] |
//! | sending from elsewhere: other connections, threads | [`Peer`], [`Frame`] |
//! | authentication that takes time | [`Decision::Later`] |
//! | tests without sockets and without sleeping | [`testing`] |
//!
//! # Why one handler per connection?
//!
//! Because then its fields are the connection's state: nothing is looked up by an identifier,
//! nothing is locked, and nothing is left behind. What connections share they share openly,
//! through the service that has made them and the [`Peer`]s that they hand out.
//!
//! # Driving a session
//!
//! A [`Session`] is one server connection from its first byte to its last. Whoever owns the
//! transport calls it through [`Endpoint`], the same trait as a client's connection has:
//!
//! ```
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::{Shutdown, TcpStream};
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use sockeye_handler::{Endpoint, Service, Session, SharedConfig, Time, Transmit};
//!
//! /// One connection on a thread of its own.
//! fn serve<S: Service>(stream: &mut TcpStream, service: Arc<S>) -> io::Result<()> {
//!     let epoch = Instant::now();
//!     let clock = || Time::ZERO + epoch.elapsed();
//!     let address = stream.peer_addr()?.into();
//!     let mut session = Session::new(service, SharedConfig::default(), address, clock());
//!     let mut buffer = vec![0; 16 << 10];
//!     while !session.is_drained() {
//!         // What other threads have sent. An event loop gives its waker with `set_waker`.
//!         session.handle_wake(clock());
//!         // Everything that one read has brought is answered before the next.
//!         while let Some(transmit) = session.poll_transmit() {
//!             let written = match transmit {
//!                 Transmit::Write(output) => stream.write(output.first()),
//!                 Transmit::Shutdown => {
//!                     stream.shutdown(Shutdown::Write)?;
//!                     session.handle_shutdown(clock());
//!                     continue;
//!                 }
//!             };
//!             match written {
//!                 Ok(n) => session.handle_written(n, clock()),
//!                 Err(_) => session.handle_error(clock()),
//!             }
//!         }
//!         let wait = session.poll_timeout().map_or(Duration::MAX, |at| at.saturating_since(clock()));
//!         if session.wants_input() && !wait.is_zero() {
//!             // Woken now and then, since nobody else can wake a blocking read.
//!             stream.set_read_timeout(Some(wait.min(Duration::from_millis(100))))?;
//!             match stream.read(&mut buffer) {
//!                 Ok(0) => session.handle_eof(clock()),
//!                 Ok(n) => match session.handle_input(&mut buffer[..n], clock()) {
//!                     None => {}
//!                     Some(never) => match never {},
//!                 },
//!                 Err(error) => match error.kind() {
//!                     ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
//!                     _ => session.handle_error(clock()),
//!                 },
//!             }
//!         } else {
//!             std::thread::sleep(wait.min(Duration::from_millis(10)));
//!         }
//!         session.handle_timeout(clock());
//!     }
//!     // A function behind `linear` may go on for a little, without a transport.
//!     while !session.is_finished() {
//!         std::thread::sleep(Duration::from_millis(10));
//!         session.handle_wake(clock());
//!         session.handle_timeout(clock());
//!     }
//!     Ok(())
//! }
//! # use sockeye_handler::{linear, SendError};
//! # let service = Arc::new(linear(|mut ws| async move {
//! #     while let Some(message) = ws.recv().await {
//! #         ws.send(message).await?;
//! #     }
//! #     ws.sleep(Duration::from_millis(1)).await;
//! #     Ok::<_, SendError>(())
//! # }));
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let mut client = TcpStream::connect(listener.local_addr()?)?;
//! # let server = std::thread::spawn(move || serve(&mut listener.accept()?.0, service));
//! # client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//! #     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
//! #     \x81\x82\0\0\0\0hi\x88\x80\0\0\0\0")?;
//! # let mut answer = Vec::new();
//! # client.read_to_end(&mut answer)?;
//! # assert!(answer.ends_with(b"\x81\x02hi\x88\x00"));
//! # drop(client);
//! # server.join().expect("no panic")?;
//! # Ok::<_, io::Error>(())
//! ```
//!
//! # Panics of the application
//!
//! They end their connection with 1011, or with 500 before it is open, and no other connection
//! notices; [`Handler::on_close`] is called all the same. The panic hook of the standard library
//! reports them first, so this crate needs no logger; [`Service::on_panic`] adds whose connection
//! it was. A program that is built with `panic = "abort"` has no such protection.

#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod channel;
mod context;
mod generator;
mod handler;
mod linear;
mod own;
mod peer;
mod request;
mod router;
mod session;
pub mod testing;
mod timers;

pub use address::Address;
pub use context::Context;
pub use generator::{Generator, GeneratorHandler, Out, Receiver, generator};
pub use handler::{BoxHandler, Decision, Handler, IntoDecision, Service, ServiceFn, service_fn};
pub use linear::{Linear, LinearHandler, Outcome, Sleep, Ws, WsSender, linear};
pub use peer::{Peer, PeerError, Refused};
pub use request::{Opening, Params, Request, Scope};
pub use router::{Layer, Next, RouteError, Router};
pub use session::Session;

#[doc(no_inline)]
pub use sockeye_core::handshake::{
    Accept, Forbidden, HttpLimits, InvalidField, InvalidOrigin, OriginPolicy, Response,
};
#[doc(no_inline)]
pub use sockeye_core::{
    Binary, Cause, Chunk, CloseCode, Closed, Config, ConfigError, Delivery, Endpoint, Frame,
    Initiator, Message, MessageKind, Outgoing, Output, OutputBuffer, OwnedBinary, OwnedMessage,
    OwnedText, SendError, SharedConfig, Text, Time, Timeout, Transmit, Violation,
};
