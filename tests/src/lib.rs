//! What the tests with two parties share: a server on a free port, and a peer that
//! writes and reads the wire by hand.

extern crate alloc;

pub mod authority;
pub mod server;
pub mod wire;
