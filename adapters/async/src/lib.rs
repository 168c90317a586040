//! What the asynchronous adapters of Sockeye share.
//!
//! There is no runtime below this crate: it polls a [`Transport`] and a [`Timer`].
//! An adapter implements the first for the streams of its runtime and [`Sleep`] for
//! its timers, and says in [`Listener`] and [`Dial`] how to do what only a runtime
//! can: accept, spawn, resolve names, connect.
//!
//! - [`Driver`] is the loop that drives any [`Endpoint`](sockeye_core::Endpoint):
//!   reads, writes and deadlines, one short function for each.
//! - [`WebSocket`] is a driver over [`Messages`](sockeye_core::Messages), to receive
//!   from and send to; [`connect`] and [`accept`] open one over any transport.
//! - [`Connection`] is a driver over a [`Session`](sockeye_handler::Session), the
//!   task of one connection of a server; an [`Acceptor`] makes them, and [`serve`]
//!   is the task that accepts.
//!
//! # Memory
//!
//! Input is read into a buffer of the thread, and output goes into one while a
//! connection is polled; both are taken and put back within the poll. So an idle
//! connection owns no buffer at all.

#![forbid(unsafe_code)]

extern crate alloc;

mod deadlines;
mod driver;
mod open;
mod reach;
mod secure;
mod serve;
mod server;
mod split;
mod timer;
mod transport;
mod websocket;

pub use driver::Driver;
pub use open::{accept, connect};
pub use reach::{Dial, connect_to};
pub use secure::MaybeTls;
pub use serve::{Acceptor, Connection, Control};
pub use server::{Accepting, Listener, ServeOptions, Server, serve};
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use sockeye_common::tls;
#[doc(no_inline)]
pub use sockeye_common::{
    AcceptError, ConnectError, ConnectOptions, Shutdown, Until, instant_of, time_of,
};
pub use split::{RecvHalf, SendHalf};
pub use timer::{Alarm, Clock, Sleep, Timer};
pub use transport::Transport;
pub use websocket::{Recv, WebSocket};
