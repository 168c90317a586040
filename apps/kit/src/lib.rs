//! What the presence and chat programs share: names, tokens, HTTP, caps, metrics, the store.
//!
//! Like the programs' libraries it names no runtime: what takes time runs on threads of its own
//! and speaks to connections through their [`Peer`](sockeye_handler::Peer)s.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod caps;
pub mod clock;
pub mod cluster;
pub mod http;
pub mod metrics;
pub mod name;
pub mod page;
pub mod rate;
pub mod redis;
pub mod secret;
pub mod token;
