//! Who is in a room: `state`, `diff`, counts.

use core::time::Duration;

use serde_json::{Value, json};

use crate::world::{Client, World};

fn names(names: &[&str]) -> Value {
    json!(names)
}

#[test]
fn members_are_told_of_others_once_in_250_ms_and_never_of_themselves() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    world.settle();
    // One's own name is in `members`, not in `diff`.
    ana.nothing();
    let mut bob = world.login("bob");
    bob.send(json!({"type": "join", "room": "r"}));
    bob.recv();
    assert_eq!(bob.recv()["members"], names(&["ana", "bob"]));
    let mut cid = world.join("cid", "r");
    let dan = world.join("dan", "r");
    drop(dan);
    world.advance(Duration::from_millis(200));
    ana.nothing();
    world.advance(Duration::from_millis(100));
    ana.expect(json!({
        "type": "diff", "room": "r", "rev": 1, "join": ["bob", "cid", "dan"], "leave": [],
    }));
    // They knew of those who were there before them.
    assert_eq!(bob.recv()["join"], names(&["cid", "dan"]));
    assert_eq!(cid.recv()["join"], names(&["dan"]));
    for client in [&mut ana, &mut bob, &mut cid] {
        client.nothing();
    }
}

#[test]
fn who_comes_and_goes_within_a_window_is_not_mentioned() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    world.settle();
    let mut bob = world.join("bob", "r");
    bob.ask(json!({"type": "leave", "room": "r"}));
    world.settle();
    ana.nothing();
    bob.nothing();
}

#[test]
fn leaving_and_close_1000_show_at_once_and_lost_connections_after_5_s() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    for (how, at_once) in [
        ("leave", true),
        ("1000", true),
        ("1001", false),
        ("lost", false),
    ] {
        let mut bob = world.join("bob", "r");
        world.settle();
        ana.recv_all();
        match how {
            "leave" => drop(bob.ask(json!({"type": "leave", "room": "r"}))),
            "lost" => drop(bob),
            code => bob.close(code.parse().expect("a code")),
        }
        world.settle();
        if !at_once {
            ana.nothing();
            world.advance(Duration::from_millis(4600));
            ana.nothing();
            world.advance(Duration::from_millis(450));
        }
        let diff = ana.recv();
        assert_eq!(
            (&diff["join"], &diff["leave"]),
            (&json!([]), &names(&["bob"])),
            "{how}"
        );
        world.advance(Duration::from_secs(10));
        ana.nothing();
    }
}

#[test]
fn who_comes_back_within_5_s_was_never_away() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    for _ in 0..3 {
        let bob = world.join("bob", "r");
        world.settle();
        drop(bob);
        world.advance(Duration::from_secs(4));
    }
    assert_eq!(ana.recv_type("diff").len(), 1);
    world.advance(Duration::from_secs(2));
    assert_eq!(ana.recv()["leave"], names(&["bob"]));
}

#[test]
fn members_lists_or_counts_and_after_counting_only_counts_come() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let _bob = world.join("bob", "r");
    world.settle();
    ana.recv_all();
    let full = ana.ask(json!({"type": "members", "room": "r", "id": 1}));
    assert_eq!(
        full,
        json!({"type": "state", "re": 1, "room": "r", "rev": 1, "members": ["ana", "bob"]})
    );
    let count = ana.ask(json!({"type": "members", "room": "r", "mode": "count"}));
    assert_eq!(
        count,
        json!({"type": "state", "room": "r", "rev": 1, "count": 2})
    );
    let _cid = world.join("cid", "r");
    world.settle();
    ana.expect(json!({"type": "state", "room": "r", "rev": 2, "count": 3}));
    ana.ask(json!({"type": "members", "room": "r", "mode": "full"}));
    let _dan = world.join("dan", "r");
    world.settle();
    assert_eq!(ana.recv()["join"], names(&["dan"]));
}

#[test]
fn above_200_members_only_their_number_is_told_until_they_are_a_tenth_less() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let mut others: Vec<Client> = (1..200)
        .map(|n| world.join(&format!("u{n}"), "r"))
        .collect();
    world.settle();
    let diff = ana.recv();
    assert_eq!(diff["join"].as_array().map(Vec::len), Some(199));
    let last = world.join("last", "r");
    world.settle();
    ana.expect(json!({"type": "state", "room": "r", "rev": 2, "count": 201}));
    let members = ana.ask(json!({"type": "members", "room": "r"}));
    assert_eq!(
        (&members["count"], members.get("members")),
        (&json!(201), None)
    );
    let mut late = world.login("late");
    late.send(json!({"type": "join", "room": "r"}));
    late.recv();
    assert_eq!(late.recv()["count"], 202);
    for client in others.drain(..20).chain([last]) {
        drop(client);
    }
    world.advance(Duration::from_secs(6));
    let states = ana.recv_type("state");
    let count = states.last().expect("a state")["count"].clone();
    assert_eq!(count, 181);
    drop(others.pop());
    world.advance(Duration::from_secs(6));
    let state = ana.recv();
    assert_eq!(state["members"].as_array().map(Vec::len), Some(180));
    assert_eq!(
        late.recv_type("state").last().expect("one")["members"],
        state["members"]
    );
    drop(others.pop());
    world.advance(Duration::from_secs(6));
    assert_eq!(ana.recv()["leave"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_thousand_who_join_at_once_cost_as_many_frames_as_there_are_windows() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    world.settle();
    ana.recv_all();
    let crowd: Vec<Client> = (0..1000)
        .map(|n| world.join(&format!("u{n}"), "r"))
        .collect();
    world.settle();
    assert_eq!(ana.recv_all().len(), 1);
    drop(crowd);
    world.advance(Duration::from_secs(6));
    // A count, and the list when it is short again.
    assert!(ana.recv_all().len() <= 2);
}

#[test]
fn many_who_are_lost_one_after_the_other_are_told_once_in_250_ms() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    let mut crowd: Vec<Client> = (0..100)
        .map(|n| world.join(&format!("u{n:02}"), "r"))
        .collect();
    world.settle();
    ana.recv_all();
    // One every 20 ms, for 2 s: each is missed at a moment of its own.
    while let Some(lost) = crowd.pop() {
        drop(lost);
        world.advance(Duration::from_millis(20));
    }
    // The clock is looked at in steps of 50 ms, so a window may be so much longer.
    world.advance(Duration::from_secs(6));
    let diffs = ana.recv_all();
    assert!((7..=9).contains(&diffs.len()), "{} frames", diffs.len());
    let missed = diffs.iter().map(|diff| diff["leave"].as_array());
    assert_eq!(missed.flatten().map(Vec::len).sum::<usize>(), 100);
}
