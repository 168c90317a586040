//! What an idle connection costs, by what the allocator has given out.
//!
//! One test in a process of its own: everything that happens in it is counted.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::Poll;
use std::alloc::System;
use std::io::{Read, Write};
use std::thread;

use sockeye_core::{Config, Deflate};
use sockeye_handler::{Context, Decision, Handler, Message, Opening, Request, Service};
use sockeye_tests::wire::{BINARY, FIN, RSV1, Raw, frame};
use sockeye_tokio::ServeOptions;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: isize = 1000;

const ROUNDS: usize = 1000;

/// What performance asks for: so much more than a bare task that holds the socket.
const BUDGET: isize = 200;

#[derive(Clone)]
struct Echo;

impl Service for Echo {
    type Handler = Self;

    fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Self> {
        Decision::accept(Self)
    }
}

impl Handler for Echo {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        cx.send(message).expect("open");
    }
}

/// Bytes for each of the idle connections that `connect` makes.
async fn bytes_each(connect: impl Fn() -> Raw + Send + 'static) -> isize {
    let (connected, all) = oneshot::channel();
    let region = Region::new(ALLOCATOR);
    // The clients cost two words of this vector each.
    let clients = thread::spawn(move || {
        let clients: Vec<Raw> = (0..CONNECTIONS).map(|_| connect()).collect();
        let _ = connected.send(());
        clients
    });
    // One thread runs all the tasks, and this is it: none is in the middle of a poll.
    all.await.expect("connected");
    let stats = region.change();
    let bytes = stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
    drop(clients.join());
    bytes / CONNECTIONS
}

/// A bare task on tokio that holds a socket and waits for it.
async fn hold(stream: TcpStream) {
    let mut stream = stream;
    poll_fn(|cx| {
        loop {
            let mut scratch = [0; 1024];
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let _ = stream.try_write(buffer.filled());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

async fn floor() -> isize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(hold(stream));
        }
    });
    let bytes = bytes_each(move || {
        let mut raw = Raw::silent(address);
        raw.write(b"\x81\x01x");
        assert_eq!(raw.read().payload, b"x");
        raw
    })
    .await;
    accepting.abort();
    until_alive(0).await;
    bytes
}

/// Bytes for an idle connection that has sent and received compressed messages.
async fn compressed() -> isize {
    let mut config = Config::default();
    config.deflate = Some(Deflate::default());
    let mut options = ServeOptions::default();
    options.config = config.share().expect("valid");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = sockeye_tokio::serve(listener, Echo, &options).expect("a listener");
    let address = server.local_addr();
    let talk = move || {
        let (mut raw, _) = Raw::open_deflated(address, "; client_max_window_bits");
        raw.send(FIN | BINARY, &[7; 2000]);
        assert_eq!(raw.read().first, FIN | RSV1 | BINARY);
        // In pieces: it must give its decompressor back.
        let hello = frame(FIN | RSV1 | BINARY, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        let (cut, rest) = hello.split_at(9);
        raw.write(cut);
        raw.write(rest);
        assert_eq!(raw.read().payload, b"Hello");
        raw
    };
    let warm_up = tokio::task::spawn_blocking(move || drop(talk()));
    warm_up.await.expect("no panic");
    bytes_each(talk).await
}

/// Waits until no more tasks than this are left: what they held is free again.
async fn until_alive(tasks: usize) {
    let metrics = tokio::runtime::Handle::current().metrics();
    while metrics.num_alive_tasks() > tasks {
        tokio::task::yield_now().await;
    }
}

/// Allocations while small messages go to and fro.
async fn allocations(address: SocketAddr) -> usize {
    let echoes = tokio::task::spawn_blocking(move || {
        let mut raw = Raw::open(address);
        let message = frame(FIN | BINARY, b"small");
        let mut echo = [0; 7];
        let mut round = || {
            raw.0.write_all(&message).expect("open");
            raw.0.read_exact(&mut echo).expect("an echo");
        };
        (0..ROUNDS).for_each(|_| round());
        let region = Region::new(ALLOCATOR);
        (0..ROUNDS).for_each(|_| round());
        region.change().allocations
    });
    echoes.await.expect("no panic")
}

fn talk(address: SocketAddr) -> Raw {
    let mut raw = Raw::open(address);
    // In pieces, large and small: none of it may leave a buffer behind.
    let message = frame(FIN | BINARY, &[7; 100_000]);
    let (cut, rest) = message.split_at(50_000);
    raw.write(cut);
    raw.write(rest);
    assert_eq!(raw.read().payload.len(), 100_000);
    for len in [2000, 5] {
        raw.send(FIN | BINARY, &vec![7; len]);
        assert_eq!(raw.read().payload.len(), len);
    }
    raw
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are worth seeing")]
fn an_idle_connection_costs_little_more_than_its_socket_and_a_busy_one_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let floor = floor().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = sockeye_tokio::serve(listener, Echo, &ServeOptions::default());
        let server = server.expect("a listener");
        let address = server.local_addr();
        // What is made once, for all connections, is not counted.
        let warm_up = tokio::task::spawn_blocking(move || drop(talk(address)));
        warm_up.await.expect("no panic");
        until_alive(1).await;
        let ours = bytes_each(move || talk(address)).await;
        eprintln!("bytes for an idle connection: {ours}, of a bare task: {floor}");
        assert_eq!(allocations(address).await, 0, "for {ROUNDS} round trips");
        assert!(
            ours <= floor + BUDGET,
            "{ours} bytes, and {floor} for a bare task"
        );

        let compressed = compressed().await;
        eprintln!("bytes for an idle connection that compresses: {compressed}");
        assert!(
            compressed * 10 <= ours * 11,
            "{compressed} bytes, and {ours} for one that does not compress"
        );
    });
}
