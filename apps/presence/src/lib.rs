//! The presence service: who is online, told by tokens.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod directory;
