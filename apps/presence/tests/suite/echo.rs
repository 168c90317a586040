//! `/echo`: who is let in, who is sent away, and when somebody has left.

use core::time::Duration;

use sockeye_core::handshake::ConnectError;
use sockeye_handler::{CloseCode, OwnedMessage};
use sockeye_kit::caps::Caps;
use sockeye_kit::token::demo;

use crate::bench::{Bench, HOUR, SECOND, closed, end, message};

const GRACE: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn a_valid_message_is_answered_byte_for_byte_and_its_user_is_there() {
    let bench = Bench::new();
    let mut client = bench.open("/echo");
    let token = bench.token("ana", HOUR);
    for text in [
        message(&token),
        format!("\n{{ \"\\u006awt\" : \"{token}\" }}\t"),
    ] {
        client.send(&*text).expect("open");
        assert_eq!(client.recv(), Some(OwnedMessage::from(text)));
        assert!(bench.is_connected("ana"));
    }
}

#[test]
fn what_is_no_message_closes_with_1007() {
    let bench = Bench::new();
    let token = bench.token("ana", HOUR);
    for text in [
        String::new(),
        "hello".into(),
        "{}".into(),
        "[]".into(),
        format!(r#"["{token}"]"#),
        format!(r#"{{"jwt":"{token}","jwt":"{token}"}}"#),
        format!(r#"{{"jwt":"{token}"}}{{}}"#),
        format!("\u{feff}{{\"jwt\":\"{token}\"}}"),
        r#"{"jwt":""}"#.into(),
        r#"{"jwt":7}"#.into(),
        message(&"x".repeat(8193)),
    ] {
        let mut client = bench.open("/echo");
        client.send(&*text).expect("open");
        assert_eq!(closed(&client), end(1007, "Invalid Message"), "{text}");
        assert_eq!(client.recv(), None);
    }
    let mut client = bench.open("/echo");
    client.send(message(&token).as_bytes()).expect("open");
    assert_eq!(closed(&client), end(1007, "Invalid Message"));
    assert!(bench.users().is_empty());
}

#[test]
fn what_is_no_valid_token_closes_with_1007() {
    let bench = Bench::new();
    let (_, stranger) = demo().expect("randomness");
    let ana = sockeye_kit::name::Name::parse("ana").expect("a name");
    let forged = stranger.sign(&ana, HOUR, bench.clock.wall());
    let expired = bench.token("ana", SECOND);
    bench.advance(2 * SECOND);
    let cut = bench.token("ana", HOUR);
    let cut = &cut[..cut.len() - 1];
    // `{"alg":"none"}.{"id":"ana","exp":99999999999}.`
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpZCI6ImFuYSIsImV4cCI6OTk5OTk5OTk5OTl9.";
    for token in ["x", "a.b.c", &*forged, &*expired, cut, unsigned] {
        let mut client = bench.open("/echo");
        client.send(&*message(token)).expect("open");
        assert_eq!(closed(&client), end(1007, "Expired Token"), "{token}");
    }
    assert!(bench.users().is_empty());
}

/// A text frame, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).expect("a short message");
    let mut frame = match len {
        0..=125 => vec![0x81, 0x80 | len as u8],
        _ => [&[0x81, 0x80 | 126][..], &len.to_be_bytes()].concat(),
    };
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn what_comes_behind_a_message_that_was_refused_is_not_looked_at() {
    let bench = Bench::new();
    let good = bench.message("ana", HOUR);
    // One that never answers the Close.
    let mut raw = bench.server.raw();
    raw.write(UPGRADE);
    raw.write(&[frame("{}"), frame(&good)].concat());
    assert!(raw.read().ends_with(b"Invalid Message"));
    assert!(!bench.is_connected("ana"));
}

#[test]
fn a_message_that_is_refused_ends_the_stay_at_once() {
    let bench = Bench::new();
    let good = bench.message("ana", HOUR);
    let mut raw = bench.server.raw();
    raw.write(UPGRADE);
    raw.write(&frame(&good));
    assert!(bench.is_connected("ana"));
    raw.write(&frame("{}"));
    assert!(raw.read().ends_with(b"Invalid Message"));
    assert!(
        !bench.is_connected("ana"),
        "though the Close is not answered"
    );
}

#[test]
fn a_message_of_more_than_16_kib_closes_with_1009() {
    let bench = Bench::new();
    let mut client = bench.open("/echo");
    let token = bench.token("ana", HOUR);
    let padding = |len: usize| " ".repeat(len - message(&token).len()) + &message(&token);
    client.send(&*padding(16 << 10)).expect("open");
    assert!(client.recv().is_some());
    client.send(&*padding((16 << 10) + 1)).expect("open");
    assert_eq!(closed(&client).map(|(code, _)| code), Some(1009));
}

#[test]
fn the_first_valid_token_says_whose_connection_it_is() {
    let bench = Bench::new();
    let mut client = bench.join("ana");
    client.send(&*bench.message("bob", HOUR)).expect("open");
    assert_eq!(closed(&client), end(1008, "other user"));
    assert!(bench.users().is_empty());
}

#[test]
fn a_connection_ends_with_its_token() {
    let bench = Bench::new();
    let mut client = bench.open("/echo");
    client
        .send(&*bench.message("ana", 10 * SECOND))
        .expect("open");
    assert!(client.recv().is_some());
    bench.advance(10 * SECOND - MOMENT);
    assert_eq!(closed(&client), None);
    assert!(bench.is_connected("ana"));
    bench.advance(SECOND);
    assert_eq!(closed(&client), end(1007, "Expired Token"));
    assert!(!bench.is_connected("ana"), "at once");
}

#[test]
fn a_newer_token_is_the_refresh() {
    let bench = Bench::new();
    let mut client = bench.open("/echo");
    for _ in 0..3 {
        client
            .send(&*bench.message("ana", 10 * SECOND))
            .expect("open");
        assert!(client.recv().is_some());
        bench.advance(8 * SECOND);
        assert_eq!(closed(&client), None);
    }
    bench.advance(3 * SECOND);
    assert_eq!(closed(&client), end(1007, "Expired Token"));
}

#[test]
fn an_older_token_takes_nothing_away() {
    let bench = Bench::new();
    let mut client = bench.open("/echo");
    let older = bench.message("ana", 10 * SECOND);
    for message in [&bench.message("ana", 20 * SECOND), &older] {
        client.send(&**message).expect("open");
        assert!(client.recv().is_some());
    }
    bench.advance(15 * SECOND);
    assert_eq!(closed(&client), None);
    bench.advance(6 * SECOND);
    assert_eq!(closed(&client), end(1007, "Expired Token"));
}

#[test]
fn a_connection_that_says_nothing_is_closed_with_4001_after_5_s() {
    let bench = Bench::new();
    let silent = bench.open("/echo");
    let mut pinging = bench.open("/echo");
    let joined = bench.join("ana");
    bench.advance(4 * SECOND);
    pinging.ping(b"still there").expect("open");
    assert_eq!(closed(&silent), None);
    bench.advance(SECOND + MOMENT);
    for client in [&silent, &pinging] {
        assert_eq!(closed(client), end(4001, "no valid message"));
    }
    bench.advance(60 * SECOND);
    assert_eq!(closed(&joined), None);
}

#[test]
fn a_goodbye_takes_effect_at_once() {
    let bench = Bench::new();
    let mut normal = bench.join("ana");
    normal.close(CloseCode::NORMAL, "");
    assert!(!bench.is_connected("ana"));
    let mut bare = bench.join("bob");
    // A Close frame without a code, masked with zeros.
    bare.write(b"\x88\x80\0\0\0\0");
    assert!(!bench.is_connected("bob"));
}

#[test]
fn a_lost_connection_counts_for_the_grace_period() {
    let bench = Bench::new();
    drop(bench.join("ana"));
    let mut going_away = bench.join("bob");
    going_away.close(CloseCode::GOING_AWAY, "");
    let mut strange = bench.join("cyd");
    strange.close(CloseCode::new(4242), "");
    bench.advance(GRACE - MOMENT);
    for user in ["ana", "bob", "cyd"] {
        assert!(bench.is_connected(user), "{user}");
    }
    bench.advance(2 * MOMENT);
    for user in ["ana", "bob", "cyd"] {
        assert!(!bench.is_connected(user), "{user}");
    }
}

#[test]
fn who_breaks_the_protocol_has_left() {
    let bench = Bench::new();
    let mut client = bench.join("ana");
    // A reserved opcode.
    client.write(b"\x83\x80\0\0\0\0");
    assert_eq!(closed(&client).map(|(code, _)| code), Some(1002));
    assert!(!bench.is_connected("ana"));
}

#[test]
fn a_peer_that_no_longer_answers_is_lost() {
    let bench = Bench::new();
    let mut client = bench.join("ana");
    client.stall();
    // A Ping after 25 s, 10 s for the Pong, and the grace period.
    bench.advance(34 * SECOND);
    assert!(bench.is_connected("ana"));
    bench.advance(GRACE);
    assert!(bench.is_connected("ana"));
    bench.advance(2 * SECOND);
    assert!(!bench.is_connected("ana"));
}

#[test]
fn several_connections_of_one_user_count_as_one() {
    let bench = Bench::new();
    let mut first = bench.join("ana");
    let mut second = bench.join("ana");
    assert_eq!(bench.users(), ["ana"]);
    first.close(CloseCode::NORMAL, "");
    assert_eq!(bench.users(), ["ana"]);
    second.close(CloseCode::NORMAL, "");
    assert!(bench.users().is_empty());
}

#[test]
fn the_eleventh_connection_of_a_user_is_one_too_many() {
    let bench = Bench::new();
    let mut clients: Vec<_> = (0..10).map(|_| bench.join("ana")).collect();
    let mut eleventh = bench.open("/echo");
    eleventh.send(&*bench.message("ana", HOUR)).expect("open");
    assert_eq!(closed(&eleventh), end(1008, "too many connections"));
    let other = bench.join("bob");
    assert_eq!(closed(&other), None);
    clients.pop();
    let again = bench.join("ana");
    assert_eq!(closed(&again), None);
}

#[test]
fn an_address_has_a_cap() {
    let bench = Bench::with(|options| options.caps = Caps::new(2, 10));
    let one = bench.open("/echo");
    let _two = bench.open("/watch");
    match bench.server.connect("/echo") {
        Err(ConnectError::Rejected(response)) => {
            assert_eq!(response.status(), 429);
            assert!(response.value("Retry-After").is_some());
        }
        other => panic!("{other:?}"),
    }
    drop(one);
    bench.open("/echo");
}

#[test]
fn too_many_messages_close_with_4029() {
    let bench = Bench::new();
    let mut client = bench.open("/echo");
    let message = bench.message("ana", HOUR);
    for _ in 0..40 {
        client.send(&*message).expect("open");
        assert!(client.recv().is_some());
    }
    client.send(&*message).expect("open");
    assert_eq!(closed(&client), end(4029, "too fast"));
    assert!(!bench.is_connected("ana"));
    let mut steady = bench.join("bob");
    for _ in 0..100 {
        bench.advance(SECOND / 20);
        steady.send(&*bench.message("bob", HOUR)).expect("open");
        assert!(steady.recv().is_some());
    }
}
