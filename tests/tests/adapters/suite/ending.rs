//! The life of a service: its start, the time that it has to end in, and its stop.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use sockeye_async::{ServeOptions, Shutdown};
use sockeye_handler::{
    CloseCode, Closed, Context, Decision, Handler, Message, Opening, Peer, Request, Response,
    Service,
};
use sockeye_tests::adapter::{Adapter as _, Running};
use sockeye_tests::wire::{FIN, PATIENCE, Raw, TEXT, UPGRADE};

use super::Adapter;

type Server = <Adapter as sockeye_tests::adapter::Adapter>::Server;

/// What a service hears of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Start,
    Open,
    Drain(Duration),
    Close(CloseCode),
    Stop,
}

/// Echoes, and tells what happens. It keeps the handles of its connections.
#[derive(Clone)]
struct Living {
    events: Sender<Event>,
    peers: Arc<Mutex<Vec<Peer>>>,
    on_drain: fn(&Self),
}

impl Living {
    /// What to close with, for connections that the service closes itself.
    const OWN: CloseCode = CloseCode::new(4000);

    fn new(on_drain: fn(&Self)) -> (Self, Receiver<Event>) {
        let (events, heard) = channel();
        let service = Self {
            events,
            peers: Arc::default(),
            on_drain,
        };
        (service, heard)
    }

    fn close_all(&self) {
        for peer in self.peers.lock().expect("no panic").iter() {
            peer.close(Self::OWN, "");
        }
    }

    fn tell(&self, event: Event) {
        // The test may not be interested any more.
        let _ = self.events.send(event);
    }
}

impl Service for Living {
    type Handler = Connection;

    fn on_start(&self) {
        self.tell(Event::Start);
    }

    fn on_drain(&self, within: Duration) {
        self.tell(Event::Drain(within));
        (self.on_drain)(self);
    }

    fn on_stop(&self) {
        self.tell(Event::Stop);
    }

    fn on_refusal(&self, refusal: Response) -> Response {
        let explained = refusal.field("X-Explained", "by the service");
        explained.expect("a field")
    }

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<Connection> {
        if !request.is_upgrade() {
            return Decision::Respond(Response::text(200, "a page\n"));
        }
        let connection = Connection(self.clone());
        if request.path() != "/later" {
            return Decision::accept(connection);
        }
        // When the connection is woken again, it is decided.
        let peer = cx.peer();
        self.peers.lock().expect("no panic").push(peer);
        let mut asked = false;
        let mut connection = Some(connection);
        Decision::later(core::future::poll_fn(move |_| {
            if core::mem::replace(&mut asked, true) {
                let connection = connection.take().expect("polled to its end once");
                return Poll::Ready(Decision::accept(connection));
            }
            Poll::Pending
        }))
    }
}

struct Connection(Living);

impl Handler for Connection {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.0.peers.lock().expect("no panic").push(cx.peer());
        self.0.tell(Event::Open);
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message);
    }

    fn on_close(&mut self, closed: &Closed) {
        self.0.tell(Event::Close(closed.code));
    }
}

fn serve(service: Living) -> Server {
    Adapter::serve(service, &ServeOptions::default())
}

fn hear(heard: &Receiver<Event>) -> Event {
    heard.recv_timeout(PATIENCE).expect("an event")
}

/// Hears until the service is gone.
fn hear_all(heard: &Receiver<Event>) -> Vec<Event> {
    core::iter::from_fn(|| heard.recv_timeout(PATIENCE).ok()).collect()
}

/// The status of the answer to a request.
fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut raw = Raw::silent(address);
    raw.write(request.as_bytes());
    let mut answer = String::new();
    raw.0.read_to_string(&mut answer).expect("the end");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), answer)
}

const PAGE: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Ends the server elsewhere, while `meanwhile` goes on here.
fn end<T>(mut server: Server, shutdown: Shutdown, meanwhile: impl FnOnce() -> T) -> (usize, T)
where
    Server: Send + 'static,
{
    let ending = thread::spawn(move || server.shut_down(shutdown));
    let result = meanwhile();
    (ending.join().expect("no panic"), result)
}

fn drain(drain: Duration, timeout: Duration) -> Shutdown {
    Shutdown {
        code: CloseCode::SERVICE_RESTART,
        drain,
        timeout,
        ..Shutdown::default()
    }
}

#[test]
fn a_service_hears_of_its_start_its_end_and_its_stop_in_this_order() {
    let (service, heard) = Living::new(Living::close_all);
    let server = serve(service);
    assert_eq!(hear(&heard), Event::Start);
    let mut raw = Raw::open(server.address());
    assert_eq!(hear(&heard), Event::Open);
    let (dropped, ()) = end(server, drain(PATIENCE, PATIENCE), || {
        raw.read_close(4000);
        raw.close(4000);
    });
    assert_eq!(dropped, 0);
    // It has stopped before the end is told.
    let events: Vec<_> = heard.try_iter().collect();
    let expected = [
        Event::Drain(PATIENCE),
        Event::Close(Living::OWN),
        Event::Stop,
    ];
    assert_eq!(events, expected);
}

#[test]
fn while_it_drains_a_server_serves_all_but_upgrades_and_ends_with_its_last_connection() {
    let (service, heard) = Living::new(|_| {});
    let closer = service.clone();
    let server = serve(service);
    let address = server.address();
    let [mut one, mut other] = [(); 2].map(|()| Raw::open(address));
    // Neither this nor what asks for a page is waited for.
    let _silent = Raw::silent(address);
    let begin = Instant::now();
    let (dropped, ()) = end(server, drain(PATIENCE, PATIENCE), || {
        while hear(&heard) != Event::Drain(PATIENCE) {}
        for raw in [&mut one, &mut other] {
            raw.send(FIN | TEXT, b"still there");
            assert_eq!(raw.read().payload, b"still there");
        }
        assert_eq!(ask(address, PAGE).0, 200);
        let (status, answer) = ask(address, UPGRADE);
        assert_eq!(status, 503);
        assert!(
            answer.to_lowercase().contains("\r\nretry-after: "),
            "{answer}"
        );
        one.send_close(1000);
        one.read_close(1000);
        one.read_end();
        // With one of two gone it still listens.
        other.send(FIN | TEXT, b"still there");
        assert_eq!(other.read().payload, b"still there");
        assert_eq!(ask(address, PAGE).0, 200);
        closer.close_all();
        other.read_close(4000);
        other.close(4000);
    });
    assert_eq!(dropped, 0);
    assert!(begin.elapsed() < PATIENCE);
    let refused = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn whom_the_service_has_not_closed_in_time_the_server_closes_at_once() {
    let (service, heard) = Living::new(|_| {});
    let server = serve(service);
    let address = server.address();
    // Connected, and has not asked yet.
    let mut early = Raw::silent(address);
    let peers: Vec<Raw> = (0..20).map(|_| Raw::open(address)).collect();
    let shutdown = drain(Duration::from_millis(100), PATIENCE);
    let (dropped, ()) = end(server, shutdown, || {
        let mut peers = peers.into_iter();
        let mut last = peers.next().expect("twenty");
        for mut raw in peers {
            raw.read_close(1012);
            raw.close(1012);
        }
        // While one has not answered its Close, a balancer still gets its answer.
        last.read_close(1012);
        assert_eq!(ask(address, PAGE).0, 200);
        assert_eq!(ask(address, UPGRADE).0, 503);
        early.write(PAGE.as_bytes());
        assert!(early.read_head().starts_with("HTTP/1.1 200 "));
        last.close(1012);
    });
    assert_eq!(dropped, 0);
    let events = hear_all(&heard);
    let closes = events
        .iter()
        .filter(|event| **event == Event::Close(CloseCode::SERVICE_RESTART));
    assert_eq!(closes.count(), 20);
    assert_eq!(events.last(), Some(&Event::Stop));
}

#[test]
fn who_does_not_answer_the_close_is_dropped() {
    let (service, heard) = Living::new(|_| {});
    let server = serve(service);
    let mut deaf = Raw::open(server.address());
    let shutdown = drain(Duration::from_millis(50), Duration::from_millis(200));
    let (dropped, ()) = end(server, shutdown, || {
        deaf.read_close(1012);
        deaf.read_end();
    });
    assert_eq!(dropped, 1);
    let events = hear_all(&heard);
    let expected = [Event::Close(CloseCode::ABNORMAL), Event::Stop];
    assert_eq!(events[events.len() - 2..], expected);
}

#[test]
fn without_connections_the_end_comes_at_once_and_is_told_all_the_same() {
    for time in [Duration::ZERO, PATIENCE] {
        let (service, heard) = Living::new(Living::close_all);
        let server = serve(service);
        let begin = Instant::now();
        let (dropped, ()) = end(server, drain(time, PATIENCE), || {});
        assert_eq!(dropped, 0);
        assert!(begin.elapsed() < PATIENCE / 2);
        let events: Vec<_> = heard.try_iter().collect();
        assert_eq!(events, [Event::Start, Event::Drain(time), Event::Stop]);
    }
}

#[test]
fn a_server_that_is_dropped_stops_its_service_without_a_drain() {
    let (service, heard) = Living::new(Living::close_all);
    let server = serve(service);
    let mut raw = Raw::open(server.address());
    drop(server);
    raw.read_end();
    let expected = [
        Event::Start,
        Event::Open,
        Event::Close(CloseCode::ABNORMAL),
        Event::Stop,
    ];
    assert_eq!(hear_all(&heard), expected);
}

#[test]
fn an_upgrade_that_is_decided_while_the_server_ends_is_refused() {
    let (service, heard) = Living::new(|_| {});
    let waker = service.clone();
    let server = serve(service);
    let address = server.address();
    let mut open = Raw::open(address);
    let mut late = Raw::silent(address);
    late.write(UPGRADE.replace("/path", "/later").as_bytes());
    while waker.peers.lock().expect("no panic").len() < 2 {
        thread::yield_now();
    }
    let (dropped, ()) = end(server, drain(PATIENCE, PATIENCE), || {
        while hear(&heard) != Event::Drain(PATIENCE) {}
        for peer in waker.peers.lock().expect("no panic").iter() {
            peer.wake();
        }
        let head = late.read_head();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.contains("X-Explained: "), "{head}");
        drop(late);
        waker.close_all();
        open.read_close(4000);
        open.close(4000);
    });
    assert_eq!(dropped, 0);
}

#[test]
fn a_service_that_panics_at_the_end_does_not_hold_it_up() {
    let (service, heard) = Living::new(|_| panic!("as you wish"));
    let server = serve(service);
    let mut raw = Raw::open(server.address());
    let shutdown = drain(Duration::from_millis(50), PATIENCE);
    let (dropped, ()) = end(server, shutdown, || {
        raw.read_close(1012);
        raw.close(1012);
    });
    assert_eq!(dropped, 0);
    assert_eq!(hear_all(&heard).last(), Some(&Event::Stop));
}
