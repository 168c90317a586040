//! What the tests with two parties share: the adapters under one trait, a server on a
//! free port, a peer that writes and reads the wire by hand, the programs as processes;
//! and, with the feature `redis`, a Redis of their own.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod adapter;
pub mod authority;
#[cfg(feature = "redis")]
pub mod chat;
pub mod process;
pub mod program;
#[cfg(feature = "redis")]
pub mod redis;
pub mod server;
pub mod wire;
