//! History, and what was missed.

use core::time::Duration;

use serde_json::{Value, json};

use crate::world::{Client, World};

fn offs(messages: &[Value]) -> Vec<u64> {
    let offs = messages.iter().map(|message| message["off"].as_u64());
    offs.map(|off| off.expect("an offset")).collect()
}

/// Says so many things, as fast as is allowed.
fn chatter(world: &World, client: &mut Client, room: &str, messages: usize) {
    for n in 0..messages {
        world.advance(Duration::from_millis(50));
        client.say(room, &format!("{n}"));
    }
}

fn join_since(client: &mut Client, room: &str, epoch: &Value, off: u64) -> Vec<Value> {
    let since = json!({"epoch": epoch, "off": off});
    client.send(json!({"type": "join", "room": room, "since": since, "id": "j"}));
    client.recv_all()
}

#[test]
fn join_with_since_brings_exactly_what_was_missed_before_state_and_live_messages() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let mut bob = world.join("bob", "r");
    ana.say("r", "1");
    let epoch = bob.recv_type("msg")[0]["epoch"].clone();
    drop(bob);
    chatter(&world, &mut ana, "r", 4);
    let mut bob = world.login("bob");
    let answers = join_since(&mut bob, "r", &epoch, 1);
    let types: Vec<_> = answers
        .iter()
        .map(|m| m["type"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        types,
        ["ok", "recovered", "msg", "msg", "msg", "msg", "state"]
    );
    assert_eq!(
        (&answers[0]["re"], &answers[0]["off"]),
        (&json!("j"), &json!(5))
    );
    assert_eq!(
        answers[1],
        json!({"type": "recovered", "room": "r", "ok": true, "from": 2, "to": 5})
    );
    assert_eq!(offs(&answers[2..6]), [2, 3, 4, 5]);
    assert_eq!(answers[2]["text"], "0");
    ana.say("r", "live");
    assert_eq!(offs(&bob.recv_type("msg")), [6]);
}

#[test]
fn nothing_missed_is_an_empty_range() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    ana.send(json!({"type": "msg", "room": "r", "text": "x"}));
    let epoch = ana.recv()["epoch"].clone();
    let mut bob = world.login("bob");
    let answers = join_since(&mut bob, "r", &epoch, 1);
    assert_eq!(
        answers[1],
        json!({"type": "recovered", "room": "r", "ok": true, "from": 2, "to": 1})
    );
    // In a room without messages too.
    let mut cid = world.login("cid");
    let fresh = cid.ask(json!({"type": "join", "room": "s"}));
    let mut dan = world.login("dan");
    let answers = join_since(&mut dan, "s", &fresh["epoch"], 0);
    assert_eq!(
        (&answers[1]["ok"], &answers[1]["from"], &answers[1]["to"]),
        (&json!(true), &json!(1), &json!(0))
    );
}

#[test]
fn what_cannot_be_recovered_is_said_with_what_the_history_holds() {
    let world = World::with_settings(|settings| settings.history_count = 10);
    let mut ana = world.join("ana", "r");
    chatter(&world, &mut ana, "r", 15);
    let mut cid = world.login("cid");
    let epoch = cid.ask(json!({"type": "join", "room": "r"}))["epoch"].clone();
    for (epoch, off) in [
        (json!("another"), 7),
        (epoch.clone(), 4),
        (epoch.clone(), 0),
        (epoch.clone(), 16),
        (epoch.clone(), (1 << 53) - 1),
    ] {
        let mut bob = world.login("bob");
        let answers = join_since(&mut bob, "r", &epoch, off);
        let types: Vec<_> = answers
            .iter()
            .map(|m| m["type"].as_str().unwrap_or(""))
            .collect();
        assert_eq!(types, ["ok", "recovered", "state"]);
        assert_eq!(
            answers[1],
            json!({"type": "recovered", "room": "r", "ok": false, "from": 6, "to": 15})
        );
    }
    // The oldest that is left suffices.
    let mut bob = world.login("bob");
    assert_eq!(
        offs(&join_since(&mut bob, "r", &epoch, 5)[2..12]),
        [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    );
    // Nothing is held.
    let mut bob = world.v1();
    bob.ask(json!({"type": "login", "nickname": "eve"}));
    let answers = join_since(&mut bob, "empty", &epoch, 3);
    assert_eq!(
        answers[1],
        json!({"type": "recovered", "room": "empty", "ok": false, "from": 0, "to": 0})
    );
}

#[test]
fn what_was_queued_before_leaving_is_not_delivered_again_by_since() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let mut bob = world.join("bob", "r");
    ana.send(json!({"type": "msg", "room": "r", "text": "1"}));
    let epoch = ana.recv_type("msg")[0]["epoch"].clone();
    bob.recv_all();
    ana.say("r", "2");
    bob.send_all(&[
        json!({"type": "leave", "room": "r"}),
        json!({"type": "join", "room": "r", "since": {"epoch": epoch, "off": 1}}),
    ]);
    // Once before he left, and once because he asked: but no third time after that.
    assert_eq!(offs(&bob.recv_type("msg")), [2, 2]);
}

#[test]
fn history_is_read_backwards_in_pages() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    chatter(&world, &mut ana, "r", 60);
    world.advance(Duration::from_secs(2));
    let page = ana.ask(json!({"type": "history", "room": "r", "id": 1}));
    assert_eq!(
        (&page["type"], &page["re"], &page["room"]),
        (&json!("history"), &json!(1), &json!("r"))
    );
    let list = |page: &Value| offs(page["messages"].as_array().expect("a list"));
    assert_eq!(list(&page), (11..=60).collect::<Vec<_>>());
    assert_eq!(page["more"], true);
    assert_eq!(page["messages"][0]["type"], "msg");
    assert_eq!(page["messages"][0]["text"], "10");
    let page = ana.ask(json!({"type": "history", "room": "r", "before": 11, "limit": 10}));
    assert_eq!(
        (list(&page), &page["more"]),
        ((1..=10).collect(), &json!(false))
    );
    let page = ana.ask(json!({"type": "history", "room": "r", "before": 3, "limit": 1}));
    assert_eq!((list(&page), &page["more"]), (vec![2], &json!(true)));
    for before in [0, 1] {
        let page = ana.ask(json!({"type": "history", "room": "r", "before": before}));
        assert_eq!((list(&page), &page["more"]), (vec![], &json!(false)));
    }
    let page = ana.ask(json!({"type": "history", "room": "r", "before": 1000, "limit": 1000}));
    assert_eq!(list(&page).len(), 60);
}

#[test]
fn a_history_page_has_at_most_200_messages() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    chatter(&world, &mut ana, "r", 210);
    let page = ana.ask(json!({"type": "history", "room": "r", "limit": 1000}));
    let offs = offs(page["messages"].as_array().expect("a list"));
    assert_eq!((offs.len(), offs[199]), (200, 210));
}

#[test]
fn messages_are_forgotten_by_count_by_age_and_by_bytes() {
    let world = World::with_settings(|settings| {
        settings.history_count = 5;
        settings.history_age = Duration::from_secs(60);
        settings.history_bytes = 20_000;
    });
    let mut ana = world.join("ana", "r");
    chatter(&world, &mut ana, "r", 7);
    let mut held = || {
        let page = ana.ask(json!({"type": "history", "room": "r"}));
        offs(page["messages"].as_array().expect("a list"))
    };
    assert_eq!(held(), [3, 4, 5, 6, 7]);
    world.advance(Duration::from_secs(30));
    ana.say("r", &"x".repeat(4096));
    world.advance(Duration::from_millis(29_900));
    let mut held = || {
        let page = ana.ask(json!({"type": "history", "room": "r"}));
        offs(page["messages"].as_array().expect("a list"))
    };
    assert_eq!(held(), [6, 7, 8]);
    world.advance(Duration::from_millis(200));
    assert_eq!(held(), [8]);
    for _ in 0..6 {
        ana.say("r", &"x".repeat(4096));
    }
    let page = ana.ask(json!({"type": "history", "room": "r"}));
    assert_eq!(
        offs(page["messages"].as_array().expect("a list")),
        [11, 12, 13, 14]
    );
}

#[test]
fn all_rooms_together_remember_no_more_than_they_may() {
    let world = World::with_settings(|settings| settings.history_total = 50_000);
    let mut ana = world.login("ana");
    for room in 0..20 {
        let room = format!("r{room}");
        world.advance(Duration::from_secs(1));
        ana.send(json!({"type": "join", "room": room}));
        ana.recv_all();
        ana.say(&room, &"x".repeat(4000));
        ana.send(json!({"type": "leave", "room": room}));
        ana.recv_all();
    }
    let rooms = world.hub.room_count();
    assert!((8..=12).contains(&rooms), "{rooms}");
    // A room with members gives up its own oldest messages when there is nothing else.
    for n in 0..40 {
        let room = format!("m{}", n % 2);
        world.advance(Duration::from_secs(1));
        ana.send(json!({"type": "join", "room": room}));
        ana.recv_all();
        ana.say(&room, &"x".repeat(4000));
    }
    assert_eq!(world.hub.room_count(), 2);
    let page = ana.ask(json!({"type": "history", "room": "m0"}));
    let held = page["messages"].as_array().expect("a list").len();
    assert!((3..=12).contains(&held), "{held}");
}

#[test]
fn a_room_that_nobody_visits_is_forgotten_with_its_last_message() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    ana.say("r", "x");
    ana.close(1000);
    for _ in 0..24 {
        assert_eq!(world.hub.room_count(), 1);
        world.advance(Duration::from_secs(3600));
    }
    world.advance(Duration::from_secs(1));
    assert_eq!(world.hub.room_count(), 0);
}
