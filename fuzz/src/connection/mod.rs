//! A connection through everything that can happen to it.

mod operation;
mod run;

use arbitrary::Unstructured;
use sockeye_core::deflate::{Agreed, Window};
use sockeye_core::{
    Closed, Config, Connection, Deflate, Delivery, Event, Extensions, Incoming, Input, MessageKind,
    Role, Seed, SharedConfig, Time,
};

use self::operation::Operation;
use self::run::{Cuts, Run};

/// Runs a program of operations, with the peer's bytes cut in three ways, to its end.
///
/// The first byte chooses the role and the settings, the second how it ends; each of the rest is
/// an operation.
pub fn connection(data: &[u8]) {
    let Some(([settings, end], rest)) = data.split_first_chunk() else {
        return;
    };
    let mut rest = Unstructured::new(rest);
    let operations: Vec<Operation> = core::iter::from_fn(|| match rest.is_empty() {
        true => None,
        false => rest.arbitrary().ok(),
    })
    .take(200)
    .collect();
    let whole = Run::new(*settings, Cuts::None).finish(&operations, *end);
    for cuts in [Cuts::Everywhere, Cuts::Random(u64::from(*end) + 1)] {
        let cut = Run::new(*settings, cuts).finish(&operations, *end);
        assert_eq!(cut, whole, "{cuts:?}");
    }
}

/// An event that outlives its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(MessageKind, Vec<u8>),
    Chunk(MessageKind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(Closed),
}

impl From<&Event<'_>> for Seen {
    fn from(event: &Event<'_>) -> Self {
        match event {
            Event::Message(message) => Self::Message(message.kind(), message.as_bytes().to_vec()),
            Event::Chunk(chunk) => Self::Chunk(chunk.kind, chunk.payload.to_vec(), chunk.last),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Closed(closed) => Self::Closed((*closed).clone()),
            event => panic!("an event without a test: {event:?}"),
        }
    }
}

impl From<Incoming> for Seen {
    fn from(item: Incoming) -> Self {
        match item {
            Incoming::Message(message) => {
                Self::Message(message.kind(), message.as_bytes().to_vec())
            }
            Incoming::Chunk {
                kind,
                payload,
                last,
            } => Self::Chunk(kind, payload, last),
            Incoming::Ping(payload) => Self::Ping(payload),
            Incoming::Pong(payload) => Self::Pong(payload),
            Incoming::Closed(closed) => Self::Closed(closed),
            item => panic!("an item without a test: {item:?}"),
        }
    }
}

/// Everything that comes of one piece of input, which must be used up.
pub(crate) fn events(connection: &mut Connection, piece: &[u8]) -> Vec<Seen> {
    let mut piece = piece.to_vec();
    let mut input = Input::new(&mut piece);
    let mut seen = Vec::new();
    while let Some((event, _)) = connection.poll_event(&mut input, Time::ZERO) {
        seen.push(Seen::from(&event));
    }
    assert!(input.is_empty());
    seen
}

pub(crate) fn open(role: Role, config: &SharedConfig, now: Time) -> Connection {
    match role {
        Role::Server => Connection::server(config, now),
        Role::Client => Connection::client(config, &Seed::new([7; 32]), now),
    }
}

pub(crate) fn opposite(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// What the handshake agreed on by the same byte.
fn extensions(settings: u8) -> Extensions {
    if settings & 64 == 0 {
        return Extensions::NONE;
    }
    let window = Window {
        bits: 9,
        takeover: settings & 128 != 0,
    };
    Extensions::with_deflate(Agreed {
        send: window,
        receive: window,
    })
}

/// The settings that a byte stands for.
fn config(settings: u8) -> Config {
    let mut config = Config::default();
    if settings & 2 != 0 {
        // So small that programs of a few operations meet them.
        config.max_message = 400;
        config.max_frame = 300;
        config.max_fragments = 3;
        config.soft_mark = 200;
        config.hard_mark = 1000;
    }
    if settings & 4 != 0 {
        config.delivery = Delivery::Chunks;
    }
    if settings & 8 != 0 {
        config.idle_timeout = Some(core::time::Duration::from_secs(20));
    }
    if settings & 16 != 0 {
        config.ping_interval = None;
    }
    if settings & 64 != 0 {
        let mut deflate = Deflate::default();
        deflate.min_size = 10;
        config.deflate = Some(deflate);
    }
    config
}
