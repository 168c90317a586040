//! What the tests with two parties share: the adapters under one trait, a server on a
//! free port, a peer that writes and reads the wire by hand; and, with the feature
//! `redis`, the programs as processes with a Redis of their own.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod adapter;
pub mod authority;
#[cfg(feature = "redis")]
pub mod chat;
#[cfg(feature = "redis")]
pub mod process;
#[cfg(feature = "redis")]
pub mod program;
#[cfg(feature = "redis")]
pub mod redis;
pub mod server;
pub mod wire;
