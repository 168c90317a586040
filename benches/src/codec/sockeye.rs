//! Ours, in its ways to receive.

use std::time::Duration;

use sockeye_core::{
    Config, Connection, Endpoint, Event, Incoming, Input, Messages, Outgoing, OwnedMessage,
    ReadBuffer, Seed, SharedConfig, Time, Transmit,
};

use super::Contender;
use super::job::{Content, Job, Material, Role, Tally, Task};
use super::memory::{Memory, READ};
use crate::wire::Kind;

/// How messages are received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sockeye {
    /// Lent from the read buffer where they lie whole in it.
    Lent,
    /// The same, with large ones read straight into their own buffer.
    Target,
    /// Kept, each by `poll_owned` if it lies whole in the read buffer, as most do.
    Owned,
    /// One at a time and owned, as `recv().await` gives them.
    Recv,
}

impl Contender for Sockeye {
    fn name(&self) -> &'static str {
        match self {
            Self::Lent => "sockeye",
            Self::Target => "sockeye, read target",
            Self::Owned => "sockeye, owned",
            Self::Recv => "sockeye, `recv`",
        }
    }

    fn can(&self, job: &Job) -> bool {
        match (self, job.task) {
            (Self::Lent, _) => true,
            (_, Task::Send { .. }) => false,
            (Self::Target, _) => job.len >= READ && job.content == Content::Binary,
            (Self::Owned | Self::Recv, _) => true,
        }
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        let config = Config::default().share().ok()?;
        match (material.job.task, self) {
            (Task::Send { role, per_flush }, _) => send(&config, role, per_flush, material, memory),
            (_, Self::Recv) => recv(&config, material, memory),
            _ => receive(&config, *self, material, memory),
        }
    }
}

fn receive(
    config: &SharedConfig,
    way: Sockeye,
    material: &Material,
    memory: &mut Memory<'_>,
) -> Option<Tally> {
    let mut now = Time::ZERO;
    let mut connection = Connection::server(config, now);
    let answers = material.job.task == Task::Echo;
    let mut buffer = ReadBuffer::default();
    let mut tally = Tally::default();
    loop {
        now = now + Duration::from_micros(10);
        let target = match way {
            Sockeye::Target => connection.read_target(),
            _ => None,
        };
        let mut input = if let Some(target) = target {
            let n = memory.fetch(target);
            connection.handle_read(n, now);
            Input::empty()
        } else {
            match memory.fetch(buffer.target()) {
                0 => return Some(tally),
                n => buffer.input(n),
            }
        };
        loop {
            if way == Sockeye::Owned {
                // The shorter way first.
                while let Some(message) = connection.poll_owned(&mut input, now) {
                    tally.add(message.as_bytes());
                    if answers {
                        connection.sender().send(message).ok()?;
                    }
                }
            }
            while let Some((event, sender)) = connection.poll_event(&mut input, now) {
                let Event::Message(message) = event else {
                    return None;
                };
                if way == Sockeye::Owned {
                    let message = message.into_owned();
                    tally.add(message.as_bytes());
                    if answers {
                        sender.send(message).ok()?;
                    }
                } else {
                    tally.add(message.as_bytes());
                    if answers {
                        sender.send(message).ok()?;
                    }
                }
            }
            // Once for all that the read brought.
            flush(&mut connection, memory, now);
            if input.is_empty() || input.cut().is_some() {
                break;
            }
        }
        let cut = input.cut();
        buffer.keep(cut);
    }
}

fn recv(config: &SharedConfig, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
    let mut now = Time::ZERO;
    let mut messages = Messages::new(Connection::server(config, now), Vec::new());
    let answers = material.job.task == Task::Echo;
    let mut buffer = ReadBuffer::default();
    let mut tally = Tally::default();
    loop {
        now = now + Duration::from_micros(10);
        let mut item = if let Some(target) = messages.read_target() {
            let n = memory.fetch(target);
            messages.handle_read(n, now);
            messages.poll_item(now)
        } else {
            match memory.fetch(buffer.target_for(&mut messages)) {
                0 => return Some(tally),
                n => buffer.give(n, &mut messages, now),
            }
        };
        loop {
            while let Some(Incoming::Message(message)) = item {
                take(&mut messages, message, answers, &mut tally)?;
                // The shorter way first, as the adapters do.
                while let Some(message) = messages.poll_held() {
                    take(&mut messages, message, answers, &mut tally)?;
                }
                item = messages.poll_item(now);
            }
            while let Some(Transmit::Write(output)) = messages.poll_transmit() {
                let before = memory.written;
                memory.store_all(output.slices());
                messages.handle_written(memory.written - before, now);
            }
            if !messages.holds_input() {
                break;
            }
            item = messages.poll_item(now);
        }
    }
}

#[inline]
fn take(
    messages: &mut Messages,
    message: OwnedMessage,
    answers: bool,
    tally: &mut Tally,
) -> Option<()> {
    tally.add(message.as_bytes());
    if answers {
        messages.sender().send(message).ok()?;
    }
    Some(())
}

fn send(
    config: &SharedConfig,
    role: Role,
    per_flush: usize,
    material: &Material,
    memory: &mut Memory<'_>,
) -> Option<Tally> {
    let now = Time::ZERO;
    let mut connection = match role {
        Role::Server => Connection::server(config, now),
        Role::Client => Connection::client(config, &Seed::new([7; 32]), now),
    };
    let kind = material.job.content.kind();
    let by_reference = material.job.len >= READ;
    for (i, payload) in (1..).zip(material.all()) {
        let message = match kind {
            _ if by_reference && kind == Kind::Binary => payload.clone().into(),
            Kind::Binary => Outgoing::binary(payload),
            Kind::Text => Outgoing::text(std::str::from_utf8(payload).ok()?),
        };
        connection.sender().send(message).ok()?;
        if i % per_flush == 0 || connection.wants_flush() {
            flush(&mut connection, memory, now);
        }
    }
    flush(&mut connection, memory, now);
    Some(Tally::default())
}

fn flush(connection: &mut Connection, memory: &mut Memory<'_>, now: Time) {
    while let Some(Transmit::Write(output)) = connection.poll_transmit() {
        let before = memory.written;
        if output.is_single() {
            memory.store(output.first());
        } else {
            memory.store_all(output.slices());
        }
        connection.handle_written(memory.written - before, now);
    }
}
