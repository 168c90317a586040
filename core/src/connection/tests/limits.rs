//! Every byte and object that a peer can make us hold has a cap.

use super::*;
use crate::{Cause, Violation};

fn failed_with(seen: &[Seen], violation: Violation) -> bool {
    matches!(seen, [Seen::Closed(closed)] if closed.cause == Cause::Violation(violation))
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_fails() {
    for role in ROLES {
        let small = |config: &mut Config| config.max_message = 1000;
        let mut bench = Bench::with(role, small);
        let exact = bench.whole(Opcode::Binary, &[1; 1000]);
        assert_eq!(bench.feed(&exact), [Seen::Binary(alloc::vec![1; 1000])]);

        // The header alone fails, before any payload.
        let mut bench = Bench::with(role, small);
        let over = bench.whole(Opcode::Binary, &[1; 1001]);
        let header = over.len() - 1001;
        assert!(failed_with(&bench.feed(&over[..header]), Violation::TooBig));

        // The sum counts, with the declared length of the frame that is beginning.
        let mut bench = Bench::with(role, small);
        let first = bench.frame(false, Opcode::Binary, &[1; 600]);
        assert_eq!(bench.feed(&first), []);
        let second = bench.frame(true, Opcode::Continuation, &[1; 401]);
        let header = second.len() - 401;
        assert!(failed_with(
            &bench.feed(&second[..header]),
            Violation::TooBig
        ));
    }
}

#[test]
fn a_limit_of_a_few_bytes_holds_on_the_shortest_path_too() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.max_message = 3);
        let fits = bench.whole(Opcode::Text, b"abc");
        assert_eq!(bench.feed(&fits), [Seen::Text("abc".into())]);
        let over = bench.whole(Opcode::Text, b"abcd");
        assert!(failed_with(&bench.feed(&over), Violation::TooBig));
    }
}

#[test]
fn the_frame_limit_is_its_own() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.max_frame = 10);
        let fits = [
            bench.frame(false, Opcode::Binary, &[1; 10]),
            bench.frame(true, Opcode::Continuation, &[1; 10]),
        ]
        .concat();
        assert_eq!(bench.feed(&fits), [Seen::Binary(alloc::vec![1; 20])]);
        let over = bench.whole(Opcode::Binary, &[1; 11]);
        assert!(failed_with(&bench.feed(&over), Violation::TooBig));
    }
}

#[test]
fn fragments_beyond_what_their_payload_pays_for_fail() {
    for role in ROLES {
        for (payload, allowed) in [(0, 100), (1, 103), (64, usize::MAX)] {
            let mut bench = Bench::with(role, |config| config.max_fragments = 100);
            let first = bench.frame(false, Opcode::Binary, &alloc::vec![0; payload]);
            let next = bench.frame(false, Opcode::Continuation, &alloc::vec![0; payload]);
            let mut accepted = 0;
            let ended = loop {
                let fragment = if accepted == 0 { &first } else { &next };
                match &bench.feed(fragment)[..] {
                    [] => accepted += 1,
                    seen => break failed_with(seen, Violation::TooManyFragments),
                }
                if accepted > 10_000 {
                    break true;
                }
            };
            assert!(ended);
            // 64 bytes each pay for themselves, for as long as the message may grow.
            assert_eq!(accepted.min(10_000), allowed.min(10_000), "{payload}");
        }
    }
}

#[test]
fn control_frames_between_fragments_are_no_fragments() {
    let mut bench = Bench::with(Role::Server, |config| config.max_fragments = 2);
    let mut bytes = bench.frame(false, Opcode::Binary, b"a");
    for _ in 0..100 {
        bytes.extend(bench.whole(Opcode::Pong, b""));
    }
    bytes.extend(bench.frame(true, Opcode::Continuation, b"b"));
    assert_eq!(
        bench.feed(&bytes).last(),
        Some(&Seen::Binary(b"ab".to_vec()))
    );
}

#[test]
fn a_declared_length_allocates_nothing() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.max_message = 1 << 30);
        let mut bytes = Vec::new();
        let mask = (role == Role::Server).then_some([0; 4]);
        Header {
            fin: true,
            compressed: false,
            opcode: Opcode::Binary,
            mask,
            len: 1 << 30,
        }
        .encode(&mut bytes);
        bytes.extend_from_slice(&[0; 1000]);
        assert_eq!(bench.feed(&bytes), []);
        let held = bench.connection.receiver.held();
        assert!((1000..=2 * 1000 + (4 << 10)).contains(&held), "{held}");
    }
}

#[test]
fn what_is_held_grows_with_what_has_arrived() {
    for opcode in [Opcode::Binary, Opcode::Text] {
        let mut bench = Bench::new(Role::Server);
        let bytes = bench.whole(opcode, &[b'x'; 900_000]);
        let mut arrived = 0;
        for piece in bytes.chunks(10_000).take(80) {
            bench.feed(piece);
            arrived += piece.len();
            let held = bench.connection.receiver.held();
            assert!(held <= 2 * arrived + (4 << 10) + 16, "{held} for {arrived}");
        }
    }
}

#[test]
fn nothing_is_held_between_messages() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let bytes = [
            bench.frame(false, Opcode::Text, b"ab"),
            bench.frame(true, Opcode::Continuation, b"cd"),
            bench.whole(Opcode::Ping, b"?"),
        ]
        .concat();
        for byte in &bytes {
            bench.feed(&[*byte]);
        }
        bench.output();
        bench.events();
        assert!(bench.connection.receiver.is_idle());
        assert!(bench.connection.reclaim().is_some(), "nothing is in it");
    }
}

#[test]
fn nothing_is_held_after_a_header_that_was_cut() {
    for role in ROLES {
        for opcode in [Opcode::Text, Opcode::Ping] {
            let mut bench = Bench::new(role);
            let bytes = bench.whole(opcode, b"whole in the second read");
            bench.feed(&bytes[..1]);
            assert!(!bench.connection.receiver.is_idle());
            assert_eq!(bench.feed(&bytes[1..]).len(), 1);
            assert!(bench.connection.receiver.is_idle());
        }
    }
}

#[test]
fn above_the_hard_mark_sending_is_refused_and_one_message_always_fits() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| {
            config.soft_mark = 100;
            config.hard_mark = 1000;
        });
        let sender = bench.connection.sender();
        sender.send(&[0; 5000]).expect("the mark is tested before");
        assert_eq!(sender.send("x"), Err(crate::SendError::Full));
        assert_eq!(
            sender.send_frame(&crate::Frame::new("x")),
            Err(crate::SendError::Full)
        );
        sender
            .close(crate::CloseCode::NORMAL, "")
            .expect("a close is not refused");
        assert_eq!(bench.frames().len(), 2);
    }
}

/// The time that `fragments` fragments of one byte take, in one message, the best of
/// three.
fn time_of(fragments: usize) -> Duration {
    let run = || {
        let mut bench = Bench::with(Role::Server, |config| {
            config.max_fragments = u32::MAX;
            config.max_message = 2 << 20;
        });
        let first = bench.frame(false, Opcode::Text, b"x");
        bench.feed(&first);
        let mut bytes = bench
            .frame(false, Opcode::Continuation, b"x")
            .repeat(fragments);
        let start = std::time::Instant::now();
        let mut input = Input::new(&mut bytes);
        assert!(bench.connection.poll_event(&mut input, bench.now).is_none());
        assert!(input.is_empty());
        start.elapsed()
    };
    (0..3).map(|_| run()).min().unwrap_or_default()
}

#[test]
fn a_million_fragments_cost_in_proportion() {
    // Half a million and a million. A machine that is busy elsewhere may spoil a
    // measurement, so the best of a few counts; quadratic work spoils all of them.
    let ratio = || time_of(1 << 20).as_secs_f64() / time_of(1 << 19).as_secs_f64();
    assert!((0..5).any(|_| ratio() <= 2.2));
}

#[test]
fn a_message_in_fragments_moves_to_a_larger_buffer_only_now_and_then() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut bench = Bench::with(Role::Server, |config| config.max_fragments = u32::MAX);
        let first = bench.frame(false, opcode, b"x");
        bench.feed(&first);
        let next = bench.frame(false, Opcode::Continuation, b"x");
        let mut sizes = alloc::collections::BTreeSet::new();
        for _ in 0..100_000 {
            bench.feed(&next);
            sizes.insert(bench.connection.receiver.held());
        }
        assert!(sizes.len() < 10, "{sizes:?}");
    }
}

#[test]
fn fragments_and_reads_by_the_thousand_hold_no_more_than_their_bytes() {
    for payload in [0, 1, 64] {
        let mut bench = Bench::with(Role::Server, |config| config.max_fragments = u32::MAX);
        let first = bench.frame(false, Opcode::Binary, b"");
        bench.feed(&first);
        let fragment = bench.frame(false, Opcode::Continuation, &alloc::vec![7; payload]);
        for count in 1..=10_000 {
            for byte in &fragment {
                assert_eq!(bench.feed(&[*byte]), []);
            }
            let held = bench.connection.receiver.held();
            assert!(
                held <= 2 * count * payload + (4 << 10),
                "{held} for {count} of {payload}"
            );
        }
    }
}
