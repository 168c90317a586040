//! Nodes that die, and nodes that were only thought dead.

use core::time::Duration;
use std::io::{self, Write};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_tests::chat::Client;

use crate::{ADAPTERS, Deployment, on_each_adapter, setting};

/// By when everybody has been told that a dead node's members are gone.
const TOLD: Duration = Duration::from_secs(20);

fn leaves(name: &str) -> impl Fn(&Value) -> bool {
    move |m| {
        m["type"] == "diff"
            && m["leave"]
                .as_array()
                .is_some_and(|names| names.contains(&json!(name)))
    }
}

#[test]
fn a_killed_node_leaves_no_ghosts() {
    let trials: usize = setting("SOCKEYE_TRIALS", 10);
    let mut slowest = Duration::ZERO;
    for portion in (0..trials).collect::<Vec<_>>().chunks(10) {
        thread::scope(|scope| {
            let trials: Vec<_> = portion
                .iter()
                .map(|&trial| scope.spawn(move || kill_a_node(trial)))
                .collect();
            for trial in trials {
                slowest = slowest.max(trial.join().expect("no ghost"));
            }
        });
    }
    let figures =
        format!("killed {trials} nodes; the others had told it after {slowest:?} at most\n");
    let _ = io::stderr().write_all(figures.as_bytes());
    assert!(slowest < TOLD, "{slowest:?}");
}

/// Returns how long it took until the other node had told its clients.
fn kill_a_node(trial: usize) -> Duration {
    let deployment = Deployment::on(ADAPTERS[trial % ADAPTERS.len()]);
    let (mut one, two) = (deployment.node(), deployment.node());
    let ghosts = ["ana", "cid", "dan"].map(|name| Client::join(&one, name, "lobby"));
    let mut ben = Client::join(&two, "ben", "lobby");
    assert_eq!(ben.members("lobby"), ["ana", "ben", "cid", "dan"]);
    // At any moment between two renewals of the lease, which are 5 s apart.
    thread::sleep(Duration::from_millis(trial as u64 * 1300 % 5000));
    let killed = Instant::now();
    one.kill();
    drop(ghosts);
    let patience = TOLD + Duration::from_secs(10);
    let told = ben.find_within(patience, |m| m["type"] == "diff");
    assert_eq!(told.expect("told")["leave"], json!(["ana", "cid", "dan"]));
    let took = killed.elapsed();
    assert_eq!(ben.members("lobby"), ["ben"]);
    let none = ben.request(json!({"type": "private", "to": "ana", "text": "still there?"}));
    assert_eq!(none["code"], "no-such-user", "{none}");
    // The names are free, also for who never heard of that node.
    let three = deployment.node();
    let mut ana = Client::join(&three, "ana", "lobby");
    assert_eq!(ana.members("lobby"), ["ana", "ben"]);
    took
}

#[test]
fn a_client_of_a_killed_node_goes_on_at_once_on_the_other() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter);
        let (mut one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        let seen = ana.say("lobby", "one");
        assert_eq!(ben.text("lobby"), "one");
        one.kill();
        ben.say("lobby", "two");
        ben.say("lobby", "three");
        // The node itself has them, not only Redis.
        assert_eq!(ben.texts("lobby", 2), ["two", "three"]);
        let begun = Instant::now();
        let mut again = Client::connect(&two);
        // Without the secret the name is another one's until the lease has ended.
        let taken = again.request(json!({"type": "login", "nickname": "ana"}));
        assert_eq!(taken["code"], "name-taken", "{taken}");
        let resume = json!({"type": "login", "nickname": "ana", "resume": ana.resume});
        let hello = again.request(resume);
        again.greet(&hello);
        let since = json!({"epoch": seen["epoch"], "off": seen["off"]});
        again.ok(json!({"type": "join", "room": "lobby", "since": since}));
        let recovered = again.find_type("recovered");
        assert_eq!(
            recovered,
            json!({"type": "recovered", "room": "lobby", "ok": true, "from": 2, "to": 3})
        );
        assert_eq!(again.texts("lobby", 2), ["two", "three"]);
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        // Nobody has seen her go.
        assert_eq!(ben.find_within(TOLD, leaves("ana")), None);
        assert_eq!(ben.members("lobby"), ["ana", "ben"]);
    });
}

#[test]
fn a_node_that_was_paused_past_its_lease_is_fenced() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter).with("--lease", "2s");
        let (one, two) = (deployment.node(), deployment.node());
        let mut old = Client::join(&one, "ana", "lobby");
        let mut cid = Client::join(&one, "cid", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        ben.say("lobby", "before");
        for client in [&mut old, &mut cid, &mut ben] {
            assert_eq!(client.text("lobby"), "before");
        }
        one.pause();
        let told = ben
            .find_within(Duration::from_secs(6), leaves("ana"))
            .expect("told");
        assert_eq!(told["leave"], json!(["ana", "cid"]));
        // Somebody else takes the name, and the paused node does not know it.
        let mut new = Client::join(&two, "ana", "lobby");
        new.say("lobby", "i am ana");
        old.send(&json!({"type": "msg", "room": "lobby", "text": "no, i am", "id": "late"}));
        one.resume();
        assert_eq!(old.end(), (4009, "replaced".into()));
        let refused = old.find_within(Duration::ZERO, |m| m["re"] == "late");
        assert!(refused.is_none_or(|answer| answer["type"] == "err"));
        // Who has lost nothing goes on, with all that was said.
        assert_eq!(cid.text("lobby"), "i am ana");
        cid.say("lobby", "so you are");
        for client in [&mut ben, &mut new] {
            assert_eq!(client.texts("lobby", 2), ["i am ana", "so you are"]);
        }
        assert_eq!(cid.text("lobby"), "so you are");
        for client in [&mut ben, &mut cid, &mut new] {
            assert_eq!(
                client.find_within(Duration::from_millis(500), |m| m["type"] == "msg"),
                None
            );
            assert_eq!(client.members("lobby"), ["ana", "ben", "cid"]);
        }
    });
}

#[test]
fn a_node_that_ends_in_good_order_is_missed_by_nobody() {
    let deployment = Deployment::on("tokio");
    let (mut one, two) = (deployment.node(), deployment.node());
    let mut ana = Client::join(&one, "ana", "lobby");
    let mut ben = Client::join(&two, "ben", "lobby");
    assert_eq!(ben.members("lobby"), ["ana", "ben"]);
    one.terminate();
    assert_eq!(ana.end().0, 1012);
    assert_eq!(one.wait(TOLD).code(), Some(0));
    // It has given its lease back: this takes no lease's time.
    let told = ben.find_within(Duration::from_secs(7), leaves("ana"));
    assert!(told.is_some(), "nobody told that ana has gone");
    let _ana = Client::login(&two, "ana");
}
