//! What is to be done, and the bytes for it.

use std::fmt;

use bytes::Bytes;

use super::memory::{Memory, Window};
use crate::wire::{self, Kind};

/// What a contender does with each message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Receives it, as a server.
    Receive,
    /// Receives it and sends it back, as a server.
    Echo,
    /// Sends it, and writes out after every so many.
    Send { role: Role, per_flush: usize },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// What payloads consist of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Binary,
    /// Text of one byte per character.
    Ascii,
    /// Text of one to four bytes per character.
    Multibyte,
}

impl Content {
    pub fn kind(self) -> Kind {
        match self {
            Self::Binary => Kind::Binary,
            Self::Ascii | Self::Multibyte => Kind::Text,
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Job {
    pub task: Task,
    pub content: Content,
    /// Bytes of each payload.
    pub len: usize,
    /// How many messages are timed at once.
    pub messages: usize,
}

impl Job {
    /// What is done, without the length.
    pub fn task(&self) -> String {
        let task = match self.task {
            Task::Receive => "receive",
            Task::Echo => "receive and answer",
            Task::Send {
                role: Role::Server, ..
            } => "server send",
            Task::Send {
                role: Role::Client, ..
            } => "client send",
        };
        let content = match self.content {
            Content::Binary => "binary",
            Content::Ascii => "ASCII",
            Content::Multibyte => "multi-byte",
        };
        match self.task {
            Task::Send { per_flush, .. } => format!("{task}, {content}, {per_flush} per flush"),
            _ => format!("{task}, {content}"),
        }
    }

    /// The length of each payload.
    pub fn length(&self) -> String {
        match self.len {
            len if len >= 1 << 20 => format!("{} MiB", len >> 20),
            len if len >= 1 << 10 => format!("{} KiB", len >> 10),
            len => format!("{len} B"),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.task(), self.length())
    }
}

/// The bytes of a job, at addresses that differ from round to round: some distances between the
/// source and the target of a long copy make it many times slower, and no contender is to win or
/// lose by that.
pub struct Material {
    pub job: Job,
    /// Different payloads of one length, to be sent or received in turn.
    pub payloads: Vec<Bytes>,
    /// The payloads as a client sends them, behind `shift` bytes of nothing.
    stream: Vec<u8>,
    shift: usize,
    /// Bytes of a message in the stream.
    frame: usize,
}

/// The prepared stream fills more than the nearest cache.
const STREAM: usize = 96 << 10;

impl Material {
    pub fn new(job: Job, round: usize) -> Self {
        let shift = round * 72 % 4096;
        let mut random = Random(round as u64 + 1);
        let payloads: Vec<Bytes> = (0..(STREAM / (job.len + 8)).max(2))
            .map(|_| payload(job.content, job.len, &mut random).into())
            .collect();
        let mut stream = vec![0; shift];
        for payload in &payloads {
            let key = (random.next() as u32).to_ne_bytes();
            wire::encode(job.content.kind(), Some(key), payload, &mut stream);
        }
        let frame = (stream.len() - shift) / payloads.len();
        Self {
            job,
            payloads,
            stream,
            shift,
            frame,
        }
    }

    /// The transport over which all messages will come.
    pub fn memory<'a>(&'a self, window: &'a mut Window) -> Memory<'a> {
        let incoming = self.frame * self.job.messages;
        Memory::new(&self.stream[self.shift..], incoming, window)
    }

    /// Where in a buffer of 4 KiB more than it needs one of those who have no other reads to.
    pub fn offset(&self) -> usize {
        self.shift * 5 % 4096
    }

    /// Every payload of the job, in order.
    pub fn all(&self) -> impl Iterator<Item = &Bytes> {
        self.payloads.iter().cycle().take(self.job.messages)
    }

    /// What is to be received.
    pub fn expected(&self) -> Tally {
        let mut tally = Tally::default();
        if matches!(self.job.task, Task::Send { .. }) {
            return tally;
        }
        self.all().for_each(|payload| tally.add(payload));
        tally
    }

    /// How many bytes are to be written.
    pub fn written(&self) -> usize {
        let mask = match self.job.task {
            Task::Receive => return 0,
            Task::Send {
                role: Role::Client, ..
            } => 0,
            Task::Echo
            | Task::Send {
                role: Role::Server, ..
            } => 4,
        };
        self.job.messages * (self.frame - mask)
    }
}

/// What was received: enough to know that all of it came, unmasked to the last byte, and little
/// enough to cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub messages: usize,
    bytes: usize,
    ends: usize,
}

impl Tally {
    #[inline]
    pub fn add(&mut self, payload: &[u8]) {
        self.add_piece(payload, true);
    }

    /// A piece of a message, and whether it is the last one.
    #[inline]
    pub fn add_piece(&mut self, piece: &[u8], last: bool) {
        self.bytes += piece.len();
        if last {
            self.messages += 1;
            self.ends += piece.last().map_or(0, |end| usize::from(*end));
        }
        std::hint::black_box(piece);
    }
}

fn payload(content: Content, len: usize, random: &mut Random) -> Vec<u8> {
    let mut payload = Vec::with_capacity(len);
    match content {
        Content::Binary => payload.extend((0..len).map(|_| random.next() as u8)),
        Content::Ascii => payload.extend((0..len).map(|_| b' ' + (random.next() % 95) as u8)),
        Content::Multibyte => {
            while payload.len() < len {
                let character = ['e', 'é', '€', '語', '𝄞'][random.next() as usize % 5];
                if payload.len() + character.len_utf8() <= len {
                    payload.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }
    payload
}

/// Xorshift: the same payloads in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }
}
