//! A WebSocket server for one client on a machine without an operating system.
//!
//! ```sh
//! cargo build --target thumbv7m-none-eabi
//! ```
//!
//! A board brings four things: an allocator, a [`Link`] that moves bytes (a network
//! chip with TCP built in, a serial line to one, smoltcp's socket), a clock, and the
//! lamp. It calls [`Device::turn`] in its main loop, or when one of its interrupts says
//! that there is something to do, and at the latest when [`Device::next_turn`] says.

#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use sockeye_core::handshake::{Accept, ServerHandshake};
use sockeye_core::{Config, Connection, Event, Input, Message, SharedConfig, Time, Transmit};

/// A connection of a few hundred bytes, over which messages of at most 1 KiB come.
pub struct Device {
    phase: Phase,
    config: SharedConfig,
    /// The answer to the request, until it is written.
    answer: Vec<u8>,
    /// What was read and not parsed: receiving pauses while too much output waits.
    unparsed: Vec<u8>,
}

enum Phase {
    Request(ServerHandshake),
    Open(Connection),
    /// After the answer the link is to be closed.
    Refused,
}

/// What moves the bytes. Nothing here waits.
pub trait Link {
    /// Reads what is there: how much that was, or `None` after the last byte.
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize>;

    /// Writes a beginning of `bytes`: how much was taken.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// Ends the sending direction.
    fn shut_down(&mut self);
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another turn is to follow.
    Live,
    /// The link can be dropped.
    Over,
}

impl Device {
    /// For a link that has just been connected.
    pub fn new(now: Time) -> Self {
        let mut config = Config::default();
        config.max_message = 1024;
        config.soft_mark = 1024;
        config.hard_mark = 2048;
        // These limits are in order; others than these would be the defaults.
        let config = config.share().unwrap_or_default();
        let deadline = now + config.handshake_timeout;
        Self {
            phase: Phase::Request(ServerHandshake::new(config.head, deadline)),
            config,
            answer: Vec::new(),
            unparsed: Vec::new(),
        }
    }

    /// Does what can be done now. `lamp` switches the lamp, and says whether it is on.
    pub fn turn(
        &mut self,
        link: &mut impl Link,
        lamp: &mut impl FnMut(bool),
        now: Time,
    ) -> Progress {
        let mut buffer = [0; 256];
        if self.wants_input() {
            match link.read(&mut buffer) {
                Some(0) => {}
                Some(n) => self.unparsed.extend_from_slice(&buffer[..n]),
                None => return self.end(now),
            }
        }
        if let Phase::Request(handshake) = &mut self.phase {
            if let Err(error) = handshake.handle_timeout(now) {
                error.response().encode(&mut self.answer);
                self.phase = Phase::Refused;
            } else {
                self.upgrade(now);
            }
        }
        if let Phase::Open(connection) = &mut self.phase {
            connection.handle_timeout(now);
            receive(connection, &mut self.unparsed, lamp, now);
        }
        self.write(link, now)
    }

    /// When there is something to do even if nothing comes in.
    pub fn next_turn(&self) -> Option<Time> {
        match &self.phase {
            Phase::Request(handshake) => handshake.poll_timeout(),
            Phase::Open(connection) => connection.poll_timeout(),
            Phase::Refused => None,
        }
    }

    fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::Request(_) => true,
            Phase::Open(connection) => self.unparsed.is_empty() && connection.wants_input(),
            Phase::Refused => false,
        }
    }

    fn upgrade(&mut self, now: Time) {
        let Phase::Request(handshake) = &mut self.phase else {
            return;
        };
        let answered = match handshake.handle_input(&self.unparsed) {
            Ok(None) => {
                self.unparsed.clear();
                return;
            }
            Ok(Some(received)) => {
                let upgrade = received.request.upgrade();
                let consumed = received.consumed;
                upgrade.map(|upgrade| (upgrade.response(&Accept::new()), consumed))
            }
            Err(error) => Err(error),
        };
        self.phase = match answered {
            Ok((Ok(response), consumed)) => {
                response.encode(&mut self.answer);
                self.unparsed.drain(..consumed);
                Phase::Open(Connection::server(&self.config, now))
            }
            // Nothing was chosen that was not offered, so there is an answer to accept with.
            Ok((Err(_), _)) => Phase::Refused,
            Err(error) => {
                error.response().encode(&mut self.answer);
                Phase::Refused
            }
        };
    }

    fn write(&mut self, link: &mut impl Link, now: Time) -> Progress {
        let taken = link.write(&self.answer);
        self.answer.drain(..taken);
        if !self.answer.is_empty() {
            return Progress::Live;
        }
        let connection = match &mut self.phase {
            Phase::Request(_) => return Progress::Live,
            Phase::Open(connection) => connection,
            Phase::Refused => {
                link.shut_down();
                return Progress::Over;
            }
        };
        while let Some(transmit) = connection.poll_transmit() {
            match transmit {
                Transmit::Write(output) => {
                    let taken = link.write(output.first());
                    connection.handle_written(taken, now);
                    if taken == 0 {
                        break;
                    }
                }
                Transmit::Shutdown => {
                    link.shut_down();
                    connection.handle_shutdown(now);
                }
            }
        }
        // Once all has left, its memory is for others.
        drop(connection.reclaim());
        if connection.is_drained() {
            Progress::Over
        } else {
            Progress::Live
        }
    }

    fn end(&mut self, now: Time) -> Progress {
        if let Phase::Open(connection) = &mut self.phase {
            connection.handle_eof(now);
            // The end is an event too; nobody here wants to know it.
            while connection.poll_event(&mut Input::empty(), now).is_some() {}
        }
        Progress::Over
    }
}

/// The application: `on` and `off` switch the lamp, everything else is echoed.
fn receive(
    connection: &mut Connection,
    unparsed: &mut Vec<u8>,
    lamp: &mut impl FnMut(bool),
    now: Time,
) {
    let mut input = Input::new(unparsed);
    while let Some((event, sender)) = connection.poll_event(&mut input, now) {
        // Refused only while the connection closes.
        let _ = match event {
            Event::Message(Message::Text(text)) if text.as_str() == "on" => {
                lamp(true);
                sender.send("the lamp is on")
            }
            Event::Message(Message::Text(text)) if text.as_str() == "off" => {
                lamp(false);
                sender.send("the lamp is off")
            }
            Event::Message(message) => sender.send(message),
            _ => Ok(()), // Pings are answered already, and the end ends the loop of the board.
        };
    }
    let consumed = input.consumed();
    unparsed.drain(..consumed);
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// A link whose peer has sent everything already.
    #[derive(Default)]
    struct Memory {
        incoming: Vec<u8>,
        outgoing: Vec<u8>,
        is_shut: bool,
    }

    impl Link for Memory {
        fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
            // Byte by byte, as a serial line would.
            if self.incoming.is_empty() {
                return if self.is_shut { None } else { Some(0) };
            }
            buffer[0] = self.incoming.remove(0);
            Some(1)
        }

        fn write(&mut self, bytes: &[u8]) -> usize {
            let taken = bytes.len().min(3);
            self.outgoing.extend_from_slice(&bytes[..taken]);
            taken
        }

        fn shut_down(&mut self) {
            self.is_shut = true;
        }
    }

    fn run(incoming: &[u8]) -> (Vec<u8>, Vec<bool>) {
        let mut link = Memory {
            incoming: incoming.to_vec(),
            ..Memory::default()
        };
        let mut switched = vec![];
        let mut device = Device::new(Time::ZERO);
        for turn in 0.. {
            assert!(turn < 10_000, "it ends");
            let lamp = &mut |on| switched.push(on);
            if device.turn(&mut link, lamp, Time::ZERO) == Progress::Over {
                break;
            }
        }
        (link.outgoing, switched)
    }

    #[test]
    fn the_lamp_is_switched_and_the_connection_closed() {
        let (out, switched) = run(b"GET / HTTP/1.1\r\nHost: lamp\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
            \x81\x82\0\0\0\0on\x81\x83\0\0\0\0off\x82\x81\0\0\0\0!\x88\x80\0\0\0\0");
        assert_eq!(switched, [true, false]);
        assert!(out.starts_with(b"HTTP/1.1 101 "));
        assert!(out.ends_with(b"\x81\x0ethe lamp is on\x81\x0fthe lamp is off\x82\x01!\x88\x00"));
    }

    #[test]
    fn what_is_no_upgrade_is_refused() {
        let (out, _) = run(b"GET / HTTP/1.1\r\nHost: lamp\r\n\r\n");
        assert!(out.starts_with(b"HTTP/1.1 4"), "{out:?}");
    }
}
