//! What the tests with two parties share: the adapters under one trait, a server on a
//! free port, and a peer that writes and reads the wire by hand.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod adapter;
pub mod authority;
pub mod server;
pub mod wire;
