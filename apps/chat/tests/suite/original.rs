//! The original's dialect.

use serde_json::json;

use crate::world::World;

#[test]
fn row_49_row_51_the_four_tab_test_of_the_original() {
    let world = World::new();
    let mut one = [
        world.join_original("ana", "one"),
        world.join_original("bob", "one"),
    ];
    let mut two = [
        world.join_original("cid", "two"),
        world.join_original("dan", "two"),
    ];
    one[0].send(json!({
        "type": "room", "from": "eve", "to": "one", "sendAt": "never",
        "message": {"text": "hello", "more": true},
    }));
    for client in &mut one {
        client.expect(json!({
            "type": "room", "from": "ana", "to": "one", "sendAt": "2026-11-21T09:00:00.000Z",
            "message": {"text": "hello"},
        }));
    }
    two[1].send(json!({"type": "room", "to": "two", "message": {"text": "hey"}}));
    for client in &mut two {
        assert_eq!(client.recv()["from"], "dan");
    }
    for client in one.iter_mut().chain(&mut two) {
        client.nothing();
    }
}

#[test]
fn row_50_a_login_is_not_forwarded_and_messages_may_follow_at_once() {
    let world = World::new();
    let mut bob = world.join_original("bob", "r");
    let mut ana = world.original();
    ana.send_all(&[
        json!({"type": "login", "nickname": "ana", "room": "r", "connectedAt": [{"any": 1}]}),
        json!({"type": "room", "to": "r", "message": {"text": "hi"}}),
    ]);
    assert_eq!(bob.recv()["message"], json!({"text": "hi"}));
    bob.nothing();
    assert_eq!(ana.recv_all().len(), 1);
}

#[test]
fn row_52_a_private_message_goes_to_the_one_named_and_to_the_sender() {
    let world = World::new();
    let mut ana = world.join_original("ana", "one");
    let mut bob = world.join_original("bob", "two");
    let mut cid = world.join_original("cid", "one");
    ana.send(json!({"type": "private", "to": "bob", "message": {"text": "psst"}}));
    for client in [&mut ana, &mut bob] {
        client.expect(json!({
            "type": "private", "from": "ana", "to": "bob",
            "sendAt": "2026-11-21T09:00:00.000Z", "message": {"text": "psst"},
        }));
    }
    for to in ["nobody", "a b", "one"] {
        ana.send(json!({"type": "private", "to": to, "message": {"text": "x"}}));
    }
    ana.send(json!({"type": "private", "to": "ana", "message": {"text": "note"}}));
    assert_eq!(ana.recv_all().len(), 1);
    cid.nothing();
}

#[test]
fn both_dialects_share_rooms_names_order_and_history() {
    let world = World::new();
    let mut old = world.join_original("old", "r");
    let mut new = world.join("new", "r");
    world.settle();
    new.recv_all();
    old.send(json!({"type": "room", "to": "r", "message": {"text": "1"}}));
    assert_eq!(new.recv()["off"], 1);
    assert_eq!(new.say("r", "2"), 2);
    let texts: Vec<_> = old
        .recv_all()
        .iter()
        .map(|m| m["message"]["text"].clone())
        .collect();
    assert_eq!(texts, ["1", "2"]);
    let history = new.ask(json!({"type": "history", "room": "r"}));
    assert_eq!(history["messages"].as_array().map(Vec::len), Some(2));
    new.send(json!({"type": "private", "to": "old", "text": "psst"}));
    assert_eq!(old.recv()["type"], "private");
    let state = new.recv_type("state");
    assert!(state.is_empty());
    let members = new.ask(json!({"type": "members", "room": "r"}));
    assert_eq!(members["members"], json!(["new", "old"]));
}

#[test]
fn a_second_login_moves_to_the_new_room() {
    let world = World::new();
    let mut ana = world.join_original("ana", "one");
    let mut bob = world.join("bob", "one");
    world.settle();
    bob.recv_all();
    ana.send(json!({"type": "login", "nickname": "ana", "room": "two"}));
    world.settle();
    assert_eq!(bob.recv()["leave"], json!(["ana"]));
    let mut cid = world.join_original("cid", "two");
    ana.send(json!({"type": "room", "to": "two", "message": {"text": "x"}}));
    assert_eq!(cid.recv()["from"], "ana");
    bob.nothing();
    ana.recv_all();
    ana.send(json!({"type": "room", "to": "one", "message": {"text": "x"}}));
    ana.closed(1008, "not a member");
}

#[test]
fn faults_close() {
    let world = World::new();
    let login = json!({"type": "login", "nickname": "ana", "room": "r"});
    let cases = [
        (vec![json!([])], 1007, "Invalid Message"),
        (vec![json!({"type": "ping"})], 1007, "Invalid Message"),
        (
            vec![json!({"type": "login", "nickname": "ana"})],
            1007,
            "Invalid Message",
        ),
        (
            vec![json!({"type": "room", "to": "r", "message": {"text": "x"}})],
            1008,
            "not logged in",
        ),
        (
            vec![json!({"type": "private", "to": "r", "message": {"text": "x"}})],
            1008,
            "not logged in",
        ),
        (
            vec![json!({"type": "login", "nickname": "a b", "room": "r"})],
            1008,
            "bad name",
        ),
        (
            vec![json!({"type": "login", "nickname": "ana", "room": "<b>"})],
            1008,
            "bad name",
        ),
        (
            vec![
                login.clone(),
                json!({"type": "login", "nickname": "eve", "room": "r"}),
            ],
            1008,
            "bad name",
        ),
        (
            vec![
                login.clone(),
                json!({"type": "room", "to": "s", "message": {"text": "x"}}),
            ],
            1008,
            "not a member",
        ),
        (
            vec![
                login.clone(),
                json!({"type": "room", "to": "r", "message": {"text": ""}}),
            ],
            1007,
            "Invalid Message",
        ),
        (
            vec![
                login,
                json!({"type": "private", "to": "x", "message": {"text": "\u{7}"}}),
            ],
            1007,
            "Invalid Message",
        ),
    ];
    for (messages, code, reason) in cases {
        let mut client = world.original();
        client.send_all(&messages);
        client.closed(code, reason);
    }
    let mut client = world.original();
    client.0.send(&b"binary"[..]).expect("open");
    client.closed(1007, "Invalid Message");
}

#[test]
fn too_fast_closes_with_4029() {
    let world = World::new();
    let mut ana = world.join_original("ana", "r");
    for _ in 0..39 {
        ana.send(json!({"type": "private", "to": "nobody", "message": {"text": "x"}}));
    }
    ana.nothing();
    ana.send(json!({"type": "private", "to": "nobody", "message": {"text": "x"}}));
    ana.closed(4029, "too fast");
}
