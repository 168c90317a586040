//! The program as people and scripts use it, with real servers.

extern crate alloc;

mod program;
mod server;

mod bench;
mod interactive;
mod pipes;
mod reconnecting;
mod requests;
mod scripts;
