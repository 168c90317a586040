//! The opening handshake (RFC 6455 §4), for servers and clients.
//!
//! Everything here is a value or a function over the caller's bytes. It can be used in three ways:
//!
//! - **whole**: [`ServerHandshake`] and [`ClientHandshake`] take bytes as they arrive and say
//!   when the upgrade is decided; what follows the head belongs to the connection;
//! - **validation and answer only**, behind an HTTP stack that has parsed the request already:
//!   [`Request::from_parts`], then [`Request::upgrade`] and [`Upgrade::response`];
//! - **not at all**: a connection can be made after someone else's upgrade.
//!
//! # Whole
//!
//! ```
//! use core::time::Duration;
//! use sockeye_core::{Time, handshake::*};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Time::from_micros(0);
//! let deadline = now + Duration::from_secs(10);
//! let url = Url::parse("ws://example.com/chat")?;
//! let request = ClientRequest::new(&url).subprotocol("chat.v1")?;
//! let nonce = [7; 16]; // to be taken from the operating system
//! let mut client = ClientHandshake::new(&request, nonce, HttpLimits::default(), deadline);
//! let mut server = ServerHandshake::new(HttpLimits::default(), deadline);
//!
//! // The client writes ...
//! let mut wire = Vec::new();
//! while let Some(bytes) = client.poll_transmit() {
//!     wire.extend_from_slice(bytes);
//!     let sent = bytes.len();
//!     client.handle_transmitted(sent);
//! }
//!
//! // ... the server reads, decides and answers ...
//! let mut answer = Vec::new();
//! match server.handle_input(&wire) {
//!     Ok(None) => unreachable!("it would have to read more"),
//!     Ok(Some(received)) => {
//!         let response = match received.request.upgrade() {
//!             Ok(upgrade) => upgrade.response(&Accept::new().subprotocol("chat.v1")?)?,
//!             Err(error) => error.response(),
//!         };
//!         response.encode(&mut answer);
//!     }
//!     Err(error) => error.response().encode(&mut answer),
//! }
//!
//! // ... and the client is told. What follows in its input are frames.
//! answer.extend_from_slice(b"\x81\x05Hello");
//! let opened = client.handle_input(&answer)?.ok_or("it would have to read more")?;
//! assert_eq!(opened.subprotocol.as_deref(), Some("chat.v1"));
//! assert_eq!(&answer[opened.consumed..], b"\x81\x05Hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Behind an HTTP stack
//!
//! ```
//! use sockeye_core::handshake::{Accept, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let parsed = [
//! #     ("host", "example.com"), ("upgrade", "websocket"), ("connection", "Upgrade"),
//! #     ("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
//! # ];
//! let fields = parsed.iter().map(|(name, value)| (*name, value.as_bytes()));
//! let upgrade = Request::from_parts("GET", "/chat", fields).upgrade()?;
//! let response = upgrade.response(&Accept::new())?;
//! assert_eq!(response.status(), 101);
//! for (name, value) in response.fields() {
//!     // set the header of the stack's own response
//! #   let _ = (name, value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Extensions
//!
//! [`ClientRequest::offer`] offers what a [`Config`](crate::Config) allows, and
//! [`Upgrade::accept`] accepts it; both sides then have
//! [`Extensions`](crate::Extensions) for their connection. [`Upgrade::response`] accepts
//! none.
//!
//! # Why the end of a head is found before it is parsed
//!
//! [`ServerHandshake`] looks for the end of the head as bytes arrive, each byte once, and counts
//! lines and fields against [`HttpLimits`] while it does so; only a whole head is parsed. Parsing
//! again after each read would cost quadratic time, and a parser that also takes bare line feeds
//! could see another end of the head than the proxy before it. So a bare line feed is an error,
//! and a parser that does not stop exactly where the scan did is one too.

mod authority;
mod body;
mod client;
mod error;
#[cfg(feature = "deflate")]
pub(crate) mod extension;
mod field;
mod head;
mod origin;
mod request;
mod response;
mod server;
mod upgrade;
mod url;

pub use authority::Host;
pub use client::{ClientHandshake, ClientRequest, ConnectError, InvalidResponse, Opened};
pub use error::HandshakeError;
pub use field::InvalidField;
pub use head::HttpLimits;
pub use origin::{Forbidden, InvalidOrigin, OriginPolicy};
pub use request::{BodyLength, Request};
pub use response::Response;
pub use server::{Received, ServerHandshake};
pub use upgrade::{Accept, Accepted, NotOffered, Upgrade};
pub use url::{InvalidUrl, Scheme, Url};

#[cfg(test)]
mod tests;
