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
mod field;
mod head;
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
pub use request::{BodyLength, Request};
pub use response::Response;
pub use server::{Received, ServerHandshake};
pub use upgrade::{Accept, NotOffered, Upgrade};
pub use url::{InvalidUrl, Scheme, Url};
