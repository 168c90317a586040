//! Redis goes away, and comes back.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_tests::chat::Client;
use sockeye_tests::program::Program;
use sockeye_tests::redis::{Redis, Way};

use crate::{Deployment, on_each_adapter, setting};

/// By when all nodes agree again.
const AGREED: Duration = Duration::from_secs(15);

#[test]
fn nodes_go_on_alone_while_redis_is_gone_and_agree_when_it_is_back_empty() {
    on_each_adapter(|adapter| go_on_alone(adapter, Redis::stop, Redis::restart));
}

#[test]
fn nodes_go_on_alone_while_redis_hangs_and_agree_when_it_goes_on() {
    on_each_adapter(|adapter| go_on_alone(adapter, |redis| redis.pause(), |redis| redis.resume()));
}

fn go_on_alone(adapter: &str, take_away: fn(&mut Redis), bring_back: fn(&mut Redis)) {
    let away = Duration::from_secs(setting("SOCKEYE_AWAY", 4));
    let mut deployment = Deployment::on(adapter);
    let (one, two) = (deployment.node(), deployment.node());
    let mut ana = Client::join(&one, "ana", "lobby");
    let mut cid = Client::login(&one, "cid");
    let mut ben = Client::join(&two, "ben", "lobby");
    let before = ana.say("lobby", "before");
    for client in [&mut ana, &mut ben] {
        assert_eq!(client.text("lobby"), "before");
    }

    let since = Instant::now();
    take_away(&mut deployment.redis);
    for node in [&one, &two] {
        node.wait_degraded(true, Duration::from_secs(8));
    }
    let alone = ana.say("lobby", "alone");
    assert_eq!(
        (&alone["degraded"], &alone["off"]),
        (&json!(true), &json!(1))
    );
    assert_ne!(alone["epoch"], before["epoch"]);
    assert_eq!(ana.text("lobby"), "alone");
    let state = ana.request(json!({"type": "members", "room": "lobby"}));
    assert_eq!(
        (&state["degraded"], &state["members"]),
        (&json!(true), &json!(["ana"]))
    );
    let unreached = ana.request(json!({"type": "private", "to": "ben", "text": "psst"}));
    assert_eq!(unreached["code"], "degraded", "{unreached}");
    ana.ok(json!({"type": "private", "to": "cid", "text": "psst"}));
    assert_eq!(cid.find_type("private")["text"], "psst");
    let other = ben.say("lobby", "alone too");
    assert_ne!(other["epoch"], alone["epoch"]);
    assert_eq!(ben.text("lobby"), "alone too");
    // No node can know that the other has this name.
    let mut doubles = [
        Client::join(&one, "dan", "lobby"),
        Client::join(&two, "dan", "lobby"),
    ];
    thread::sleep(away.saturating_sub(since.elapsed()));

    bring_back(&mut deployment.redis);
    let begun = Instant::now();
    for node in [&one, &two] {
        node.wait_degraded(false, AGREED);
    }
    for client in [&mut ana, &mut ben] {
        let recovered = client.find_type("recovered");
        let gone = json!({"type": "recovered", "room": "lobby", "ok": false, "from": 0, "to": 0});
        assert_eq!(recovered, gone);
    }
    for client in [&mut ana, &mut ben] {
        client.wait_for_view("lobby", &["ana", "ben", "dan"]);
    }
    let after = ana.say("lobby", "after");
    assert_eq!(
        (&after["degraded"], &after["off"]),
        (&Value::Null, &json!(1))
    );
    for epoch in [&before["epoch"], &alone["epoch"], &other["epoch"]] {
        assert_ne!(after["epoch"], *epoch);
    }
    for client in [&mut ana, &mut ben] {
        assert_eq!(client.text("lobby"), "after");
    }
    ana.ok(json!({"type": "private", "to": "ben", "text": "there you are"}));
    assert_eq!(ben.find_type("private")["text"], "there you are");
    let history = ben.request(json!({"type": "history", "room": "lobby"}));
    assert_eq!(
        history["messages"].as_array().map(Vec::len),
        Some(1),
        "{history}"
    );
    // One of the two has the name now.
    let ends = doubles.each_mut().map(|dan| {
        let is_alive = dan.try_send(&json!({"type": "ping", "id": "alive"}))
            && dan
                .find_within(Duration::from_secs(3), |m| m["re"] == "alive")
                .is_some();
        (!is_alive).then(|| dan.end())
    });
    let replaced = Some((4009, "replaced".to_owned()));
    assert!(
        ends == [None, replaced.clone()] || ends == [replaced, None],
        "{ends:?}"
    );
    assert!(begun.elapsed() < AGREED, "{:?}", begun.elapsed());
}

#[test]
fn a_node_that_alone_has_lost_redis_comes_back_to_the_others() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter).with("--lease", "2s");
        let way = Way::to(&deployment.redis);
        let (one, two) = (deployment.node(), deployment.node_at(&way.url()));
        let mut ana = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        let before = ana.say("lobby", "before");
        ana.wait_for_view("lobby", &["ana", "ben"]);
        assert_eq!(ben.text("lobby"), "before");
        way.block();
        two.wait_degraded(true, Duration::from_secs(8));
        // To the others it is dead.
        ana.wait_for_view("lobby", &["ana"]);
        ben.wait_for_view("lobby", &["ben"]);
        let went_on = ana.say("lobby", "we go on");
        assert_eq!(
            (&went_on["epoch"], &went_on["off"]),
            (&before["epoch"], &json!(2))
        );
        assert!(!one.is_degraded());
        ben.say("lobby", "alone");
        way.free();
        two.wait_degraded(false, AGREED);
        for client in [&mut ana, &mut ben] {
            assert_eq!(client.find_type("recovered")["ok"], false);
        }
        for client in [&mut ana, &mut ben] {
            client.wait_for_view("lobby", &["ana", "ben"]);
        }
        let after = ben.say("lobby", "after");
        assert_ne!(after["epoch"], before["epoch"]);
        assert_eq!(ana.texts("lobby", 3), ["before", "we go on", "after"]);
        assert_eq!(ben.texts("lobby", 2), ["alone", "after"]);
    });
}

#[test]
fn a_connection_to_redis_that_breaks_goes_unnoticed() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter)
            .with("--rate", 10_000)
            .with("--burst", 10_000);
        let (one, two) = (deployment.node(), deployment.node());
        let mut ana = Client::join(&one, "ana", "lobby");
        let mut ben = Client::join(&two, "ben", "lobby");
        let mut connection = deployment.redis.connect();
        let mut texts = Vec::new();
        for number in 0..200 {
            if number % 20 == 10 {
                let kind = ["normal", "pubsub"][number / 20 % 2];
                let mut kill = redis::cmd("CLIENT");
                kill.arg("KILL")
                    .arg("TYPE")
                    .arg(kind)
                    .arg("SKIPME")
                    .arg("yes");
                let _: i64 = kill.query(&mut connection).expect("killed");
            }
            // Without an `id` too: a second attempt is the node's own business.
            let text = format!("number {number}");
            ana.send(&json!({"type": "msg", "room": "lobby", "text": text}));
            texts.push(text);
        }
        for client in [&mut ana, &mut ben] {
            assert_eq!(client.texts("lobby", 200), texts);
            let is_trouble = |m: &Value| m["type"] == "recovered" || m["type"] == "err";
            assert_eq!(client.find_within(Duration::ZERO, is_trouble), None);
            assert_eq!(client.members("lobby"), ["ana", "ben"]);
        }
        assert!(!one.is_degraded() && !two.is_degraded());
    });
}

#[test]
fn an_optional_redis_may_come_later() {
    on_each_adapter(|adapter| {
        let mut deployment = Deployment::on(adapter);
        deployment.redis.stop();
        deployment.flags.push("--redis-optional".into());
        let nodes: [Program; 2] = [deployment.node(), deployment.node()];
        assert!(nodes.iter().all(Program::is_degraded));
        let mut ana = Client::join(&nodes[0], "ana", "lobby");
        assert_eq!(ana.say("lobby", "alone")["degraded"], true);
        deployment.redis.restart();
        for node in &nodes {
            node.wait_degraded(false, AGREED);
        }
        assert_eq!(ana.find_type("recovered")["ok"], false);
        let mut ben = Client::join(&nodes[1], "ben", "lobby");
        ben.say("lobby", "hello");
        assert_eq!(ana.texts("lobby", 2), ["alone", "hello"]);
    });
}
