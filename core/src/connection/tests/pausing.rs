//! Back-pressure: receiving waits for the application, and for a peer that does not read.

use super::*;
use crate::CloseCode;

#[test]
fn a_pause_stops_in_the_middle_of_a_read_and_resumes_there() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let mut bytes = [
            bench.whole(Opcode::Text, b"one"),
            bench.whole(Opcode::Text, b"two"),
        ]
        .concat();
        let mut input = Input::new(&mut bytes);
        let (event, sender) = bench
            .connection
            .poll_event(&mut input, bench.now)
            .expect("one");
        assert_eq!(Seen::from(event), Seen::Text("one".into()));
        sender.pause();
        assert!(bench.connection.poll_event(&mut input, bench.now).is_none());
        assert!(!bench.connection.wants_input() && !input.is_empty());
        bench.connection.sender().resume();
        let (event, _) = bench
            .connection
            .poll_event(&mut input, bench.now)
            .expect("two");
        assert_eq!(Seen::from(event), Seen::Text("two".into()));
    }
}

#[test]
fn output_above_the_soft_mark_stops_receiving_until_it_is_written() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.soft_mark = 10_000);
        let frame = bench.whole(Opcode::Binary, &[7; 1000]);
        let mut bytes = frame.repeat(100);
        let mut input = Input::new(&mut bytes);
        let (mut echoed, mut pauses) = (0, 0);
        while !input.is_empty() {
            while let Some((Event::Message(message), sender)) =
                bench.connection.poll_event(&mut input, bench.now)
            {
                sender
                    .send(message)
                    .expect("a peer that only pipelines is never refused");
                echoed += 1;
                assert!(sender.buffered() <= 10_000 + 1000 + Header::MAX_ENCODED);
            }
            if !input.is_empty() {
                pauses += 1;
                assert!(bench.connection.wants_flush() && !bench.connection.wants_input());
                bench.output();
            }
        }
        assert_eq!(echoed, 100);
        assert!(pauses > 5);
    }
}

#[test]
fn closing_lifts_a_pause_and_discards_data() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench.connection.sender().pause();
        bench
            .connection
            .sender()
            .close(CloseCode::NORMAL, "")
            .expect("open");
        bench.connection.sender().pause();
        assert!(bench.connection.wants_input());
        let bytes = [
            bench.whole(Opcode::Text, b"unread"),
            bench.whole(Opcode::Close, b"\x03\xe8"),
        ]
        .concat();
        let seen = bench.feed(&bytes);
        assert!(
            matches!(&seen[..], [Seen::Closed(closed)] if closed.is_clean()),
            "{seen:?}"
        );
    }
}

#[test]
fn discarded_text_is_checked_however_it_is_cut() {
    for role in ROLES {
        for width in [1, usize::MAX] {
            let mut bench = Bench::new(role);
            bench.connection.sender().pause();
            bench
                .connection
                .sender()
                .close(CloseCode::NORMAL, "")
                .expect("open");
            let bytes = bench.whole(Opcode::Text, b"\xc3\x28");
            let pieces = bytes.chunks(width.min(bytes.len()));
            let seen: Vec<Seen> = pieces.flat_map(|piece| bench.feed(piece)).collect();
            assert!(
                matches!(&seen[..], [Seen::Closed(closed)] if closed.code == CloseCode::INVALID_PAYLOAD),
                "in pieces of {width}: {seen:?}"
            );
        }
    }
}

#[test]
fn a_peer_that_pings_and_never_reads_costs_a_few_pongs() {
    let mut bench = Bench::new(Role::Server);
    let pings = frame(Role::Server, true, Opcode::Ping, &[1; 125]).repeat(1000);
    for _ in 0..100 {
        bench.feed(&pings);
        assert!(transmit(&mut bench.connection).is_some());
        bench.connection.handle_written(0, bench.now);
    }
    assert!(bench.output().len() <= (2 << 10) + 127);
}
