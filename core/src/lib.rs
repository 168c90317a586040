//! WebSocket (RFC 6455) without I/O: bytes and time in, bytes and events out.
//!
//! This crate holds the whole protocol: the opening handshake, frames, masking,
//! message assembly, UTF-8, limits, back-pressure, keepalive and the close
//! handshake. It has no socket, no clock, no thread, no source of randomness and no
//! `unsafe`, so it runs on any runtime, on bare metal and in a test without waiting.
//! Every byte, object and second that a peer can make it hold has a cap in
//! [`Config`].
//!
//! # The run loop
//!
//! Whoever has bytes drives a [`Connection`]. This is a complete echo server for one
//! client over a blocking socket; the other adapters of Sockeye do the same with
//! other sockets.
//!
//! ```
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::{Shutdown, TcpListener, TcpStream};
//! use std::time::{Duration, Instant};
//!
//! use sockeye_core::handshake::{Accept, ServerHandshake};
//! use sockeye_core::{Config, Connection, Event, Input, SharedConfig, Time, Transmit};
//!
//! /// Answers the upgrade; gives the connection, and the frames that came with it.
//! fn accept(stream: &mut TcpStream, config: &SharedConfig) -> io::Result<(Connection, Vec<u8>)> {
//!     let deadline = Time::ZERO + config.handshake_timeout;
//!     stream.set_read_timeout(Some(config.handshake_timeout))?;
//!     let mut handshake = ServerHandshake::new(config.head, deadline);
//!     let mut buffer = [0; 4096];
//!     loop {
//!         let n = stream.read(&mut buffer)?;
//!         let answer = match handshake.handle_input(&buffer[..n]) {
//!             Ok(None) if n > 0 => continue,
//!             Ok(None) => return Err(ErrorKind::UnexpectedEof.into()),
//!             Ok(Some(received)) => match received.request.upgrade() {
//!                 Ok(upgrade) => Ok((upgrade, received.consumed)),
//!                 Err(error) => Err(error.response()),
//!             },
//!             Err(error) => Err(error.response()),
//!         };
//!         let mut out = Vec::new();
//!         match answer {
//!             Ok((upgrade, consumed)) => {
//!                 upgrade.response(&Accept::new()).map_err(io::Error::other)?.encode(&mut out);
//!                 stream.write_all(&out)?;
//!                 let connection = Connection::server(config, Time::ZERO);
//!                 return Ok((connection, buffer[consumed..n].to_vec()));
//!             }
//!             Err(refusal) => {
//!                 refusal.encode(&mut out);
//!                 stream.write_all(&out)?;
//!                 return Err(ErrorKind::InvalidData.into());
//!             }
//!         }
//!     }
//! }
//!
//! /// Echoes until both sides have closed.
//! fn run(stream: &mut TcpStream, mut connection: Connection, early: &[u8]) -> io::Result<()> {
//!     let start = Instant::now();
//!     let now = || Time::from_micros(start.elapsed().as_micros() as u64);
//!     let mut buffer = vec![0; 16 << 10];
//!     buffer[..early.len()].copy_from_slice(early);
//!     let mut unparsed = 0..early.len();
//!     while !connection.is_drained() {
//!         // What was read becomes events. Receiving pauses while too much output waits.
//!         let mut input = Input::new(&mut buffer[unparsed.clone()]);
//!         while let Some((event, sender)) = connection.poll_event(&mut input, now()) {
//!             match event {
//!                 Event::Message(message) => drop(sender.send(message)),
//!                 Event::Closed(closed) => println!("{closed}"),
//!                 _ => {} // pings are answered already
//!             }
//!         }
//!         unparsed.start += input.consumed();
//!
//!         // One write for all that the read brought.
//!         while let Some(transmit) = connection.poll_transmit() {
//!             match transmit {
//!                 Transmit::Write(output) => {
//!                     let n = stream.write(output.first())?;
//!                     connection.handle_written(n, now());
//!                 }
//!                 Transmit::Shutdown => {
//!                     let _ = stream.shutdown(Shutdown::Write);
//!                     connection.handle_shutdown(now());
//!                 }
//!             }
//!         }
//!
//!         // Wait for bytes, or for the earliest deadline.
//!         if !connection.wants_input() || !unparsed.is_empty() {
//!             continue;
//!         }
//!         let wait = connection.poll_timeout().map(|deadline| deadline.saturating_since(now()));
//!         stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
//!         match stream.read(&mut buffer) {
//!             Ok(0) => connection.handle_eof(now()),
//!             Ok(n) => unparsed = 0..n,
//!             Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
//!                 connection.handle_timeout(now());
//!             }
//!             Err(_) => connection.handle_error(now()),
//!         }
//!     }
//!     Ok(())
//! }
//!
//! # fn main() -> io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # let client = std::thread::spawn(move || -> io::Result<Vec<u8>> {
//! #     let mut stream = TcpStream::connect(address)?;
//! #     stream.write_all(
//! #         b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//! #           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
//! #           \x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\x00\x00\x00\x00",
//! #     )?;
//! #     let mut answer = Vec::new();
//! #     stream.read_to_end(&mut answer)?;
//! #     Ok(answer)
//! # });
//! let config = Config::default().share().map_err(io::Error::other)?;
//! let (mut stream, _) = listener.accept()?;
//! let (connection, early) = accept(&mut stream, &config)?;
//! run(&mut stream, connection, &early)?;
//! # drop(stream);
//! # let answer = client.join().expect("the client does not panic")?;
//! # assert!(answer.starts_with(b"HTTP/1.1 101 "));
//! # assert!(answer.ends_with(b"\r\n\r\n\x81\x05Hello\x88\x00"));
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//!
//! - **Payloads are borrowed.** A message that lies whole in the buffer that was read
//!   is unmasked in place and lent out: no allocation, no copy. One that was cut is
//!   assembled, and `into_owned` hands that buffer over. So one read buffer per thread
//!   serves all connections, and an idle connection owns none.
//! - **The event comes with the [`Sender`]**, so that it can be answered while it is
//!   borrowed.
//! - **Input never fails.** What a peer does wrong becomes a Close frame with the right
//!   code and one [`Event::Closed`]. Errors are for calls that the caller should not
//!   have made.
//! - **Closed is not drained.** `Closed` is the application's end, `is_drained` the
//!   transport's: in between our Close frame is delivered, and what the peer still sends
//!   is discarded, because unread input would turn into a reset that destroys it.
//! - **A normal close is not an error**: [`Closed::is_clean`] tells.
//! - [`Messages`] wraps a connection for interfaces that hand out one owned message
//!   at a time, and [`Endpoint`] is what a driver needs to know of either.
//!
//! # Features
//!
//! `std` (on by default) chooses SIMD for masking and UTF-8 at run time and keeps, for each
//! thread, up to two large message buffers, one to read into and 1 KiB for copies. Without it
//! the crate needs `alloc` alone.
//!
//! `deflate` adds compression, which is then still to be switched on in
//! [`Config`]; see the module `deflate`.

#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod buffers;
mod close;
mod config;
mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
mod endpoint;
mod extensions;
mod frame;
pub mod handshake;
mod mask;
mod message;
mod receive;
mod send;
mod time;
mod timer;
mod utf8;

pub use close::{Cause, CloseCode, Closed, Initiator, Timeout, Violation};
pub use config::{Config, ConfigError, Delivery, SharedConfig};
pub use connection::{Connection, Cut, Event, Input, ReadBuffer, Role};
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use endpoint::{Endpoint, Incoming, Messages};
pub use extensions::Extensions;
pub use frame::{Frame, Header, Opcode};
pub use mask::Seed;
pub use message::{
    Binary, Chunk, Message, MessageKind, Outgoing, OwnedBinary, OwnedMessage, OwnedText, Text,
};
pub use send::{Output, OutputBuffer, SendError, Sender, Transmit};
pub use time::{Deadline, Time};
