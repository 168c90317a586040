//! What the asynchronous adapters of Sockeye share.
//!
//! There is no runtime below this crate: it polls a [`Transport`] and a [`Timer`].
//! An adapter implements the two for its runtime, and adds what only a runtime
//! can do: resolve names, connect, listen, spawn.
//!
//! - [`Driver`] is the loop that drives any [`Endpoint`](sockeye_core::Endpoint):
//!   reads, writes and deadlines, one short function for each.
//! - [`WebSocket`] is a driver over [`Messages`](sockeye_core::Messages), to receive
//!   from and send to; [`connect`] and [`accept`] open one over any transport.
//! - [`Connection`] is a driver over a [`Session`](sockeye_handler::Session), the
//!   task of one connection of a server; an [`Acceptor`] makes them.
//!
//! # Memory
//!
//! Input is read into a buffer of the thread, and output goes into one while a
//! connection is polled; both are taken and put back within the poll. So an idle
//! connection owns no buffer at all.

extern crate alloc;

mod deadlines;
mod driver;
mod open;
mod secure;
mod serve;
mod split;
mod timer;
mod transport;
mod websocket;

pub use driver::Driver;
pub use open::{accept, connect};
pub use secure::MaybeTls;
pub use serve::{Acceptor, Connection, Control};
#[doc(no_inline)]
pub use sockeye_common::opening::Target;
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use sockeye_common::tls;
#[doc(no_inline)]
pub use sockeye_common::{
    ACCEPTS, AcceptError, BACK_OFF, ConnectError, ConnectOptions, Shutdown, Until,
    is_of_one_connection, time_of,
};
pub use split::{RecvHalf, SendHalf};
pub use timer::{Clock, Timer};
pub use transport::Transport;
pub use websocket::WebSocket;
