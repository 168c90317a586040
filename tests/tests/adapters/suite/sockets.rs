//! `WebSocket`, in both roles.

use core::time::Duration;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use sockeye_async::ConnectOptions;
use sockeye_core::handshake::Accept;
use sockeye_core::{Cause, CloseCode, Config, Incoming, SendError, SharedConfig, Timeout};
use sockeye_tests::adapter::{Adapter as _, Socket};
use sockeye_tests::wire::{CLOSE, CONTINUATION, FIN, PING, PONG, Raw, TEXT, UPGRADE, frame};

use super::Adapter;

type WebSocket = <Adapter as sockeye_tests::adapter::Adapter>::WebSocket;

/// Two ends of one connection: server, client.
pub(crate) fn pair(config: Config) -> (WebSocket, WebSocket) {
    let config = config.share().expect("valid limits");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    let mut options = ConnectOptions::default();
    options.config = config.clone();
    let client = thread::spawn(move || Adapter::connect(&url, &options).expect("a server"));
    let (stream, _) = listener.accept().expect("a client");
    let server = Adapter::accept(stream, &config, |_| Ok(Accept::new())).expect("an upgrade");
    (server, client.join().expect("no panic"))
}

/// A server's end, and the other one raw.
fn raw(config: &SharedConfig) -> (WebSocket, Raw) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut raw = Raw::silent(listener.local_addr().expect("bound"));
    raw.write(UPGRADE.as_bytes());
    let (stream, _) = listener.accept().expect("a client");
    let ws = Adapter::accept(stream, config, |_| Ok(Accept::new())).expect("an upgrade");
    raw.read_head();
    (ws, raw)
}

/// Echoes until the end.
pub(crate) fn echo(mut ws: WebSocket) -> JoinHandle<WebSocket> {
    thread::spawn(move || {
        while let Some(message) = ws.recv() {
            if ws.send(message).is_err() {
                // `recv` tells how it ends.
            }
        }
        ws
    })
}

#[test]
fn both_ends_of_a_close_handshake_hear_how_it_ended() {
    let (server, mut client) = pair(Config::default());
    let server = echo(server);
    client.send("hello").expect("open");
    assert_eq!(client.recv(), Some("hello".into()));
    client.close(CloseCode::new(4000), "bye").expect("a code");
    let server = server.join().expect("no panic");
    // The answer repeats the code, not the reason.
    for (closed, reason) in [(client.closed(), ""), (server.closed(), "bye")] {
        let closed = closed.expect("ended");
        assert!(closed.is_clean());
        assert_eq!(closed.code, CloseCode::new(4000));
        assert_eq!(&*closed.reason, reason);
    }
    assert_eq!(client.recv(), None);
    assert_eq!(client.send("late"), Err(SendError::Closed));
    assert_eq!(client.close(CloseCode::NORMAL, ""), Ok(()));
}

#[test]
fn both_ends_may_close_at_once() {
    let (mut server, mut client) = pair(Config::default());
    let other = thread::spawn(move || {
        server.close(CloseCode::new(4001), "").expect("a code");
        server
    });
    client.close(CloseCode::new(4002), "").expect("a code");
    let server = other.join().expect("no panic");
    assert!(client.closed().expect("ended").is_clean());
    assert!(server.closed().expect("ended").is_clean());
}

#[test]
fn a_code_that_must_not_be_sent_is_refused_and_nothing_happens() {
    let (server, mut client) = pair(Config::default());
    let server = echo(server);
    for code in [CloseCode::ABNORMAL, CloseCode::new(5000)] {
        assert_eq!(client.close(code, ""), Err(SendError::CloseCode));
    }
    client.send("still here").expect("open");
    assert_eq!(client.recv(), Some("still here".into()));
    drop(client);
    let server = server.join().expect("no panic");
    assert_eq!(server.closed().expect("ended").cause, Cause::Eof);
}

#[test]
fn fragments_with_a_ping_between_them_make_one_message() {
    let (mut ws, mut raw) = raw(&SharedConfig::default());
    raw.send(TEXT, b"Hel");
    raw.send(FIN | PING, b"in between");
    raw.send(FIN | CONTINUATION, b"lo");
    assert_eq!(ws.recv(), Some("Hello".into()));
    ws.send("done").expect("open");
    let pong = raw.read();
    assert_eq!(
        (pong.first, &*pong.payload),
        (FIN | PONG, &b"in between"[..])
    );
    assert_eq!(raw.read().payload, b"done");
}

#[test]
fn a_recv_that_is_given_up_at_any_point_loses_nothing() {
    const TEXTS: usize = 50;
    let (mut ws, mut raw) = raw(&SharedConfig::default());
    let texts: Vec<String> = (0..TEXTS)
        .map(|n| format!("{n} {}", "é".repeat(n % 40)))
        .collect();
    let sent = texts.clone();
    let writer = thread::spawn(move || {
        for text in sent {
            let (cut, rest) = text.as_bytes().split_at(text.len() / 2);
            let bytes = [frame(TEXT, cut), frame(FIN | PING, b"x"), frame(FIN, rest)].concat();
            for piece in bytes.chunks(7) {
                raw.write(piece);
                thread::sleep(Duration::from_micros(300));
            }
        }
        raw
    });
    let mut given_up = 0;
    for text in texts {
        let message = loop {
            match ws.recv_within(Duration::from_micros(50)) {
                Some(message) => break message,
                None => given_up += 1,
            }
        };
        assert_eq!(message, Some(text.into()));
    }
    assert!(given_up > TEXTS, "{given_up}");
    drop(writer.join().expect("no panic"));
}

#[test]
fn a_client_that_only_receives_answers_pings_and_closes() {
    let (mut server, mut client) = pair(Config::default());
    let client = thread::spawn(move || {
        assert_eq!(client.recv(), None);
        client
    });
    server.ping(b"are you there").expect("open");
    let pong = Incoming::Pong(b"are you there".to_vec());
    assert_eq!(server.incoming(), Some(pong));
    server.close(CloseCode::GOING_AWAY, "").expect("a code");
    assert!(server.closed().expect("ended").is_clean());
    let client = client.join().expect("no panic");
    assert_eq!(client.closed().expect("ended").code, CloseCode::GOING_AWAY);
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let mut config = Config::default();
    config.ping_interval = Some(Duration::from_millis(100));
    config.pong_timeout = Duration::from_millis(100);
    let (mut ws, mut raw) = raw(&config.share().expect("valid"));
    let end = thread::spawn(move || {
        assert_eq!(ws.recv(), None);
        ws.closed().cloned()
    });
    let ping = raw.read();
    assert_eq!(ping.first, FIN | PING);
    raw.send(FIN | PONG, &ping.payload);
    assert_eq!(raw.read().first, FIN | PING, "it was alive");
    let closed = end.join().expect("no panic").expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Pong));
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_given_up() {
    let mut config = Config::default();
    config.close_timeout = Duration::from_millis(200);
    let (mut ws, mut raw) = raw(&config.share().expect("valid"));
    ws.close(CloseCode::NORMAL, "").expect("a code");
    let closed = ws.closed().expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Close));
    raw.read_close(1000);
}

#[test]
fn a_half_open_peer_is_gone() {
    let (mut ws, mut raw) = raw(&SharedConfig::default());
    raw.send(FIN | TEXT, b"last words");
    raw.finish();
    assert_eq!(ws.recv(), Some("last words".into()));
    assert_eq!(ws.recv(), None);
    assert_eq!(ws.closed().expect("ended").cause, Cause::Eof);
}

#[test]
fn a_peer_that_breaks_the_protocol_gets_the_code() {
    let (mut ws, mut raw) = raw(&SharedConfig::default());
    raw.write(b"\xc1\x82\0\0\0\0hi");
    let end = thread::spawn(move || {
        assert_eq!(ws.recv(), None);
        ws.closed().cloned()
    });
    raw.read_close(1002);
    drop(raw);
    let closed = end.join().expect("no panic").expect("ended");
    assert!(matches!(closed.cause, Cause::Violation(_)));
}

#[test]
fn messages_larger_than_any_buffer_arrive_whole_in_both_directions() {
    let mut config = Config::default();
    config.max_message = 16 << 20;
    let (server, mut client) = pair(config);
    let server = echo(server);
    let binary: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 251) as u8).collect();
    let text = "añb".repeat(1 << 20);
    client.send(binary.clone()).expect("open");
    assert!(client.recv().expect("open").as_bytes() == binary);
    client.send(text.clone()).expect("open");
    assert!(client.recv().expect("open").as_text() == Some(&text));
    client.close(CloseCode::NORMAL, "").expect("a code");
    let server = server.join().expect("no panic");
    assert!(server.closed().expect("ended").is_clean());
}

#[test]
fn sending_is_held_back_by_a_peer_that_does_not_read_and_ends_with_it() {
    let (mut ws, mut raw) = raw(&SharedConfig::default());
    let sender = thread::spawn(move || {
        let mut sent = 0_usize;
        while ws.send(vec![0; 10_000]).is_ok() {
            sent += 1;
            // The kernel holds some megabytes; the rest waits.
            assert!(sent < 6400, "nothing held it back");
        }
        assert_eq!(ws.recv(), None);
        ws
    });
    for _ in 0..100 {
        assert_eq!(raw.read().payload.len(), 10_000);
    }
    raw.send(FIN | CLOSE, &1000_u16.to_be_bytes());
    drop(raw);
    assert!(sender.join().expect("no panic").closed().is_some());
}
