//! The contract of the chat, sentence by sentence, without sockets and without waiting.

extern crate alloc;

#[path = "suite/api.rs"]
mod api;
#[path = "suite/login.rs"]
mod login;
#[path = "suite/members.rs"]
mod members;
#[path = "suite/order.rs"]
mod order;
#[path = "suite/original.rs"]
mod original;
#[path = "suite/pressure.rs"]
mod pressure;
#[path = "suite/recovery.rs"]
mod recovery;
#[path = "suite/rooms.rs"]
mod rooms;
#[path = "suite/tokens.rs"]
mod tokens;
#[path = "suite/world.rs"]
mod world;
