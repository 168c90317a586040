//! The members of a room: one thread, the same for every server.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::dialect::Dialect;
use crate::idle::clients;
use crate::wire::{self, Kind};

const WARM_UP: Duration = Duration::from_millis(300);

/// After this a server that should have delivered has not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages of a sender whose times are remembered.
const REMEMBERED: usize = 1024;

/// A load: some members send, and send again when their own copy has come.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub senders: usize,
    /// Messages that a sender has under way.
    pub depth: usize,
    /// Bytes of each text, at least 24.
    pub len: usize,
    pub time: Duration,
    /// Messages a second of all senders; none: as fast as copies come back.
    pub rate: Option<u32>,
}

/// Does what standard input says, a line at a time, and answers each with a line:
/// `join COUNT`, `stall COUNT` (which join, and do not read any more), `run SENDERS DEPTH LEN MS`,
/// `pace SENDERS RATE LEN MS`, `settle MS`, `judge`.
pub fn run(port: u16, dialect: Dialect, prefix: &str) -> io::Result<()> {
    let mut crowd = Crowd::new(port, dialect, prefix)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split(' ');
        let what = words.next().unwrap_or_default();
        let numbers: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
        let said = match (what, &numbers[..]) {
            ("join", [count]) => crowd.join(*count, None).map(|()| "done".into()),
            ("stall", [count]) => crowd.stall(*count).map(|()| "done".into()),
            ("run", [senders, depth, len, time]) => crowd.run(Load {
                senders: *senders,
                depth: *depth,
                len: *len,
                time: Duration::from_millis(*time as u64),
                rate: None,
            }),
            ("pace", [senders, rate, len, time]) => crowd.run(Load {
                senders: *senders,
                depth: 0,
                len: *len,
                time: Duration::from_millis(*time as u64),
                rate: Some(*rate as u32),
            }),
            ("settle", [time]) => crowd.settle(Duration::from_millis(*time as u64)),
            ("judge", []) => crowd.judge(),
            _ => Err(io::Error::other(line)),
        }?;
        println!("{said}");
    }
    Ok(())
}

struct Crowd {
    port: u16,
    /// What the names of members begin with.
    prefix: String,
    dialect: Dialect,
    poll: Poll,
    members: Vec<Member>,
    /// Members from here on do not read.
    stalled_from: usize,
    senders: Vec<Sender>,
    text: Finder<'static>,
    buffer: Vec<u8>,
    tally: Tally,
}

/// What came in since the last look.
struct Tally {
    delivered: u64,
    /// Frames that are no message of the room.
    other: u64,
    latency: Histogram<u64>,
}

struct Member {
    socket: TcpStream,
    /// The beginning of a frame.
    partial: Vec<u8>,
    unwritten: Vec<u8>,
    /// What each sender's next message is.
    expected: Vec<u32>,
}

#[derive(Default)]
struct Sender {
    /// The number of the next message.
    next: u32,
    /// How many copies of its own have come back.
    back: u32,
    /// When the last were sent.
    sent: VecDeque<Instant>,
}

impl Crowd {
    fn new(port: u16, dialect: Dialect, prefix: &str) -> io::Result<Self> {
        Ok(Self {
            port,
            prefix: prefix.into(),
            dialect,
            poll: Poll::new()?,
            members: Vec::new(),
            stalled_from: usize::MAX,
            senders: Vec::new(),
            text: Finder::new(b"\"text\":\""),
            buffer: vec![0; 256 << 10],
            tally: Tally::new(),
        })
    }

    /// More members, each logged in and in the room; `received` is of [`clients::connect`].
    fn join(&mut self, count: usize, received: Option<usize>) -> io::Result<()> {
        for number in self.members.len()..self.members.len() + count {
            let mut stream = clients::connect(self.port, number, received)?;
            self.dialect
                .enter(&mut stream, &format!("{}{number}", self.prefix))?;
            stream.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut socket, Token(number), interest)?;
            self.members.push(Member {
                socket,
                partial: Vec::new(),
                unwritten: Vec::new(),
                expected: Vec::new(),
            });
        }
        Ok(())
    }

    /// So many more, who do not read once they are in.
    fn stall(&mut self, count: usize) -> io::Result<()> {
        self.stalled_from = self.members.len();
        // So that the system does not read for them.
        self.join(count, Some(4096))
    }

    /// Says `begin` once the server is warm, and at the end how many deliveries there were,
    /// in how many nanoseconds, the median and the 99th of 100 latencies, and the CPU time that it
    /// took itself. Everything that was sent has been delivered, to everybody, in order.
    fn run(&mut self, load: Load) -> io::Result<String> {
        self.senders.clear();
        self.senders.resize_with(load.senders, Sender::default);
        let reading = self.members.len().min(self.stalled_from);
        for member in &mut self.members {
            member.expected = vec![0; load.senders];
        }
        let mut events = Events::with_capacity(1024);
        for sender in 0..load.senders {
            for _ in 0..load.depth {
                self.send(sender, load.len)?;
            }
        }
        let (mut began, mut cpu) = (Instant::now(), crate::measure::cpu_time());
        let mut is_warm = false;
        let mut figures = None;
        let mut deadline = None;
        let (paced_from, mut paced) = (Instant::now(), 0);
        let patience = Duration::from_millis(if load.rate.is_some() { 1 } else { 50 });
        loop {
            self.poll.poll(&mut events, Some(patience))?;
            for event in &events {
                let number = event.token().0;
                if number >= reading {
                    continue;
                }
                self.members[number].write()?;
                self.read(number)?;
            }
            if let Some(rate) = load.rate.filter(|_| figures.is_none()) {
                let due = (paced_from.elapsed().as_secs_f64() * f64::from(rate)) as usize;
                while paced < due {
                    self.send(paced % load.senders, load.len)?;
                    paced += 1;
                }
            } else if figures.is_none() {
                for sender in 0..load.senders {
                    let under_way = self.senders[sender].next - self.senders[sender].back;
                    for _ in under_way as usize..load.depth {
                        self.send(sender, load.len)?;
                    }
                }
            }
            let passed = began.elapsed();
            if !is_warm && passed >= WARM_UP {
                println!("begin");
                is_warm = true;
                (began, cpu) = (Instant::now(), crate::measure::cpu_time());
                self.tally = Tally::new();
            } else if is_warm && figures.is_none() && passed >= load.time {
                let cpu = crate::measure::cpu_time() - cpu;
                let at = |quantile| self.tally.latency.value_at_quantile(quantile);
                figures = Some(format!(
                    "{} {} {} {} {}",
                    self.tally.delivered,
                    passed.as_nanos(),
                    at(0.5),
                    at(0.99),
                    cpu.as_nanos()
                ));
                println!("end");
                deadline = Some(Instant::now() + PATIENCE);
            }
            if let Some(figures) = &figures {
                let sent: Vec<u32> = self.senders.iter().map(|sender| sender.next).collect();
                let members = &self.members[..reading];
                if members.iter().all(|member| member.expected == sent) {
                    return Ok(figures.clone());
                }
                if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                    return Err(io::Error::other("not everything was delivered"));
                }
            }
        }
    }

    /// Reads for so long; how many messages and other frames came.
    fn settle(&mut self, time: Duration) -> io::Result<String> {
        let mut events = Events::with_capacity(1024);
        self.tally = Tally::new();
        let until = Instant::now() + time;
        while let Some(rest) = until.checked_duration_since(Instant::now()) {
            self.poll.poll(&mut events, Some(rest))?;
            for event in &events {
                let number = event.token().0;
                if number < self.stalled_from {
                    self.members[number].write()?;
                    self.read(number)?;
                }
            }
        }
        Ok(format!("{} {}", self.tally.delivered, self.tally.other))
    }

    /// Reads what those who stalled were sent, up to a Close: how many were told 4008, and how
    /// many bytes they all got.
    fn judge(&mut self) -> io::Result<String> {
        let (mut told, mut bytes) = (0, 0);
        let mut stalled: Vec<Member> = self.members.drain(self.stalled_from..).collect();
        for member in &stalled {
            SockRef::from(&member.socket).set_recv_buffer_size(1 << 20)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while !stalled.is_empty() && Instant::now() < deadline {
            stalled.retain_mut(|member| {
                let n = match member.socket.read(&mut self.buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Ok(0) | Err(_) => return false,
                    Ok(n) => n,
                };
                bytes += n;
                member.partial.extend_from_slice(&self.buffer[..n]);
                let mut rest = &member.partial[..];
                while let Some((first, payload, len)) = frame(rest) {
                    if first == 0x88 {
                        told += usize::from(payload.starts_with(&4008_u16.to_be_bytes()));
                        return false;
                    }
                    rest = &rest[len..];
                }
                member.partial = rest.to_vec();
                true
            });
        }
        Ok(format!("{told} {bytes}"))
    }

    fn send(&mut self, number: usize, len: usize) -> io::Result<()> {
        let sender = &mut self.senders[number];
        let mut text = String::with_capacity(len);
        // A string takes everything.
        let _ = write!(text, "{number}.{}.", sender.next);
        while text.len() < len {
            text.push(char::from(b'a' + (text.len() % 26) as u8));
        }
        sender.next += 1;
        sender.sent.push_back(Instant::now());
        if sender.sent.len() > REMEMBERED {
            sender.sent.pop_front();
        }
        let message = self.dialect.message(&text);
        let member = &mut self.members[number];
        let key = (sender.next.wrapping_mul(0x9e37_79b9) | 1).to_ne_bytes();
        wire::encode(
            Kind::Text,
            Some(key),
            message.as_bytes(),
            &mut member.unwritten,
        );
        member.write()
    }

    /// Reads what there is for one member.
    fn read(&mut self, number: usize) -> io::Result<()> {
        loop {
            let n = match self.members[number].socket.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            let mut partial = std::mem::take(&mut self.members[number].partial);
            let buffer = std::mem::take(&mut self.buffer);
            let mut rest = if partial.is_empty() {
                &buffer[..n]
            } else {
                partial.extend_from_slice(&buffer[..n]);
                &partial[..]
            };
            while let Some((first, payload, len)) = frame(rest) {
                self.handle(number, first, payload, now)?;
                rest = &rest[len..];
            }
            self.members[number].partial = rest.to_vec();
            self.buffer = buffer;
            if n < self.buffer.len() {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, number: usize, first: u8, payload: &[u8], now: Instant) -> io::Result<()> {
        let failed =
            || io::Error::other(format!("m{number}: {first:#x} {}", payload.escape_ascii()));
        if first == 0x88 {
            return Err(failed());
        }
        let Some(at) = self.text.find(payload) else {
            self.tally.other += 1;
            return Ok(());
        };
        let mut parts = payload[at + 8..].split(|byte| *byte == b'.');
        let mut part = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
        let (Some(sender), Some(seq)) = (part(), part()) else {
            return Err(failed());
        };
        let sender = sender as usize;
        let member = &mut self.members[number];
        let Some(expected) = member.expected.get_mut(sender) else {
            return Err(failed());
        };
        // Order, nothing lost and nothing twice.
        if *expected != seq {
            return Err(failed());
        }
        *expected += 1;
        self.tally.delivered += 1;
        let sender_state = &mut self.senders[sender];
        let age = (sender_state.next - seq) as usize;
        if let Some(sent) = sender_state.sent.len().checked_sub(age) {
            let latency = now.saturating_duration_since(sender_state.sent[sent]);
            self.tally
                .latency
                .saturating_record(latency.as_nanos() as u64);
        }
        if number == sender {
            sender_state.back = seq + 1;
        }
        Ok(())
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            delivered: 0,
            other: 0,
            latency: Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("bounds"),
        }
    }
}

impl Member {
    fn write(&mut self) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match self.socket.write(&self.unwritten) {
                Ok(n) => drop(self.unwritten.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first byte, the payload and the length of a server's frame, if it is whole.
pub fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*len) as usize, rest)
        }
        len => (usize::from(len), rest),
    };
    let payload = rest.get(..len)?;
    Some((*first, payload, bytes.len() - rest.len() + len))
}
