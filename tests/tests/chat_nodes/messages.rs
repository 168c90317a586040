//! What is said on one node is heard on the other.

use core::time::Duration;
use std::io::{Read, Write};

use serde_json::{Value, json};
use sockeye_tests::chat::Client;
use sockeye_tests::wire::Raw;

use crate::{Deployment, on_each_adapter};

/// As long as nothing may come for it to be nothing.
const QUIET: Duration = Duration::from_millis(400);

#[test]
fn a_room_has_one_order_on_all_nodes() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        let mut stranger = Client::join(&two, "eve", "elsewhere");
        for number in 0..20 {
            ana.send(&json!({"type": "msg", "room": "lobby", "text": format!("a{number}")}));
            ben.send(&json!({"type": "msg", "room": "lobby", "text": format!("b{number}")}));
        }
        let seen = [&mut ana, &mut ben].map(|client| {
            let next = || client.find_type("msg");
            core::iter::repeat_with(next)
                .take(40)
                .collect::<Vec<Value>>()
        });
        assert_eq!(seen[0], seen[1]);
        for (message, off) in seen[0].iter().zip(1..) {
            assert_eq!(message["off"], off);
            assert_eq!(message["epoch"], seen[0][0]["epoch"]);
            let from = if message["text"].as_str() < Some("b") {
                "ana"
            } else {
                "ben"
            };
            assert_eq!(message["from"], from);
        }
        let acknowledged = |client: &mut Client| {
            let ok =
                client.find(|message| message["type"] == "ok" && message["off"] != Value::Null);
            (ok["off"].clone(), ok["epoch"].clone())
        };
        for client in [&mut ana, &mut ben] {
            let (off, epoch) = acknowledged(client);
            assert!(off.as_u64().is_some_and(|off| off <= 40), "{off}");
            assert_eq!(epoch, seen[0][0]["epoch"]);
        }
        assert_eq!(stranger.find_within(QUIET, |m| m["type"] == "msg"), None);
    });
}

#[test]
fn a_private_message_finds_its_two_people_on_any_nodes() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::login(&one, "ana");
        let mut ben = Client::login(&two, "ben");
        let mut eve = Client::login(&two, "eve");
        ana.ok(json!({"type": "private", "to": "ben", "text": "psst"}));
        for client in [&mut ana, &mut ben] {
            let private = client.find_type("private");
            let told = (&private["from"], &private["to"], &private["text"]);
            assert_eq!(told, (&json!("ana"), &json!("ben"), &json!("psst")));
        }
        // To oneself: once.
        ana.ok(json!({"type": "private", "to": "ana", "text": "note"}));
        assert_eq!(ana.find_type("private")["text"], "note");
        let none = ana.request(json!({"type": "private", "to": "nobody", "text": "psst"}));
        assert_eq!(
            (&none["type"], &none["code"]),
            (&json!("err"), &json!("no-such-user"))
        );
        for client in [&mut ana, &mut ben, &mut eve] {
            assert_eq!(client.find_within(QUIET, |m| m["type"] == "private"), None);
        }
    });
}

#[test]
fn who_comes_to_the_other_node_gets_exactly_what_was_missed() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        let first = ana.say("lobby", "seen");
        assert_eq!(ben.text("lobby"), "seen");
        ben.leave();
        for number in 0..30 {
            ana.say("lobby", &format!("missed {number}"));
        }
        // The node itself has them, not only Redis.
        ana.texts("lobby", 31);
        // Nobody is in the room there any more, and nobody is in it here: both read it anew.
        let mut ben = Client::login(&one, "ben");
        let since = json!({"epoch": first["epoch"], "off": first["off"]});
        let ok = ben.ok(json!({"type": "join", "room": "lobby", "since": since}));
        assert_eq!((&ok["off"], &ok["epoch"]), (&json!(31), &first["epoch"]));
        let recovered = ben.next_within(QUIET).expect("recovered");
        let expected =
            json!({"type": "recovered", "room": "lobby", "ok": true, "from": 2, "to": 31});
        assert_eq!(recovered, expected);
        let missed: Vec<String> = (0..30).map(|number| format!("missed {number}")).collect();
        assert_eq!(ben.texts("lobby", 30), missed);
        assert_eq!(ben.next_within(QUIET).expect("state")["type"], "state");
        ana.say("lobby", "live");
        assert_eq!(ben.text("lobby"), "live");

        // The same on a node that has never seen the room.
        let three = deployment.node();
        let mut eve = Client::login(&three, "eve");
        eve.ok(json!({"type": "join", "room": "lobby", "since": since}));
        let recovered = eve.next_within(QUIET).expect("recovered");
        assert_eq!(
            (&recovered["ok"], &recovered["to"]),
            (&json!(true), &json!(32))
        );
        assert_eq!(eve.texts("lobby", 31)[30], "live");
        let history = eve.request(json!({"type": "history", "room": "lobby", "limit": 2}));
        assert_eq!(history["messages"][1]["text"], "live");
        assert_eq!(history["messages"][0]["off"], 31);
    });
}

#[test]
fn an_epoch_that_nobody_knows_is_said_to_be_gone() {
    let deployment = Deployment::on("tokio");
    let (one, two) = (deployment.node(), deployment.node());
    let mut ana = Client::join(&one, "ana", "lobby");
    ana.say("lobby", "hello");
    let mut ben = Client::login(&two, "ben");
    let since = json!({"epoch": "long-ago", "off": 7});
    ben.ok(json!({"type": "join", "room": "lobby", "since": since}));
    let recovered = ben.find_type("recovered");
    assert_eq!(
        (&recovered["ok"], &recovered["from"]),
        (&json!(false), &json!(1))
    );
}

#[test]
fn a_retry_on_another_node_is_the_same_request() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        let said = json!({"type": "msg", "room": "lobby", "text": "once", "id": "key"});
        let whispered = json!({"type": "private", "to": "ben", "text": "once", "id": "key"});
        let first = ana.ok(said.clone());
        ana.ok(whispered.clone());
        ana.leave();
        let mut ana = Client::join(&two, "ana", "lobby");
        let second = ana.ok(said.clone());
        assert_eq!(
            (&second["off"], &second["epoch"]),
            (&first["off"], &first["epoch"])
        );
        ana.ok(whispered);
        // Another one's key is another key, and so is another room's.
        assert_eq!(ben.ok(said)["off"], 2);
        assert_eq!(ben.texts("lobby", 2), ["once", "once"]);
        assert_eq!(ben.find_type("private")["text"], "once");
        let is_more = |m: &Value| m["type"] == "msg" || m["type"] == "private";
        assert_eq!(ben.find_within(QUIET, is_more), None);
    });
}

#[test]
fn no_member_can_use_up_the_id_of_what_will_be_published() {
    let mut token = tempfile::NamedTempFile::new().expect("a file");
    token.write_all(b"sesame").expect("a disk");
    let deployment = Deployment::on("tokio").with("--publish-token", token.path().display());
    let node = deployment.node();
    let mut eve = Client::join(&node, "server", "lobby");
    eve.ok(json!({"type": "msg", "room": "lobby", "text": "first", "id": "build-1"}));
    let body = r#"{"room":"lobby","text":"green","id":"build-1"}"#;
    // The first time, and again.
    for _ in 0..2 {
        let mut raw = Raw::silent(node.address);
        let head = "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sesame";
        let length = body.len();
        raw.write(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
        let mut answer = String::new();
        raw.0.read_to_string(&mut answer).expect("the end");
        assert!(answer.contains(r#"{"off":2,"#), "{answer}");
    }
    assert_eq!(eve.texts("lobby", 2), ["first", "green"]);
}

#[test]
fn typing_is_seen_by_the_others_only() {
    let deployment = Deployment::on("mio");
    let (one, two) = (deployment.node(), deployment.node());
    let mut ana = Client::join(&one, "ana", "lobby");
    let mut ben = Client::join(&two, "ben", "lobby");
    let mut eve = Client::join(&one, "eve", "lobby");
    ana.ok(json!({"type": "typing", "room": "lobby"}));
    for client in [&mut ben, &mut eve] {
        let typing = client.find_type("typing");
        assert_eq!(
            (&typing["room"], &typing["from"]),
            (&json!("lobby"), &json!("ana"))
        );
        assert_eq!(client.find_within(QUIET, |m| m["type"] == "typing"), None);
    }
    assert_eq!(ana.find_within(QUIET, |m| m["type"] == "typing"), None);
}

#[test]
fn history_is_trimmed_in_the_store_too() {
    let deployment = Deployment::on("tokio")
        .with("--history-count", 10)
        .with("--rate", 1000)
        .with("--burst", 1000);
    let (one, two) = (deployment.node(), deployment.node());
    let mut ana = Client::join(&one, "ana", "lobby");
    for number in 1..=25 {
        ana.say("lobby", &number.to_string());
    }
    let mut connection = deployment.redis.connect();
    let log = "sockeye:chat:log:lobby";
    let length: usize = redis::cmd("LLEN")
        .arg(log)
        .query(&mut connection)
        .expect("a list");
    assert_eq!(length, 10);
    let entries: Vec<String> = redis::cmd("LRANGE")
        .arg(log)
        .arg(0)
        .arg(-1)
        .query(&mut connection)
        .expect("a list");
    let bytes: usize = redis::cmd("HGET")
        .arg("sockeye:chat:room:lobby")
        .arg("bytes")
        .query(&mut connection)
        .expect("a number");
    assert_eq!(bytes, entries.iter().map(String::len).sum::<usize>());
    let mut ben = Client::join(&two, "ben", "lobby");
    let history = ben.request(json!({"type": "history", "room": "lobby", "limit": 200}));
    let messages = history["messages"].as_array().expect("messages");
    let texts: Vec<&str> = messages.iter().filter_map(|m| m["text"].as_str()).collect();
    let kept: Vec<String> = (16..=25).map(|number| number.to_string()).collect();
    assert_eq!(texts, kept);
    assert_eq!(history["more"], false);
}

#[test]
fn two_databases_are_two_deployments() {
    let deployment = Deployment::on("tokio");
    let (one, two) = (deployment.node_of(0), deployment.node_of(1));
    let mut ana = Client::join(&one, "ana", "lobby");
    // The name is free there.
    let mut other = Client::join(&two, "ana", "lobby");
    let _ben = Client::join(&two, "ben", "lobby");
    assert_eq!(ana.find_within(QUIET, |m| m["type"] == "diff"), None);
    // Redis publishes to all of its databases alike: the channels must not be the same.
    ana.say("lobby", "here");
    other.say("lobby", "there");
    assert_eq!(ana.text("lobby"), "here");
    assert_eq!(other.text("lobby"), "there");
    for client in [&mut ana, &mut other] {
        assert_eq!(client.find_within(QUIET, |m| m["type"] == "msg"), None);
    }
    assert_eq!(ana.members("lobby"), ["ana"]);
    assert_eq!(other.members("lobby"), ["ana", "ben"]);
}
