//! RFC 6455 §5.5: control frames.

use super::*;

#[test]
fn a_ping_is_answered_with_its_payload() {
    for role in ROLES {
        for payload in [&b""[..], b"x", &[0xff; 125]] {
            let mut bench = Bench::new(role);
            let ping = bench.whole(Opcode::Ping, payload);
            assert_eq!(bench.feed(&ping), [Seen::Ping(payload.to_vec())]);
            assert_eq!(bench.frames(), [(Opcode::Pong, payload.to_vec())]);
        }
    }
}

#[test]
fn a_ping_is_answered_inside_a_fragmented_message() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let bytes = [
            bench.frame(false, Opcode::Text, b"frag"),
            bench.whole(Opcode::Ping, b"?"),
            bench.frame(true, Opcode::Continuation, b"ment"),
        ]
        .concat();
        assert_eq!(
            bench.feed(&bytes),
            [Seen::Ping(b"?".to_vec()), Seen::Text("fragment".into())]
        );
        assert_eq!(bench.frames(), [(Opcode::Pong, b"?".to_vec())]);
    }
}

#[test]
fn pings_in_a_row_are_each_answered_in_order() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let pings: Vec<Vec<u8>> = (0..10_u8).map(|i| alloc::vec![i; 125]).collect();
        let bytes: Vec<u8> = pings
            .iter()
            .flat_map(|ping| bench.whole(Opcode::Ping, ping))
            .collect();
        bench.feed(&bytes);
        let pongs: Vec<(Opcode, Vec<u8>)> =
            pings.into_iter().map(|ping| (Opcode::Pong, ping)).collect();
        assert_eq!(bench.frames(), pongs);
    }
}

#[test]
fn of_too_many_unsent_pongs_the_newest_wins() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let pings: Vec<u8> = (0..200_u8)
            .flat_map(|i| frame(role, true, Opcode::Ping, &[i; 125]))
            .collect();
        bench.feed(&pings);
        // Offered, but not taken: the newest can still be replaced.
        assert!(matches!(
            transmit(&mut bench.connection),
            Some(Transmit::Write(_))
        ));
        bench.connection.handle_written(0, bench.now);
        let ping = bench.whole(Opcode::Ping, b"last");
        bench.feed(&ping);
        let pongs = bench.frames();
        assert!((10..=17).contains(&pongs.len()), "{}", pongs.len());
        assert_eq!(pongs.last(), Some(&(Opcode::Pong, b"last".to_vec())));
        assert_eq!(bench.connection.sender().buffered(), 0);
    }
}

#[test]
fn a_peer_that_pings_and_reads_a_little_at_a_time_holds_no_more() {
    let mut bench = Bench::new(Role::Server);
    let ping = frame(Role::Server, true, Opcode::Ping, &[1; 125]);
    let mut out = Vec::new();
    for _ in 0..10_000 {
        bench.feed(&ping);
        let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
            panic!("no pong")
        };
        let slices: usize = output.slices().map(<[u8]>::len).sum();
        assert!(slices <= (2 << 10) + 127, "{slices}");
        let taken = &output.first()[..7];
        out.extend_from_slice(taken);
        bench.connection.handle_written(7, bench.now);
    }
    out.extend(bench.output());
    assert!(
        decode(Role::Server, &out)
            .iter()
            .all(|frame| *frame == (Opcode::Pong, alloc::vec![1; 125]))
    );
}

#[test]
fn a_pong_that_has_started_is_finished_before_the_next() {
    let mut bench = Bench::new(Role::Server);
    let ping = bench.whole(Opcode::Ping, b"first");
    bench.feed(&ping);
    let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
        panic!("no pong")
    };
    let start = output.first()[..3].to_vec();
    bench.connection.handle_written(3, bench.now);
    let ping = bench.whole(Opcode::Ping, b"second");
    bench.feed(&ping);
    let bytes = [start, bench.output()].concat();
    let frames = decode(Role::Server, &bytes);
    assert_eq!(
        frames,
        [
            (Opcode::Pong, b"first".to_vec()),
            (Opcode::Pong, b"second".to_vec())
        ]
    );
}

#[test]
fn a_pong_overtakes_data_but_not_the_segment_that_is_being_written() {
    for (len, is_lent) in [(5000_u16, false), (16 << 10, true), (16 << 10, false)] {
        let mut bench = Bench::new(Role::Server);
        for octet in 1..=3 {
            let payload = alloc::vec![octet; len.into()];
            let sender = bench.connection.sender();
            let sent = match is_lent {
                true => sender.send(&payload[..]),
                false => sender.send(payload),
            };
            sent.expect("open");
        }
        // The first header and one byte of its payload are out.
        bench.connection.handle_written(5, bench.now);
        let ping = bench.whole(Opcode::Ping, b"!");
        bench.feed(&ping);
        let [high, low] = len.to_be_bytes();
        let written = [0x82, 0x7e, high, low, 1];
        let frames = decode(Role::Server, &[&written[..], &bench.output()].concat());
        let order: Vec<Opcode> = frames.iter().map(|(opcode, _)| *opcode).collect();
        assert_eq!(
            order,
            [Opcode::Binary, Opcode::Pong, Opcode::Binary, Opcode::Binary]
        );
    }
}

#[test]
fn a_ping_of_ours_goes_ahead_of_waiting_data() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench.connection.sender().send("data").expect("open");
        bench.connection.sender().ping(b"now").expect("open");
        let order: Vec<Opcode> = bench
            .frames()
            .into_iter()
            .map(|(opcode, _)| opcode)
            .collect();
        assert_eq!(order, [Opcode::Ping, Opcode::Text]);
    }
}

#[test]
fn a_pong_is_an_event_and_gets_no_answer() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let pong = bench.whole(Opcode::Pong, b"unasked");
        assert_eq!(bench.feed(&pong), [Seen::Pong(b"unasked".to_vec())]);
        assert_eq!(bench.output(), b"");
    }
}

#[test]
fn a_control_payload_above_125_bytes_is_refused() {
    let mut bench = Bench::new(Role::Server);
    let sender = bench.connection.sender();
    assert_eq!(sender.ping(&[0; 126]), Err(crate::SendError::TooLong));
    assert_eq!(sender.pong(&[0; 126]), Err(crate::SendError::TooLong));
    assert_eq!(
        sender.close(crate::CloseCode::NORMAL, &"x".repeat(124)),
        Err(crate::SendError::TooLong)
    );
    assert_eq!(bench.output(), b"");
}
