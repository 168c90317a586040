//! The chat service: rooms, private messages, history.

#![forbid(unsafe_code)]

extern crate alloc;

mod hub;
mod metrics;
pub mod page;
mod protocol;
mod retry;
mod room;
mod settings;
pub mod store;
mod wakers;

pub use hub::Hub;
pub use protocol::Id;
pub use settings::Settings;
