//! `serve`, from the other end of the wire.

use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use sockeye_async::Shutdown;
use sockeye_core::{Cause, CloseCode, Initiator, Timeout};
use sockeye_tests::server;
use sockeye_tests::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, Raw, TEXT, UPGRADE, frame,
};

use super::Adapter;

type TestServer = server::TestServer<Adapter>;

fn server() -> TestServer {
    TestServer::start(|_, _| {})
}

#[test]
fn messages_of_every_size_around_the_length_borders_come_back() {
    let server = server();
    let mut peer = Raw::open(server.address);
    let borders = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1 << 20];
    for opcode in [TEXT, BINARY] {
        for len in borders {
            let payload = vec![b'x'; len];
            peer.send(FIN | opcode, &payload);
            let echo = peer.read();
            assert_eq!(echo.first, FIN | opcode);
            assert!(echo.payload == payload, "{len}");
        }
    }
}

#[test]
fn what_comes_before_the_beginning_of_a_message_is_answered_without_the_rest_of_it() {
    let server = server();
    let mut peer = Raw::open(server.address);
    // Cut in the header, where it fits the read buffer, and where it does not.
    for (len, cut) in [(10, 1), (1000, 900), (20_000, 15_000), (50_000, 20_000)] {
        let payload = vec![b'x'; len];
        let message = frame(FIN | BINARY, &payload);
        let (beginning, rest) = message.split_at(cut);
        peer.write(&[&frame(FIN | TEXT, b"before"), beginning].concat());
        assert_eq!(peer.read().payload, b"before", "{len}");
        peer.write(rest);
        assert!(peer.read().payload == payload, "{len}");
    }
}

#[test]
fn a_message_one_byte_over_the_limit_closes_with_1009_and_costs_nobody_else() {
    let server = TestServer::start(|config, _| config.max_message = 1000);
    let mut other = Raw::open(server.address);
    let mut peer = Raw::open(server.address);
    // The header alone says enough.
    peer.write(&frame(FIN | BINARY, &[0; 1001])[..8]);
    peer.read_close(1009);
    other.send(FIN | BINARY, &[0; 1000]);
    assert_eq!(other.read().payload.len(), 1000);
}

#[test]
fn fragments_with_control_frames_between_them_make_one_message() {
    let server = server();
    let mut peer = Raw::open(server.address);
    peer.send(TEXT, b"Hel");
    peer.send(FIN | PING, b"in between");
    peer.send(CONTINUATION, b"");
    peer.send(FIN | CONTINUATION, b"lo");
    let pong = peer.read();
    assert_eq!(
        (pong.first, &*pong.payload),
        (FIN | PONG, &b"in between"[..])
    );
    let echo = peer.read();
    assert_eq!((echo.first, &*echo.payload), (FIN | TEXT, &b"Hello"[..]));
}

#[test]
fn bytes_that_follow_the_upgrade_in_the_same_packet_are_a_message() {
    let server = server();
    let mut peer = Raw::silent(server.address);
    peer.write(&[UPGRADE.as_bytes(), &frame(FIN | TEXT, b"early")].concat());
    assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(peer.read().payload, b"early");
}

#[test]
fn an_upgrade_and_a_message_byte_by_byte_are_understood() {
    let server = server();
    let mut peer = Raw::silent(server.address);
    let bytes = [UPGRADE.as_bytes(), &frame(FIN | TEXT, b"slow")].concat();
    for byte in bytes {
        peer.write(&[byte]);
    }
    assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(peer.read().payload, b"slow");
}

#[test]
fn the_peer_closes_first() {
    let server = server();
    let mut peer = Raw::open(server.address);
    peer.send(FIN | CLOSE, &[&4000_u16.to_be_bytes()[..], b"bye"].concat());
    peer.read_close(4000);
    peer.read_end();
    let closed = server.next_end();
    assert!(closed.is_clean());
    assert_eq!(closed.initiator, Initiator::Peer);
    assert_eq!(
        (closed.code, &*closed.reason),
        (CloseCode::new(4000), "bye")
    );
}

#[test]
fn the_server_closes_first() {
    let server = server();
    let mut peer = Raw::open(server.address);
    peer.send(FIN | TEXT, b"close 4001");
    peer.read_close(4001);
    // A message that was under way is no violation (RFC 6455 §1.4).
    peer.send(FIN | TEXT, b"crossing");
    peer.close(4001);
    let closed = server.next_end();
    assert!(closed.is_clean());
    assert_eq!(closed.initiator, Initiator::Local);
}

#[test]
fn both_close_at_once() {
    let server = server();
    let mut peer = Raw::open(server.address);
    let both = [
        frame(FIN | TEXT, b"close 4001"),
        frame(FIN | CLOSE, &4002_u16.to_be_bytes()),
    ];
    peer.write(&both.concat());
    peer.read_close(4001);
    peer.read_end();
    assert!(server.next_end().is_clean());
}

#[test]
fn a_peer_that_half_closes_without_a_close_frame_is_gone() {
    let server = server();
    let mut peer = Raw::open(server.address);
    peer.finish();
    assert_eq!(server.next_end().cause, Cause::Eof);
    peer.read_end();
}

#[test]
fn a_peer_that_vanishes_is_noticed() {
    let server = server();
    drop(Raw::open(server.address));
    assert!(!server.next_end().is_clean());
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_dropped_at_the_deadline() {
    let server = TestServer::start(|config, _| config.close_timeout = Duration::from_millis(200));
    let mut peer = Raw::open(server.address);
    peer.send(FIN | TEXT, b"close 4001");
    peer.read_close(4001);
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Close));
    peer.read_end();
}

#[test]
fn a_violation_gets_its_code_before_the_end_even_if_more_was_sent() {
    let server = server();
    let mut peer = Raw::open(server.address);
    // Unmasked, and a lot behind it that nobody will parse.
    peer.write(b"\x81\x05hello");
    peer.write(&vec![0; 100_000]);
    peer.read_close(1002);
    assert!(matches!(server.next_end().cause, Cause::Violation(_)));
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let server = TestServer::start(|config, _| {
        config.ping_interval = Some(Duration::from_millis(100));
        config.pong_timeout = Duration::from_millis(100);
    });
    let mut peer = Raw::open(server.address);
    let ping = peer.read();
    assert_eq!(ping.first, FIN | PING);
    peer.send(FIN | PONG, &ping.payload);
    assert_eq!(peer.read().first, FIN | PING, "it was alive");
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Pong));
}

#[test]
fn a_client_that_says_nothing_or_drips_is_gone_at_the_handshake_deadline() {
    let server =
        TestServer::start(|config, _| config.handshake_timeout = Duration::from_millis(300));
    let begin = Instant::now();
    let mut silent = Raw::silent(server.address);
    let mut dripping = Raw::silent(server.address);
    let drip = thread::spawn(move || {
        for byte in UPGRADE.bytes().take(UPGRADE.len() - 1).cycle() {
            if dripping.0.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    let mut rest = Vec::new();
    // An answer or none, but an end.
    let _ = silent.0.read_to_end(&mut rest);
    drip.join().expect("an end");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_refusal_has_its_status_and_body_and_plain_http_its_page() {
    let server = server();
    for (request, status, body) in [
        (
            UPGRADE.replace("/path", "/forbidden"),
            "HTTP/1.1 403 ",
            "members only\nsorry\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            "HTTP/1.1 200 ",
            "a page\n",
        ),
        ("nonsense\r\n\r\n".into(), "HTTP/1.1 400 ", ""),
    ] {
        let mut peer = Raw::silent(server.address);
        peer.write(request.as_bytes());
        let head = peer.read_head();
        assert!(head.starts_with(status), "{head}");
        let mut read = String::new();
        peer.0.read_to_string(&mut read).expect("the end");
        assert!(read.ends_with(body), "{read}");
    }
}

#[test]
fn beyond_the_cap_an_upgrade_is_refused_until_there_is_room() {
    let server = TestServer::start(|_, options| options.max_connections = 2);
    let first = Raw::open(server.address);
    let _second = Raw::open(server.address);
    let mut third = Raw::silent(server.address);
    third.write(UPGRADE.as_bytes());
    let head = third.read_head();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.to_lowercase().contains("\r\nretry-after: "), "{head}");
    drop((first, third));
    // Both are gone when the server has noticed.
    while server.connections() > 1 {
        thread::yield_now();
    }
    let mut fourth = Raw::open(server.address);
    fourth.send(FIN | TEXT, b"room");
    assert_eq!(fourth.read().payload, b"room");
}

#[test]
fn a_peer_that_never_reads_is_not_read_from_and_loses_nothing() {
    let server = TestServer::start(|config, _| config.write_timeout = Duration::from_secs(600));
    let mut other = Raw::open(server.address);
    let peer = Raw::open(server.address);
    let message = frame(FIN | BINARY, &[7; 1000]);
    let batch = message.repeat(1000);
    peer.0.set_nonblocking(true).expect("a socket");
    // Until both directions are full: what is not taken for a second waits for us.
    let mut sent = 0;
    let mut stuck_since = Instant::now();
    while stuck_since.elapsed() < Duration::from_secs(1) {
        match (&peer.0).write(&batch[sent % message.len()..]) {
            Ok(n) => {
                sent += n;
                stuck_since = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
        // Kernels buffer some megabytes for each direction, but not this much.
        assert!(sent < 64 << 20, "the server reads on");
    }
    let buffered = server.next_peer();
    assert!(buffered.is_open());
    other.send(FIN | TEXT, b"unharmed");
    assert_eq!(other.read().payload, b"unharmed");
    // It reads again: every echo is there.
    peer.0.set_nonblocking(false).expect("a socket");
    let mut peer = peer;
    let whole = sent / message.len();
    for _ in 0..whole {
        assert_eq!(peer.read().payload.len(), 1000);
    }
}

#[test]
fn a_peer_that_never_reads_is_given_up_at_the_write_deadline() {
    let server = TestServer::start(|config, _| config.write_timeout = Duration::from_millis(300));
    let peer = Raw::open(server.address);
    let batch = frame(FIN | BINARY, &[7; 1000]).repeat(1000);
    let writer = thread::spawn(move || while (&peer.0).write(&batch).is_ok() {});
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Write));
    writer.join().expect("the reset");
}

#[test]
fn a_handler_that_panics_ends_its_own_connection_only() {
    let server = server();
    let mut other = Raw::open(server.address);
    let mut peer = Raw::open(server.address);
    peer.send(FIN | TEXT, b"panic");
    peer.read_close(1011);
    peer.close(1011);
    other.send(FIN | TEXT, b"unharmed");
    assert_eq!(other.read().payload, b"unharmed");
}

#[test]
fn a_peer_handle_sends_from_another_thread() {
    // Nothing else wakes the connection.
    let server = TestServer::start(|config, _| config.ping_interval = None);
    let mut raw = Raw::open(server.address);
    let peer = server.next_peer();
    thread::spawn(move || {
        peer.send("from elsewhere").expect("open");
        peer.close(CloseCode::NORMAL, "");
    });
    assert_eq!(raw.read().payload, b"from elsewhere");
    raw.read_close(1000);
    raw.close(1000);
    assert!(server.next_end().is_clean());
}

#[test]
fn a_shutdown_closes_a_hundred_connections_with_1001_and_ends() {
    let mut server = server();
    let address = server.address;
    let peers: Vec<Raw> = (0..100).map(|_| Raw::open(address)).collect();
    // One that has only connected, and one in the middle of a message.
    let _silent = Raw::silent(address);
    let mut busy = Raw::open(address);
    busy.send(TEXT, b"the beginning of");
    let (dropped, ()) = server.shut_down_while(Shutdown::default(), || {
        for mut peer in peers.into_iter().chain([busy]) {
            peer.read_close(1001);
            peer.close(1001);
        }
    });
    assert_eq!(dropped, 0);
    assert_eq!(server.connections(), 0);
    let refused = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_shutdown_tells_its_code_and_drops_who_does_not_answer() {
    let mut server = server();
    let mut deaf = Raw::open(server.address);
    let dropped = server.shut_down(Shutdown {
        code: CloseCode::SERVICE_RESTART,
        reason: "back soon".into(),
        timeout: Duration::from_millis(300),
        ..Shutdown::default()
    });
    assert_eq!(dropped, 1);
    let close = deaf.read();
    assert_eq!(
        close.payload,
        [&1012_u16.to_be_bytes()[..], b"back soon"].concat()
    );
    deaf.read_end();
    assert!(!server.next_end().is_clean());
}

#[test]
fn what_was_received_is_answered_before_a_shutdown_closes() {
    let mut server = server();
    let mut peer = Raw::open(server.address);
    peer.send(FIN | TEXT, b"first");
    assert_eq!(peer.read().payload, b"first");
    let (dropped, ()) = server.shut_down_while(Shutdown::default(), move || {
        peer.read_close(1001);
        peer.close(1001);
    });
    assert_eq!(dropped, 0);
}

#[test]
fn a_second_shutdown_finds_the_server_ended() {
    let mut server = server();
    let mut deaf = Raw::open(server.address);
    let shutdown = Shutdown {
        timeout: Duration::from_millis(100),
        ..Shutdown::default()
    };
    assert_eq!(server.shut_down(shutdown), 1);
    assert_eq!(server.shut_down(Shutdown::default()), 1);
    deaf.read_close(1001);
}

#[test]
fn a_shutdown_reaches_a_connection_that_has_never_had_a_deadline() {
    let mut server = TestServer::start(|config, options| {
        config.ping_interval = None;
        // Beyond what a deadline can hold.
        config.handshake_timeout = Duration::MAX;
        options.max_connections = 10;
    });
    let mut deaf = Raw::open(server.address);
    let silent = Raw::silent(server.address);
    while server.connections() < 2 {
        thread::yield_now();
    }
    let begin = Instant::now();
    let dropped = server.shut_down(Shutdown {
        timeout: Duration::from_millis(500),
        ..Shutdown::default()
    });
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(dropped, 2);
    deaf.read_close(1001);
    drop(silent);
}
