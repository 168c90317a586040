//! What is peculiar to the event loops of `sockeye_mio::serve`.

extern crate alloc;

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use sockeye_core::{Cause, CloseCode, Closed, Config, Timeout};
use sockeye_handler::{Context, Decision, Handler, Message, Opening, Peer, Request, Service};
use sockeye_mio::{ServeOptions, Server, Shutdown, serve};
use sockeye_tests::wire::{BINARY, FIN, PATIENCE, Raw, TEXT, UPGRADE, frame};

/// Echoes, and obeys a few words.
struct Obedient {
    ended: Mutex<Sender<Closed>>,
    peers: Arc<Mutex<Vec<Peer>>>,
}

struct Connection {
    is_slow: bool,
    ended: Sender<Closed>,
    peers: Arc<Mutex<Vec<Peer>>>,
}

impl Service for Obedient {
    type Handler = Connection;

    fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Connection> {
        Decision::accept(Connection {
            is_slow: false,
            ended: self.ended.lock().expect("no panic").clone(),
            peers: Arc::clone(&self.peers),
        })
    }
}

impl Handler for Connection {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        if let Message::Text(text) = &message {
            match text.as_str() {
                "thread" => {
                    let answer = format!("{:?}", thread::current().id());
                    return cx.send(answer).expect("open");
                }
                "join" => {
                    let mut peers = self.peers.lock().expect("no panic");
                    peers.push(cx.peer());
                }
                "to all" => {
                    for peer in &*self.peers.lock().expect("no panic") {
                        peer.send("for all").expect("open");
                    }
                    return;
                }
                "be slow" => {
                    self.is_slow = true;
                    return;
                }
                "panic" => panic!("as you wish"),
                _ => {}
            }
        }
        if self.is_slow {
            let until = Instant::now() + Duration::from_micros(10);
            while Instant::now() < until {}
            return;
        }
        let _ = cx.send(message);
    }

    fn on_close(&mut self, closed: &Closed) {
        // The test may not be interested any more.
        let _ = self.ended.send(closed.clone());
    }
}

struct TestServer {
    server: Server,
    ended: Receiver<Closed>,
    peers: Arc<Mutex<Vec<Peer>>>,
}

impl TestServer {
    /// Nothing but what the test does happens on its connections.
    fn start(threads: usize, configure: impl FnOnce(&mut Config, &mut ServeOptions)) -> Self {
        let mut config = Config::default();
        config.ping_interval = None;
        let mut options = ServeOptions::default();
        options.threads = NonZeroUsize::new(threads).expect("threads");
        configure(&mut config, &mut options);
        options.config = config.share().expect("valid limits");
        let (sender, ended) = channel();
        let peers = Arc::default();
        let service = Obedient {
            ended: Mutex::new(sender),
            peers: Arc::clone(&peers),
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = serve(listener, service, &options).expect("threads");
        Self {
            server,
            ended,
            peers,
        }
    }

    fn open(&self) -> Raw {
        Raw::open(self.server.local_addr())
    }

    fn next_end(&self) -> Closed {
        self.ended.recv_timeout(PATIENCE).expect("an end")
    }
}

fn ask(peer: &mut Raw, text: &str) -> String {
    peer.send(FIN | TEXT, text.as_bytes());
    String::from_utf8(peer.read().payload).expect("text")
}

#[test]
fn connections_spread_over_the_threads_and_stay_on_theirs() {
    let server = TestServer::start(2, |_, _| {});
    let mut peers: Vec<Raw> = (0..64).map(|_| server.open()).collect();
    let threads: Vec<String> = peers.iter_mut().map(|p| ask(p, "thread")).collect();
    // That one thread gets all 64 happens once in 2^63 times.
    assert_eq!(threads.iter().collect::<HashSet<_>>().len(), 2);
    for (peer, thread) in peers.iter_mut().zip(threads) {
        assert_eq!(ask(peer, "thread"), thread);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_thread_listens_on_a_socket_of_its_own() {
    const LISTEN: &str = "0A";
    let server = TestServer::start(3, |_, _| {});
    let place = format!("0100007F:{:04X}", server.server.local_addr().port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let ours = sockets.lines().filter(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some(&place) && columns.nth(1) == Some(LISTEN)
    });
    assert_eq!(ours.count(), 3);
}

#[test]
fn a_port_that_threads_share_is_in_use_for_everybody_else() {
    let server = TestServer::start(2, |_, _| {});
    let error = TcpListener::bind(server.server.local_addr()).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn what_came_in_one_edge_is_answered_to_its_end_over_many_turns() {
    // More than a turn reads, whole in the socket before the first read, and then
    // nothing that would make another edge.
    let server = TestServer::start(1, |config, _| {
        config.soft_mark = 1 << 20;
        config.hard_mark = 2 << 20;
    });
    let mut peer = server.open();
    let count = 20_000;
    let batch = frame(FIN | BINARY, &[7; 100]).repeat(count);
    let mut writer = peer.0.try_clone().expect("a socket");
    let writing = thread::spawn(move || writer.write_all(&batch));
    for _ in 0..count {
        assert_eq!(peer.read().payload.len(), 100);
    }
    writing.join().expect("no panic").expect("the server reads");
}

#[test]
fn a_peer_that_reads_late_gets_everything_without_another_edge_for_reading() {
    let server = TestServer::start(1, |config, _| config.write_timeout = PATIENCE);
    let mut other = server.open();
    let mut peer = server.open();
    let message = frame(FIN | BINARY, &[7; 1000]);
    let count = 30_000;
    let batch = message.repeat(count);
    let mut writer = peer.0.try_clone().expect("a socket");
    let is_written = Arc::new(AtomicBool::new(false));
    let written = Arc::clone(&is_written);
    let writing = thread::spawn(move || {
        writer.write_all(&batch).expect("the server reads");
        written.store(true, Ordering::Release);
    });
    // The server has stopped reading from the one, and serves the other.
    for _ in 0..200 {
        assert_eq!(ask(&mut other, "hello"), "hello");
    }
    assert!(!is_written.load(Ordering::Acquire), "it reads on");
    for _ in 0..count {
        assert_eq!(peer.read().payload.len(), 1000);
    }
    writing.join().expect("no panic");
}

#[test]
fn a_peer_that_never_pauses_leaves_the_others_their_turn() {
    let server = TestServer::start(1, |_, _| {});
    let mut other = server.open();
    let mut busy = server.open();
    busy.send(FIN | TEXT, b"be slow");
    // More than the server can handle at any time, and nothing that it answers.
    let batch = frame(FIN | BINARY, &[7; 1]).repeat(10_000);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (is_on, on) = channel();
    let flooding = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) && busy.0.write_all(&batch).is_ok() {
            // Nobody listens after a while.
            let _ = is_on.send(());
        }
    });
    for _ in 0..20 {
        on.recv().expect("a flood");
    }
    for _ in 0..5 {
        assert_eq!(ask(&mut other, "hello"), "hello");
    }
    stop.store(true, Ordering::Relaxed);
    flooding.join().expect("no panic");
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    let server = TestServer::start(1, |_, _| {});
    for _ in 0..50 {
        let mut peer = server.open();
        peer.write(&frame(FIN | TEXT, b"last words"));
        peer.finish();
        assert_eq!(peer.read().payload, b"last words");
        assert_eq!(server.next_end().cause, Cause::Eof);
        peer.read_end();
    }
}

#[test]
fn handles_in_another_thread_wake_connections_of_all_loops() {
    let server = TestServer::start(2, |_, _| {});
    let mut peers: Vec<Raw> = (0..100).map(|_| server.open()).collect();
    for peer in &mut peers {
        assert_eq!(ask(peer, "join"), "join");
    }
    let handles = server.peers.lock().expect("no panic").clone();
    let sending = thread::spawn(move || {
        for round in 0..10 {
            for handle in &handles {
                handle.send(format!("round {round}")).expect("open");
            }
        }
        for handle in &handles {
            handle.close(CloseCode::NORMAL, "");
        }
    });
    for peer in &mut peers {
        for round in 0..10 {
            assert_eq!(peer.read().payload, format!("round {round}").as_bytes());
        }
        peer.read_close(1000);
    }
    sending.join().expect("no panic");
    for peer in peers {
        peer.close(1000);
        assert!(server.next_end().is_clean());
    }
}

#[test]
fn a_handler_wakes_the_connections_of_its_own_loop() {
    let server = TestServer::start(1, |_, _| {});
    let mut peers: Vec<Raw> = (0..10).map(|_| server.open()).collect();
    for peer in &mut peers {
        assert_eq!(ask(peer, "join"), "join");
    }
    peers[0].send(FIN | TEXT, b"to all");
    for peer in &mut peers {
        assert_eq!(peer.read().payload, b"for all");
    }
}

#[test]
fn a_handler_that_panics_ends_its_own_connection_and_not_the_loop() {
    let server = TestServer::start(1, |_, _| {});
    let mut other = server.open();
    let mut peer = server.open();
    peer.send(FIN | TEXT, b"panic");
    peer.read_close(1011);
    peer.close(1011);
    assert_eq!(ask(&mut other, "unharmed"), "unharmed");
}

#[test]
fn deadlines_run_while_nothing_happens() {
    let server = TestServer::start(1, |config, _| {
        config.handshake_timeout = Duration::from_millis(300);
        config.ping_interval = Some(Duration::from_millis(200));
        config.pong_timeout = Duration::from_millis(200);
    });
    let mut silent = Raw::silent(server.server.local_addr());
    let mut idle = server.open();
    assert_eq!(idle.read().first, FIN | sockeye_tests::wire::PING);
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Pong));
    assert!(silent.read_head().starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_peer_that_never_reads_is_given_up_at_the_write_deadline() {
    let server = TestServer::start(1, |config, _| {
        config.write_timeout = Duration::from_millis(300);
    });
    let peer = server.open();
    let batch = frame(FIN | BINARY, &[7; 1000]).repeat(1000);
    let writing = thread::spawn(move || while (&peer.0).write(&batch).is_ok() {});
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Write));
    writing.join().expect("the reset");
}

#[test]
fn beyond_the_cap_an_upgrade_is_refused_on_every_thread() {
    let server = TestServer::start(2, |_, options| options.max_connections = 2);
    let _open = [server.open(), server.open()];
    for _ in 0..10 {
        let mut refused = Raw::silent(server.server.local_addr());
        refused.write(UPGRADE.as_bytes());
        let head = refused.read_head();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    }
}

#[test]
fn room_that_one_thread_makes_is_room_for_those_who_wait_at_another() {
    let server = TestServer::start(2, |config, options| {
        options.max_connections = 200;
        // Longer than the test waits: no deadline is to wake a thread.
        config.handshake_timeout = 2 * PATIENCE;
    });
    let address = server.server.local_addr();
    let mut peers: Vec<Raw> = (0..200).map(|_| server.open()).collect();
    let threads: Vec<String> = peers.iter_mut().map(|p| ask(p, "thread")).collect();
    let (here, _there): (Vec<_>, Vec<_>) = peers
        .into_iter()
        .zip(&threads)
        .partition(|(_, thread)| **thread == threads[0]);
    // As many more are accepted, to be told that there is no room.
    let _crowd: Vec<Raw> = (0..28).map(|_| Raw::silent(address)).collect();
    while server.server.connections() < 228 {
        thread::yield_now();
    }
    let waiting: Vec<Raw> = (0..20).map(|_| Raw::silent(address)).collect();
    // Nothing happens on the other thread but what this leads to.
    drop(here);
    for mut peer in waiting {
        peer.write(UPGRADE.as_bytes());
        assert!(peer.read_head().starts_with("HTTP/1.1 "));
    }
}

#[test]
fn a_shutdown_closes_a_hundred_connections_of_all_threads_and_ends() {
    let mut server = TestServer::start(2, |_, _| {});
    let address = server.server.local_addr();
    let peers: Vec<Raw> = (0..100).map(|_| server.open()).collect();
    // One that has only connected, and one in the middle of a message.
    let _silent = Raw::silent(address);
    let mut busy = server.open();
    busy.send(TEXT, b"the beginning of");
    let closing = thread::spawn(move || {
        for mut peer in peers.into_iter().chain([busy]) {
            peer.read_close(1001);
            peer.close(1001);
        }
    });
    assert_eq!(server.server.shut_down(Shutdown::default()), 0);
    closing.join().expect("no panic");
    assert_eq!(server.server.connections(), 0);
    let refused = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(server.server.shut_down(Shutdown::default()), 0, "again");
}

#[test]
fn a_shutdown_drops_who_does_not_answer_in_time() {
    let mut server = TestServer::start(2, |_, _| {});
    let mut deaf: Vec<Raw> = (0..3).map(|_| server.open()).collect();
    let dropped = server.server.shut_down(Shutdown {
        code: CloseCode::SERVICE_RESTART,
        reason: "back soon".into(),
        timeout: Duration::from_millis(300),
        ..Shutdown::default()
    });
    assert_eq!(dropped, 3);
    for peer in &mut deaf {
        peer.read_close(1012);
        peer.read_end();
        assert!(!server.next_end().is_clean());
    }
}

#[test]
fn a_server_that_is_dropped_drops_its_connections_and_tells_the_handlers() {
    let server = TestServer::start(2, |_, _| {});
    let mut peer = server.open();
    let TestServer { server, ended, .. } = server;
    drop(server);
    peer.read_end();
    let closed = ended.recv_timeout(PATIENCE).expect("an end");
    assert!(!closed.is_clean());
}
