//! However the input is cut, the events and the output are the same.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::{ReadBuffer, SendError};

/// Feeds `transcript` in pieces, echoes every message, and takes the output at the
/// end or when receiving pauses for it.
fn run(
    role: Role,
    transcript: &[u8],
    cuts: &[usize],
    change: fn(&mut Config),
) -> (Vec<Seen>, Vec<u8>) {
    let mut echo = Echo::new(role, change);
    let ends = cuts.iter().copied().chain([transcript.len()]);
    let mut start = 0;
    for end in ends {
        let mut piece = transcript[start..end].to_vec();
        start = end;
        echo.take(&mut Input::new(&mut piece));
    }
    echo.finish()
}

/// The same with reads of at most `read` bytes, each behind the beginning of a frame that
/// the last one cut.
fn run_behind(
    role: Role,
    mut transcript: &[u8],
    read: usize,
    change: fn(&mut Config),
) -> (Vec<Seen>, Vec<u8>) {
    let mut echo = Echo::new(role, change);
    let mut buffer = ReadBuffer::new(read);
    while !transcript.is_empty() {
        let target = buffer.target();
        let (piece, rest) = transcript.split_at(target.len().min(transcript.len()));
        target[..piece.len()].copy_from_slice(piece);
        transcript = rest;
        let mut input = buffer.input(piece.len());
        echo.take(&mut input);
        let cut = input.cut();
        buffer.keep(cut);
    }
    echo.take(&mut buffer.rest());
    echo.finish()
}

struct Echo {
    bench: Bench,
    seen: Vec<Seen>,
    out: Vec<u8>,
}

impl Echo {
    fn new(role: Role, change: fn(&mut Config)) -> Self {
        Self {
            bench: Bench::with(role, change),
            seen: Vec::new(),
            out: Vec::new(),
        }
    }

    fn take(&mut self, input: &mut Input<'_>) {
        let Self { bench, seen, out } = self;
        loop {
            while let Some((event, sender)) = bench.connection.poll_event(input, bench.now) {
                let event = match event {
                    Event::Message(message) => {
                        let event = match &message {
                            Message::Text(text) => Seen::Text(String::from(&**text)),
                            Message::Binary(bytes) => Seen::Binary(bytes.to_vec()),
                        };
                        let echoed = sender.send(message);
                        assert!(
                            matches!(echoed, Ok(()) | Err(SendError::Closing)),
                            "{echoed:?}"
                        );
                        event
                    }
                    other => other.into(),
                };
                seen.push(event);
            }
            if input.is_empty() || input.cut().is_some() {
                break;
            }
            assert!(!bench.connection.wants_input());
            let written = bench.output();
            assert!(!written.is_empty(), "paused with nothing to write");
            out.extend(written);
        }
    }

    fn finish(mut self) -> (Vec<Seen>, Vec<u8>) {
        self.out.extend(self.bench.output());
        (self.seen, self.out)
    }
}

/// Mostly legal frames, with what attackers and bad implementations add.
pub(super) fn transcript(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        3 => Just(Opcode::Text),
        3 => Just(Opcode::Binary),
        4 => Just(Opcode::Continuation),
        1 => Just(Opcode::Ping),
        1 => Just(Opcode::Pong),
    ];
    let payload = prop_oneof![
        4 => "[a-zé€𝄞]{0,20}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..8),
        1 => (0_usize..70_000).prop_map(|len| alloc::vec![b'x'; len]),
    ];
    let data = (any::<bool>(), opcode, payload).prop_map(move |(fin, opcode, mut payload)| {
        if opcode.is_control() {
            payload.truncate(125);
        }
        frame(role, fin || opcode.is_control(), opcode, &payload)
    });
    let message =
        "[a-zé€𝄞]{0,300}".prop_map(move |text| frame(role, true, Opcode::Text, text.as_bytes()));
    let close = Just(frame(role, true, Opcode::Close, b"\x03\xe8bye"));
    let noise = proptest::collection::vec(any::<u8>(), 0..16);
    let frames = prop_oneof![8 => message, 8 => data, 1 => close, 1 => noise];
    proptest::collection::vec(frames, 0..12).prop_map(|frames| frames.concat())
}

fn cuts(indices: &[Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = indices.iter().map(|index| index.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events_and_the_same_output(
        (role, transcript) in prop_oneof![Just(Role::Server), Just(Role::Client)]
            .prop_flat_map(|role| (Just(role), transcript(role))),
        indices in proptest::collection::vec(any::<Index>(), 0..9),
        read in prop_oneof![1_usize..200, 1000_usize..50_000],
    ) {
        let cuts = cuts(&indices, transcript.len());
        // Small limits, so that they are met.
        let configs: [fn(&mut Config); 2] = [
            |_| (),
            |config| {
                config.max_message = 400;
                config.max_fragments = 3;
                config.soft_mark = 200;
            },
        ];
        for config in configs {
            let whole = run(role, &transcript, &[], config);
            prop_assert_eq!(&run(role, &transcript, &cuts, config), &whole);
            prop_assert_eq!(&run_behind(role, &transcript, read, config), &whole);
            if transcript.len() < 4000 {
                let every: Vec<usize> = (0..transcript.len()).collect();
                prop_assert_eq!(&run(role, &transcript, &every, config), &whole);
            }
        }
    }
}
