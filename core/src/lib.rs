//! Sans-IO WebSocket core.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod buffers;
mod close;
mod config;
mod connection;
mod endpoint;
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
pub use connection::{Connection, Event, Input, Role};
pub use endpoint::{Endpoint, Incoming, Messages};
pub use frame::{Frame, Header, Opcode};
pub use mask::Seed;
pub use message::{
    Binary, Chunk, Message, MessageKind, Outgoing, OwnedBinary, OwnedMessage, OwnedText, Text,
};
pub use send::{Output, SendError, Sender, Transmit};
pub use time::{Deadline, Time};
