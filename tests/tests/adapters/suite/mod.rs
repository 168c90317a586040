//! The suite. `Adapter` is the one that it is mounted for.

mod broadcast;
mod chat;
mod compression;
mod ending;
mod facades;
mod halves;
mod handshake;
mod presence;
mod serving;
pub(crate) mod sockets;

use super::Adapter;
