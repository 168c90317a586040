//! WebSocket on async-std and on smol, which share a reactor and its sockets.
//!
//! Each has a module and a feature of its name. Both have what the other adapters
//! of Sockeye have:
//!
//! - `serve` runs a [`Service`](sockeye_handler::Service), whose handlers run
//!   unchanged on the other adapters, and ends it in good order.
//! - `connect` opens a connection to a URL, and `accept` takes one over on any
//!   stream; both give a [`WebSocket`](sockeye_async::WebSocket) to receive from and
//!   send to.
//!
//! # Why async-std?
//!
//! It is discontinued (RUSTSEC-2025-0052) and names smol as its successor. Programs
//! that are still on it can have this today, and move to smol by changing the name
//! of a module.

#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "async-std")]
pub mod async_std;
#[cfg(feature = "smol")]
pub mod smol;

mod clock;
mod connect;
mod listener;
mod stream;

pub use clock::{Alarm, IoClock, IoSleep};
pub use stream::Stream;
