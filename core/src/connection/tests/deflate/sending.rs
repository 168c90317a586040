//! RFC 7692 §6.1 and §7.2.1: what goes out compressed.

use super::*;
use crate::deflate::Pool;
use crate::{CloseCode, Frame, MessageKind, Outgoing};

fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

#[test]
fn a_message_is_compressed_so_that_zlib_can_read_it() {
    for role in ROLES {
        for window in [NO_TAKEOVER, TAKEOVER] {
            let mut bench = bench(role, window, |_| ());
            let mut zlib = Zlib::new(window);
            for len in [1, 10, 300, 5000, 100_000, 1_000_000] {
                let message = prose(len);
                bench.connection.sender().send(&message).expect("open");
                let frames = bench.raw_frames();
                let [(first, payload)] = &frames[..] else {
                    panic!("{len}: {} frames", frames.len())
                };
                if len < 20 && !window.takeover {
                    assert_eq!((*first, &payload[..]), (0x81, message.as_bytes()));
                    continue;
                }
                assert_eq!(*first, 0xc1, "{len}");
                assert!(len < 20 || payload.len() < len);
                assert!(zlib.decompress(payload) == message.as_bytes(), "{len}");
            }
        }
    }
}

#[test]
fn takeover_makes_a_message_that_was_sent_before_far_shorter() {
    let message = prose(1000);
    for role in ROLES {
        let lengths = |window| {
            let mut bench = bench(role, window, |_| ());
            bench.connection.sender().send(&message).expect("open");
            bench.connection.sender().send(&message).expect("open");
            let frames = bench.raw_frames();
            [frames[0].1.len(), frames[1].1.len()]
        };
        let [first, second] = lengths(NO_TAKEOVER);
        assert_eq!(first, second);
        let [first, second] = lengths(TAKEOVER);
        assert!(second * 10 < first, "{first} {second}");
    }
}

#[test]
fn short_and_refused_messages_and_those_that_do_not_get_shorter_go_as_they_are() {
    let noise = noise(5000);
    for role in ROLES {
        let mut bench = bench(role, NO_TAKEOVER, |config| {
            config.deflate = Some(crate::Deflate::default());
        });
        let sender = bench.connection.sender();
        sender.send("x".repeat(255)).expect("open");
        sender.send("x".repeat(256)).expect("open");
        let secret = "x".repeat(1000);
        sender
            .send(Outgoing::text(&secret).uncompressed())
            .expect("open");
        sender
            .send_frame(&Frame::new(Outgoing::text(&secret).uncompressed()))
            .expect("open");
        sender.send(&noise[..]).expect("open");
        sender.send_frame(&Frame::new(&noise[..])).expect("open");
        sender.begin_uncompressed(MessageKind::Text).expect("open");
        sender.finish(secret.as_bytes()).expect("begun");
        let firsts: Vec<u8> = bench.raw_frames().iter().map(|frame| frame.0).collect();
        assert_eq!(firsts, [0x81, 0xc1, 0x81, 0x81, 0x82, 0x82, 0x81]);
    }
}

#[test]
fn a_connection_without_the_agreement_never_compresses() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| {
            config.deflate = Some(crate::Deflate::default());
        });
        let text = "x".repeat(1000);
        let sender = bench.connection.sender();
        sender.send(&text).expect("open");
        sender.send_frame(&Frame::new(&text)).expect("open");
        sender.begin(MessageKind::Text).expect("open");
        sender.finish(text.as_bytes()).expect("begun");
        let frames = bench.raw_frames();
        assert!(
            frames
                .iter()
                .all(|(first, payload)| *first == 0x81 && payload == text.as_bytes())
        );
    }
}

#[test]
fn fragments_are_one_compressed_message() {
    let message = prose(70_000);
    for role in ROLES {
        for window in [NO_TAKEOVER, TAKEOVER] {
            let mut sender = bench(role, window, |_| ());
            let mut receiver = bench(other(role), window, |_| ());
            for _ in 0..2 {
                let hand = sender.connection.sender();
                hand.begin(MessageKind::Text).expect("open");
                hand.append(b"").expect("begun");
                let (start, rest) = message.as_bytes().split_at(12_345);
                hand.append(start).expect("begun");
                hand.ping(b"between").expect("open");
                hand.append(rest).expect("begun");
                hand.finish(b"").expect("begun");
                hand.send("behind").expect("open");
                let wire = sender.output();
                assert!(wire.len() < message.len() / 2);
                assert_eq!(
                    receiver.feed(&wire),
                    [
                        Seen::Ping(b"between".to_vec()),
                        Seen::Text(message.clone()),
                        Seen::Text("behind".into())
                    ]
                );
            }
            sender
                .connection
                .sender()
                .begin(MessageKind::Binary)
                .expect("open");
            sender.connection.sender().finish(b"").expect("begun");
            let empty = sender.raw_frames();
            assert_eq!(empty[0].0, 0xc2);
        }
    }
}

#[test]
fn rsv1_stands_on_the_first_fragment_only() {
    let mut bench = bench(Role::Server, NO_TAKEOVER, |_| ());
    let hand = bench.connection.sender();
    hand.begin(MessageKind::Binary).expect("open");
    for _ in 0..2 {
        hand.append(b"abc").expect("begun");
    }
    hand.finish(b"abc").expect("begun");
    let firsts: Vec<u8> = bench.raw_frames().iter().map(|frame| frame.0).collect();
    assert_eq!(firsts, [0x42, 0x00, 0x80]);
}

#[test]
fn what_was_begun_and_is_not_finished_holds_nothing_after_a_close() {
    for end in [
        (|bench: &mut Bench| {
            bench
                .connection
                .sender()
                .close(CloseCode::NORMAL, "")
                .expect("open");
        }) as fn(&mut Bench),
        |bench| bench.connection.handle_eof(bench.now),
        |bench| drop(bench.feed(b"\xff")),
    ] {
        let mut bench = bench(Role::Server, TAKEOVER, |_| ());
        let hand = bench.connection.sender();
        hand.begin(MessageKind::Binary).expect("open");
        hand.append(b"abc").expect("begun");
        assert!(hand.holds_deflater());
        end(&mut bench);
        assert!(!bench.connection.sender().holds_deflater());
        let seen = bench.events();
        assert!(seen.len() <= 1, "{seen:?}");
    }
}

#[test]
fn a_frame_is_compressed_once_for_all_that_share_a_window() {
    let text = prose(5000);
    let frame = Frame::new(&text);
    let window = |bits| Window {
        bits,
        takeover: false,
    };
    let mut shared = Vec::new();
    for bits in [12, 12, 9, 8, 12] {
        let mut peer = bench(Role::Server, window(bits), |_| ());
        peer.connection.sender().send_frame(&frame).expect("open");
        shared.push(peer.output());
    }
    assert_eq!(frame.compressed().forms(), 2, "8 bits are sent as 9");
    assert!(shared[0] == shared[1] && shared[0] == shared[4]);
    assert!(shared[2] == shared[3]);
    // Others get what they can read.
    let mut plain = Bench::new(Role::Server);
    plain.connection.sender().send_frame(&frame).expect("open");
    assert_eq!(plain.frames(), [(Opcode::Text, text.clone().into_bytes())]);
    for (role, window) in [(Role::Server, TAKEOVER), (Role::Client, NO_TAKEOVER)] {
        let mut own = bench(role, window, |_| ());
        own.connection.sender().send_frame(&frame).expect("open");
        let frames = own.raw_frames();
        assert_eq!(frames[0].0, 0xc1);
        assert!(Zlib::new(window).decompress(&frames[0].1) == text.as_bytes());
    }
    assert_eq!(frame.compressed().forms(), 2);
    let mut zlib = Zlib::new(NO_TAKEOVER);
    let mut reader = bench(Role::Client, NO_TAKEOVER, |_| ());
    assert_eq!(reader.feed(&shared[0]), [Seen::Text(text.clone())]);
    assert!(zlib.decompress(&shared[2][4..]) == text.as_bytes());
}

#[test]
fn the_hard_mark_counts_what_was_compressed() {
    let mut bench = bench(Role::Server, NO_TAKEOVER, |config| {
        config.hard_mark = 100_000;
    });
    for _ in 0..100 {
        let sent = bench.connection.sender().send("sockeye".repeat(1000));
        sent.expect("shorter than it was");
    }
    let buffered = bench.connection.sender().buffered();
    assert!((2000..20_000).contains(&buffered), "{buffered}");
}

#[test]
fn an_idle_connection_without_takeover_holds_nothing() {
    let mut bench = bench(Role::Server, NO_TAKEOVER, |_| ());
    bench.connection.sender().send(prose(5000)).expect("open");
    let hand = bench.connection.sender();
    hand.begin(MessageKind::Binary).expect("open");
    hand.append(b"abc").expect("begun");
    hand.finish(b"abc").expect("begun");
    drop(bench.output());
    assert!(!bench.connection.sender().holds_deflater());
    assert_eq!(Pool::with(|pool| pool.idle()), (0, 1));
}
