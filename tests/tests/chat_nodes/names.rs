//! A name is held by one person in the whole deployment.

use core::time::Duration;

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_tests::chat::Client;

use crate::{Deployment, on_each_adapter};

fn refusal(answer: &Value) -> &str {
    assert_eq!(answer["type"], "err", "{answer}");
    answer["code"].as_str().expect("a code")
}

fn login(nickname: &str) -> Value {
    json!({"type": "login", "nickname": nickname})
}

#[test]
fn a_name_that_is_held_on_one_node_is_taken_on_the_other() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let ana = Client::login(&one, "ana");
        let mut other = Client::connect(&two);
        assert_eq!(refusal(&other.request(login("ana"))), "name-taken");
        let mut resume = login("ana");
        resume["resume"] = "00112233445566778899aabbccddeeff".into();
        assert_eq!(refusal(&other.request(resume)), "name-taken");
        ana.leave();
        wait_until_free(&mut other, "ana");
    });
}

#[test]
fn a_name_is_resumed_on_the_other_node_and_the_older_connection_closes() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let mut old = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&one, "ben", "lobby");
        ben.find(|m| m["type"] == "state");
        let mut resume = login("ana");
        resume["resume"] = old.resume.clone().into();
        let mut new = Client::connect(&two);
        let hello = new.request(resume.clone());
        new.greet(&hello);
        new.ok(json!({"type": "join", "room": "lobby"}));
        assert_eq!(old.end(), (4009, "replaced".into()));
        // The secret was for once.
        let mut third = Client::connect(&one);
        assert_eq!(refusal(&third.request(resume)), "name-taken");
        // What is private goes to the new one.
        ben.ok(json!({"type": "private", "to": "ana", "text": "hello"}));
        assert_eq!(new.find_type("private")["text"], "hello");
        // The others have seen nobody go: the old one was gone before its grace was over.
        let is_about_ana = |m: &Value| m["type"] == "diff" && m.to_string().contains("ana");
        assert_eq!(ben.find_within(Duration::from_secs(6), is_about_ana), None);
        assert_eq!(ben.members("lobby"), ["ana", "ben"]);
    });
}

#[test]
fn members_of_both_nodes_are_seen_on_both() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::join(&one, "ana", "lobby");
        assert_eq!(ana.members("lobby"), ["ana"]);
        let mut ben = Client::join(&two, "ben", "lobby");
        // What one node answers, the other hears of a moment later.
        wait_for_members(&mut ben, "lobby", &["ana", "ben"]);
        let diff = ana.find_type("diff");
        assert_eq!(
            (&diff["join"], &diff["leave"]),
            (&json!(["ben"]), &json!([]))
        );
        let eve = Client::join(&two, "eve", "lobby");
        assert_eq!(ana.find_type("diff")["join"], json!(["eve"]));
        // Whoever leaves in good order is seen to leave at once.
        eve.leave();
        let left = ana.find_within(Duration::from_secs(3), |m| m["type"] == "diff");
        assert_eq!(left.expect("told")["leave"], json!(["eve"]));
        ben.ok(json!({"type": "leave", "room": "lobby"}));
        assert_eq!(ana.find_type("diff")["leave"], json!(["ben"]));
        assert_eq!(ana.members("lobby"), ["ana"]);
    });
}

#[test]
fn a_connection_that_goes_while_it_claims_a_name_leaves_nothing_behind() {
    let deployment = Deployment::on("mio").with("--max-per-address", 1000);
    let (one, two) = (deployment.node(), deployment.node());
    for _ in 0..50 {
        let mut client = Client::connect(&one);
        client.send(&login("ana"));
        drop(client);
    }
    wait_until_free(&mut Client::connect(&two), "ana");
}

/// Asks who is in the room, again after each change, until it is these.
fn wait_for_members(client: &mut Client, room: &str, expected: &[&str]) {
    while client.members(room) != expected {
        client.find_type("diff");
    }
}

/// Logs in as soon as the name is free, which a client does not hear of.
fn wait_until_free(client: &mut Client, name: &str) {
    let until = Instant::now() + Duration::from_secs(4);
    loop {
        let answer = client.request(login(name));
        if answer["type"] == "hello" {
            return;
        }
        assert_eq!(refusal(&answer), "name-taken");
        assert!(Instant::now() < until, "the name does not become free");
        thread::sleep(Duration::from_millis(20));
    }
}
