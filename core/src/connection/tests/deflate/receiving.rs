//! RFC 7692 §6.2 and §7.2.2: what comes compressed.

use super::*;
use crate::{Cause, Violation};

fn hello() -> [Seen; 1] {
    [Seen::Text("Hello".into())]
}

fn fails_with(seen: &[Seen], violation: Violation) -> bool {
    matches!(seen, [Seen::Closed(closed)] if closed.cause == Cause::Violation(violation))
}

#[test]
fn the_examples_of_section_7_2_3_are_read() {
    for role in ROLES {
        let examples: [&[u8]; 4] = [
            // One block.
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
            // No compression.
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            // A final block.
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            // Two blocks.
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ];
        for window in [NO_TAKEOVER, TAKEOVER] {
            let mut bench = bench(role, window, |_| ());
            for example in examples {
                let frame = bench.compressed(true, Opcode::Text, example);
                assert_eq!(bench.feed(&frame), hello(), "{example:x?}");
            }
        }

        // Two fragments.
        let mut bench = bench(role, TAKEOVER, |_| ());
        let frames = [
            bench.compressed(false, Opcode::Text, b"\xf2\x48\xcd"),
            bench.frame(true, Opcode::Continuation, b"\xc9\xc9\x07\x00"),
        ];
        assert_eq!(bench.feed(&frames.concat()), hello());
        // The second time it is a reference to the first.
        let frame = bench.compressed(true, Opcode::Text, b"\xf2\x00\x11\x00\x00");
        assert_eq!(bench.feed(&frame), hello());
    }
}

#[test]
fn without_takeover_there_is_nothing_to_refer_to() {
    for role in ROLES {
        let mut bench = bench(role, NO_TAKEOVER, |_| ());
        let first = bench.compressed(true, Opcode::Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        assert_eq!(bench.feed(&first), hello());
        let second = bench.compressed(true, Opcode::Text, b"\xf2\x00\x11\x00\x00");
        assert!(fails_with(&bench.feed(&second), Violation::Deflate));
    }
}

#[test]
fn streams_end_and_begin_wherever_a_sender_likes() {
    let stored = b"\x01\x05\x00\xfa\xffHello";
    let messages: [(Vec<u8>, &str); 9] = [
        // A final block, and nothing behind it.
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec(), "Hello"),
        (stored.to_vec(), "Hello"),
        ([&stored[..], b"\x00"].concat(), "Hello"),
        // Several of them.
        ([&stored[..], stored, b"\x00"].concat(), "HelloHello"),
        (
            [&stored[..], b"\xf2\x48\xcd\xc9\xc9\x07\x00"].concat(),
            "HelloHello",
        ),
        // Across which it refers to what was before.
        (
            [&stored[..], b"\xf2\x00\x11\x00\x00"].concat(),
            "HelloHello",
        ),
        // Empty messages: by zlib, by others, and by a second flush.
        (b"\x02\x00".to_vec(), ""),
        (b"\x00".to_vec(), ""),
        (b"".to_vec(), ""),
    ];
    for role in ROLES {
        for window in [NO_TAKEOVER, TAKEOVER] {
            let mut bench = bench(role, window, |_| ());
            for (payload, expected) in &messages {
                let expected = [Seen::Text((*expected).into())];
                let whole = bench.compressed(true, Opcode::Text, payload);
                assert_eq!(bench.feed(&whole), expected, "{payload:x?}");
                // Fragments that cut the stream anywhere, with empty ones between.
                for at in 0..=payload.len() {
                    let frames = [
                        bench.compressed(false, Opcode::Text, &payload[..at]),
                        bench.frame(false, Opcode::Continuation, b""),
                        bench.whole(Opcode::Ping, b"!"),
                        bench.frame(true, Opcode::Continuation, &payload[at..]),
                    ];
                    let seen = bench.feed(&frames.concat());
                    assert_eq!(seen, [Seen::Ping(b"!".to_vec()), expected[0].clone()]);
                }
            }
        }
    }
}

#[test]
fn a_reference_across_a_final_block_may_begin_inside_a_character() {
    // "aé": the stream ends between the two bytes of é, and the next one copies both letters.
    let payload = b"\x01\x02\x00\xfd\xffa\xc3\x01\x01\x00\xfe\xff\xa9\x03\x00";
    let mut bench = bench(Role::Server, NO_TAKEOVER, |_| ());
    let frame = bench.compressed(true, Opcode::Text, payload);
    assert_eq!(bench.feed(&frame), [Seen::Text("aé".into())]);
}

#[test]
fn what_does_not_decompress_fails_with_1007() {
    let whole = compress(prose(3000).as_bytes());
    let cut = |len: usize| whole[..whole.len() - len].to_vec();
    let bad: Vec<Vec<u8>> = alloc::vec![
        // A block type that does not exist; a distance before the beginning.
        b"\x07\x00".to_vec(),
        b"\xf2\x00\x11\x00\x00".to_vec(),
        // It ends inside a block, or the end was not left out.
        cut(1),
        cut(2),
        cut(500),
        b"\xf2\x48\xcd\xc9\xc9".to_vec(),
        [&whole[..], b"\x00\x00\xff\xff"].concat(),
        // Something that is no block behind the end of the stream.
        b"\x01\x05\x00\xfa\xffHello\xff\xff".to_vec(),
    ];
    for role in ROLES {
        for payload in &bad {
            for delivery in [Delivery::Messages, Delivery::Chunks] {
                let mut bench = bench(role, TAKEOVER, |config| config.delivery = delivery);
                let frame = bench.compressed(true, Opcode::Binary, payload);
                let mut seen = bench.feed(&frame);
                seen.retain(|event| !matches!(event, Seen::Chunk(_, false)));
                assert!(fails_with(&seen, Violation::Deflate), "{seen:?}");
                let (opcode, close) = &bench.frames()[0];
                assert_eq!((*opcode, &close[..2]), (Opcode::Close, &b"\x03\xef"[..]));
                // For good: what comes behind is not looked at.
                let good = bench.compressed(true, Opcode::Text, b"\x00");
                assert_eq!(bench.feed(&good), []);
            }
        }
    }
}

#[test]
fn rsv1_stands_on_the_first_data_frame_where_it_was_agreed_on_and_nowhere_else() {
    let control = [
        Opcode::Ping,
        Opcode::Pong,
        Opcode::Close,
        Opcode::Continuation,
    ];
    for role in ROLES {
        let plain = || Bench::new(role);
        let agreed = || bench(role, NO_TAKEOVER, |_| ());
        for first in [Opcode::Text, Opcode::Binary] {
            let mut bench = plain();
            let frame = bench.compressed(true, first, b"\x00");
            // Known from the first byte on.
            assert!(fails_with(&bench.feed(&frame[..1]), Violation::ReservedBit));
        }
        for opcode in control {
            for mut bench in [plain(), agreed()] {
                let frame = bench.compressed(true, opcode, b"");
                assert!(fails_with(&bench.feed(&frame[..1]), Violation::ReservedBit));
            }
            // Within a message, compressed or not.
            for rsv1 in [0, 0x40] {
                let mut bench = agreed();
                let mut first = bench.frame(false, Opcode::Text, b"");
                first[0] |= rsv1;
                assert_eq!(bench.feed(&first), []);
                let frame = bench.compressed(true, opcode, b"");
                assert!(fails_with(&bench.feed(&frame), Violation::ReservedBit));
            }
        }
        for bits in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
            for opcode in 0..16 {
                let mut bench = agreed();
                assert!(fails_with(
                    &bench.feed(&[0x80 | bits | opcode]),
                    Violation::ReservedBit
                ));
            }
        }
        // Messages that are not compressed come between those that are.
        let mut bench = bench(role, TAKEOVER, |_| ());
        let frames = [
            bench.compressed(true, Opcode::Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
            bench.whole(Opcode::Text, b"plain"),
            bench.frame(false, Opcode::Text, b"pl"),
            bench.frame(true, Opcode::Continuation, b"ain"),
            bench.compressed(true, Opcode::Text, b"\xf2\x00\x11\x00\x00"),
        ];
        let plain = || Seen::Text("plain".into());
        let [hello] = hello();
        assert_eq!(
            bench.feed(&frames.concat()),
            [hello.clone(), plain(), plain(), hello]
        );
    }
}

#[test]
fn the_first_bad_byte_of_a_text_in_pieces_fails_before_the_message_is_whole() {
    for role in ROLES {
        let mut bench = bench(role, NO_TAKEOVER, |config| {
            config.delivery = Delivery::Chunks;
        });
        // Stored blocks, so that each byte is where it is.
        let payload = b"\x00\x0a\x00\xf5\xffgood\xc3\xa9\xffbad";
        let frame = bench.compressed(false, Opcode::Text, payload);
        let (good, bad) = frame.split_at(frame.len() - 4);
        assert_eq!(bench.feed(good), [Seen::Chunk("good\u{e9}".into(), false)]);
        assert!(fails_with(&bench.feed(&bad[..1]), Violation::Utf8));
    }
}

#[test]
fn of_several_faults_the_first_counts_however_the_input_is_cut() {
    // Stored blocks; the last of them does not exist.
    let good = b"\x00\x04\x00\xfb\xffgood";
    let not_utf8 = b"\x00\x02\x00\xfd\xff\xff?";
    let broken = b"\x07\x00";
    let cases: [(&[&[u8]], usize, Violation); 5] = [
        (&[good, not_utf8, broken], 100, Violation::Utf8),
        (&[good, broken, not_utf8], 100, Violation::Deflate),
        (&[good, not_utf8, good], 7, Violation::Utf8),
        (&[good, good, not_utf8], 7, Violation::TooBig),
        (&[good, good, broken], 7, Violation::TooBig),
    ];
    for role in ROLES {
        for (blocks, max_message, first) in cases {
            let payload = blocks.concat();
            for delivery in [Delivery::Messages, Delivery::Chunks] {
                // The limit is one of whole messages.
                if delivery == Delivery::Chunks && first == Violation::TooBig {
                    continue;
                }
                for width in 1..=payload.len() {
                    let mut bench = bench(role, NO_TAKEOVER, |config| {
                        config.delivery = delivery;
                        config.max_message = max_message;
                    });
                    let frame = bench.compressed(true, Opcode::Text, &payload);
                    let mut seen: Vec<Seen> = frame
                        .chunks(width)
                        .flat_map(|cut| bench.feed(cut))
                        .collect();
                    seen.retain(|event| !matches!(event, Seen::Chunk(_, false)));
                    assert!(
                        fails_with(&seen, first),
                        "{payload:x?} by {width}: {seen:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_text_that_ends_inside_a_character_fails() {
    for role in ROLES {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let mut bench = bench(role, NO_TAKEOVER, |config| config.delivery = delivery);
            let frame = bench.compressed(true, Opcode::Text, &compress(b"caf\xc3"));
            assert!(fails_with(&bench.feed(&frame), Violation::Utf8));
        }
    }
}

#[test]
fn pieces_are_delivered_as_they_inflate_and_join_to_the_whole() {
    let message = prose(300_000);
    for role in ROLES {
        for (window, step) in [(NO_TAKEOVER, 100_000), (TAKEOVER, 1), (TAKEOVER, 700)] {
            let mut bench = bench(role, window, |config| {
                config.delivery = Delivery::Chunks;
                config.max_message = 10;
            });
            let mut zlib = Zlib::new(window);
            for _ in 0..2 {
                let payload = zlib.compress(message.as_bytes());
                let (first, second) = payload.split_at(payload.len() / 3);
                let bytes = [
                    bench.compressed(false, Opcode::Text, first),
                    bench.frame(true, Opcode::Continuation, second),
                ]
                .concat();
                let (mut whole, mut ends) = (Vec::new(), 0);
                for piece in bytes.chunks(step) {
                    for event in bench.feed(piece) {
                        let Seen::Chunk(chunk, last) = event else {
                            panic!("{event:?}")
                        };
                        assert!(last || !chunk.is_empty());
                        assert!(chunk.len() <= 16 << 10);
                        whole.extend(chunk);
                        ends += usize::from(last);
                    }
                }
                assert!(whole == message.as_bytes());
                assert_eq!(ends, 1);
            }
        }
    }
}

#[test]
fn pausing_in_the_middle_of_a_piece_loses_nothing() {
    let message = prose(200_000);
    let mut bench = bench(Role::Server, NO_TAKEOVER, |config| {
        config.delivery = Delivery::Chunks;
    });
    let mut rest = bench.compressed(true, Opcode::Binary, &compress(message.as_bytes()));
    let (mut whole, mut width) = (Vec::new(), 1);
    while !rest.is_empty() {
        // What was not taken is given again, in other pieces.
        width = width % 5000 + 777;
        let len = rest.len().min(width);
        let mut input = Input::new(&mut rest[..len]);
        if let Some((event, sender)) = bench.connection.poll_event(&mut input, bench.now) {
            let Seen::Chunk(chunk, _) = event.into() else {
                panic!("a chunk")
            };
            whole.extend(chunk);
            sender.pause();
            assert!(bench.connection.poll_event(&mut input, bench.now).is_none());
        }
        let consumed = input.consumed();
        rest.drain(..consumed);
        bench.connection.sender().resume();
    }
    assert!(whole == message.as_bytes());
}

#[test]
fn the_rest_of_a_large_compressed_message_is_read_into_place() {
    for role in ROLES {
        let mut bench = bench(role, NO_TAKEOVER, |_| ());
        // Incompressible, so that it is large on the wire, too.
        let message = noise(200_000);
        let frame = bench.compressed(true, Opcode::Binary, &compress(&message));
        let (start, mut rest) = frame.split_at(100_000);
        assert_eq!(bench.feed(start), []);
        while let Some(target) = bench.connection.read_target() {
            let (read, behind) = rest.split_at(rest.len().min(target.len()));
            target[..read.len()].copy_from_slice(read);
            rest = behind;
            let now = bench.now;
            bench.connection.handle_read(read.len(), now);
        }
        assert!(rest.len() < 4 << 10, "{} are left", rest.len());
        assert_eq!(bench.feed(rest), [Seen::Binary(message)]);
    }
}

#[test]
fn an_assembled_message_is_as_large_as_it_must_be() {
    let mut bench = bench(Role::Client, NO_TAKEOVER, |_| ());
    let mut frame = bench.compressed(true, Opcode::Text, &compress(&[b'x'; 1000]));
    let mut input = Input::new(&mut frame);
    match bench.connection.poll_event(&mut input, bench.now) {
        Some((Event::Message(Message::Text(text)), _)) => {
            let text = String::from(text.into_owned());
            assert_eq!((text.len(), text.capacity() < 1010), (1000, true));
        }
        other => panic!("{other:?}"),
    };
}
