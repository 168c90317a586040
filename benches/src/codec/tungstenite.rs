//! tungstenite, over a transport that does not block.

use std::io::ErrorKind;

use tungstenite::protocol::{Role as Side, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes, WebSocket};

use super::Contender;
use super::job::{Material, Role, Tally, Task};
use super::memory::{Memory, READ};
use crate::wire::Kind;

pub struct Tungstenite;

impl Contender for Tungstenite {
    fn name(&self) -> &'static str {
        "tungstenite"
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        match material.job.task {
            Task::Receive => receive(material, memory),
            Task::Echo => echo(memory),
            Task::Send { role, per_flush } => send(role, per_flush, material, memory),
        }
    }
}

fn open<'m, 's>(role: Side, memory: &'m mut Memory<'s>) -> WebSocket<&'m mut Memory<'s>> {
    // It zeroes this buffer for every read; its default of 128 KiB would cost it eight times more.
    let config = WebSocketConfig::default().read_buffer_size(READ);
    WebSocket::from_raw_socket(memory, role, Some(config))
}

fn receive(material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
    let mut socket = open(Side::Server, memory);
    let mut tally = Tally::default();
    while tally.messages < material.job.messages {
        add(&mut tally, &socket.read().ok()?);
    }
    Some(tally)
}

/// Flushes when a read would wait, once for all that the last one brought.
fn echo(memory: &mut Memory<'_>) -> Option<Tally> {
    memory.wait_between_reads();
    let mut socket = open(Side::Server, memory);
    let mut tally = Tally::default();
    loop {
        match socket.read() {
            Ok(message) => {
                add(&mut tally, &message);
                socket.write(message).ok()?;
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                socket.flush().ok()?;
            }
            // The end of the stream.
            Err(_) => {
                socket.flush().ok();
                return Some(tally);
            }
        }
    }
}

fn send(
    role: Role,
    per_flush: usize,
    material: &Material,
    memory: &mut Memory<'_>,
) -> Option<Tally> {
    let side = match role {
        Role::Server => Side::Server,
        Role::Client => Side::Client,
    };
    let mut socket = open(side, memory);
    for (i, payload) in (1..).zip(material.all()) {
        let message = match material.job.content.kind() {
            Kind::Binary => Message::Binary(payload.clone()),
            Kind::Text => Message::Text(Utf8Bytes::try_from(payload.clone()).ok()?),
        };
        socket.write(message).ok()?;
        if i % per_flush == 0 {
            socket.flush().ok()?;
        }
    }
    socket.flush().ok()?;
    Some(Tally::default())
}

fn add(tally: &mut Tally, message: &Message) {
    match message {
        Message::Binary(bytes) => tally.add(bytes),
        Message::Text(text) => tally.add(text.as_bytes()),
        _ => {}
    }
}
