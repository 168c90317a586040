//! Features of a Tornado chat: login, rooms, private messages, a page. What runs is the
//! program's own service, and what is spoken are the messages of the original, where nothing
//! else is said.

use clap::Parser;
use serde_json::{Value, json};
use sockeye_chat::Args;
use sockeye_handler::CloseCode;
use sockeye_tests::adapter::{Running, Socket};

use super::bench::{Client, Server, connect, end_code, get, json as received, serve, try_connect};

fn chat() -> Server {
    let args = Args::try_parse_from(["sockeye-chat", "--listen", "127.0.0.1:0"]);
    serve(args.expect("good flags").service().expect("it starts"))
}

fn say(client: &mut Client, message: Value) {
    client.send(message.to_string()).expect("open");
}

fn room_message(room: &str, text: &str) -> Value {
    json!({"type": "room", "to": room, "message": {"text": text}})
}

fn private_message(to: &str, text: &str) -> Value {
    json!({"type": "private", "to": to, "message": {"text": text}})
}

/// Somebody in a room, who has heard that they are there.
fn enter(server: &Server, nickname: &str, room: &str) -> Client {
    let mut client = connect(server, "/talking");
    let login = json!({
        "type": "login", "nickname": nickname, "room": room, "connectedAt": "10:00",
    });
    say(&mut client, login);
    let entered = format!("{nickname} is here");
    say(&mut client, room_message(room, &entered));
    assert_eq!(heard(&mut client), (nickname.into(), entered));
    client
}

/// Who has said what.
fn heard(client: &mut Client) -> (String, String) {
    let message = received(client);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&message["from"]), text(&message["message"]["text"]))
}

fn said(who: &str, what: &str) -> (String, String) {
    (who.into(), what.into())
}

/// A connection that speaks v1, logged in and in the lobby.
fn enter_v1(server: &Server, nickname: &str) -> Client {
    let client = try_connect(server, "/talking", |options| {
        options.subprotocols = vec!["chat.v1.json".into()];
    });
    let mut client = client.expect("accepted");
    assert_eq!(client.subprotocol(), Some("chat.v1.json"));
    say(&mut client, json!({"type": "login", "nickname": nickname}));
    assert_eq!(received(&mut client)["type"], "hello");
    say(&mut client, json!({"type": "join", "room": "lobby"}));
    wait_for(&mut client, "state");
    client
}

/// The next event of this type; others are left out.
fn wait_for(client: &mut Client, what: &str) -> Value {
    loop {
        let event = received(client);
        assert_ne!(event["type"], "err", "{event}");
        if event["type"] == what {
            return event;
        }
    }
}

#[test]
fn row_49_login_room_and_private_have_the_shapes_of_the_original() {
    let server = chat();
    let mut client = connect(&server, "/talking");
    say(
        &mut client,
        json!({"type": "login", "nickname": "ana", "room": "lobby", "connectedAt": 5}),
    );
    say(&mut client, room_message("lobby", "hello"));
    say(&mut client, private_message("ana", "psst"));
    for (kind, to, text) in [("room", "lobby", "hello"), ("private", "ana", "psst")] {
        let message = received(&mut client);
        let time = message["sendAt"].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.len() == 24, "{time}");
        let expected = json!({
            "type": kind, "from": "ana", "to": to, "sendAt": time, "message": {"text": text},
        });
        assert_eq!(message, expected);
    }
    say(&mut client, json!({"type": "rooms"}));
    assert_eq!(end_code(&mut client), (1007, "Invalid Message".into()));
}

#[test]
fn row_50_a_login_is_not_forwarded_and_a_nickname_is_held_by_one() {
    let server = chat();
    let mut ana = enter(&server, "ana", "lobby");
    let mut bob = enter(&server, "bob", "lobby");
    // The first that ana hears of bob is what he says.
    assert_eq!(heard(&mut ana), said("bob", "bob is here"));
    let mut second = connect(&server, "/talking");
    say(
        &mut second,
        json!({"type": "login", "nickname": "bob", "room": "other"}),
    );
    assert_eq!(end_code(&mut second), (1008, "name taken".into()));
    say(&mut bob, room_message("lobby", "still me"));
    assert_eq!(heard(&mut ana), said("bob", "still me"));
}

#[test]
fn row_51_a_room_message_reaches_the_members_of_its_room_and_nobody_else() {
    let server = chat();
    // Two rooms, two people each.
    let [mut ana, mut cyd] = [("ana", "red"), ("cyd", "blue")].map(|(n, r)| enter(&server, n, r));
    let [mut bob, mut dan] = [("bob", "red"), ("dan", "blue")].map(|(n, r)| enter(&server, n, r));
    assert_eq!(heard(&mut ana), said("bob", "bob is here"));
    assert_eq!(heard(&mut cyd), said("dan", "dan is here"));
    let talk = [
        ("ana", "red"),
        ("bob", "red"),
        ("cyd", "blue"),
        ("dan", "blue"),
    ];
    for ((name, room), client) in talk.iter().zip([&mut ana, &mut bob, &mut cyd, &mut dan]) {
        say(client, room_message(room, &format!("{name} in {room}")));
    }
    // Each hears its own room, both messages, and then nothing but what is said now.
    for (room, clients) in [
        ("red", [&mut ana, &mut bob]),
        ("blue", [&mut cyd, &mut dan]),
    ] {
        let mut heard = clients.map(|client| [heard(client).1, heard(client).1]);
        heard.iter_mut().for_each(|two| two.sort());
        assert_eq!(heard[0], heard[1], "both hear the same");
        assert!(
            heard[0].iter().all(|text| text.ends_with(room)),
            "{heard:?}"
        );
    }
    say(&mut ana, room_message("blue", "from outside"));
    assert_eq!(end_code(&mut ana), (1008, "not a member".into()));
    say(&mut dan, room_message("blue", "the last word"));
    for client in [&mut cyd, &mut dan] {
        assert_eq!(heard(client), said("dan", "the last word"));
    }
}

#[test]
fn row_52_a_private_message_reaches_the_one_named_and_the_sender() {
    let server = chat();
    let mut ana = enter(&server, "ana", "red");
    let mut bob = enter(&server, "bob", "blue");
    let mut cyd = enter(&server, "cyd", "red");
    assert_eq!(heard(&mut ana), said("cyd", "cyd is here"));
    // From room to room, and not to who shares one.
    say(&mut ana, private_message("bob", "between us"));
    for client in [&mut ana, &mut bob] {
        assert_eq!(heard(client), said("ana", "between us"));
    }
    // Nobody has a room's name, and nobody is harmed by one who is not there.
    say(&mut ana, private_message("red", "to the room?"));
    say(&mut ana, room_message("red", "to the room"));
    for client in [&mut ana, &mut cyd] {
        assert_eq!(heard(client), said("ana", "to the room"));
    }
}

#[test]
fn row_53_an_answer_is_for_one_a_message_for_all_or_for_some() {
    let server = chat();
    let [mut ana, mut bob, mut cyd] = ["ana", "bob", "cyd"].map(|name| enter_v1(&server, name));
    say(&mut ana, json!({"type": "ping", "id": 1}));
    assert_eq!(wait_for(&mut ana, "pong")["re"], 1);
    say(
        &mut ana,
        json!({"type": "private", "to": "bob", "text": "for some"}),
    );
    say(
        &mut ana,
        json!({"type": "msg", "room": "lobby", "text": "for all"}),
    );
    for client in [&mut ana, &mut bob] {
        assert_eq!(wait_for(client, "private")["text"], "for some");
    }
    for client in [&mut ana, &mut bob, &mut cyd] {
        let mut event = received(client);
        while event["type"] != "msg" {
            // Neither was for cyd, and the pong was for ana alone.
            assert!(
                ["ok", "diff", "state"].contains(&event["type"].as_str().unwrap_or("")),
                "{event}"
            );
            event = received(client);
        }
        assert_eq!(event["text"], "for all");
    }
}

#[test]
fn row_54_who_closes_is_removed_and_a_ping_is_answered() {
    let server = chat();
    let mut ana = enter(&server, "ana", "lobby");
    let mut watcher = enter_v1(&server, "watcher");
    ana.ping(b"are you there").expect("open");
    say(&mut ana, room_message("lobby", "still here"));
    assert_eq!(wait_for(&mut watcher, "msg")["text"], "still here");
    ana.close(CloseCode::NORMAL, "").expect("a code");
    loop {
        let event = wait_for(&mut watcher, "diff");
        if event["leave"] == json!(["ana"]) {
            break;
        }
    }
    // The name is free again, and the room knows one person of it.
    let mut ana = enter(&server, "ana", "lobby");
    say(
        &mut watcher,
        json!({"type": "msg", "room": "lobby", "text": "welcome back"}),
    );
    assert_eq!(heard(&mut ana), said("watcher", "welcome back"));
}

#[test]
fn row_55_there_is_a_page_to_log_in_and_one_to_chat_and_neither_is_kept() {
    let server = chat();
    let address = server.address();
    for path in ["/", "/chat", "/chat?nick=ana&room=lobby"] {
        let page = get(address, path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.field("Cache-Control"), Some("no-store"));
        let policy = page.field("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'self'"), "{policy}");
    }
    let script = get(address, "/assets/chat.js");
    assert_eq!(script.field("Cache-Control"), Some("no-cache"));
    let tag = format!("If-None-Match: {}", script.field("ETag").expect("a tag"));
    let line = "GET /assets/chat.js HTTP/1.1";
    assert_eq!(super::bench::http(address, line, &[&tag], "").status, 304);
    // Two browsers are two people.
    let mut ana = enter(&server, "ana", "lobby");
    let mut bob = enter(&server, "bob", "lobby");
    assert_eq!(heard(&mut ana), said("bob", "bob is here"));
    say(&mut ana, room_message("lobby", "hello"));
    assert_eq!(heard(&mut bob), said("ana", "hello"));
}

#[test]
fn row_56_people_on_different_threads_of_the_server_meet_in_one_room() {
    const PEOPLE: usize = 16;
    let server = chat();
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("user{number}");
        clients.push(enter(&server, &name, "lobby"));
        for earlier in clients.iter_mut().take(number) {
            assert_eq!(heard(earlier).0, name);
        }
    }
    for (number, client) in clients.iter_mut().enumerate() {
        say(client, room_message("lobby", &number.to_string()));
    }
    let hear_all = |client: &mut Client| -> Vec<_> { (0..PEOPLE).map(|_| heard(client)).collect() };
    let order = hear_all(&mut clients[0]);
    let mut numbers: Vec<usize> = order
        .iter()
        .map(|(_, n)| n.parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..PEOPLE).collect::<Vec<_>>());
    for client in &mut clients[1..] {
        assert_eq!(
            hear_all(client),
            order,
            "everybody hears the same, in the same order"
        );
    }
}
