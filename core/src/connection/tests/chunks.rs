//! Messages larger than memory: payload in pieces, as it arrives.

use super::*;
use crate::{Chunk, Delivery, MessageKind};

fn streaming(role: Role) -> Bench {
    Bench::with(role, |config| {
        config.delivery = Delivery::Chunks;
        config.max_message = 10;
    })
}

fn join(seen: &[Seen]) -> (Vec<u8>, usize) {
    let mut whole = Vec::new();
    let mut ends = 0;
    for event in seen {
        let Seen::Chunk(payload, last) = event else {
            panic!("{event:?}")
        };
        assert!(*last || !payload.is_empty());
        whole.extend_from_slice(payload);
        ends += usize::from(*last);
    }
    (whole, ends)
}

#[test]
fn pieces_arrive_beyond_the_message_limit_and_join_to_the_whole() {
    for role in ROLES {
        for step in [1, 7, 1000, 100_000] {
            let mut bench = streaming(role);
            let payload: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
            let bytes = [
                bench.frame(false, Opcode::Binary, &payload[..30_000]),
                bench.frame(false, Opcode::Continuation, b""),
                bench.frame(true, Opcode::Continuation, &payload[30_000..]),
            ]
            .concat();
            let seen: Vec<Seen> = bytes
                .chunks(step)
                .flat_map(|piece| bench.feed(piece))
                .collect();
            assert_eq!(join(&seen), (payload, 1));
            bench.events();
            assert!(bench.connection.receiver.is_idle(), "nothing is assembled");
        }
    }
}

#[test]
fn text_is_checked_as_it_arrives() {
    for role in ROLES {
        let mut bench = streaming(role);
        let good = bench.whole(Opcode::Text, "grüße".as_bytes());
        let seen: Vec<Seen> = good.chunks(1).flat_map(|piece| bench.feed(piece)).collect();
        assert_eq!(join(&seen), ("grüße".as_bytes().to_vec(), 1));
        let bad = bench.whole(Opcode::Text, b"ok\xff");
        let seen = bench.feed(&bad);
        assert!(matches!(seen.last(), Some(Seen::Closed(closed)) if closed.code.as_u16() == 1007));
    }
}

#[test]
fn an_empty_message_is_one_last_piece() {
    let mut bench = streaming(Role::Client);
    let mut bytes = b"\x81\x00".to_vec();
    let mut input = Input::new(&mut bytes);
    match bench.connection.poll_event(&mut input, bench.now) {
        Some((Event::Chunk(chunk), _)) => {
            assert_eq!(
                chunk,
                Chunk {
                    kind: MessageKind::Text,
                    payload: b"",
                    last: true
                }
            );
        }
        other => panic!("{other:?}"),
    };
}
