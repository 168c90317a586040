//! Receiving pauses and goes on, in the middle of a read if need be.

use core::time::Duration;

use sockeye_handler::testing::TestServer;
use sockeye_handler::{CloseCode, Config, SendError};

use crate::probe::{echo, probe};

#[test]
fn a_pause_holds_the_rest_of_a_read_until_a_timer_resumes() {
    for read_size in [1, 5, 16 << 10] {
        let (service, notes) = probe(|text, cx| match text {
            "timer 1" => cx.resume(),
            "stop" => {
                cx.pause();
                let soon = cx.now() + Duration::from_secs(1);
                cx.set_timer(1, soon);
            }
            _ => {}
        });
        let server = TestServer::new(service);
        server.set_read_size(read_size);
        let mut client = server.connect("/").expect("accepted");
        client
            .send_all(["a", "stop", "b", "stop", "c"])
            .expect("open");
        assert_eq!(notes.take(), ["open", "message a", "message stop"]);
        server.advance(Duration::from_millis(1500));
        assert_eq!(notes.take(), ["timer 1", "message b", "message stop"]);
        server.advance(Duration::from_millis(1500));
        assert_eq!(notes.take(), ["timer 1", "message c"]);
    }
}

#[test]
fn a_wake_up_resumes() {
    let (service, notes) = probe(|text, cx| match text {
        "wake" => cx.resume(),
        "stop" => {
            cx.pause();
            cx.peer().wake();
        }
        _ => {}
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send_all(["stop", "a"]).expect("open");
    assert_eq!(notes.take(), ["open", "message stop", "wake", "message a"]);
}

#[test]
fn closing_lifts_a_pause() {
    let (service, notes) = probe(|text, cx| {
        if text == "stop" {
            cx.pause();
        }
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send_all(["stop", "never seen"]).expect("open");
    client.close(CloseCode::NORMAL, "");
    assert!(client.closed().is_none());
    server.close(CloseCode::GOING_AWAY, "");
    assert!(client.closed().is_some_and(|closed| closed.is_clean()));
    assert_eq!(notes.count("message never seen"), 0);
    assert_eq!(notes.count("close"), 1);
}

#[test]
fn a_client_that_does_not_read_its_answers_is_slowed_and_not_killed() {
    let mut config = Config::default();
    config.soft_mark = 1000;
    let (service, notes) = echo();
    let server = TestServer::with_config(service, config.share().expect("valid"));
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    let messages: Vec<String> = (0..1000).map(|n| format!("{n:0100}")).collect();
    client.send_all(&messages).expect("open");
    // The mark, and the one message above it.
    let answered = notes.count("message");
    assert!((9..=11).contains(&answered), "{answered}");

    client.unstall();
    for message in &messages {
        assert_eq!(client.recv_text().as_ref(), Some(message));
    }
    assert!(notes.count("writable") >= 1);
}

#[test]
fn a_peer_that_takes_nothing_is_gone_at_the_deadline() {
    let (service, notes) = echo();
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("answer me").expect("open");
    server.advance(Duration::from_secs(9));
    assert_eq!(notes.count("close"), 0);
    server.advance(Duration::from_secs(2));
    assert_eq!(notes.count("close 1006 Local"), 1);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn sending_is_refused_above_the_hard_mark_and_on_writable_tells_when_not() {
    let mut config = Config::default();
    config.soft_mark = 100;
    config.hard_mark = 1000;
    let (service, notes) = probe(|text, cx| {
        if text == "flood" {
            let sent = (0..100)
                .take_while(|_| cx.send("x".repeat(98)).is_ok())
                .count();
            assert_eq!(sent, 11, "the mark, and one above it");
            assert_eq!(cx.send("x"), Err(SendError::Full));
            assert!(!cx.is_writable());
            assert!(cx.buffered() > 1000);
        }
        if text == "writable" {
            assert!(cx.is_writable());
        }
    });
    let server = TestServer::with_config(service, config.share().expect("valid"));
    let mut client = server.connect("/").expect("accepted");
    client.send("flood").expect("open");
    assert_eq!(core::iter::from_fn(|| client.recv()).count(), 11);
    assert_eq!(notes.take(), ["open", "message flood", "writable"]);
}
