//! `accept`, `connect` and the blocking `WebSocket` of `sockeye_mio`.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_core::{
    Cause, CloseCode, Config, Incoming, MessageKind, SendError, SharedConfig, Timeout,
};
use sockeye_mio::{
    AcceptError, ConnectError, ConnectOptions, TimedOut, WebSocket, accept, connect,
};
use sockeye_tests::wire::{
    CLOSE, CONTINUATION, FIN, PATIENCE, PING, PONG, Raw, TEXT, UPGRADE, frame,
};

/// Gives a server's connection to `serve`, on a thread of its own.
fn serve<T: Send + 'static>(
    config: Config,
    serve: impl FnOnce(WebSocket) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let config = config.share().expect("valid limits");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        serve(accept(stream, &config, |_| Ok(Accept::new())).expect("an upgrade"))
    });
    (address, server)
}

fn client(address: SocketAddr) -> WebSocket {
    connect(&format!("ws://{address}/"), &ConnectOptions::default()).expect("a server")
}

/// Echoes until the end.
fn echo(mut ws: WebSocket) -> WebSocket {
    while let Some(message) = ws.recv() {
        if ws.send(message).is_err() {
            // `recv` tells how it ends.
        }
    }
    ws
}

/// No Pings but those of the test.
fn quiet() -> Config {
    let mut config = Config::default();
    config.ping_interval = None;
    config
}

#[test]
fn both_ends_of_a_close_handshake_hear_how_it_ended() {
    let (address, server) = serve(quiet(), echo);
    let mut client = client(address);
    assert_eq!(client.peer_addr(), address);
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
    assert_eq!(client.recv_timeout(PATIENCE), Ok(None));
    assert_eq!(client.send("late"), Err(SendError::Closed));
    assert_eq!(client.close(CloseCode::NORMAL, ""), Ok(()));
}

#[test]
fn a_recv_that_times_out_loses_nothing() {
    let (address, server) = serve(quiet(), |mut ws| {
        let soon = Duration::from_millis(20);
        assert_eq!(ws.recv_timeout(Duration::ZERO), Err(TimedOut));
        ws.send("begin").expect("open");
        // The message comes in pieces, and this looks between them.
        loop {
            match ws.recv_timeout(soon) {
                Err(TimedOut) => ws.send("more").expect("open"),
                Ok(message) => return message,
            }
        }
    });
    let mut raw = Raw::open(address);
    assert_eq!(raw.read().payload, b"begin");
    for piece in [&b"first "[..], b"second "] {
        raw.send(if piece[0] == b'f' { TEXT } else { CONTINUATION }, piece);
        // It has timed out since.
        assert_eq!(raw.read().payload, b"more");
    }
    raw.send(FIN | CONTINUATION, b"third");
    let message = server.join().expect("no panic").expect("a message");
    assert_eq!(message.as_text(), Some("first second third"));
}

#[test]
fn a_program_that_only_receives_answers_pings_and_closes() {
    let (address, server) = serve(quiet(), |mut ws| {
        assert_eq!(ws.recv(), None);
        ws
    });
    let mut raw = Raw::open(address);
    raw.send(FIN | PING, b"there?");
    let pong = raw.read();
    assert_eq!((pong.first, &*pong.payload), (FIN | PONG, &b"there?"[..]));
    raw.send(FIN | CLOSE, &1000_u16.to_be_bytes());
    raw.read_close(1000);
    raw.read_end();
    drop(raw);
    let server = server.join().expect("no panic");
    assert!(server.closed().expect("ended").is_clean());
}

#[test]
fn a_ping_is_answered_with_a_pong_among_what_comes_in() {
    let (address, server) = serve(quiet(), echo);
    let mut client = client(address);
    client.ping(b"there?").expect("open");
    assert_eq!(client.incoming(), Some(Incoming::Pong(b"there?".into())));
    client.close(CloseCode::NORMAL, "").expect("a code");
    server.join().expect("no panic");
}

#[test]
fn a_silent_peer_is_pinged_and_given_up_while_recv_waits() {
    let mut config = Config::default();
    config.ping_interval = Some(Duration::from_millis(150));
    config.pong_timeout = Duration::from_millis(150);
    let (address, server) = serve(config, |mut ws| {
        assert_eq!(ws.recv(), None);
        ws
    });
    let mut raw = Raw::open(address);
    assert_eq!(raw.read().first, FIN | PING);
    let server = server.join().expect("no panic");
    let closed = server.closed().expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Pong));
}

#[test]
fn a_program_that_was_busy_hears_the_pong_before_the_deadline_counts() {
    let mut config = Config::default();
    config.ping_interval = Some(Duration::from_millis(100));
    config.pong_timeout = Duration::from_millis(500);
    let (word, words) = channel();
    let (is_busy, busy) = channel();
    let (address, server) = serve(config, move |mut ws| {
        // Until a Ping is out.
        while words.try_recv().is_err() {
            assert_eq!(ws.recv_timeout(Duration::from_millis(10)), Err(TimedOut));
        }
        // Busy, until long after the answer has come and the deadline has passed.
        is_busy.send(()).expect("it waits");
        words.recv().expect("a word");
        ws.recv()
    });
    let mut raw = Raw::open(address);
    let ping = raw.read();
    assert_eq!(ping.first, FIN | PING);
    word.send(()).expect("it waits");
    busy.recv().expect("a word");
    raw.send(FIN | PONG, &ping.payload);
    thread::sleep(Duration::from_millis(700));
    word.send(()).expect("it waits");
    raw.send(FIN | TEXT, b"alive");
    assert_eq!(server.join().expect("no panic"), Some("alive".into()));
}

#[test]
fn halves_on_two_threads_carry_more_than_any_buffer_both_ways_at_once() {
    const COUNT: usize = 300;
    let exchange = |ws: WebSocket| {
        let (sender, mut receiver) = ws.split();
        let sending = thread::spawn(move || {
            for _ in 0..COUNT {
                sender.send(vec![7; 100_000]).expect("open");
            }
            sender
        });
        for _ in 0..COUNT {
            assert_eq!(receiver.recv().expect("open").as_bytes().len(), 100_000);
        }
        (sending.join().expect("no panic"), receiver)
    };
    let (address, server) = serve(quiet(), move |ws| {
        let (_sender, mut receiver) = exchange(ws);
        assert_eq!(receiver.recv(), None);
        receiver
    });
    let (sender, mut receiver) = exchange(client(address));
    sender.close(CloseCode::NORMAL, "").expect("a code");
    assert_eq!(receiver.recv(), None);
    for receiver in [receiver, server.join().expect("no panic")] {
        assert!(receiver.closed().expect("ended").is_clean());
    }
}

#[test]
fn many_threads_send_on_one_connection() {
    let (address, server) = serve(quiet(), |mut ws| {
        let mut seen = [0; 8];
        while let Some(message) = ws.recv() {
            let [from, number] = *message.as_bytes() else {
                panic!("{message:?}")
            };
            // Each keeps its order.
            assert_eq!(seen[usize::from(from)], number);
            seen[usize::from(from)] += 1;
        }
        seen
    });
    let (sender, mut receiver) = client(address).split();
    let threads: Vec<_> = (0..8_u8)
        .map(|from| {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..100_u8 {
                    sender.send([from, number].to_vec()).expect("open");
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|t| t.join().expect("no panic"));
    sender.close(CloseCode::NORMAL, "").expect("a code");
    assert_eq!(receiver.recv(), None);
    assert_eq!(server.join().expect("no panic"), [100; 8]);
}

#[test]
fn a_sending_half_needs_nobody_who_receives() {
    let (address, server) = serve(quiet(), |mut ws| {
        (0..100).all(|_| ws.recv().is_some_and(|m| m.as_bytes().len() == 100_000))
    });
    let (sender, _receiver) = client(address).split();
    for _ in 0..100 {
        sender.send(vec![7; 100_000]).expect("open");
    }
    sender.flush().expect("open");
    assert!(server.join().expect("no panic"));
}

#[test]
fn a_sending_half_goes_on_beside_a_receiving_half_that_waits_for_ever() {
    let (address, server) = serve(quiet(), |mut ws| {
        // It reads late, when the other side is stuck.
        thread::sleep(Duration::from_millis(300));
        (0..300).all(|_| ws.recv().is_some_and(|m| m.as_bytes().len() == 100_000))
    });
    let (sender, mut receiver) = client(address).split();
    let receiving = thread::spawn(move || receiver.recv());
    for _ in 0..300 {
        sender.send(vec![7; 100_000]).expect("open");
    }
    sender.flush().expect("open");
    assert!(server.join().expect("no panic"));
    assert_eq!(receiving.join().expect("no panic"), None);
}

#[test]
fn both_halves_end_at_the_write_deadline_of_what_one_of_them_sends() {
    let mut config = quiet();
    config.write_timeout = Duration::from_millis(300);
    let (address, server) = serve(config, |ws| {
        let (sender, mut receiver) = ws.split();
        let receiving = thread::spawn(move || {
            assert_eq!(receiver.recv(), None);
            receiver
        });
        while sender.send(vec![0; 100_000]).is_ok() {}
        receiving.join().expect("no panic")
    });
    let raw = Raw::open(address);
    let receiver = server.join().expect("no panic");
    let closed = receiver.closed().expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Write));
    drop(raw);
}

#[test]
fn a_receiving_half_that_waits_hears_that_nobody_answered_its_own_close() {
    let mut config = quiet();
    config.close_timeout = Duration::from_millis(200);
    let (address, server) = serve(config, |ws| {
        let (sender, mut receiver) = ws.split();
        let receiving = thread::spawn(move || {
            // Without the close it would wait for ever.
            assert_eq!(receiver.recv(), None);
            receiver
        });
        (sender, receiving)
    });
    let mut raw = Raw::open(address);
    // Only a thread that receives answers.
    raw.send(FIN | PING, b"is it waiting?");
    assert_eq!(raw.read().first, FIN | PONG);
    let (sender, receiving) = server.join().expect("no panic");
    sender.close(CloseCode::NORMAL, "").expect("a code");
    raw.read_close(1000);
    let receiver = receiving.join().expect("no panic");
    let closed = receiver.closed().expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Close));
}

#[test]
fn answers_to_what_one_read_brought_leave_in_one_write() {
    let (address, server) = serve(quiet(), |ws| ws);
    let mut raw = Raw::open(address);
    raw.write(&frame(FIN | TEXT, b"x").repeat(3));
    let mut ws = server.join().expect("no panic");
    for _ in 0..2 {
        let message = ws.recv().expect("open");
        ws.send(message).expect("open");
        // On the loopback what was written is there.
        raw.0.set_nonblocking(true).expect("a socket");
        let read = raw.0.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(read, Err(ErrorKind::WouldBlock));
        raw.0.set_nonblocking(false).expect("a socket");
    }
    let message = ws.recv().expect("open");
    ws.send(message).expect("open");
    for _ in 0..3 {
        assert_eq!(raw.read().payload, b"x");
    }
}

#[test]
fn what_waits_for_more_answers_leaves_before_recv_waits() {
    let (address, server) = serve(quiet(), |mut ws| {
        assert_eq!(ws.recv(), Some("a".into()));
        ws.send("held back").expect("open");
        assert_eq!(ws.recv(), Some("b".into()));
        ws.recv()
    });
    let mut raw = Raw::open(address);
    raw.write(&[frame(FIN | TEXT, b"a"), frame(FIN | TEXT, b"b")].concat());
    assert_eq!(raw.read().payload, b"held back");
    raw.send(FIN | TEXT, b"c");
    assert_eq!(server.join().expect("no panic"), Some("c".into()));
}

#[test]
fn a_message_larger_than_any_buffer_arrives_whole_in_both_directions() {
    let mut config = quiet();
    config.max_message = 16 << 20;
    let mut options = ConnectOptions::default();
    options.config = config.clone().share().expect("valid");
    let (address, server) = serve(config, echo);
    let mut client = connect(&format!("ws://{address}/"), &options).expect("a server");
    let binary: Vec<u8> = (0..16 << 20).map(|n: u32| (n % 251) as u8).collect();
    let text = "añb".repeat(4 << 20);
    client.send(&*binary).expect("open");
    let echoed = client.recv().expect("open");
    assert_eq!(echoed.kind(), MessageKind::Binary);
    assert!(echoed.as_bytes() == binary);
    client.send(&text).expect("open");
    assert!(client.recv().expect("open").as_text() == Some(&text));
    client.close(CloseCode::NORMAL, "").expect("a code");
    let server = server.join().expect("no panic");
    assert!(server.closed().expect("ended").is_clean());
}

#[test]
fn a_send_to_a_peer_that_does_not_read_ends_at_the_write_deadline() {
    let mut config = quiet();
    config.write_timeout = Duration::from_millis(300);
    let (address, server) = serve(config, |mut ws| {
        while ws.send(vec![0; 100_000]).is_ok() {}
        assert_eq!(ws.recv(), None);
        ws
    });
    let raw = Raw::open(address);
    let server = server.join().expect("no panic");
    let closed = server.closed().expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Write));
    drop(raw);
}

#[test]
fn a_server_that_never_answers_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut config = Config::default();
    config.handshake_timeout = Duration::from_millis(200);
    let mut options = ConnectOptions::default();
    options.config = config.share().expect("valid");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    let begin = Instant::now();
    let error = connect(&url, &options).expect_err("silence");
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_client_that_never_asks_is_told_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut raw = Raw::silent(listener.local_addr().expect("bound"));
    let mut config = Config::default();
    config.handshake_timeout = Duration::from_millis(200);
    config.linger = Duration::from_millis(200);
    let config = config.share().expect("valid");
    let (stream, _) = listener.accept().expect("a client");
    let error = accept(stream, &config, |_| Ok(Accept::new())).expect_err("silence");
    assert!(matches!(error, AcceptError::Handshake(_)), "{error}");
    assert!(raw.read_head().starts_with("HTTP/1.1 408 "));
}

fn refuse(request: &Request<'_>) -> Result<Accept, Response> {
    assert_eq!(request.path(), "/room");
    Err(Response::text(403, "members only\n"))
}

#[test]
fn a_refusal_carries_status_and_body() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        accept(stream, &SharedConfig::default(), refuse)
    });
    let url = format!("ws://{address}/room");
    let error = connect(&url, &ConnectOptions::default()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!("{address} answered 403 Forbidden: members only")
    );
    let error = server.join().expect("no panic").expect_err("refused");
    assert!(matches!(error, AcceptError::Refused(r) if r.status() == 403));
}

#[test]
fn a_subprotocol_and_fields_reach_both_sides() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let decide = |request: &Request<'_>| {
            assert_eq!(request.values("Cookie").next(), Some(&b"a=b"[..]));
            let name = request.subprotocols().last().expect("two are offered");
            let accept = Accept::new().subprotocol(name).expect("a token");
            Ok(accept.field("X-Seen", "yes").expect("a field"))
        };
        accept(stream, &SharedConfig::default(), decide).expect("an upgrade")
    });
    let mut options = ConnectOptions::default();
    options.subprotocols = vec!["one".into(), "two".into()];
    options.fields = vec![("Cookie".into(), b"a=b".into())];
    let client = connect(&format!("ws://{address}/"), &options).expect("a server");
    assert_eq!(client.subprotocol(), Some("two"));
    let response = client.response().expect("a client has one");
    assert_eq!(response.value("X-Seen"), Some(&b"yes"[..]));
    let server = server.join().expect("no panic");
    assert_eq!(server.subprotocol(), Some("two"));
}

#[test]
fn bytes_behind_the_upgrade_are_the_first_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut raw = Raw::silent(listener.local_addr().expect("bound"));
    let early = frame(FIN | TEXT, b"early");
    raw.write(&[UPGRADE.as_bytes(), &early, &early].concat());
    let (stream, _) = listener.accept().expect("a client");
    let config = SharedConfig::default();
    let mut ws = accept(stream, &config, |_| Ok(Accept::new())).expect("an upgrade");
    for _ in 0..2 {
        assert_eq!(ws.recv(), Some("early".into()));
    }
    raw.finish();
    assert_eq!(ws.recv(), None);
    assert_eq!(ws.closed().expect("ended").cause, Cause::Eof);
}

#[test]
fn what_cannot_be_connected_to_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let free = free.expect("a port");
    for (url, start) in [
        ("http://a/".into(), "cannot connect to http://a/: ".into()),
        (
            "wss://no-such-host.invalid/".into(),
            "cannot find no-such-host.invalid:443: ".into(),
        ),
        (
            "ws://no-such-host.invalid/".into(),
            "cannot find no-such-host.invalid:80: ".into(),
        ),
        (
            format!("ws://{free}/"),
            format!("cannot connect to {free}: "),
        ),
    ] {
        let (url, start): (String, String) = (url, start);
        let error = connect(&url, &ConnectOptions::default()).expect_err("nobody there");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[test]
fn a_name_is_looked_up() {
    let (address, server) = serve(quiet(), echo);
    let url = format!("ws://localhost:{}/", address.port());
    let mut client = connect(&url, &ConnectOptions::default()).expect("a server");
    client.close(CloseCode::NORMAL, "").expect("a code");
    server.join().expect("no panic");
}

#[test]
fn a_peer_that_vanishes_ends_a_send_and_a_recv() {
    let (address, server) = serve(quiet(), |mut ws| {
        while ws.send(vec![0; 10_000]).is_ok() {}
        assert_eq!(ws.recv(), None);
        ws
    });
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream.write_all(UPGRADE.as_bytes()).expect("it reads");
    stream.read_exact(&mut [0; 1000]).expect("it answers");
    drop(stream);
    let server = server.join().expect("no panic");
    assert!(!server.closed().expect("ended").is_clean());
}
