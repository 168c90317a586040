//! What a few compressed bytes can make us hold and do.

use super::*;
use crate::deflate::Pool;
use crate::{Cause, Violation};

const LIMIT: usize = 100_000;

fn small(role: Role, window: Window) -> Bench {
    bench(role, window, |config| config.max_message = LIMIT)
}

fn is_too_big(seen: &[Seen]) -> bool {
    matches!(seen, [Seen::Closed(closed)]
        if closed.cause == Cause::Violation(Violation::TooBig) && closed.code.as_u16() == 1009)
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_fails() {
    for role in ROLES {
        for window in [NO_TAKEOVER, TAKEOVER] {
            let mut bench = small(role, window);
            let fits = bench.compressed(true, Opcode::Binary, &compress(&[0; LIMIT]));
            assert_eq!(bench.feed(&fits), [Seen::Binary(alloc::vec![0; LIMIT])]);
            let over = bench.compressed(true, Opcode::Binary, &compress(&[0; LIMIT + 1]));
            assert!(is_too_big(&bench.feed(&over)));
        }
    }
}

#[test]
fn a_bomb_of_a_thousand_times_the_limit_fails_and_holds_no_more_than_the_limit() {
    let bomb = compress(&alloc::vec![0; 1000 * LIMIT]);
    assert!(
        bomb.len() < LIMIT + LIMIT / 16,
        "the wire is not what stops it"
    );
    for role in ROLES {
        for step in [bomb.len() + 14, 100] {
            let mut bench = small(role, TAKEOVER);
            let frame = bench.compressed(true, Opcode::Binary, &bomb);
            let mut most = 0;
            let ended = frame.chunks(step).find_map(|piece| {
                let seen = bench.feed(piece);
                most = most.max(bench.connection.receiver.held());
                (!seen.is_empty()).then(|| is_too_big(&seen))
            });
            assert_eq!(ended, Some(true));
            assert!(most <= 2 * LIMIT + (4 << 10), "{most}");
            assert!(bench.connection.receiver.is_idle());
        }
    }
}

#[test]
fn a_stream_that_inflates_to_nothing_ends_at_what_it_may_be_on_the_wire() {
    // Empty blocks: 5 bytes each, which stand for nothing.
    let nothing = b"\x00\x00\x00\xff\xff".repeat(200);
    let allowed = LIMIT + LIMIT / 16 + 1024;
    for role in ROLES {
        let mut bench = small(role, NO_TAKEOVER);
        let mut sent = nothing.len();
        assert_eq!(
            bench.feed(&bench.compressed(false, Opcode::Text, &nothing)),
            []
        );
        let mut fragments = 1;
        let ended = loop {
            let next = bench.frame(false, Opcode::Continuation, &nothing);
            // The header is enough.
            let (header, payload) = next.split_at(next.len() - nothing.len());
            match &bench.feed(header)[..] {
                [] => {}
                seen => break is_too_big(seen),
            }
            assert_eq!(bench.feed(payload), []);
            sent += nothing.len();
            fragments += 1;
            let held = bench.connection.receiver.held();
            assert!(held <= 2 * sent + (4 << 10), "{held} for {sent}");
            assert!(sent <= allowed + 5 * fragments);
        };
        assert!(ended);
        assert!(sent + nothing.len() > allowed + 5 * fragments, "{sent}");
    }
}

#[test]
fn one_frame_may_be_as_long_as_its_limit_on_the_wire_and_no_longer() {
    let allowed = LIMIT + LIMIT / 16 + 1024 + 5;
    for role in ROLES {
        for (len, passes) in [(allowed, true), (allowed + 1, false)] {
            let mut bench = small(role, NO_TAKEOVER);
            let frame = bench.compressed(true, Opcode::Binary, &alloc::vec![0; len]);
            let seen = bench.feed(&frame[..frame.len() - len]);
            assert_eq!(seen.is_empty(), passes);
            assert_eq!(is_too_big(&seen), !passes);
        }
    }
}

#[test]
fn data_that_does_not_get_shorter_passes_at_the_limit() {
    let noise = noise(LIMIT);
    for role in ROLES {
        let mut sender = small(role, NO_TAKEOVER);
        let other = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let mut receiver = small(other, NO_TAKEOVER);
        // In fragments, which are compressed whatever comes of it.
        let hand = sender.connection.sender();
        hand.begin(crate::MessageKind::Binary).expect("open");
        for piece in noise.chunks(100) {
            hand.append(piece).expect("begun");
        }
        hand.finish(b"").expect("begun");
        let wire = sender.output();
        assert!(wire.len() > LIMIT);
        assert_eq!(receiver.feed(&wire), [Seen::Binary(noise.clone())]);
    }
}

#[test]
fn final_blocks_without_end_fail() {
    // Two bytes each: an empty final block.
    let payload = b"\x03\x00".repeat(40_000);
    let mut bench = small(Role::Server, TAKEOVER);
    let frame = bench.compressed(true, Opcode::Binary, &payload);
    let seen = bench.feed(&frame);
    assert!(
        matches!(&seen[..], [Seen::Closed(closed)] if closed.cause == Cause::Violation(Violation::Deflate))
    );
}

#[test]
fn an_open_message_takes_no_decompressor_and_a_whole_one_gives_it_back() {
    let idle = || Pool::with(|pool| pool.idle());
    let hello = compress(b"Hello");
    for window in [NO_TAKEOVER, TAKEOVER] {
        let mut bench = small(Role::Server, window);
        let frame = bench.compressed(true, Opcode::Text, &hello);
        assert_eq!(bench.feed(&frame), [Seen::Text("Hello".into())]);
        assert_eq!(idle(), (1, 0));
        // Cut by the end of a read, or in fragments.
        let cut = frame.split_at(frame.len() - hello.len() + 1);
        let (first, second) = hello.split_at(1);
        let fragments = (
            &*bench.compressed(false, Opcode::Text, first),
            &*bench.frame(true, Opcode::Continuation, second),
        );
        for (open, rest) in [cut, fragments] {
            assert_eq!(bench.feed(open), []);
            assert_eq!(idle(), (1, 0));
            assert_eq!(bench.feed(rest), [Seen::Text("Hello".into())]);
            assert_eq!(idle(), (1, 0));
        }
        // Nothing is held for it any more, but what later messages may refer to.
        assert_eq!(bench.events(), []);
        assert_eq!(bench.connection.receiver.is_idle(), !window.takeover);
    }
}

#[test]
fn an_open_message_holds_what_its_bytes_paid_for_and_not_what_they_stand_for() {
    let bomb = compress(&[b'x'; LIMIT]);
    let fragment = |bench: &Bench, len: usize| bench.compressed(false, Opcode::Text, &bomb[..len]);
    for role in ROLES {
        for len in [1, bomb.len() / 2, bomb.len()] {
            // Not even with a final fragment to come.
            for cut in [0, 1] {
                let mut compressed = small(role, NO_TAKEOVER);
                let frame = fragment(&compressed, len);
                assert_eq!(compressed.feed(&frame[..frame.len() - cut]), []);
                let mut plain = small(role, NO_TAKEOVER);
                let frame = plain.frame(false, Opcode::Binary, &bomb[..len]);
                assert_eq!(plain.feed(&frame[..frame.len() - cut]), []);
                let held = compressed.connection.receiver.held();
                assert_eq!(held, plain.connection.receiver.held());
                assert!(held <= 2 * len + (4 << 10), "{held} for {len}");
            }
        }
    }
}

#[test]
fn what_delivery_in_pieces_takes_is_let_go_with_the_message() {
    for window in [NO_TAKEOVER, TAKEOVER] {
        let mut bench = bench(Role::Server, window, |config| {
            config.delivery = Delivery::Chunks;
        });
        let frame = bench.compressed(true, Opcode::Binary, &compress(b"Hello"));
        let (start, end) = frame.split_at(frame.len() - 1);
        bench.feed(start);
        assert!(bench.connection.receiver.held() > 0);
        bench.feed(end);
        assert_eq!(bench.events(), []);
        assert_eq!(bench.connection.receiver.held(), 0);
        assert_eq!(bench.connection.receiver.is_idle(), !window.takeover);
    }
}
