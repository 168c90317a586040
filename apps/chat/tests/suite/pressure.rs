//! Too fast, too slow, and the end.

use core::time::Duration;

use serde_json::{Value, json};

use crate::world::{Client, Setup, World};

#[test]
fn bursts_of_40_and_20_a_second_are_served_and_what_is_refused_has_no_effect() {
    let world = World::new();
    let (mut ana, mut bob) = (world.join("ana", "r"), world.join("bob", "r"));
    world.advance(Duration::from_secs(5));
    ana.recv_all();
    bob.recv_all();
    let msg = json!({"type": "msg", "room": "r", "text": "x", "id": 1});
    for n in 0..40 {
        ana.send(json!({"type": "msg", "room": "r", "text": "x", "id": n}));
    }
    assert_eq!(ana.recv_type("ok").len(), 40);
    let refused = ana.refused(msg.clone(), "too-fast");
    assert_eq!(refused["re"], 1);
    let wait = refused["retry_ms"].as_u64().expect("a number");
    assert!((1..=50).contains(&wait), "{wait}");
    // Pings are free.
    for _ in 0..100 {
        assert_eq!(ana.ask(json!({"type": "ping"}))["type"], "pong");
    }
    world.advance(Duration::from_secs(1));
    let burst: Vec<Value> = (0..21)
        .map(|n| json!({"type": "msg", "room": "r", "text": "y", "id": format!("y{n}")}))
        .collect();
    ana.send_all(&burst);
    let answers = ana.recv_all();
    let count = |kind: &str| answers.iter().filter(|a| a["type"] == kind).count();
    assert_eq!((count("ok"), count("err")), (20, 1));
    assert_eq!(bob.recv_type("msg").len(), 60);
}

#[test]
fn the_tenth_refusal_within_10_s_closes_with_4029() {
    let world = World::new();
    let mut ana = world.login("ana");
    let typing = json!({"type": "typing", "room": "r", "id": 1});
    let spend = |world: &World, ana: &mut Client, refusals: usize| {
        let mut left = refusals;
        while left > 0 {
            let code = ana.ask(typing.clone())["code"].clone();
            left -= usize::from(code == "too-fast");
        }
        world.advance(Duration::from_secs(11));
    };
    spend(&world, &mut ana, 9);
    spend(&world, &mut ana, 9);
    ana.nothing();
    let all = vec![json!({"type": "ping2", "id": 1}); 60];
    ana.send_all(&all);
    assert_eq!(ana.recv_all().len(), 40 + 10, "every one is answered");
    ana.closed(4029, "too fast");

    // Those without an answer count too.
    let mut bob = world.login("bob");
    bob.send_all(&vec![json!({"type": "typing", "room": "r"}); 48]);
    bob.nothing();
    bob.send_all(&vec![json!({"type": "typing", "room": "r"}); 1]);
    bob.closed(4029, "too fast");
}

/// Lets `members` say something, each several times, without being too fast.
fn chatter(world: &World, speaker: &mut Client, text: &str, times: usize) {
    for _ in 0..times {
        world.advance(Duration::from_millis(50));
        speaker.send(json!({"type": "msg", "room": "r", "text": text}));
        speaker.recv_all();
    }
}

#[test]
fn a_slow_reader_loses_its_queue_gets_4008_next_and_recovers_by_offset() {
    let world = World::with_settings(|settings| settings.queue_bytes = 128 << 10);
    let mut ana = world.join("ana", "r");
    let mut bob = world.join("bob", "r");
    let mut cid = world.join("cid", "r");
    world.settle();
    for client in [&mut ana, &mut bob, &mut cid] {
        client.recv_all();
    }
    bob.0.stall();
    // 60 messages of 4 KiB are more than both marks; it takes 3 s, less than the write time-out.
    chatter(&world, &mut ana, &"x".repeat(4000), 60);
    assert_eq!(
        cid.recv_type("msg").len(),
        60,
        "one slow member delays nobody"
    );
    bob.0.unstall();
    let seen = bob.recv_type("msg");
    bob.closed(4008, "slow consumer");
    let offs: Vec<u64> = seen.iter().filter_map(|m| m["off"].as_u64()).collect();
    assert_eq!(
        offs,
        (1..=offs.len() as u64).collect::<Vec<_>>(),
        "no hole before the end"
    );
    assert!(offs.len() < 60);
    // All that was missed comes at once, though it is more than the queue may hold.
    let mut again = world.login("bob");
    let since = json!({"epoch": seen[0]["epoch"], "off": offs.len()});
    again.send(json!({"type": "join", "room": "r", "since": since}));
    let answers = again.recv_all();
    assert_eq!(answers[1]["ok"], true);
    let missed: Vec<u64> = answers
        .iter()
        .filter_map(|m| m["off"].as_u64())
        .skip(1)
        .collect();
    assert_eq!(missed, (offs.len() as u64 + 1..=60).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_never_reads_is_gone_10_s_after_4008() {
    let mut setup = Setup::default();
    setup.settings.queue_bytes = 128 << 10;
    // Whoever takes a byte now and then is not stopped by this one.
    setup.write_timeout = Some(Duration::from_secs(600));
    let world = World::with(setup);
    let mut ana = world.join("ana", "r");
    let mut bob = world.join("bob", "r");
    bob.0.stall();
    let sessions = world.server.sessions();
    chatter(&world, &mut ana, &"x".repeat(4000), 60);
    assert_eq!(world.server.sessions(), sessions);
    world.advance(Duration::from_secs(11));
    assert_eq!(world.server.sessions(), sessions - 1);
}

#[test]
fn typing_and_presence_make_way_for_messages() {
    let world = World::with_settings(|settings| settings.queue_bytes = 128 << 10);
    let mut ana = world.join("ana", "r");
    let mut bob = world.join("bob", "r");
    world.settle();
    bob.recv_all();
    bob.0.stall();
    // More than the soft mark and half of the queue, less than all of it.
    chatter(&world, &mut ana, &"x".repeat(4000), 38);
    ana.send(json!({"type": "typing", "room": "r"}));
    let _cid = world.join("cid", "r");
    world.settle();
    ana.send(json!({"type": "msg", "room": "r", "text": "last"}));
    bob.0.unstall();
    let all = bob.recv_all();
    assert_eq!(all.iter().filter(|m| m["type"] == "msg").count(), 39);
    assert!(!all.iter().any(|m| m["type"] == "typing"));
    assert!(!all.iter().any(|m| m["type"] == "diff"));
    // What was dropped of the members is made good by the whole list.
    world.settle();
    assert_eq!(
        bob.recv_type("state")[0]["members"],
        json!(["ana", "bob", "cid"])
    );
}

#[test]
fn draining_tells_v1_clients_first_serves_them_still_and_spreads_the_end() {
    let world = World::new();
    let mut clients: Vec<Client> = (0..50).map(|n| world.join(&format!("u{n}"), "r")).collect();
    let mut old = world.join_original("old", "r");
    world.settle();
    for client in &mut clients {
        client.recv_all();
    }
    world.server.drain(Duration::from_secs(4));
    let mut retries = Vec::new();
    for client in &mut clients {
        let drain = client.recv();
        assert_eq!(drain["type"], "drain");
        retries.push(drain["retry_ms"].as_u64().expect("a number"));
    }
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 30 && retries[0] >= 1000, "{retries:?}");
    assert_eq!(
        world.server.get("/readyz").expect("an answer").status(),
        503
    );
    assert_eq!(
        world.server.get("/healthz").expect("an answer").status(),
        200
    );
    clients[0].send(json!({"type": "msg", "room": "r", "text": "bye"}));
    let mut left = Vec::new();
    for _ in 0..4 {
        world.advance(Duration::from_secs(1));
        left.push(clients.iter_mut().filter_map(Client::end).count());
    }
    assert!(left[0] > 0 && left[0] < 35 && left[2] < 50, "{left:?}");
    world.advance(Duration::from_millis(200));
    for client in &mut clients {
        assert_eq!(client.recv_type("msg").len(), 1);
        client.closed(1012, "");
    }
    assert_eq!(old.recv_type("room").len(), 1);
    old.closed(1012, "");
}

#[test]
fn row_15_every_end_takes_its_member_out() {
    let world = World::new();
    let mut ana = world.join("ana", "r");
    for end in 0..3 {
        let mut bob = world.join("bob", "r");
        match end {
            0 => bob.close(1000),
            1 => bob.send_text("nonsense"),
            _ => drop(bob),
        }
        world.advance(Duration::from_secs(6));
        let members = {
            ana.recv_all();
            ana.ask(json!({"type": "members", "room": "r"}))
        };
        assert_eq!(members["members"], json!(["ana"]), "{end}");
    }
}

#[test]
fn what_was_missed_may_be_many_times_what_the_queue_holds() {
    let world = World::with_settings(|settings| settings.queue_bytes = 64 << 10);
    let mut ana = world.join("ana", "r");
    chatter(&world, &mut ana, &"é".repeat(4000), 100);
    ana.send(json!({"type": "msg", "room": "r", "text": "last"}));
    let epoch = ana.recv_type("msg")[0]["epoch"].clone();
    let mut bob = world.login("bob");
    bob.0.stall();
    bob.send(json!({"type": "join", "room": "r", "since": {"epoch": epoch, "off": 0}}));
    ana.send(json!({"type": "msg", "room": "r", "text": "live"}));
    bob.0.unstall();
    let answers = bob.recv_all();
    let offs: Vec<u64> = answers
        .iter()
        .filter(|m| m["type"] == "msg")
        .filter_map(|m| m["off"].as_u64())
        .collect();
    assert_eq!(offs, (1..=102).collect::<Vec<_>>());
    let types: Vec<_> = answers.iter().map(|m| m["type"].as_str()).collect();
    assert_eq!(types[102..], [Some("msg"), Some("state"), Some("msg")]);
}
