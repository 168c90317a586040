//! Sans-IO WebSocket core.
#![no_std]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
mod config;
mod connection;
mod endpoint;
mod frame;
pub mod handshake;
mod message;
mod send;
mod time;

pub use close::{Cause, CloseCode, Closed, Initiator, Timeout, Violation};
pub use config::{Config, ConfigError, Delivery, SharedConfig};
pub use connection::{Connection, Event, Input, Output, Role, Seed, Transmit};
pub use endpoint::{Endpoint, Incoming, Messages};
pub use frame::Frame;
pub use message::{
    Binary, Chunk, Message, MessageKind, Outgoing, OwnedBinary, OwnedMessage, OwnedText, Text,
};
pub use send::{SendError, Sender};
pub use time::{Deadline, Time};
