//! The chat service: rooms, private messages, history.
//!
//! [`Chat`] is the service, and its [`Hub`] what the connections of a node share. It names no
//! runtime; `main.rs` puts it on one.

#![forbid(unsafe_code)]

extern crate alloc;

mod api;
mod args;
mod connection;
mod hub;
mod page;
mod protocol;
mod retry;
mod room;
mod service;
mod settings;
pub mod store;
mod wakers;

pub use args::{Args, DEFAULTS, Refusal, UNUSED};
pub use connection::Connection;
pub use hub::Hub;
pub use page::assets;
pub use protocol::Id;
pub use service::{Chat, Surroundings};
pub use settings::Settings;
