//! WebSocket services for any runtime (to be written).

extern crate alloc;

mod address;
mod channel;
mod context;
mod generator;
mod handler;
mod linear;
mod peer;
mod request;
mod router;
mod session;
pub mod testing;
mod timers;

pub use address::Address;
pub use context::Context;
pub use generator::{Generator, GeneratorHandler, Out, Receiver, generator};
pub use handler::{BoxHandler, Decision, Handler, IntoDecision, Service, ServiceFn, service_fn};
pub use linear::{Linear, LinearHandler, Outcome, Sleep, Ws, WsSender, linear};
pub use peer::{Peer, PeerError, Refused};
pub use request::{Opening, Params, Request, Scope};
pub use router::{Layer, Next, RouteError, Router};
pub use session::Session;

#[doc(no_inline)]
pub use sockeye_core::handshake::{Accept, HttpLimits, InvalidField, Response};
#[doc(no_inline)]
pub use sockeye_core::{
    Binary, Cause, Chunk, CloseCode, Closed, Config, Endpoint, Frame, Initiator, Message,
    MessageKind, Outgoing, OwnedBinary, OwnedMessage, OwnedText, SendError, SharedConfig, Text,
    Time,
};
