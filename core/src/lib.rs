//! Sans-IO WebSocket core.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
pub mod handshake;
pub mod time;
