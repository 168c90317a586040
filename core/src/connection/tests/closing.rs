//! RFC 6455 §7: how connections end.

use super::*;
use crate::{Cause, CloseCode, Initiator, SendError, Timeout, Violation};

fn closed(code: u16, reason: &str, initiator: Initiator, cause: Cause) -> Seen {
    Seen::Closed(Closed {
        code: CloseCode::new(code),
        reason: reason.into(),
        initiator,
        cause,
    })
}

fn close_frame(code: u16, reason: &str) -> (Opcode, Vec<u8>) {
    (
        Opcode::Close,
        [&code.to_be_bytes(), reason.as_bytes()].concat(),
    )
}

#[test]
fn a_close_of_the_peer_is_answered_with_its_code() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let close = bench.whole(Opcode::Close, b"\x0f\xa0bye");
        let end = closed(4000, "bye", Initiator::Peer, Cause::Handshake);
        assert_eq!(bench.feed(&close), [end]);
        assert_eq!(bench.frames(), [close_frame(4000, "")]);
        assert_eq!(
            bench.connection.sender().send("late"),
            Err(SendError::Closed)
        );
        assert!(!bench.connection.is_drained());
        // RFC 6455 §7.1.1: the server ends the transport, the client waits for that.
        assert_eq!(bench.wants_shutdown(), role == Role::Server);
    }
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let close = bench.whole(Opcode::Close, b"");
        assert_eq!(
            bench.feed(&close),
            [closed(1005, "", Initiator::Peer, Cause::Handshake)]
        );
        assert_eq!(bench.frames(), [(Opcode::Close, Vec::new())]);
    }
}

#[test]
fn our_close_follows_queued_data_and_ends_with_the_answer() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let sender = bench.connection.sender();
        sender.send("before").expect("open");
        sender.close(CloseCode::NORMAL, "done").expect("open");
        assert_eq!(sender.send("after"), Err(SendError::Closing));
        assert_eq!(sender.close(CloseCode::NORMAL, ""), Err(SendError::Closing));
        assert_eq!(
            bench.frames(),
            [
                (Opcode::Text, b"before".to_vec()),
                close_frame(1000, "done")
            ]
        );
        // RFC 6455 §1.4: what was under way is still received, and pings answered.
        let late = [
            bench.whole(Opcode::Text, b"late"),
            bench.whole(Opcode::Ping, b"?"),
        ]
        .concat();
        assert_eq!(
            bench.feed(&late),
            [Seen::Text("late".into()), Seen::Ping(b"?".to_vec())]
        );
        assert_eq!(bench.frames(), [(Opcode::Pong, b"?".to_vec())]);
        let answer = bench.whole(Opcode::Close, b"\x03\xe8");
        assert_eq!(
            bench.feed(&answer),
            [closed(1000, "", Initiator::Local, Cause::Handshake)]
        );
        assert_eq!(bench.frames(), []);
    }
}

#[test]
fn the_transport_is_drained_when_both_directions_have_ended() {
    let mut server = Bench::new(Role::Server);
    server.feed(&frame(Role::Server, true, Opcode::Close, b""));
    server.output();
    assert!(server.wants_shutdown());
    server.connection.handle_shutdown(server.now);
    assert!(!server.connection.is_drained() && server.connection.wants_input());
    server.connection.handle_eof(server.now);
    assert!(server.connection.is_drained());

    let mut client = Bench::new(Role::Client);
    client.feed(&frame(Role::Client, true, Opcode::Close, b""));
    client.output();
    client.connection.handle_eof(client.now);
    assert!(client.wants_shutdown(), "the server has ended its side");
    client.connection.handle_shutdown(client.now);
    assert!(client.connection.is_drained());
}

#[test]
fn the_answer_to_a_close_is_written_even_after_the_peer_has_half_closed() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let close = bench.whole(Opcode::Close, b"\x03\xe8");
        bench.feed(&close);
        bench.connection.handle_eof(bench.now);
        assert!(!bench.connection.is_drained());
        assert_eq!(bench.frames(), [close_frame(1000, "")]);
        assert!(bench.wants_shutdown());
        bench.connection.handle_shutdown(bench.now);
        assert!(bench.connection.is_drained());
    }
}

#[test]
fn a_violation_sends_its_code_ends_once_and_discards_what_follows() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let echo = bench.whole(Opcode::Text, b"good");
        let rest = [
            bench.whole(Opcode::Continuation, b"bad"),
            bench.whole(Opcode::Text, b"ignored"),
        ]
        .concat();
        assert_eq!(bench.feed(&echo), [Seen::Text("good".into())]);
        bench.connection.sender().send("good").expect("open");
        let violation = Violation::UnexpectedContinuation;
        let end = closed(
            1002,
            violation.reason(),
            Initiator::Local,
            Cause::Violation(violation),
        );
        assert_eq!(bench.feed(&rest), [end]);
        assert_eq!(bench.feed(&[0xff; 100]), []);
        // What was answered before the fault still goes out.
        let frames = [
            (Opcode::Text, b"good".to_vec()),
            close_frame(1002, violation.reason()),
        ];
        assert_eq!(bench.frames(), frames);
        assert!(
            bench.wants_shutdown(),
            "input is discarded behind a half-close"
        );
        bench.connection.handle_shutdown(bench.now);
        assert!(bench.connection.wants_input());
        bench.pass(Duration::from_millis(500));
        assert!(!bench.connection.is_drained());
        bench.pass(Duration::from_millis(600));
        assert!(bench.connection.is_drained(), "lingering is over");
        assert_eq!(bench.events(), []);
    }
}

#[test]
fn a_violation_while_closing_sends_no_second_close() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench
            .connection
            .sender()
            .close(CloseCode::NORMAL, "")
            .expect("open");
        bench.output();
        let end = bench.feed(&[0x70]);
        assert!(matches!(&end[..], [Seen::Closed(closed)] if !closed.is_clean()));
        assert_eq!(bench.output(), b"");
    }
}

#[test]
fn the_end_of_the_bytes_without_a_close_is_abnormal() {
    for role in ROLES {
        for closing in [false, true] {
            let mut bench = Bench::new(role);
            if closing {
                bench
                    .connection
                    .sender()
                    .close(CloseCode::NORMAL, "")
                    .expect("open");
            }
            bench.connection.handle_eof(bench.now);
            assert_eq!(
                bench.events(),
                [closed(1006, "", Initiator::Transport, Cause::Eof)]
            );
            assert!(bench.connection.is_drained());
            assert!(!bench.connection.wants_input());
            assert!(transmit(&mut bench.connection).is_none());
            assert_eq!(bench.connection.poll_timeout(), None);
            assert_eq!(bench.events(), []);
        }
    }
}

#[test]
fn an_error_or_an_abort_ends_at_once() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench.connection.sender().send("never sent").expect("open");
        bench.connection.handle_error(bench.now);
        assert_eq!(
            bench.events(),
            [closed(1006, "", Initiator::Transport, Cause::Transport)]
        );
        assert!(bench.connection.is_drained());

        let mut bench = Bench::new(role);
        bench.connection.sender().abort();
        assert_eq!(
            bench.events(),
            [closed(1006, "", Initiator::Local, Cause::Aborted)]
        );
        assert!(bench.connection.is_drained());
    }
}

#[test]
fn an_unanswered_close_times_out() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench
            .connection
            .sender()
            .close(CloseCode::NORMAL, "")
            .expect("open");
        bench.output();
        let waited = bench.pass_to_deadline();
        assert!(
            waited >= Duration::from_secs(5) && waited < Duration::from_secs(6),
            "{waited:?}"
        );
        let cause = Cause::Timeout(Timeout::Close);
        assert_eq!(bench.events(), [closed(1006, "", Initiator::Local, cause)]);
        assert!(bench.connection.is_drained());
    }
}

#[test]
fn a_slow_peer_gets_all_that_was_queued_before_our_close_and_then_has_its_time() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.ping_interval = None);
        let sender = bench.connection.sender();
        sender.send(alloc::vec![7; 1 << 20]).expect("open");
        sender.close(CloseCode::NORMAL, "").expect("open");
        let mut taken = 0;
        while let Some(Transmit::Write(output)) = transmit(&mut bench.connection) {
            let n = output.first().len().min(100_000);
            taken += n;
            bench.connection.handle_written(n, bench.now);
            if bench.connection.sender().buffered() > 0 {
                bench.pass(Duration::from_secs(4));
            }
        }
        assert!(taken > 1 << 20, "{taken}");
        // Pings no longer move the deadline.
        bench.pass(Duration::from_secs(3));
        let ping = bench.whole(Opcode::Ping, b"");
        bench.feed(&ping);
        assert_eq!(bench.frames(), [(Opcode::Pong, Vec::new())]);
        let waited = bench.pass_to_deadline();
        assert!(waited < Duration::from_secs(3), "{waited:?}");
        let cause = Cause::Timeout(Timeout::Close);
        assert_eq!(bench.events(), [closed(1006, "", Initiator::Local, cause)]);
    }
}

#[test]
fn a_peer_that_never_ends_its_bytes_is_left_at_the_close_deadline() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let close = bench.whole(Opcode::Close, b"");
        bench.feed(&close);
        bench.output();
        bench.connection.handle_shutdown(bench.now);
        bench.pass_to_deadline();
        assert!(bench.connection.is_drained());
        assert_eq!(bench.events(), []);
    }
}

#[test]
fn only_codes_that_may_be_sent_are_sent() {
    for code in 0..=u16::MAX {
        let mut bench = Bench::new(Role::Server);
        let code = CloseCode::new(code);
        let result = bench.connection.sender().close(code, "");
        let expected = if code.is_sendable() || code == CloseCode::NO_STATUS {
            Ok(())
        } else {
            Err(SendError::CloseCode)
        };
        assert_eq!(result, expected, "{code}");
        assert_eq!(bench.output().is_empty(), expected.is_err());
    }
}

/// T21: whatever happens and in whatever order, a few steps of the clock end it.
#[test]
fn every_order_of_events_reaches_the_end_in_a_bounded_number_of_steps() {
    type Act = fn(&mut Bench);
    let acts: [Act; 9] = [
        |bench| _ = bench.connection.sender().close(CloseCode::NORMAL, ""),
        |bench| _ = bench.feed_some(&frame(bench.role, true, Opcode::Close, b"\x03\xe8")),
        |bench| _ = bench.feed_some(&frame(bench.role, true, Opcode::Text, b"hi")),
        |bench| _ = bench.feed_some(&[0x7f]),
        |bench| _ = bench.connection.sender().send("data"),
        |bench| bench.connection.sender().pause(),
        |bench| _ = bench.output(),
        |bench| bench.connection.handle_eof(bench.now),
        |bench| bench.connection.handle_shutdown(bench.now),
    ];
    for role in ROLES {
        for path in 0..acts.len().pow(4) {
            let mut bench = Bench::new(role);
            for step in 0..4 {
                acts[path / acts.len().pow(step) % acts.len()](&mut bench);
            }
            // From here on the peer is gone and takes nothing.
            let mut steps = 0;
            while !bench.connection.is_drained() {
                bench.connection.sender().resume();
                bench.feed_some(&[]);
                bench.connection.handle_written(0, bench.now);
                bench.pass_to_deadline();
                steps += 1;
                assert!(steps < 6, "path {path} in role {role:?} does not end");
            }
        }
    }
}

impl Bench {
    /// Feeds bytes of which receiving may leave some.
    fn feed_some(&mut self, bytes: &[u8]) -> usize {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let mut events = 0;
        while self.connection.poll_event(&mut input, self.now).is_some() {
            events += 1;
        }
        events
    }
}
