//! What a read brought behind its first message, handed out one by one.

use super::*;
use crate::{Delivery, Endpoint, Incoming, Messages, OwnedMessage, ReadBuffer};

/// Messages of a connection that has been given everything in one read, and the first of them.
fn given(bench: Bench, bytes: &[u8]) -> (Messages, Option<Incoming>) {
    let mut messages = Messages::new(bench.connection, Vec::new());
    let first = messages.handle_input(&mut bytes.to_vec(), bench.now);
    (messages, first)
}

fn output(messages: &mut Messages, now: Time) -> Vec<u8> {
    let Some(Transmit::Write(output)) = messages.poll_transmit() else {
        return Vec::new();
    };
    let out: Vec<u8> = output.slices().flatten().copied().collect();
    messages.handle_written(out.len(), now);
    out
}

#[test]
fn both_ways_give_the_same_in_the_same_order() {
    // With as many bytes behind the bad ones as a short message is read with, and fewer.
    let behind = [&[b'n'; 100][..], b"never"];
    for (role, behind) in ROLES.into_iter().flat_map(|role| behind.map(|b| (role, b))) {
        let bench = Bench::new(role);
        let (now, long) = (bench.now, [b'x'; 1000]);
        // Masked once more it would be valid.
        let bad = b"\x5f\x9f\x4d\x51";
        let bytes = [
            bench.whole(Opcode::Binary, b"first"),
            bench.whole(Opcode::Text, "größer".as_bytes()),
            bench.whole(Opcode::Binary, &long),
            bench.whole(Opcode::Ping, b"there?"),
            bench.whole(Opcode::Text, b""),
            bench.frame(false, Opcode::Text, b"in "),
            bench.frame(true, Opcode::Continuation, b"two"),
            bench.whole(Opcode::Binary, b"lets go of those"),
            bench.whole(Opcode::Binary, b"last"),
            bench.whole(Opcode::Text, bad),
            bench.whole(Opcode::Text, behind),
        ]
        .concat();
        let (mut long_way, first) = given(bench, &bytes);
        let (mut either, _) = given(Bench::new(role), &bytes);
        let expected: Vec<Incoming> = core::iter::once(first)
            .chain(core::iter::repeat_with(|| long_way.poll_item(now)))
            .map_while(|item| item)
            .collect();
        let mut short = 0;
        for expected in &expected[1..] {
            let held = either.poll_held();
            short += usize::from(held.is_some());
            let item = held
                .map(Incoming::Message)
                .or_else(|| either.poll_item(now));
            assert_eq!(item.as_ref(), Some(expected));
        }
        assert!(matches!(
            expected.last(),
            Some(Incoming::Closed(closed)) if closed.code == crate::CloseCode::INVALID_PAYLOAD
        ));
        assert_eq!(
            short, 4,
            "whole, in one frame, valid, and behind nothing that is open"
        );
        assert_eq!(either.poll_held(), None);
        assert_eq!(output(&mut either, now), output(&mut long_way, now));
    }
}

#[test]
fn the_short_way_is_closed_to_what_must_be_looked_at() {
    type Change = fn(&mut Config);
    let changes: [Change; 2] = [
        |config| config.delivery = Delivery::Chunks,
        |config| config.idle_timeout = Some(Duration::from_secs(60)),
    ];
    for (role, change) in ROLES.into_iter().zip(changes) {
        let bench = Bench::with(role, change);
        let bytes = bench.whole(Opcode::Binary, b"one").repeat(2);
        let (mut messages, first) = given(bench, &bytes);
        assert!(first.is_some());
        assert_eq!(messages.poll_held(), None);
        assert!(messages.holds_input());
    }
    for role in ROLES {
        let bench = Bench::new(role);
        let now = bench.now;
        let bytes = bench.whole(Opcode::Binary, b"one").repeat(3);
        let (mut messages, _) = given(bench, &bytes);
        messages.sender().pause();
        assert_eq!(messages.poll_held(), None);
        messages.sender().resume();
        assert_eq!(messages.poll_held(), Some(OwnedMessage::from(&b"one"[..])));
        messages
            .sender()
            .close(crate::CloseCode::NORMAL, "")
            .expect("open");
        assert_eq!(messages.poll_held(), None);
        assert!(messages.poll_item(now).is_some());
    }
}

#[test]
fn the_beginning_of_a_frame_is_not_taken_for_one() {
    for role in ROLES {
        for payload in [0, 5, 125, 126, 1000, 70_000] {
            let bench = Bench::new(role);
            let first = bench.whole(Opcode::Text, b"one");
            let second = bench.whole(Opcode::Binary, &alloc::vec![7; payload]);
            for cut in [0, 1, 2, 3, 9, second.len() - 1, second.len()] {
                let Some(held) = second.get(..cut) else {
                    continue;
                };
                let (messages, item) = given(Bench::new(role), &[&first, held].concat());
                assert!(item.is_some());
                assert_eq!(messages.holds_input(), cut > 0);
                assert_eq!(
                    messages.holds_frame(),
                    cut == second.len(),
                    "{cut} bytes of {payload}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_told_is_taken_for_a_frame() {
    for role in ROLES {
        let bench = Bench::with(role, |config| config.delivery = Delivery::Chunks);
        let now = bench.now;
        let message = bench.whole(Opcode::Binary, &[7; 100]);
        let (mut messages, chunk) = given(bench, &message[..50]);
        assert!(chunk.is_some());
        // In the middle of a payload any byte may look like the first of a frame.
        messages.sender().pause();
        assert!(messages.handle_input(&mut [0x82], now).is_none());
        assert!(messages.holds_frame());

        let bench = Bench::new(role);
        let bytes = [bench.whole(Opcode::Text, b"one"), alloc::vec![0xff]].concat();
        let (messages, _) = given(bench, &bytes);
        assert!(messages.holds_frame(), "a violation");
    }
}

/// Messages that have handed out all that one read brought but the beginning of a frame.
fn cut(bench: Bench, next: &[u8]) -> Messages {
    let mut messages = Messages::new(bench.connection, Vec::new());
    let mut buffer = ReadBuffer::default();
    let read = [&frame(bench.role, true, Opcode::Text, b"one"), next].concat();
    buffer.target_for(&mut messages)[..read.len()].copy_from_slice(&read);
    assert!(buffer.give(read.len(), &mut messages, bench.now).is_some());
    assert_eq!(messages.poll_item(bench.now), None);
    assert!(messages.wants_input());
    messages
}

#[test]
fn what_comes_behind_a_cut_that_was_not_asked_for_is_a_sign_of_life() {
    for role in ROLES {
        let bench = Bench::new(role);
        let mut now = bench.now;
        let next = bench.whole(Opcode::Binary, &[7; 100]);
        let mut messages = cut(bench, &next[..50]);
        let deadline = |messages: &mut Messages, now: &mut Time| {
            *now = messages.poll_timeout().expect("a deadline");
            messages.handle_timeout(*now);
        };
        deadline(&mut messages, &mut now);
        assert_eq!(output(&mut messages, now).len() % 4, 2, "a Ping");
        assert_eq!(messages.handle_input(&mut next[50..60].to_vec(), now), None);
        deadline(&mut messages, &mut now);
        assert_eq!(output(&mut messages, now).len() % 4, 2, "another");
        assert_eq!(messages.poll_item(now), None);
    }
}

#[test]
#[cfg(feature = "deflate")]
fn the_beginning_of_a_compressed_frame_is_not_taken_for_one() {
    use crate::deflate::{Agreed, Window};

    let window = Window {
        bits: 15,
        takeover: false,
    };
    let agreed = Agreed {
        send: window,
        receive: window,
    };
    for role in ROLES {
        let bench = Bench::extended(role, crate::Extensions::with_deflate(agreed), |_| ());
        let mut next = bench.whole(Opcode::Binary, &[7; 100]);
        next[0] |= 0x40;
        let messages = cut(bench, &next[..50]);
        assert!(!messages.holds_frame());
    }
}
