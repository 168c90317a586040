//! Messages in rooms, private ones, typing, retries, limits of rooms.

use core::time::Duration;

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn row_51_a_message_reaches_exactly_the_members_of_its_room() {
    let world = World::new();
    let mut one = [world.join("ana", "one"), world.join("bob", "one")];
    let mut two = [world.join("cid", "two"), world.join("dan", "two")];
    world.settle();
    for client in one.iter_mut().chain(&mut two) {
        client.recv_all();
    }
    one[0].send(json!({"type": "msg", "room": "one", "text": "hi", "from": "eve", "ts": 1}));
    for client in &mut one {
        let delivered = client.recv_type("msg");
        let [message] = &delivered[..] else {
            panic!("{delivered:?}");
        };
        let epoch = message["epoch"].as_str().expect("text");
        assert_eq!(
            *message,
            json!({
                "type": "msg", "room": "one", "from": "ana", "text": "hi", "off": 1,
                "epoch": epoch, "ts": "2026-11-21T09:00:00.300Z",
            })
        );
    }
    for client in &mut two {
        client.nothing();
    }
}

#[test]
fn offsets_count_messages_from_1_without_holes_and_ok_tells_the_senders() {
    let world = World::new();
    let (mut ana, mut bob) = (world.join("ana", "r"), world.join("bob", "r"));
    world.settle();
    ana.recv_all();
    bob.recv_all();
    let ok = {
        ana.send(json!({"type": "msg", "room": "r", "text": "1", "id": "a"}));
        ana.recv_type("ok").remove(0)
    };
    let epoch = ok["epoch"].clone();
    assert_eq!(
        ok,
        json!({"type": "ok", "re": "a", "room": "r", "off": 1, "epoch": epoch})
    );
    ana.refused(
        json!({"type": "msg", "room": "r", "text": ""}),
        "bad-request",
    );
    ana.send(json!({"type": "typing", "room": "r"}));
    assert_eq!(bob.say("r", "2"), 2);
    assert_eq!(ana.say("r", "3"), 3);
    let offs = |client: &mut crate::world::Client| -> Vec<Value> {
        let messages = client.recv_type("msg");
        messages
            .iter()
            .map(|message| message["off"].clone())
            .collect()
    };
    // The others' copies were read by `say`.
    assert_eq!(offs(&mut bob), [3]);
    world.settle();
    let mut cid = world.login("cid");
    let ok = cid.ask(json!({"type": "join", "room": "r"}));
    assert_eq!((&ok["off"], &ok["epoch"]), (&json!(3), &epoch));
    cid.recv_all();
    let fresh = cid.ask(json!({"type": "join", "room": "empty"}));
    assert_eq!((&fresh["type"], &fresh["off"]), (&json!("ok"), &json!(0)));
}

#[test]
fn join_is_answered_by_ok_and_state() {
    let world = World::new();
    let mut ana = world.login("ana");
    ana.send(json!({"type": "join", "room": "r", "id": 1}));
    let ok = ana.recv();
    let epoch = ok["epoch"].as_str().expect("an epoch");
    assert!(!epoch.is_empty());
    assert_eq!(
        ok,
        json!({"type": "ok", "re": 1, "room": "r", "off": 0, "epoch": epoch})
    );
    ana.expect(json!({"type": "state", "room": "r", "rev": 0, "members": ["ana"]}));
    ana.nothing();
    // Again is `ok` again.
    assert_eq!(ana.ask(json!({"type": "join", "room": "r", "id": 1})), ok);
    ana.nothing();
}

#[test]
fn a_room_that_is_empty_and_without_history_is_forgotten_and_others_are_kept() {
    let world = World::new();
    let mut ana = world.join("ana", "silent");
    ana.send(json!({"type": "join", "room": "loud"}));
    ana.recv_all();
    ana.say("loud", "x");
    assert_eq!(world.hub.room_count(), 2);
    ana.close(1000);
    assert_eq!(world.hub.room_count(), 1);
    world.advance(Duration::from_secs(10));
    let mut bob = world.login("bob");
    let ok = bob.ask(json!({"type": "join", "room": "loud"}));
    assert_eq!(ok["off"], 1);
}

#[test]
fn only_members_may_speak_type_read_and_ask_and_a_member_can_leave() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let mut bob = world.login("bob");
    for request in [
        json!({"type": "msg", "room": "r", "text": "x"}),
        json!({"type": "typing", "room": "r", "id": 1}),
        json!({"type": "history", "room": "r"}),
        json!({"type": "members", "room": "r"}),
        json!({"type": "leave", "room": "r"}),
        json!({"type": "msg", "room": "<none>", "text": "x"}),
    ] {
        bob.refused(request, "not-a-member");
    }
    ana.nothing();
    let left = ana.ask(json!({"type": "leave", "room": "r", "id": 3}));
    assert_eq!(left, json!({"type": "ok", "re": 3, "room": "r"}));
    ana.refused(
        json!({"type": "msg", "room": "r", "text": "x"}),
        "not-a-member",
    );
}

#[test]
fn a_text_has_1_to_4096_code_points_and_no_control_characters() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let msg = |text: &str| json!({"type": "msg", "room": "r", "text": text});
    for text in ["", "\u{1b}[31m", "a\0", "\r\n"] {
        ana.refused(msg(text), "bad-request");
    }
    ana.refused(msg(&"é".repeat(4097)), "too-long");
    ana.refused(
        json!({"type": "private", "to": "ana", "text": "x".repeat(4097)}),
        "too-long",
    );
    for text in [
        "é".repeat(4096),
        "<img src=x onerror=alert(1)>\n\t\"'&".into(),
    ] {
        ana.send(msg(&text));
        assert_eq!(ana.recv_type("msg")[0]["text"], text);
    }
}

#[test]
fn row_52_a_private_message_reaches_both_people_and_nobody_else() {
    let world = World::new();
    let (mut ana, mut bob) = (world.join("ana", "one"), world.join("bob", "two"));
    let mut cid = world.join("cid", "one");
    world.settle();
    for client in [&mut ana, &mut bob, &mut cid] {
        client.recv_all();
    }
    ana.send(json!({"type": "private", "to": "bob", "text": "psst", "id": 1}));
    let private = json!({
        "type": "private", "from": "ana", "to": "bob", "text": "psst",
        "ts": "2026-11-21T09:00:00.300Z",
    });
    let mut answers = ana.recv_all();
    answers.sort_by_key(|answer| answer["type"] == "private");
    assert_eq!(answers, [json!({"type": "ok", "re": 1}), private.clone()]);
    bob.expect(private);
    for client in [&mut bob, &mut cid] {
        client.nothing();
    }
    ana.refused(
        json!({"type": "private", "to": "nobody", "text": "x"}),
        "no-such-user",
    );
    ana.refused(
        json!({"type": "private", "to": "a b", "text": "x"}),
        "no-such-user",
    );
    ana.send(json!({"type": "private", "to": "ana", "text": "note"}));
    assert_eq!(ana.recv_type("private").len(), 1);
}

#[test]
fn typing_goes_to_the_other_members_and_is_not_answered_without_an_id() {
    let world = World::new();
    let (mut ana, mut bob) = (world.join("ana", "r"), world.join("bob", "r"));
    let mut old = world.join_original("old", "r");
    world.settle();
    ana.recv_all();
    bob.recv_all();
    ana.send(json!({"type": "typing", "room": "r"}));
    ana.nothing();
    bob.expect(json!({"type": "typing", "room": "r", "from": "ana"}));
    old.nothing();
    assert_eq!(
        ana.ask(json!({"type": "typing", "room": "r", "id": 1})),
        json!({"type": "ok", "re": 1})
    );
}

#[test]
fn a_retry_is_not_delivered_again_and_gets_the_first_answer_for_5_minutes() {
    let world = World::new();
    let (mut ana, mut bob) = (world.join("ana", "r"), world.join("bob", "r"));
    world.settle();
    bob.recv_all();
    let msg = |text: &str| json!({"type": "msg", "room": "r", "text": text, "id": "key"});
    ana.recv_all();
    ana.send(msg("once"));
    let first = ana.recv_type("ok");
    bob.say("r", "between");
    ana.send(msg("twice"));
    assert_eq!(ana.recv_type("ok"), first);
    // Bob has read the first with `say`.
    bob.nothing();
    // A number is another key, and so is another room or another person.
    ana.send(json!({"type": "msg", "room": "r", "text": "x", "id": 1}));
    assert_eq!(ana.recv_type("msg")[0]["off"], 3);
    bob.send(msg("bob's"));
    assert_eq!(bob.recv_type("ok")[0]["off"], 4);

    // After a reconnect too.
    drop(ana);
    let mut ana = world.join("ana", "r");
    ana.send(msg("thrice"));
    assert_eq!(ana.recv_type("ok"), first);
    world.advance(Duration::from_secs(290));
    ana.send(msg("after a while"));
    assert_eq!(ana.recv_type("ok"), first);
    world.advance(Duration::from_secs(15));
    ana.send(msg("later"));
    assert_eq!(ana.recv_type("ok")[0]["off"], 5);
}

#[test]
fn a_private_retry_is_not_delivered_again_and_a_refusal_leaves_no_trace() {
    let world = World::new();
    let mut ana = world.login("ana");
    let private = json!({"type": "private", "to": "bob", "text": "x", "id": 7});
    ana.refused(private.clone(), "no-such-user");
    let mut bob = world.login("bob");
    for _ in 0..2 {
        ana.send(private.clone());
        assert_eq!(ana.recv_type("ok"), [json!({"type": "ok", "re": 7})]);
    }
    assert_eq!(bob.recv_type("private").len(), 1);

    ana.send(json!({"type": "msg", "room": "r", "text": "x", "id": 8}));
    assert_eq!(ana.recv()["code"], "not-a-member");
    ana.send(json!({"type": "join", "room": "r"}));
    ana.recv_all();
    ana.send(json!({"type": "msg", "room": "r", "text": "x", "id": 8}));
    assert_eq!(ana.recv_type("msg").len(), 1);
}

#[test]
fn a_connection_is_in_at_most_100_rooms() {
    let world = World::with_settings(|settings| {
        settings.burst = 1000.try_into().expect("not zero");
    });
    let mut ana = world.login("ana");
    for room in 0..100 {
        ana.send(json!({"type": "join", "room": format!("r{room}")}));
    }
    assert_eq!(ana.recv_type("ok").len(), 100);
    ana.refused(json!({"type": "join", "room": "r100"}), "too-many-rooms");
    assert_eq!(ana.ask(json!({"type": "join", "room": "r7"}))["type"], "ok");
    ana.ask(json!({"type": "leave", "room": "r7"}));
    assert_eq!(
        ana.ask(json!({"type": "join", "room": "r100"}))["type"],
        "ok"
    );
    assert_eq!(world.hub.room_count(), 100);
    drop(ana);
    world.advance(Duration::from_secs(6));
    assert_eq!(world.hub.room_count(), 0);
}

#[test]
fn a_full_room_refuses_in_both_dialects() {
    let world = World::with_settings(|settings| settings.room_size = 2);
    let mut ana = world.join("ana", "r");
    let _bob = world.join("bob", "r");
    world
        .login("cid")
        .refused(json!({"type": "join", "room": "r"}), "room-full");
    let mut old = world.original();
    old.send(json!({"type": "login", "nickname": "old", "room": "r"}));
    old.closed(1008, "room full");
    // Who is in may join again.
    assert_eq!(ana.ask(json!({"type": "join", "room": "r"}))["type"], "ok");
}
