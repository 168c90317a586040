//! The presence service: who is online, told by tokens.

#![forbid(unsafe_code)]

pub mod page;
