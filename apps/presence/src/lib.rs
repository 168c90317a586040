//! The presence service: who is online, told by tokens.
//!
//! It names no runtime; `main.rs` puts it on one.

#![forbid(unsafe_code)]

extern crate alloc;

mod args;
mod connection;
mod connections;
pub mod directory;
mod echo;
mod http;
mod hub;
mod message;
mod nodes;
pub mod page;
mod service;
mod watch;
mod wire;

pub use args::{Args, Command, Refusal, TokenArgs};
pub use message::{InvalidMessage, Message};
pub use nodes::Deployment;
pub use service::{Options, Presence};

use alloc::sync::Arc;
use core::num::NonZeroU32;

use sockeye_kit::caps::Caps;
use sockeye_kit::http::Bearer;
use sockeye_kit::metrics::Metrics;
use sockeye_kit::rate::Bucket;
use sockeye_kit::token::{Signer, Verifier};

use self::hub::Hub;

/// What every connection and every request needs.
struct App {
    hub: Arc<Hub>,
    verifier: Verifier,
    /// Makes tokens for whoever asks, where nobody has given a key.
    demo: Option<Signer>,
    /// Without it reading is public.
    read_token: Option<Bearer>,
    caps: Caps,
    metrics: Metrics,
    rate: NonZeroU32,
    burst: NonZeroU32,
}

impl App {
    /// How much a connection may send.
    fn bucket(&self) -> Bucket {
        Bucket::new(self.rate, self.burst)
    }
}
