//! However the input is cut, the events and the output are the same.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::SendError;

/// Feeds `transcript` in pieces, echoes every message, and takes the output at the
/// end or when receiving pauses for it.
fn run(
    role: Role,
    transcript: &[u8],
    cuts: &[usize],
    change: fn(&mut Config),
) -> (Vec<Seen>, Vec<u8>) {
    let mut bench = Bench::with(role, change);
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    let ends = cuts.iter().copied().chain([transcript.len()]);
    let mut start = 0;
    for end in ends {
        let mut piece = transcript[start..end].to_vec();
        start = end;
        let mut input = Input::new(&mut piece);
        loop {
            while let Some((event, sender)) = bench.connection.poll_event(&mut input, bench.now) {
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
            if input.is_empty() {
                break;
            }
            assert!(!bench.connection.wants_input());
            let written = bench.output();
            assert!(!written.is_empty(), "paused with nothing to write");
            out.extend(written);
        }
    }
    out.extend(bench.output());
    (seen, out)
}

/// Mostly legal frames, with what attackers and bad implementations add.
fn transcript(role: Role) -> impl Strategy<Value = Vec<u8>> {
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
            if transcript.len() < 4000 {
                let every: Vec<usize> = (0..transcript.len()).collect();
                prop_assert_eq!(&run(role, &transcript, &every, config), &whole);
            }
        }
    }
}
