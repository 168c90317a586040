//! What a session promises, over the socket-free test server.

extern crate alloc;

#[path = "suite/facades.rs"]
mod facades;
#[path = "suite/handshake.rs"]
mod handshake;
#[path = "suite/layers.rs"]
mod layers;
#[path = "suite/panics.rs"]
mod panics;
#[path = "suite/peers.rs"]
mod peers;
#[path = "suite/pressure.rs"]
mod pressure;
#[path = "suite/probe.rs"]
mod probe;
#[path = "suite/routes.rs"]
mod routes;
#[path = "suite/session.rs"]
mod session;
