//! Two bytes in, two bytes out: what a connection does, without a socket.

mod chunks;
mod closing;
mod control;
#[cfg(feature = "deflate")]
mod deflate;
mod fragments;
mod header_table;
mod held;
mod invariance;
mod limits;
mod output;
mod pausing;
mod shared_buffer;
mod timers;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::frame::{Header, Opcode};
use crate::mask;
use crate::{Closed, Config, Connection, Event, Input, Message, Role, Seed, Time, Transmit};

pub(super) const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// An event that outlives its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Chunk(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(Closed),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(String::from(&*text)),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Event::Chunk(chunk) => Self::Chunk(chunk.payload.to_vec(), chunk.last),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Closed(closed) => Self::Closed(closed.clone()),
        }
    }
}

/// A connection with a clock, and the peer's hand for frames.
pub(super) struct Bench {
    pub(super) role: Role,
    pub(super) connection: Connection,
    pub(super) now: Time,
}

impl Bench {
    pub(super) fn new(role: Role) -> Self {
        Self::with(role, |_| ())
    }

    pub(super) fn with(role: Role, change: impl FnOnce(&mut Config)) -> Self {
        Self::extended(role, crate::Extensions::NONE, change)
    }

    pub(super) fn extended(
        role: Role,
        extensions: crate::Extensions,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let config = config.share().expect("a valid config");
        let now = Time::from_micros(1_000_000);
        let connection = match role {
            Role::Server => Connection::server(&config, now),
            Role::Client => Connection::client(&config, &Seed::new([7; 32]), now),
        };
        let connection = connection.with_extensions(extensions);
        Self {
            role,
            connection,
            now,
        }
    }

    /// A frame as the peer sends it.
    pub(super) fn frame(&self, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        frame(self.role, fin, opcode, payload)
    }

    /// A whole message or control frame as the peer sends it.
    pub(super) fn whole(&self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        self.frame(true, opcode, payload)
    }

    /// Feeds bytes and takes every event.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let mut seen = Vec::new();
        while let Some((event, _)) = self.connection.poll_event(&mut input, self.now) {
            seen.push(event.into());
        }
        assert!(input.is_empty(), "receiving paused");
        seen
    }

    /// Takes the events that wait without input.
    pub(super) fn events(&mut self) -> Vec<Seen> {
        self.feed(&[])
    }

    /// Takes all output, as far as the first half-close.
    pub(super) fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(Transmit::Write(output)) = transmit(&mut self.connection) {
            let before = out.len();
            output
                .slices()
                .for_each(|slice| out.extend_from_slice(slice));
            let written = out.len() - before;
            self.connection.handle_written(written, self.now);
        }
        out
    }

    /// Takes all output, as frames without their masks.
    pub(super) fn frames(&mut self) -> Vec<(Opcode, Vec<u8>)> {
        decode(self.role, &self.output())
    }

    pub(super) fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.connection.handle_timeout(self.now);
    }

    /// Lets time pass until the next deadline, and says how long that was.
    pub(super) fn pass_to_deadline(&mut self) -> Duration {
        let deadline = self.connection.poll_timeout().expect("a deadline");
        let passed = deadline.saturating_since(self.now);
        self.pass(passed);
        passed
    }

    pub(super) fn wants_shutdown(&mut self) -> bool {
        matches!(transmit(&mut self.connection), Some(Transmit::Shutdown))
    }
}

/// What is next; that there is something, or nothing, was told before.
pub(super) fn transmit(connection: &mut Connection) -> Option<Transmit<'_>> {
    let has_output = connection.has_output();
    let next = connection.poll_transmit();
    assert_eq!(next.is_some(), has_output);
    next
}

/// A frame as `role` receives it.
pub(super) fn frame(role: Role, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let mut out = Vec::new();
    Header {
        fin,
        compressed: false,
        opcode,
        mask,
        len: payload.len() as u64,
    }
    .encode(&mut out);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], mask.unwrap_or_default());
    out
}

/// The frames that `role` sent.
pub(super) fn decode(role: Role, mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let receiver = match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, len) = Header::decode(bytes, receiver)
            .expect("legal")
            .expect("whole");
        let (payload, rest) = bytes[len..].split_at(header.len as usize);
        let mut payload = payload.to_vec();
        mask::apply(&mut payload, header.mask.unwrap_or_default());
        frames.push((header.opcode, payload));
        bytes = rest;
    }
    frames
}

#[test]
fn the_examples_of_section_5_7_are_read() {
    let mut server = Bench::new(Role::Server);
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(server.feed(masked), [Seen::Text("Hello".into())]);

    let mut client = Bench::new(Role::Client);
    assert_eq!(client.feed(b"\x81\x05Hello"), [Seen::Text("Hello".into())]);
    assert_eq!(
        client.feed(b"\x01\x03Hel\x80\x02lo"),
        [Seen::Text("Hello".into())]
    );
    assert_eq!(
        client.feed(b"\x89\x05Hello"),
        [Seen::Ping(b"Hello".to_vec())]
    );
    let kilobytes: Vec<u8> = (0..=255).collect();
    let medium = [b"\x82\x7e\x01\x00", &*kilobytes].concat();
    assert_eq!(client.feed(&medium), [Seen::Binary(kilobytes.clone())]);
    let large = kilobytes.repeat(256);
    let long = [b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", &*large].concat();
    assert_eq!(client.feed(&long), [Seen::Binary(large)]);
}

#[test]
fn a_connection_is_small_while_it_is_idle() {
    // A million idle sessions are a goal; what is needed only sometimes is boxed.
    assert!(size_of::<Connection>() <= 56, "{}", size_of::<Connection>());
}
