//! Logging in, names, resuming, idling, and what is wrong with a message.

use core::time::Duration;

use serde_json::json;
use sockeye_core::handshake::ConnectError;
use sockeye_handler::CloseCode;
use sockeye_handler::testing::TestClient;

use crate::world::{Setup, World};

#[test]
fn row_1_the_socket_is_at_talking_and_chooses_the_subprotocol_among_those_offered() {
    let world = World::new();
    let chosen = |client: &TestClient<_>| {
        let response = client.response().expect("accepted");
        let value = response.value("Sec-WebSocket-Protocol");
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(chosen(&world.v1().0).as_deref(), Some("chat.v1.json"));
    assert_eq!(chosen(&world.original().0), None);
    let both = world.server.request("/talking/");
    let both = both
        .subprotocol("mqtt")
        .and_then(|r| r.subprotocol("chat.v1.json"));
    let client = world
        .server
        .connect_with(&both.expect("tokens"))
        .expect("accepted");
    assert_eq!(chosen(&client).as_deref(), Some("chat.v1.json"));
    let other = world
        .server
        .request("/talking")
        .subprotocol("mqtt")
        .expect("a token");
    assert_eq!(
        chosen(&world.server.connect_with(&other).expect("accepted")),
        None
    );
    assert!(world.server.connect("/elsewhere").is_err());
}

#[test]
fn login_is_answered_by_hello_with_a_secret_of_128_bits() {
    let world = World::new();
    let mut secrets = Vec::new();
    for nickname in ["ana", "bob"] {
        let mut client = world.v1();
        let hello = client.ask(json!({"type": "login", "nickname": nickname, "id": 1}));
        assert_eq!(hello["type"], "hello");
        assert_eq!(hello["re"], 1);
        assert_eq!(hello["nickname"], nickname);
        assert_eq!(hello["resume_ms"], 60_000);
        let resume = hello["resume"].as_str().expect("text").to_owned();
        assert!(resume.len() >= 32 && resume.bytes().all(|b| b.is_ascii_hexdigit()));
        secrets.push(resume);
    }
    assert_ne!(secrets[0], secrets[1]);
}

#[test]
fn row_50_a_nickname_is_held_until_the_connection_ends_in_both_dialects_and_all_rooms() {
    let world = World::new();
    let mut ana = world.join("ana", "one");
    let mut second = world.v1();
    second.refused(json!({"type": "login", "nickname": "ana"}), "name-taken");
    let mut third = world.original();
    third.send(json!({"type": "login", "nickname": "ana", "room": "two"}));
    third.closed(1008, "name taken");
    ana.close(1000);
    assert_eq!(
        second.ask(json!({"type": "login", "nickname": "ana"}))["type"],
        "hello"
    );
    drop(second);
    let mut fourth = world.join_original("ana", "two");
    world
        .v1()
        .refused(json!({"type": "login", "nickname": "ana"}), "name-taken");
    fourth.nothing();
}

#[test]
fn before_login_everything_but_login_and_ping_is_refused() {
    let world = World::new();
    let mut client = world.v1();
    for request in [
        json!({"type": "join", "room": "r"}),
        json!({"type": "leave", "room": "r"}),
        json!({"type": "msg", "room": "r", "text": "x"}),
        json!({"type": "private", "to": "ana", "text": "x"}),
        json!({"type": "typing", "room": "r", "id": 1}),
        json!({"type": "history", "room": "r"}),
        json!({"type": "members", "room": "r"}),
        json!({"type": "refresh", "token": "x"}),
        json!({"type": "refresh"}),
        json!({"type": "dance"}),
        json!({"type": 5}),
        json!({}),
    ] {
        client.refused(request, "not-logged-in");
    }
    client.refused(json!({"type": "login", "nickname": 5}), "bad-request");
    client.send(json!({"type": "typing", "room": "r"}));
    client.nothing();
    client.send(json!({"type": "ping", "id": "p"}));
    client.expect(json!({"type": "pong", "re": "p"}));
    client.send(json!({"type": "ping"}));
    client.expect(json!({"type": "pong"}));
}

#[test]
fn a_refused_login_may_be_tried_again_until_5_s_after_the_upgrade() {
    let world = World::new();
    let mut client = world.v1();
    client.refused(json!({"type": "login", "nickname": "a b"}), "bad-name");
    client.refused(json!({"type": "login"}), "bad-request");
    world.advance(Duration::from_millis(4900));
    client.refused(json!({"type": "login", "nickname": ""}), "bad-name");
    world.advance(Duration::from_millis(300));
    client.closed(4001, "no login");

    let mut late = world.v1();
    let mut original = world.original();
    world.advance(Duration::from_millis(4900));
    assert_eq!(
        late.ask(json!({"type": "login", "nickname": "ana"}))["type"],
        "hello"
    );
    world.advance(Duration::from_secs(60));
    late.nothing();
    original.closed(4001, "no login");
}

#[test]
fn a_second_login_is_a_bad_request() {
    let world = World::new();
    let mut ana = world.login("ana");
    ana.refused(json!({"type": "login", "nickname": "ana"}), "bad-request");
    ana.refused(json!({"type": "login", "nickname": "eve"}), "bad-request");
    assert_eq!(
        world.v1().ask(json!({"type": "login", "nickname": "eve"}))["type"],
        "hello"
    );
}

#[test]
fn names_that_could_be_markup_or_commands_are_refused() {
    let world = World::new();
    for nickname in [
        "<img src=x onerror=alert(1)>",
        "user:alice",
        "*",
        "\r\nPUBLISH x",
        "\u{1b}[2J",
        "e\u{301}",
        "\u{301}a",
        &"x".repeat(65),
    ] {
        let login = json!({"type": "login", "nickname": nickname});
        world.v1().refused(login, "bad-name");
    }
    let mut client = world.login(&"é".repeat(64));
    client.refused(json!({"type": "join", "room": "#room"}), "bad-name");
}

#[test]
fn resuming_takes_the_name_over_at_once_and_the_older_connection_closes_with_4009() {
    let world = World::new();
    let mut ana = world.v1();
    let hello = ana.ask(json!({"type": "login", "nickname": "ana"}));
    ana.ask(json!({"type": "join", "room": "r"}));
    let mut bob = world.join("bob", "r");
    world.settle();
    bob.recv_all();

    let wrong = json!({"type": "login", "nickname": "ana", "resume": "0".repeat(32)});
    world.v1().refused(wrong, "name-taken");
    let mut newer = world.v1();
    let login = json!({"type": "login", "nickname": "ana", "resume": hello["resume"]});
    let again = newer.ask(login.clone());
    assert_eq!(again["type"], "hello");
    assert_ne!(again["resume"], hello["resume"]);
    ana.closed(4009, "replaced");
    // The old secret is used up.
    world.v1().refused(login, "name-taken");
    newer.ask(json!({"type": "join", "room": "r"}));
    world.advance(Duration::from_secs(10));
    // She was never away.
    bob.nothing();
}

#[test]
fn an_overdue_secret_means_nothing() {
    let world = World::new();
    let mut ana = world.v1();
    let hello = ana.ask(json!({"type": "login", "nickname": "ana"}));
    drop(ana);
    world.advance(Duration::from_secs(120));
    let login = json!({"type": "login", "nickname": "ana", "resume": hello["resume"]});
    assert_eq!(world.v1().ask(login)["type"], "hello");
}

#[test]
fn what_is_no_json_object_in_a_text_frame_closes_with_1007() {
    let world = World::new();
    let deep = format!(
        r#"{{"type":"ping","x":{}{}}}"#,
        "[".repeat(32),
        "]".repeat(32)
    );
    for text in [
        "",
        "x",
        "[]",
        "null",
        "{\"type\":\"ping\"",
        "\u{feff}{}",
        &deep,
    ] {
        let mut client = world.v1();
        client.send_text(text);
        client.closed(1007, "Invalid Message");
    }
    let mut client = world.v1();
    client.0.send(&b"{\"type\":\"ping\"}"[..]).expect("open");
    client.closed(1007, "Invalid Message");
    let mut client = world.v1();
    // The bytes C3 28, masked with nothing.
    client.0.write(b"\x81\x82\0\0\0\0\xc3\x28");
    assert_eq!(
        client.end().map(|closed| closed.code),
        Some(CloseCode::INVALID_PAYLOAD)
    );
}

#[test]
fn a_message_of_16_kib_is_taken_and_one_more_byte_closes_with_1009() {
    let world = World::new();
    let mut client = world.v1();
    let ping = |len: usize| format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(len - 22));
    let longest = ping(16 << 10);
    assert_eq!(longest.len(), 16 << 10);
    client.send_text(&longest);
    client.expect(json!({"type": "pong"}));
    client.send_text(&ping((16 << 10) + 1));
    assert_eq!(
        client.end().map(|closed| closed.code),
        Some(CloseCode::MESSAGE_TOO_BIG)
    );
}

#[test]
fn an_object_that_is_no_request_is_refused_and_the_connection_goes_on() {
    let world = World::new();
    let mut client = world.login("ana");
    for request in [
        json!({}),
        json!({"type": "shout"}),
        json!({"type": 7}),
        json!({"type": "msg", "room": "r"}),
        json!({"type": "join", "room": 5}),
        json!({"type": "join", "room": "r", "since": {"epoch": "e"}}),
        json!({"type": "history", "room": "r", "limit": "all"}),
    ] {
        client.refused(request, "bad-request");
    }
    let answer = client.refused(json!({"type": "shout", "id": "x"}), "bad-request");
    assert_eq!(answer["re"], "x");
    let answer = client.refused(json!({"type": "ping", "id": ""}), "bad-request");
    assert_eq!(answer.get("re"), None);
    assert_eq!(client.ask(json!({"type": "ping"})), json!({"type": "pong"}));
}

#[test]
fn every_request_gets_one_answer_with_its_id_in_the_order_of_the_requests() {
    let world = World::new();
    let mut ana = world.v1();
    ana.send_all(&[
        json!({"type": "login", "nickname": "ana", "id": 1}),
        json!({"type": "join", "room": "r", "id": "two"}),
        json!({"type": "ping", "id": 3}),
        json!({"type": "nonsense", "id": 4}),
        json!({"type": "typing", "room": "r", "id": 5}),
        json!({"type": "typing", "room": "r"}),
        json!({"type": "members", "room": "r", "id": 6}),
        json!({"type": "history", "room": "r", "id": 7}),
        json!({"type": "private", "to": "nobody", "text": "x", "id": 8}),
        json!({"type": "leave", "room": "r", "id": 9}),
        json!({"type": "leave", "room": "r", "id": -10}),
    ]);
    let answers = ana.recv_all();
    let answers: Vec<_> = answers
        .iter()
        .filter(|answer| answer.get("re").is_some())
        .map(|answer| (answer["re"].clone(), answer["type"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        answers,
        [
            (json!(1), "hello"),
            (json!("two"), "ok"),
            (json!(3), "pong"),
            (json!(4), "err"),
            (json!(5), "ok"),
            (json!(6), "state"),
            (json!(7), "history"),
            (json!(8), "err"),
            (json!(9), "ok"),
            (json!(-10), "err"),
        ]
    );
}

#[test]
fn ten_minutes_without_anything_close_with_1001_and_a_ping_prevents_it() {
    let world = World::new();
    let (mut ana, mut bob) = (world.login("ana"), world.login("bob"));
    world.advance(Duration::from_secs(400));
    bob.ask(json!({"type": "ping"}));
    world.advance(Duration::from_secs(210));
    ana.closed(1001, "idle");
    bob.nothing();
}

#[test]
fn too_many_connections_from_one_address_are_refused_with_429() {
    let world = World::with(Setup {
        per_address: Some(2),
        ..Setup::default()
    });
    let (one, _two) = (world.v1(), world.v1());
    let refused = world.server.connect("/talking").err();
    assert!(matches!(refused, Some(ConnectError::Rejected(response)) if response.status() == 429));
    drop(one);
    world.v1();
}
