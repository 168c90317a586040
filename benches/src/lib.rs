//! What the protocol costs, beside its peers, and what the servers cost, beside the least that
//! is possible.
#![forbid(unsafe_code)]

mod authority;
pub mod codec;
pub mod echo;
pub mod fanout;
pub mod floor;
pub mod idle;
mod measure;
pub mod path;
pub mod peers;
mod plot;
mod process;
mod program;
mod report;
pub mod sessions;
mod wire;
