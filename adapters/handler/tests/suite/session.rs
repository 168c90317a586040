//! The life of a connection.

use alloc::sync::Arc;
use core::time::Duration;

use sockeye_core::Incoming;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    Address, Cause, Chunk, CloseCode, Config, Context, Decision, Delivery, Endpoint, Frame,
    Handler, Message, MessageKind, Opening, OwnedMessage, Request, SendError, Service, Session,
    SharedConfig, Time, linear, service_fn,
};

use crate::probe::{echo, probe};

#[test]
fn messages_are_answered_with_their_kind() {
    let server = TestServer::new(linear(|mut ws| async move {
        while let Some(message) = ws.recv().await {
            ws.send(message).await?;
        }
        Ok::<_, SendError>(())
    }));
    let mut client = server.connect("/").expect("accepted");
    for len in [0, 1, 30, 31, 125, 126, 1000, 65_535, 65_536, 300_000] {
        let binary = vec![b'x'; len];
        client.send(&*binary).expect("open");
        assert_eq!(client.recv(), Some(OwnedMessage::from(binary)));
        let text = "x".repeat(len);
        client.send(&text).expect("open");
        assert_eq!(client.recv(), Some(OwnedMessage::from(text)));
    }
}

#[test]
fn any_cut_of_the_input_gives_the_same_answers() {
    for read_size in [1, 2, 3, 7, 16, 100, 16 << 10] {
        let (service, notes) = echo();
        let server = TestServer::new(service);
        server.set_read_size(read_size);
        let mut client = server.connect("/path?query").expect("accepted");
        client
            .send_all(["a", "", "long ".repeat(100).as_str(), "é"])
            .expect("open");
        let answers: Vec<_> = core::iter::from_fn(|| client.recv_text()).collect();
        assert_eq!(
            answers,
            ["a", "", "long ".repeat(100).as_str(), "é"],
            "{read_size}"
        );
        client.close(CloseCode::new(4000), "why");
        assert_eq!(notes.take().last().map(String::as_str), Some("drop"));
    }
}

#[test]
fn the_first_messages_may_come_right_behind_the_request() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    let mut raw = server.raw();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let frames = b"\x81\x82\0\0\0\0hi\x81\x83\0\0\0\0you";
    raw.write(&[request.as_bytes(), frames].concat());
    let answer = raw.read();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(b"\r\n\r\n\x81\x02hi\x81\x03you"));
    assert_eq!(notes.take(), ["open", "message hi", "message you"]);
}

#[test]
fn the_client_begins_to_close() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.close(CloseCode::new(4000), "why");
    let closed = client.closed().expect("closed");
    assert!(closed.is_clean());
    assert_eq!(closed.code, CloseCode::new(4000));
    assert_eq!(notes.take(), ["open", "close 4000 Peer", "drop"]);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn the_handler_begins_to_close_and_nothing_is_sent_after_it() {
    let (service, notes) = probe(|text, cx| {
        if text == "exit" {
            cx.send("bye").expect("open");
            cx.close(CloseCode::GOING_AWAY, "exit").expect("open");
            assert_eq!(cx.send("late"), Err(SendError::Closing));
            assert!(!cx.is_open());
        }
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("exit").expect("open");
    assert_eq!(client.recv_text().as_deref(), Some("bye"));
    assert_eq!(client.recv(), None);
    let closed = client.closed().expect("closed");
    assert_eq!(
        (closed.code, &*closed.reason),
        (CloseCode::GOING_AWAY, "exit")
    );
    assert_eq!(
        notes.take(),
        ["open", "message exit", "close 1001 Local", "drop"]
    );
}

#[test]
fn a_lost_transport_is_told_once() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    drop(server.connect("/").expect("accepted"));
    assert_eq!(notes.take(), ["open", "close 1006 Transport", "drop"]);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_session_that_is_dropped_tells_its_handler() {
    let (service, notes) = echo();
    let mut session = Session::new(
        Arc::new(service),
        SharedConfig::default(),
        Address::unix(""),
        Time::ZERO,
    );
    let mut request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    session.handle_input(&mut request, Time::ZERO);
    assert!(session.is_open());
    drop(session);
    assert_eq!(notes.take(), ["open", "close 1006 Local", "drop"]);
}

#[test]
fn pings_are_answered_and_told() {
    let (service, notes) = probe(|text, cx| {
        if text == "ping me" {
            cx.ping(b"are you there").expect("open");
        }
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.ping(b"hello").expect("open");
    assert!(matches!(client.event(), Some(Incoming::Pong(p)) if p == b"hello"));
    client.send("ping me").expect("open");
    assert_eq!(
        notes.take(),
        [
            "open",
            "ping hello",
            "message ping me",
            "pong are you there"
        ]
    );
}

#[test]
fn timers_come_at_their_time_in_order_and_once() {
    let (service, notes) = probe(|text, cx| {
        let at = |seconds| cx.now() + Duration::from_secs(seconds);
        match text {
            "set" => {
                let (three, one, two, four) = (at(3), at(1), at(2), at(4));
                cx.set_timer(3, three);
                cx.set_timer(1, one);
                cx.set_timer(2, three);
                cx.set_timer(2, two);
                cx.set_timer(4, four);
            }
            "timer 3" => cx.clear_timer(4),
            _ => {}
        }
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("set").expect("open");
    notes.take();
    server.advance(Duration::from_millis(2900));
    assert_eq!(notes.take(), ["timer 1", "timer 2"]);
    server.advance(Duration::from_secs(10));
    assert_eq!(notes.take(), ["timer 3"]);
}

#[test]
fn a_timer_for_the_past_does_not_spin() {
    let (service, notes) = probe(|_, cx| {
        let now = cx.now();
        cx.set_timer(1, now);
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("set").expect("open");
    server.advance(Duration::from_micros(100));
    assert!(notes.count("timer") <= 101);
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    server.advance(Duration::from_secs(60));
    assert!(matches!(client.event(), Some(Incoming::Ping(_))));
    assert!(client.closed().is_none());
    assert!(notes.count("pong") >= 2);

    client.stall();
    server.advance(Duration::from_secs(60));
    assert_eq!(notes.count("close 10"), 1);
    assert_eq!(notes.take().last().map(String::as_str), Some("drop"));
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_violation_closes_with_its_code() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    // Text that is not UTF-8.
    client.write(b"\x81\x81\0\0\0\0\xff");
    assert_eq!(
        client.closed().map(|closed| closed.code),
        Some(CloseCode::INVALID_PAYLOAD)
    );
    assert_eq!(notes.take(), ["open", "close 1007 Local", "drop"]);
}

#[test]
fn a_shared_frame_reaches_the_client() {
    let (service, _) = probe(|text, cx| {
        cx.send_frame(&Frame::new(text)).expect("open");
        cx.begin(MessageKind::Binary).expect("open");
        cx.append(b"in ").expect("open");
        cx.finish(b"pieces").expect("open");
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("shared").expect("open");
    assert_eq!(client.recv_text().as_deref(), Some("shared"));
    assert_eq!(client.recv(), Some(OwnedMessage::from(&b"in pieces"[..])));
}

#[test]
fn shutting_down_closes_open_connections_once() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    let clients: Vec<_> = (0..5)
        .map(|_| server.connect("/").expect("accepted"))
        .collect();
    server.close(CloseCode::SERVICE_RESTART, "restart");
    server.close(CloseCode::GOING_AWAY, "again");
    for client in &clients {
        let closed = client.closed().expect("closed");
        assert_eq!(closed.code, CloseCode::SERVICE_RESTART);
        assert_eq!(&*closed.reason, "restart");
        assert!(closed.is_clean());
    }
    assert_eq!(notes.count("close 1012 Local"), 5);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn chunks_are_handed_on_where_they_are_asked_for() {
    struct Sizes(usize);
    impl Handler for Sizes {
        fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {
            unreachable!("only chunks");
        }
        fn on_chunk(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) {
            self.0 += chunk.payload.len();
            if chunk.last {
                cx.send(self.0.to_string()).expect("open");
            }
        }
    }
    let mut config = Config::default();
    config.delivery = Delivery::Chunks;
    config.max_message = 10;
    let service = service_fn(|_, _| Sizes(0));
    let server = TestServer::with_config(service, config.share().expect("valid"));
    let mut client = server.connect("/").expect("accepted");
    client.send(vec![0; 1_000_000]).expect("open");
    assert_eq!(client.recv_text().as_deref(), Some("1000000"));
}

#[test]
fn a_session_costs_at_most_its_budget() {
    struct Nothing;
    impl Handler for Nothing {
        fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
    }
    struct Plain;
    impl Service for Plain {
        type Handler = Nothing;
        fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Nothing> {
            Decision::accept(Nothing)
        }
    }
    let size = size_of::<Session<Plain>>();
    assert!(size <= 112, "{size}");
}

#[test]
fn the_cause_of_the_end_is_told() {
    let (service, _) = echo();
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.close(CloseCode::NORMAL, "");
    assert_eq!(
        client.closed().map(|closed| closed.cause),
        Some(Cause::Handshake)
    );
}
