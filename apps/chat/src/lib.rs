//! The chat service: rooms, private messages, history.

#![forbid(unsafe_code)]

pub mod page;
