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
            assert!(bench.connection.receiver.held() <= 4 << 10);
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
fn a_header_alone_takes_no_decompressor_and_a_message_gives_it_back() {
    let idle = || Pool::with(|pool| pool.idle());
    let mut bench = small(Role::Server, NO_TAKEOVER);
    let frame = bench.compressed(true, Opcode::Text, &compress(b"Hello"));
    assert_eq!(bench.feed(&frame), [Seen::Text("Hello".into())]);
    assert_eq!(idle(), (1, 0));
    let header = frame.len() - compress(b"Hello").len();
    assert_eq!(bench.feed(&frame[..header]), []);
    assert_eq!(idle(), (1, 0));
    assert_eq!(bench.feed(&frame[header..=header]), []);
    assert_eq!(idle(), (0, 0));
    assert_eq!(
        bench.feed(&frame[header + 1..]),
        [Seen::Text("Hello".into())]
    );
    assert_eq!(idle(), (1, 0));
    // Nothing is held for it any more.
    assert_eq!(bench.events(), []);
    assert!(bench.connection.receiver.is_idle());
}
