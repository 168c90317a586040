//! However the input is cut, and whatever was agreed on, the same comes out.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::MessageKind;

/// Feeds `transcript` in pieces; chunks come back joined, as their cuts are nobody's promise.
fn run(bench: &mut Bench, transcript: &[u8], cuts: &[usize]) -> (Vec<Seen>, Vec<u8>) {
    let mut seen = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([transcript.len()]) {
        for event in bench.feed(&transcript[start..end]) {
            match (seen.last_mut(), event) {
                (Some(Seen::Chunk(whole, last @ false)), Seen::Chunk(piece, is_last)) => {
                    whole.extend(piece);
                    *last = is_last;
                }
                (_, event) => seen.push(event),
            }
        }
        start = end;
    }
    let out = bench.output();
    (seen, out)
}

/// Compressed messages as a peer sends them, with what attackers and bad implementations
/// add: random streams, cut streams, RSV1 where it must not be.
fn transcript(role: Role, window: Window) -> impl Strategy<Value = Vec<u8>> {
    #[derive(Clone, Debug)]
    enum Part {
        Message(Vec<u8>, Vec<Index>),
        Plain(String),
        Raw(u8, Vec<u8>),
        Ping,
    }
    let payload = prop_oneof![
        4 => "[a-cé€𝄞]{0,300}".prop_map(String::into_bytes),
        1 => (0_usize..60_000).prop_map(|len| prose(len).into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let part = prop_oneof![
        6 => (payload, proptest::collection::vec(any::<Index>(), 0..4))
            .prop_map(|(payload, cuts)| Part::Message(payload, cuts)),
        1 => "[a-zé]{0,20}".prop_map(Part::Plain),
        1 => (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(first, payload)| Part::Raw(first, payload)),
        1 => Just(Part::Ping),
    ];
    proptest::collection::vec(part, 0..8).prop_map(move |parts| {
        let peer = bench(role, window, |_| ());
        let mut zlib = Zlib::new(window);
        let mut all = Vec::new();
        for part in parts {
            match part {
                Part::Message(message, cuts) => {
                    let payload = zlib.compress(&message);
                    let mut cuts: Vec<usize> = cuts
                        .iter()
                        .map(|cut| cut.index(payload.len() + 1))
                        .collect();
                    cuts.extend([0, payload.len()]);
                    cuts.sort_unstable();
                    let last = cuts.len() - 2;
                    for (at, pair) in cuts.windows(2).enumerate() {
                        let opcode = [Opcode::Continuation, Opcode::Text][usize::from(at == 0)];
                        let piece = &payload[pair[0]..pair[1]];
                        let mut frame = peer.frame(at == last, opcode, piece);
                        if at == 0 {
                            frame[0] |= 0x40;
                        }
                        all.extend(frame);
                    }
                }
                Part::Plain(text) => all.extend(peer.whole(Opcode::Text, text.as_bytes())),
                Part::Raw(first, payload) => {
                    let mut frame = peer.whole(Opcode::Binary, &payload);
                    frame[0] = first & 0xcf;
                    all.extend(frame);
                }
                Part::Ping => all.extend(peer.whole(Opcode::Ping, b"?")),
            }
        }
        all
    })
}

fn windows() -> impl Strategy<Value = Window> {
    (8_u8..=15, any::<bool>()).prop_map(|(bits, takeover)| Window { bits, takeover })
}

fn roles() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events_and_the_same_output(
        (role, window, transcript) in (roles(), windows())
            .prop_flat_map(|(role, window)| (Just(role), Just(window), transcript(role, window))),
        indices in proptest::collection::vec(any::<Index>(), 0..9),
    ) {
        let mut cuts: Vec<usize> =
            indices.iter().map(|index| index.index(transcript.len() + 1)).collect();
        cuts.sort_unstable();
        let configs: [fn(&mut Config); 3] = [
            |_| (),
            |config| {
                config.max_message = 400;
                config.max_fragments = 3;
            },
            |config| config.delivery = Delivery::Chunks,
        ];
        for (at, config) in configs.into_iter().enumerate() {
            let bench = || bench(role, window, config);
            let (mut whole, out) = run(&mut bench(), &transcript, &[]);
            let every: Vec<usize> = (0..transcript.len()).collect();
            let short = (transcript.len() < 3000).then_some(&every);
            for cuts in [&cuts].into_iter().chain(short) {
                let (mut seen, again) = run(&mut bench(), &transcript, cuts);
                if at == 2 {
                    // How much of a message that fails has been delivered is open.
                    for all in [&mut whole, &mut seen] {
                        all.retain(|event| !matches!(event, Seen::Chunk(_, false)));
                    }
                }
                prop_assert_eq!(&seen, &whole);
                prop_assert_eq!(&again, &out);
            }
        }
    }

    #[test]
    fn what_one_side_sends_the_other_receives_whatever_was_agreed_on(
        role in roles(),
        window in windows(),
        level in 1_u8..=9,
        min_size in 0_usize..400,
        messages in proptest::collection::vec(
            (any::<bool>(), prop_oneof![
                "[a-cé€𝄞]{0,600}",
                (0_usize..80_000).prop_map(prose),
            ], proptest::collection::vec(any::<Index>(), 0..4)),
            1..6,
        ),
    ) {
        let change = |config: &mut Config| {
            config.hard_mark = 1 << 24;
            config.deflate = Some(crate::Deflate { level, min_size, ..crate::Deflate::default() });
        };
        let mut sender = bench(role, window, change);
        let other = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let mut receiver = bench(other, window, change);
        for (in_fragments, message, cuts) in messages {
            let hand = sender.connection.sender();
            if in_fragments {
                let bytes = message.as_bytes();
                let mut cuts: Vec<usize> =
                    cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                cuts.sort_unstable();
                hand.begin(MessageKind::Text).expect("open");
                let mut start = 0;
                for cut in cuts {
                    hand.append(&bytes[start..cut]).expect("begun");
                    start = cut;
                }
                hand.finish(&bytes[start..]).expect("begun");
            } else {
                hand.send(&message).expect("open");
            }
            let wire = sender.output();
            prop_assert_eq!(receiver.feed(&wire), [Seen::Text(message)]);
        }
    }
}
