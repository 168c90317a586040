//! The suite. `Adapter` is the one that it is mounted for.

mod broadcast;
mod facades;
mod handshake;
mod presence;
mod serving;
mod sockets;

use super::Adapter;
