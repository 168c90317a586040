//! What the presence and chat programs share: names, tokens, HTTP, caps, metrics, the store.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod cluster;
pub mod redis;
