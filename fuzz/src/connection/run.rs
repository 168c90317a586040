//! One run of a program, and what must hold after every step of it.

use std::mem;
use std::time::Duration;

use sockeye_core::{
    Cause, CloseCode, Connection, Event, Extensions, Frame, Header, Input, MessageKind, Opcode,
    Outgoing, OutputBuffer, Role, SharedConfig, Time, Transmit, Violation,
};

use super::operation::{Operation, Sending};
use super::{Seen, config, extensions, open, opposite};

/// How the peer's bytes are cut into reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cuts {
    None,
    /// Into single bytes, or short pieces where there are very many.
    Everywhere,
    /// Into pieces of any length, read straight into a large message's buffer where that is
    /// offered, and else behind the beginning of a frame.
    Random(u64),
}

/// A longer frame is put together.
const LONGEST: usize = 20_000;

/// What came of a program; the same however the input was cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    events: Vec<Seen>,
    output: Vec<u8>,
    ended: Time,
}

/// A connection, the transport below it and the application above it.
pub(super) struct Run {
    role: Role,
    config: SharedConfig,
    extensions: Extensions,
    connection: Connection,
    /// What the peer compresses with.
    peer: Connection,
    cuts: Cuts,
    now: Time,
    /// Whether the application sends every message back.
    echoes: bool,
    /// What the peer has sent, and how much of it the connection has taken.
    arrived: Vec<u8>,
    taken: usize,
    eof: bool,
    /// The transport is gone.
    failed: bool,
    shut_down: bool,
    events: Vec<Seen>,
    output: Vec<u8>,
    /// The messages that were taken to be sent.
    sent: Vec<(MessageKind, Vec<u8>)>,
    fragmented: Option<(MessageKind, Vec<u8>)>,
    longest: usize,
}

/// A frame header, a Close frame, and a control frame that overtakes; and what compression adds
/// to what does not get shorter.
const FRAMING: usize = Header::MAX_ENCODED + 2 * (125 + 6) + 64;

impl Run {
    pub(super) fn new(settings: u8, cuts: Cuts) -> Self {
        let role = if settings & 1 == 0 {
            Role::Server
        } else {
            Role::Client
        };
        let config = config(settings).share().expect("valid");
        let now = Time::from_micros(1_000_000);
        let extensions = extensions(settings);
        let peer = unlimited(settings);
        Self {
            role,
            connection: open(role, &config, now).with_extensions(extensions),
            peer: open(opposite(role), &peer, now).with_extensions(extensions),
            config,
            extensions,
            cuts,
            now,
            echoes: settings & 32 != 0,
            arrived: Vec::new(),
            taken: 0,
            eof: false,
            failed: false,
            shut_down: false,
            events: Vec::new(),
            output: Vec::new(),
            sent: Vec::new(),
            fragmented: None,
            longest: 0,
        }
    }

    /// Runs the program, then ends the connection in one of several ways.
    pub(super) fn finish(mut self, operations: &[Operation], end: u8) -> Outcome {
        for operation in operations {
            self.step(operation);
            self.check();
        }
        self.end(end);
        self.check_output();
        Outcome {
            events: canonical(self.events),
            output: self.output,
            ended: self.now,
        }
    }

    fn step(&mut self, operation: &Operation) {
        match operation {
            Operation::Bytes(bytes) => self.arrive(bytes),
            Operation::Frame {
                fin,
                compressed,
                opcode,
                payload,
            } => {
                let mut frame = encode(self.role, *fin, *opcode, payload);
                frame[0] |= u8::from(*compressed) << 6;
                self.arrive(&frame);
            }
            Operation::Message { payload, fragment } => {
                let wire = self.compress(payload, *fragment);
                self.arrive(&wire);
            }
            Operation::Send { kind, payload, by } => self.send(*kind, payload, *by),
            Operation::Begin(kind) => {
                if self.connection.sender().begin(*kind).is_ok() {
                    self.fragmented = Some((*kind, Vec::new()));
                }
            }
            Operation::Append(fragment) => {
                if self.connection.sender().append(fragment).is_ok() {
                    self.fragment(fragment);
                }
            }
            Operation::Finish(fragment) => {
                if self.connection.sender().finish(fragment).is_ok() {
                    self.fragment(fragment);
                    self.sent.extend(self.fragmented.take());
                }
            }
            Operation::Ping(payload) => {
                let _ = self.connection.sender().ping(payload);
            }
            Operation::Pong(payload) => {
                let _ = self.connection.sender().pong(payload);
            }
            Operation::Close { code, reason } => {
                let _ = self
                    .connection
                    .sender()
                    .close(CloseCode::new(*code), reason);
            }
            Operation::Pause => self.connection.sender().pause(),
            Operation::Resume => self.connection.sender().resume(),
            Operation::Abort => self.connection.sender().abort(),
            Operation::Write(n) => self.write(*n),
            Operation::Eof => self.eof = true,
            Operation::Error => {
                self.connection.handle_error(self.now);
                self.failed = true;
            }
            Operation::Pass(millis) => {
                self.now = self.now + Duration::from_millis((*millis).into());
                self.connection.handle_timeout(self.now);
            }
            Operation::PassToDeadline => {
                self.pass_to_deadline();
            }
            Operation::SpuriousTimeout => self.time_out_early(),
            Operation::Lend => {
                let buffer = self.connection.reclaim();
                let buffer = buffer.unwrap_or_else(|| OutputBuffer::with_capacity(100));
                self.connection.lend(buffer);
            }
        }
        self.read(Read::Held);
    }

    /// A message as the peer sends it.
    fn compress(&mut self, payload: &[u8], fragment: u8) -> Vec<u8> {
        let sender = self.peer.sender();
        let sent = match usize::from(fragment) {
            0 => sender.send(payload),
            len => sender
                .begin(MessageKind::Binary)
                .and_then(|()| {
                    payload
                        .chunks(len)
                        .try_for_each(|piece| sender.append(piece))
                })
                .and_then(|()| sender.finish(b"")),
        };
        sent.expect("the peer is open");
        let mut wire = Vec::new();
        while let Some(Transmit::Write(output)) = self.peer.poll_transmit() {
            let before = wire.len();
            output
                .slices()
                .for_each(|slice| wire.extend_from_slice(slice));
            self.peer.handle_written(wire.len() - before, self.now);
        }
        wire
    }

    /// The peer's bytes reach this side.
    fn arrive(&mut self, bytes: &[u8]) {
        if self.eof || self.failed {
            return;
        }
        self.arrived.extend_from_slice(bytes);
        self.read(Read::Fresh);
    }

    /// Reads while the connection wants to, then the end of the bytes if it is there.
    fn read(&mut self, read: Read) {
        let mut calls = 0;
        let most = 2 * self.unread().len();
        // The beginning of a frame, which is not taken until there is more of it or no more.
        let mut cut = 0;
        while self.connection.wants_input() && !self.unread().is_empty() {
            assert!(calls <= most, "reading makes no progress");
            calls += 1;
            let more = self.unread().len() - cut;
            let len = match more {
                0 => cut,
                _ => cut + self.cuts.next(more),
            };
            let mut piece = self.unread()[..len].to_vec();
            let is_random = matches!(self.cuts, Cuts::Random(_)) && read == Read::Fresh;
            if is_random
                && cut == 0
                && let Some(target) = self.connection.read_target()
            {
                let n = len.min(target.len());
                assert!(n > 0);
                target[..n].copy_from_slice(&piece[..n]);
                self.taken += n;
                self.connection.handle_read(n, self.now);
                self.take_events(Input::empty());
                continue;
            }
            let used = self.take_events(match read {
                Read::Fresh if more > 0 && is_random => Input::continued(&mut piece, LONGEST),
                Read::Fresh if more > 0 => Input::new(&mut piece),
                _ => Input::held(&mut piece),
            });
            self.taken += used;
            cut = len - used;
            assert!(cut == 0 || (is_random && more > 0) || !self.connection.wants_input());
        }
        self.take_events(Input::empty());
        if !self.unread().is_empty() {
            return;
        }
        self.arrived.clear();
        self.taken = 0;
        if self.eof && self.connection.wants_input() {
            self.connection.handle_eof(self.now);
            assert!(!self.connection.wants_input());
            self.take_events(Input::empty());
        }
    }

    fn unread(&self) -> &[u8] {
        &self.arrived[self.taken..]
    }

    /// Takes every event of a piece, and says how much of it was used.
    fn take_events(&mut self, mut input: Input<'_>) -> usize {
        let len = input.remaining().len();
        let mut count = 0;
        while let Some((event, sender)) = self.connection.poll_event(&mut input, self.now) {
            let seen = Seen::from(&event);
            assert!(
                !matches!(self.events.last(), Some(Seen::Closed(_))),
                "{seen:?} follows the end"
            );
            if let (Event::Message(message), true) = (event, self.echoes) {
                let (kind, payload) = (message.kind(), message.as_bytes().to_vec());
                if sender.send(message).is_ok() {
                    self.longest = self.longest.max(payload.len());
                    self.sent.push((kind, payload));
                }
            }
            self.events.push(seen);
            count += 1;
            // A piece of 16 KiB may come of 16 bytes.
            assert!(count <= 2 * len + 2, "more events than input");
        }
        input.consumed()
    }

    fn send(&mut self, kind: MessageKind, payload: &[u8], by: Sending) {
        let lent = match kind {
            MessageKind::Text => Outgoing::text(str::from_utf8(payload).expect("ASCII")),
            MessageKind::Binary => Outgoing::binary(payload),
        };
        let sender = self.connection.sender();
        let result = match (by, kind) {
            (Sending::Lent, _) => sender.send(lent),
            (Sending::Frame, _) => sender.send_frame(&Frame::new(lent)),
            (Sending::Owned, MessageKind::Binary) => sender.send(payload.to_vec()),
            (Sending::Owned, MessageKind::Text) => {
                sender.send(String::from_utf8(payload.to_vec()).expect("ASCII"))
            }
        };
        if result.is_ok() {
            self.longest = self.longest.max(payload.len());
            self.sent.push((kind, payload.to_vec()));
        }
    }

    fn fragment(&mut self, fragment: &[u8]) {
        self.longest = self.longest.max(fragment.len());
        let (_, payload) = self.fragmented.as_mut().expect("begun");
        payload.extend_from_slice(fragment);
    }

    /// The transport takes up to `n` bytes, once.
    fn write(&mut self, n: usize) {
        if self.failed {
            return;
        }
        let has_output = self.connection.has_output();
        let next = self.connection.poll_transmit();
        assert_eq!(next.is_some(), has_output, "it was told otherwise");
        match next {
            None => {}
            Some(Transmit::Shutdown) => {
                assert!(
                    !mem::replace(&mut self.shut_down, true),
                    "a second half-close"
                );
                self.connection.handle_shutdown(self.now);
            }
            Some(Transmit::Write(output)) => {
                assert!(!self.shut_down, "output behind the half-close");
                assert_eq!(output.is_single(), output.slices().count() == 1);
                assert!(output.slices().all(|slice| !slice.is_empty()));
                let before = self.output.len();
                for slice in output.slices() {
                    let room = n - (self.output.len() - before);
                    self.output
                        .extend_from_slice(&slice[..slice.len().min(room)]);
                }
                let written = self.output.len() - before;
                self.connection.handle_written(written, self.now);
            }
        }
    }

    fn pass_to_deadline(&mut self) -> bool {
        let Some(deadline) = self.connection.poll_timeout() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.connection.handle_timeout(self.now);
        true
    }

    fn time_out_early(&mut self) {
        let before = (self.connection.poll_timeout(), self.connection.is_drained());
        if before.0.is_none_or(|deadline| deadline > self.now) && self.connection.sender().is_open()
        {
            self.connection.handle_timeout(self.now);
            let after = (self.connection.poll_timeout(), self.connection.is_drained());
            assert_eq!(after, before);
        }
    }

    /// What holds between any two steps.
    fn check(&mut self) {
        let queued = self.connection.sender().buffered();
        let most = self.config.hard_mark + self.longest + FRAMING;
        assert!(queued <= most, "{queued} bytes are queued, beyond {most}");
        if self.connection.is_drained() {
            assert!(!self.connection.wants_input());
            assert_eq!(self.connection.poll_timeout(), None);
            assert!(self.connection.poll_transmit().is_none());
            assert_eq!(self.connection.sender().buffered(), 0);
            assert!(matches!(self.events.last(), Some(Seen::Closed(_))));
        }
    }

    /// Brings the connection to its end, which must come in a bounded number of steps.
    fn end(&mut self, end: u8) {
        self.connection.sender().resume();
        match end % 4 {
            // The peer goes away, and takes what is left.
            0 => self.eof = true,
            // The peer neither reads nor writes, and the application closes.
            1 => drop(self.connection.sender().close(CloseCode::NORMAL, "")),
            // The peer answers our Close, and reads.
            2 => {
                let _ = self.connection.sender().close(CloseCode::GOING_AWAY, "bye");
                self.write(usize::MAX);
                self.arrive(&encode(self.role, true, Opcode::Close, b"\x03\xe9"));
                self.eof = true;
            }
            _ => self.step(&Operation::Error),
        }
        let mut steps = 0;
        while !self.connection.is_drained() {
            assert!(steps < 100, "no end in sight");
            steps += 1;
            self.read(Read::Held);
            self.write(if end % 4 == 1 { 0 } else { usize::MAX });
            self.read(Read::Held);
            self.check();
            if end % 4 == 1 || self.connection.poll_transmit().is_none() {
                let waits = self.pass_to_deadline();
                assert!(waits || self.connection.is_drained(), "nothing to wait for");
            }
        }
        self.read(Read::Held);
        self.check();
    }

    /// What was written is legal, and means what was sent.
    fn check_output(&self) {
        let receiver = opposite(self.role);
        // RSV1 is looked at below.
        let agreed = self.extensions != Extensions::NONE;
        let mut plain = self.output.clone();
        let mut rest = &mut *plain;
        let mut closing = false;
        loop {
            if let (true, Some(first)) = (agreed, rest.first_mut()) {
                *first &= !0x40;
            }
            let header = Header::decode(rest, receiver).expect("a legal header");
            let Some((header, len)) = header else { break };
            // RFC 6455 §5.5.1: no data behind a Close frame; a Ping may still be answered.
            let may_follow = matches!(header.opcode, Opcode::Ping | Opcode::Pong);
            assert!(!closing || may_follow, "{header:?} behind the Close frame");
            closing |= header.opcode == Opcode::Close;
            let end = rest.len().min(len + header.len as usize);
            rest = &mut rest[end..];
        }
        let mut peer = open(receiver, &unlimited(0), self.now).with_extensions(self.extensions);
        let mut sent = self.sent.iter();
        for seen in super::events(&mut peer, &self.output) {
            match seen {
                Seen::Message(kind, payload) => assert_eq!(sent.next(), Some(&(kind, payload))),
                Seen::Closed(closed) => assert_eq!(closed.cause, Cause::Handshake, "{closed:?}"),
                Seen::Ping(_) | Seen::Pong(_) | Seen::Chunk(..) => {}
            }
        }
    }
}

/// The settings of a peer that lets everything pass.
fn unlimited(settings: u8) -> SharedConfig {
    // Compression as on our side.
    let mut limits = config(settings & 64);
    limits.max_message = sockeye_core::Config::UNLIMITED;
    limits.max_fragments = u32::MAX;
    limits.hard_mark = sockeye_core::Config::UNLIMITED;
    limits.share().expect("valid")
}

/// Whether bytes were just read, or were read before and held while receiving paused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Fresh,
    Held,
}

impl Cuts {
    /// How many of `len` bytes the next read brings.
    fn next(&mut self, len: usize) -> usize {
        match self {
            Self::None => len,
            Self::Everywhere if len <= 2000 => 1,
            Self::Everywhere => 997,
            Self::Random(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                let most = if *state & 1 == 0 { 20 } else { 40_000 };
                len.min(1 + (*state >> 8) as usize % most)
            }
        }
    }
}

/// A frame as `role` receives it.
fn encode(role: Role, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let header = Header {
        compressed: false,
        fin,
        opcode,
        mask,
        len: payload.len() as u64,
    };
    let mut out = Vec::new();
    header.encode(&mut out);
    let key = mask.unwrap_or_default();
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

/// The events without what depends on the cuts by contract: where a message is cut into pieces,
/// and how much of it came before its first wrong byte.
fn canonical(events: Vec<Seen>) -> Vec<Seen> {
    let mut joined: Vec<Seen> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Seen::Chunk(_, payload, last @ false)), Seen::Chunk(_, more, end)) => {
                payload.extend(more);
                *last = end;
            }
            (Some(Seen::Chunk(_, _, false)), Seen::Closed(closed))
                if is_in_payload(closed.cause) =>
            {
                joined.pop();
                joined.push(Seen::Closed(closed));
            }
            (_, event) => joined.push(event),
        }
    }
    joined
}

fn is_in_payload(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Violation(Violation::Utf8 | Violation::Deflate)
    )
}
