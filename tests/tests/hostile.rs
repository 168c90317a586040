//! Peers that want to make a server hold something: bytes, sockets, time.
//!
//! The memory of the whole process is counted, so the tests take turns.

use core::net::SocketAddr;
use core::time::Duration;
use std::alloc::System;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use socket2::{Domain, Socket, Type};
use sockeye_core::{Cause, Timeout};
use sockeye_tests::adapter::tokio::Tokio;
use sockeye_tests::server;
use sockeye_tests::wire::{BINARY, CONTINUATION, FIN, PING, Raw, TEXT, UPGRADE, frame};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

type TestServer = server::TestServer<Tokio>;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the process has allocated and not freed.
fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Descriptors that the process has open, where the system tells.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Waits until the server has no connections: then all they held should be free.
fn until_empty(server: &TestServer) {
    while server.connections() > 0 {
        thread::yield_now();
    }
}

/// A client that comes from one of several addresses and ends with a reset, so
/// that no ports are used up.
fn client(server: SocketAddr, n: usize) -> Raw {
    let source = SocketAddr::from(([127, 0, 1, (n % 8) as u8 + 1], 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&source.into()).expect("a loopback address");
    socket.connect(&server.into()).expect("a listener");
    socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    Raw(socket.into())
}

#[test]
fn handshakes_that_are_given_up_leave_nothing_behind() {
    const ROUNDS: usize = 2000;
    let _turn = my_turn();
    let server = TestServer::start(|_, _| {});
    let round = |n: usize| {
        let half = &UPGRADE[..UPGRADE.len() / 2];
        let too_long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(5000));
        let pipelined = "GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(10);
        for request in ["", half, "nonsense\r\n\r\n", &too_long, &pipelined, UPGRADE] {
            let mut raw = client(server.address, n);
            // The server may have closed already.
            let _ = raw.0.write_all(request.as_bytes());
        }
    };
    // Thread-local buffers, growing tables and the like come once.
    (0..ROUNDS / 4).for_each(round);
    until_empty(&server);
    server.forget_reports();
    let before = (live_bytes(), descriptors());
    (0..ROUNDS).for_each(round);
    until_empty(&server);
    server.forget_reports();
    let after = (live_bytes(), descriptors());
    assert!(after.0 < before.0 + 20_000, "{before:?} grew to {after:?}");
    assert_eq!(after.1, before.1, "descriptors");
}

#[test]
fn pipelined_requests_get_one_response() {
    let _turn = my_turn();
    let server = TestServer::start(|_, _| {});
    let mut raw = Raw::silent(server.address);
    let requests = "GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(10_000);
    // The server does not read them all, and ends.
    let _ = raw.0.write_all(requests.as_bytes());
    let mut answer = Vec::new();
    let _ = raw.0.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn a_thousand_slow_clients_are_gone_at_the_deadline_and_delay_nobody() {
    const DEADLINE: Duration = Duration::from_secs(2);
    let _turn = my_turn();
    let server = TestServer::start(|config, _| config.handshake_timeout = DEADLINE);
    let address = server.address;
    let begin = Instant::now();
    let dripping = thread::spawn(move || {
        let mut clients: Vec<Raw> = (0..1000).map(|n| client(address, n)).collect();
        for client in &clients {
            client.0.set_nonblocking(true).expect("a socket");
        }
        let endless = UPGRADE.replace("\r\n\r\n", "\r\nX: ");
        let bytes = endless.bytes().chain(core::iter::repeat(b'x'));
        for byte in bytes {
            clients.retain_mut(|client| {
                let gone = match client.0.read(&mut [0; 1000]) {
                    Ok(0) => true,
                    Ok(_) => false,
                    Err(error) => error.kind() != ErrorKind::WouldBlock,
                };
                !gone && client.0.write(&[byte]).is_ok()
            });
            if clients.is_empty() {
                return begin.elapsed();
            }
            thread::sleep(Duration::from_millis(20));
        }
        unreachable!("there is always another byte")
    });
    let mut slowest = Duration::ZERO;
    while !dripping.is_finished() {
        let start = Instant::now();
        let mut raw = Raw::open(address);
        raw.send(FIN | TEXT, b"x");
        assert_eq!(raw.read().payload, b"x");
        slowest = slowest.max(start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    let all_gone = dripping.join().expect("no panic");
    // The deadline, a tick of the timer, the linger, and what a busy machine adds.
    assert!(
        all_gone < DEADLINE + Duration::from_millis(1500),
        "{all_gone:?}"
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn a_peer_that_pings_for_ever_and_never_reads_costs_no_memory() {
    let _turn = my_turn();
    let server = TestServer::start(|_, _| {});
    let mut other = Raw::open(server.address);
    other.send(FIN | TEXT, b"warm");
    other.read();
    let mut raw = Raw::open(server.address);
    let pings = frame(FIN | PING, &[7; 125]).repeat(500);
    raw.write(&pings);
    let before = live_bytes();
    let writer = thread::spawn(move || {
        // Until the server gives up, or enough to grow by if it grew.
        let _ = (0..500).try_for_each(|_| raw.0.write_all(&pings));
        raw
    });
    while !writer.is_finished() {
        let growth = live_bytes().saturating_sub(before);
        assert!(growth < 200_000, "grew by {growth}");
        other.send(FIN | TEXT, b"x");
        assert_eq!(other.read().payload, b"x");
    }
    drop(writer.join());
}

#[test]
fn tiny_fragments_cost_no_more_than_their_bytes() {
    let _turn = my_turn();
    let server = TestServer::start(|_, _| {});
    let mut raw = Raw::open(server.address);
    raw.send(FIN | TEXT, b"warm");
    raw.read();
    let before = live_bytes();
    raw.send(BINARY, b"");
    let fragments = frame(CONTINUATION, b"x").repeat(1000);
    for _ in 0..4 {
        raw.write(&fragments);
    }
    raw.send(FIN | PING, b"all read");
    assert_eq!(raw.read().payload, b"all read");
    let growth = live_bytes().saturating_sub(before);
    assert!(growth < 50_000, "grew by {growth}");
    // And there is an end to it.
    let _ = (0..100).try_for_each(|_| raw.0.write_all(&fragments));
    raw.read_close(1008);
}

#[test]
fn declared_lengths_are_not_believed() {
    const CONNECTIONS: usize = 500;
    let _turn = my_turn();
    let server = TestServer::start(|config, _| config.max_message = 16 << 20);
    let mut peers: Vec<Raw> = (0..CONNECTIONS)
        .map(|_| Raw::open(server.address))
        .collect();
    let before = live_bytes();
    for raw in &mut peers {
        // 16 MiB are promised, and a little is sent.
        raw.write(b"\x82\xff\0\0\0\0\x01\0\0\0\x01\x02\x03\x04abc");
        raw.send(FIN | PING, b"");
    }
    // The ping is payload: nothing comes back. Another connection's echo tells that
    // the server has gone through what came before.
    let mut last = Raw::open(server.address);
    last.send(FIN | TEXT, b"x");
    last.read();
    let each = live_bytes().saturating_sub(before) / CONNECTIONS;
    // The first piece of a buffer, and what knows of the open message.
    assert!(each < 4096 + 512, "{each} bytes for each");
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_message_is_gone_at_the_deadline() {
    let _turn = my_turn();
    let server = TestServer::start(|config, _| {
        config.ping_interval = Some(Duration::from_millis(200));
        config.pong_timeout = Duration::from_millis(200);
    });
    let mut raw = Raw::open(server.address);
    raw.write(&frame(FIN | BINARY, &[7; 1000])[..500]);
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Pong));
}
