//! What all adapters of Sockeye share, asynchronous or not.
//!
//! There is no runtime below this crate, and no socket in it: it is what an adapter
//! needs besides moving bytes, telling the time and waiting. Applications use it
//! through the adapter that they picked.
//!
//! - [`ConnectOptions`], [`ConnectError`], [`AcceptError`] and [`opening`]: how a
//!   connection is opened.
//! - [`Gate`], [`ServerState`], [`Shutdown`] and [`Ending`]: how many connections a
//!   server has room for, and how it ends.
//! - [`DeadlineHeap`] and [`time_of`]: one wait for any number of connections.
//! - [`scratch`] and [`gather`]: buffers that a thread lends to its connections.

#![forbid(unsafe_code)]

extern crate alloc;

mod accepting;
mod deadlines;
mod ending;
mod error;
mod gate;
pub mod opening;
mod output;
pub mod scratch;
mod sending;
mod time;
#[cfg(feature = "tls")]
pub mod tls;

pub use accepting::{ACCEPTS, BACK_OFF, is_of_one_connection};
pub use deadlines::DeadlineHeap;
pub use ending::{Ending, Phase, ServerState, Shutdown};
pub use error::{AcceptError, ConnectError};
pub use gate::{Counted, Gate};
pub use opening::ConnectOptions;
pub use output::{SLICES, gather};
pub use sending::{Until, begin_close};
pub use time::{instant_of, time_of};
