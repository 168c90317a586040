//! Connections that share read buffers, as those of one thread do.

use proptest::prelude::*;

use super::invariance::transcript;
use super::*;
use crate::{Endpoint, Incoming, Messages, ReadBuffer};

impl From<Incoming> for Seen {
    fn from(item: Incoming) -> Self {
        match item {
            Incoming::Message(message) => match message.as_text() {
                Some(text) => Self::Text(String::from(text)),
                None => Self::Binary(message.as_bytes().to_vec()),
            },
            Incoming::Chunk { payload, last, .. } => Self::Chunk(payload, last),
            Incoming::Ping(payload) => Self::Ping(payload),
            Incoming::Pong(payload) => Self::Pong(payload),
            Incoming::Closed(closed) => Self::Closed(closed),
        }
    }
}

/// One connection, what is still to come for it, and what came out.
struct Line<'t> {
    messages: Messages,
    to_come: &'t [u8],
    seen: Vec<Seen>,
    now: Time,
}

/// What happens next to one of the lines.
#[derive(Clone, Debug)]
struct Turn {
    line: bool,
    buffer: bool,
    /// Bytes of each read; none is there at the end.
    reads: Vec<usize>,
    /// Items that the application takes then.
    takes: usize,
    short_way: bool,
}

impl<'t> Line<'t> {
    fn new(bench: Bench, transcript: &'t [u8], left_over: usize) -> Self {
        let (left_over, to_come) = transcript.split_at(left_over.min(transcript.len()));
        Self {
            messages: Messages::new(bench.connection, left_over.to_vec()),
            to_come,
            seen: Vec::new(),
            now: bench.now,
        }
    }

    fn item(&mut self, short_way: bool) -> bool {
        let held = short_way.then(|| self.messages.poll_held()).flatten();
        let item = held
            .map(Incoming::Message)
            .or_else(|| self.messages.poll_item(self.now));
        let is_some = item.is_some();
        self.seen.extend(item.map(Seen::from));
        is_some
    }

    fn take(&mut self, most: usize, short_way: bool) {
        let _ = (0..most).take_while(|_| self.item(short_way)).count();
    }

    /// As drivers do it, with as many bytes in a read as it says.
    fn receive(&mut self, buffer: &mut ReadBuffer, reads: &[usize]) {
        if !self.messages.wants_input() {
            return;
        }
        if let Some(target) = self.messages.read_target() {
            let n = reads.first().copied().unwrap_or(0);
            let n = n.min(target.len()).min(self.to_come.len());
            let (read, to_come) = self.to_come.split_at(n);
            target[..n].copy_from_slice(read);
            self.to_come = to_come;
            self.messages.handle_read(n, self.now);
            return;
        }
        for &n in reads {
            let target = buffer.target_for(&mut self.messages);
            assert!(!target.is_empty());
            let n = n.min(target.len()).min(self.to_come.len());
            let (read, to_come) = self.to_come.split_at(n);
            target[..n].copy_from_slice(read);
            self.to_come = to_come;
            if n == 0 {
                break;
            }
            let item = buffer.give(n, &mut self.messages, self.now);
            self.seen.extend(item.map(Seen::from));
            if !buffer.is_kept() || !self.messages.wants_input() {
                break;
            }
        }
        let _ = buffer.target_for(&mut self.messages);
        let item = buffer.give_rest(&mut self.messages, self.now);
        self.seen.extend(item.map(Seen::from));
        assert!(!buffer.is_kept());
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    let read = prop_oneof![0_usize..40, 0_usize..2000, 1000_usize..40_000];
    let reads = proptest::collection::vec(read, 1..4);
    let takes = prop_oneof![0_usize..4, Just(100)];
    (any::<bool>(), any::<bool>(), reads, takes, any::<bool>()).prop_map(
        |(line, buffer, reads, takes, short_way)| Turn {
            line,
            buffer,
            reads,
            takes,
            short_way,
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

proptest! {
    #[test]
    fn no_byte_is_lost_or_goes_to_another_connection(
        (roles, transcripts) in [role(), role()].prop_flat_map(|roles| {
            (Just(roles), roles.map(transcript))
        }),
        left_over in prop_oneof![Just(0_usize), 0_usize..5000],
        sizes in prop_oneof![
            Just([17 << 10, 17 << 10]),
            [1_usize..3000, 1_usize..3000],
            [1_usize..100, 1000_usize..20_000],
        ],
        turns in proptest::collection::vec(turn(), 0..60),
        config in 0_usize..3,
    ) {
        let configs: [fn(&mut Config); 3] = [
            |_| (),
            |config| {
                config.max_message = 400;
                config.max_fragments = 3;
            },
            |config| config.delivery = crate::Delivery::Chunks,
        ];
        let change = configs[config];
        let mut buffers = sizes.map(ReadBuffer::new);
        let mut lines = [0, 1].map(|i| {
            Line::new(Bench::with(roles[i], change), &transcripts[i], left_over)
        });
        for turn in turns {
            let line = &mut lines[usize::from(turn.line)];
            line.take(turn.takes, turn.short_way);
            line.receive(&mut buffers[usize::from(turn.buffer)], &turn.reads);
        }
        for (line, buffer) in lines.iter_mut().zip(&mut buffers) {
            line.take(usize::MAX, true);
            while line.messages.wants_input() && !line.to_come.is_empty() {
                line.receive(buffer, &[40_000; 3]);
                line.take(usize::MAX, true);
            }
            line.take(usize::MAX, true);
            line.receive(buffer, &[]);
            line.take(usize::MAX, true);
        }
        for ((line, role), transcript) in lines.into_iter().zip(roles).zip(&transcripts) {
            let merged = |seen: Vec<Seen>| {
                // Where chunks are cut depends on the reads.
                let mut all: Vec<Seen> = Vec::new();
                for seen in seen {
                    match (all.last_mut(), seen) {
                        (Some(Seen::Chunk(bytes, last @ false)), Seen::Chunk(more, is_last)) => {
                            bytes.extend(more);
                            *last = is_last;
                        }
                        // So is what comes before the fault that ends it.
                        (Some(last @ Seen::Chunk(_, false)), closed @ Seen::Closed(_)) => {
                            *last = closed;
                        }
                        (_, seen) => all.push(seen),
                    }
                }
                all
            };
            let mut bench = Bench::with(role, change);
            bench.connection.sender().set_duplex();
            prop_assert_eq!(merged(line.seen), merged(bench.feed(transcript)));
        }
    }
}
