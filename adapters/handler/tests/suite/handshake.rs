//! From the first byte to the decision, and plain HTTP.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::Mutex;

use sockeye_core::handshake::ConnectError;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    Accept, BoxHandler, CloseCode, Closed, Context, Decision, Handler, Message, Opening, Request,
    Response, Service, service_fn,
};

use crate::probe::echo;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message);
    }
}

fn status(bytes: &[u8]) -> &str {
    let line = bytes
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    core::str::from_utf8(line).expect("a status line")
}

/// Asks a service that decides by a closure.
fn server(
    decide: impl Fn(&Request<'_>, &mut Opening<'_>) -> Decision<Echo> + Send + Sync + 'static,
) -> TestServer<impl Service<Handler = Echo>> {
    TestServer::new(service_fn(decide))
}

#[test]
fn a_service_sees_the_request_and_sets_fields_and_a_subprotocol() {
    let server = server(|request, cx| {
        assert_eq!(request.path(), "/a/b");
        assert_eq!(request.query_value("x").as_deref(), Some("1 2"));
        assert_eq!(request.cookie("session"), Some("42"));
        assert_eq!(request.origin(), Some("https://example.com"));
        assert_eq!(request.host(), Some("localhost"));
        assert!(cx.address().to_string().starts_with("tcp4:"));
        let chosen = request.subprotocols().find(|name| *name == "v2");
        cx.field("X-Added", "by the opening")
            .expect("a valid field");
        let accept = Accept::new()
            .subprotocol(chosen.expect("offered"))
            .and_then(|accept| accept.field("Set-Cookie", "seen=1"));
        Decision::Accept(accept.expect("valid"), Echo)
    });
    let request = server
        .request("/a/b?x=1+2")
        .subprotocol("v1")
        .and_then(|r| r.subprotocol("v2"))
        .and_then(|r| r.origin("https://example.com"))
        .and_then(|r| r.field("Cookie", "a=b; session=42"));
    let client = server
        .connect_with(&request.expect("valid"))
        .expect("accepted");
    let response = client.response().expect("opened");
    assert_eq!(response.value("Set-Cookie"), Some(&b"seen=1"[..]));
    assert_eq!(response.value("X-Added"), Some(&b"by the opening"[..]));
    assert_eq!(response.value("Sec-WebSocket-Protocol"), Some(&b"v2"[..]));
}

#[test]
fn a_refusal_arrives_with_status_fields_and_body() {
    let server = server(|_, cx| {
        cx.field("X-Added", "too").expect("valid");
        let response = Response::text(401, "who are you?\n");
        Decision::Respond(response.field("WWW-Authenticate", "Basic").expect("valid"))
    });
    let Err(ConnectError::Rejected(response)) = server.connect("/") else {
        panic!("refused");
    };
    assert_eq!(response.status(), 401);
    assert_eq!(response.value("WWW-Authenticate"), Some(&b"Basic"[..]));
    assert_eq!(response.value("X-Added"), Some(&b"too"[..]));
    assert_eq!(&response.content()[..], b"who are you?\n");
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_subprotocol_that_was_not_offered_is_a_fault_of_the_server() {
    let server = server(|_, _| {
        let accept = Accept::new().subprotocol("v9").expect("a token");
        Decision::Accept(accept, Echo)
    });
    let Err(ConnectError::Rejected(response)) = server.connect("/") else {
        panic!("refused");
    };
    assert_eq!(response.status(), 500);
}

#[test]
fn a_malformed_upgrade_never_reaches_the_service() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = {
        let asked = Arc::clone(&asked);
        server(move |_, _| {
            asked.fetch_add(1, Ordering::Relaxed);
            Decision::accept(Echo)
        })
    };
    for (from, to, expected) in [
        ("Version: 13", "Version: 12", "HTTP/1.1 426 "),
        ("Connection: Upgrade", "Connection: close", "HTTP/1.1 400 "),
        ("Host: a\r\n", "", "HTTP/1.1 400 "),
        ("GET", "POST", "HTTP/1.1 405 "),
        ("\r\nHost", "\nHost", "HTTP/1.1 400 "),
        (
            "Host: a\r\n",
            "Host: a\r\nContent-Length: 1\r\n",
            "HTTP/1.1 400 ",
        ),
    ] {
        let mut raw = server.raw();
        raw.write(UPGRADE.replacen(from, to, 1).as_bytes());
        let answer = raw.read();
        assert!(
            status(&answer).starts_with(expected),
            "{to:?}: {}",
            status(&answer)
        );
        assert!(raw.is_ended());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn accepting_what_is_no_upgrade_is_answered_with_426() {
    let server = server(|_, _| Decision::accept(Echo));
    let response = server.get("/").expect("answered");
    assert_eq!(response.status(), 426);
    assert!(response.value("Upgrade").is_some());
}

#[test]
fn a_page_of_any_size_arrives_whole_and_head_has_none() {
    for len in [0, 1, 1000, 16 << 10, (16 << 10) + 1, 1_000_000] {
        let page = "x".repeat(len);
        let served = page.clone();
        let server = server(move |_, _| Decision::Respond(Response::html(200, served.clone())));
        let response = server.get("/").expect("answered");
        assert_eq!(response.status(), 200);
        assert!(response.content()[..] == *page.as_bytes(), "{len}");

        let mut raw = server.raw();
        raw.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = String::from_utf8(raw.read()).expect("text");
        assert!(head.ends_with("\r\n\r\n"), "{len}");
        assert!(
            head.contains(&format!("Content-Length: {len}\r\n")),
            "{head}"
        );
        assert!(head.contains("Connection: close\r\n"), "{head}");
        assert!(raw.is_ended());
    }
}

#[test]
fn a_body_is_waited_for_and_has_a_bound() {
    let server = server(|request, _| {
        let body = format!("{} {}", request.method(), request.body().len());
        Decision::Respond(Response::text(200, body))
    });
    for read_size in [1, 1000, 100_000] {
        server.set_read_size(read_size);
        for len in [1, 1000, 64 << 10] {
            let response = server
                .ask("POST", "/", &[], &vec![b'x'; len])
                .expect("answered");
            assert_eq!(&response.content()[..], format!("POST {len}").as_bytes());
        }
    }
    server.set_read_size(16 << 10);
    for (head, expected) in [
        ("Content-Length: 65537\r\n", "HTTP/1.1 413 "),
        ("Transfer-Encoding: chunked\r\n", "HTTP/1.1 411 "),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "HTTP/1.1 400 ",
        ),
        ("Content-Length: +1\r\n", "HTTP/1.1 400 "),
    ] {
        let mut raw = server.raw();
        raw.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n").as_bytes());
        let answer = raw.read();
        assert!(
            status(&answer).starts_with(expected),
            "{head:?}: {}",
            status(&answer)
        );
    }
}

#[test]
fn there_is_one_answer_however_many_requests_are_pipelined() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = {
        let asked = Arc::clone(&asked);
        server(move |_, _| {
            asked.fetch_add(1, Ordering::Relaxed);
            Decision::Respond(Response::text(200, "once\n"))
        })
    };
    let mut raw = server.raw();
    raw.write(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000));
    let answer = String::from_utf8(raw.read()).expect("text");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(raw.is_ended());
    // The rest is read, so that no reset destroys the answer, but only for a while.
    assert_eq!(server.sessions(), 1);
    server.advance(Duration::from_millis(1200));
    assert_eq!(server.sessions(), 0);
}

#[test]
fn an_upgrade_that_is_refused_does_not_leave_a_second_request() {
    let server = server(|_, _| Decision::Respond(Response::text(403, "no\n")));
    let mut raw = server.raw();
    raw.write(
        &[
            UPGRADE.as_bytes(),
            b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
        .concat(),
    );
    let answer = String::from_utf8(raw.read()).expect("text");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[test]
fn bytes_do_not_extend_the_handshake_deadline() {
    let (service, _) = echo();
    let server = TestServer::new(service);
    let mut dripping = server.raw();
    let silent = server.raw();
    for byte in UPGRADE.as_bytes().iter().take(95) {
        dripping.write(&[*byte]);
        server.advance(Duration::from_millis(100));
    }
    assert_eq!(server.sessions(), 2);
    server.advance(Duration::from_millis(600));
    assert!(status(&dripping.read()).starts_with("HTTP/1.1 408 "));
    assert!(dripping.is_ended() && silent.is_ended());
    server.advance(Duration::from_millis(1200));
    assert_eq!(server.sessions(), 0);
}

#[test]
fn an_aborted_handshake_leaves_nothing() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    for len in 0..UPGRADE.len() {
        let mut raw = server.raw();
        raw.write(&UPGRADE.as_bytes()[..len]);
        if len % 2 == 0 {
            raw.end();
            let answer = raw.read();
            assert!(
                len == 0 || status(&answer).starts_with("HTTP/1.1 400 "),
                "{len}"
            );
        }
        drop(raw);
    }
    assert_eq!(server.sessions(), 0);
    assert_eq!(notes.take(), Vec::<String>::new());
}

/// A decision that waits until it is released.
#[derive(Clone, Default)]
struct Gate {
    is_open: Arc<AtomicBool>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Gate {
    fn release(&self) {
        self.is_open.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().expect("no panic here").take() {
            waker.wake();
        }
    }

    async fn wait(self) {
        core::future::poll_fn(|cx| {
            *self.waker.lock().expect("no panic here") = Some(cx.waker().clone());
            match self.is_open.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

fn gated() -> (TestServer<impl Service<Handler = BoxHandler>>, Gate) {
    let gate = Gate::default();
    let service = {
        let gate = gate.clone();
        service_fn(move |request: &Request<'_>, cx: &mut Opening<'_>| {
            let gate = gate.clone();
            let is_upgrade = request.is_upgrade();
            let peer = cx.peer();
            Decision::later(async move {
                peer.send("made before").expect("room");
                gate.wait().await;
                Decision::later(async move {
                    match is_upgrade {
                        true => Decision::accept(Box::new(Echo) as BoxHandler),
                        false => Decision::Respond(Response::text(200, "later\n")),
                    }
                })
            })
        })
    };
    (TestServer::new(service), gate)
}

#[test]
fn a_decision_may_come_later_from_another_thread() {
    let (server, gate) = gated();
    let mut client = server.begin(&server.request("/"));
    let mut raw = server.raw();
    raw.write(&[UPGRADE.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat());
    server.advance(Duration::from_secs(5));
    assert!(!client.is_decided());
    assert!(raw.read().is_empty());

    std::thread::scope(|scope| {
        scope.spawn(|| gate.release());
    });
    // The gate has kept one waker, the last one's.
    server.run();
    assert!(raw.read().ends_with(b"made before\x81\x02hi"));
    drop(raw);
    client.close(CloseCode::NORMAL, "");
}

#[test]
fn plain_http_may_be_answered_later() {
    let (server, gate) = gated();
    gate.release();
    let response = server.get("/").expect("answered");
    assert_eq!(&response.content()[..], b"later\n");
}

#[test]
fn a_decision_that_does_not_come_is_503_at_the_handshake_deadline() {
    let (server, _gate) = gated();
    let mut raw = server.raw();
    server.advance(Duration::from_secs(6));
    raw.write(UPGRADE.as_bytes());
    server.advance(Duration::from_millis(3900));
    assert!(raw.read().is_empty());
    server.advance(Duration::from_millis(300));
    assert!(status(&raw.read()).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_client_that_leaves_while_the_decision_is_awaited_is_forgotten() {
    let (server, _gate) = gated();
    let client = server.begin(&server.request("/"));
    assert_eq!(server.sessions(), 1);
    drop(client);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn shutting_down_answers_what_is_not_open_with_503() {
    let (server, _gate) = gated();
    let silent = server.raw();
    let mut half = server.raw();
    half.write(&UPGRADE.as_bytes()[..20]);
    let mut undecided = server.raw();
    undecided.write(UPGRADE.as_bytes());
    server.close(CloseCode::GOING_AWAY, "");
    assert!(status(&half.read()).starts_with("HTTP/1.1 503 "));
    assert!(status(&undecided.read()).starts_with("HTTP/1.1 503 "));
    assert!(silent.is_ended(), "nobody has asked, so nobody is answered");
    server.advance(Duration::from_millis(1200));
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_client_that_does_not_even_read_the_101_is_gone_at_the_write_deadline() {
    let closes = Arc::new(AtomicUsize::new(0));
    struct Greeter(Arc<AtomicUsize>);
    impl Handler for Greeter {
        fn on_open(&mut self, cx: &mut Context<'_>) {
            cx.send("hello").expect("open");
        }
        fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
        fn on_close(&mut self, _: &Closed) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let service = {
        let closes = Arc::clone(&closes);
        service_fn(move |_, _| Greeter(Arc::clone(&closes)))
    };
    let server = TestServer::new(service);
    let mut raw = server.raw();
    raw.stall();
    raw.write(UPGRADE.as_bytes());
    server.advance(Duration::from_secs(11));
    assert_eq!(closes.load(Ordering::Relaxed), 1);
    assert_eq!(server.sessions(), 0);
}
