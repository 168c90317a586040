//! The end of a node.

use core::time::Duration;

use sockeye_handler::Service;

use crate::bench::{Bench, Client, SECOND, closed, end, json};

#[test]
fn a_drain_spreads_the_closes_and_everybody_has_left_at_once() {
    let bench = Bench::new();
    let clients: Vec<Client> = (0..10).map(|n| bench.join(&format!("user{n}"))).collect();
    let gone = || {
        clients
            .iter()
            .filter(|client| closed(client).is_some())
            .count()
    };
    assert_eq!(bench.get("/readyz").status(), 200);
    bench.server.service().on_drain(10 * SECOND);
    assert_eq!(
        bench
            .server
            .ask("GET", "/readyz", &[], b"")
            .map(|r| r.status()),
        Some(503)
    );
    bench.advance(SECOND / 10);
    assert_eq!(gone(), 1);
    assert!(!bench.is_connected("user0"), "at once");
    bench.advance(5 * SECOND);
    assert!((5..=6).contains(&gone()), "{}", gone());
    bench.advance(5 * SECOND);
    for client in &clients {
        assert_eq!(closed(client), end(1012, ""));
    }
    assert!(bench.users().is_empty());
}

#[test]
fn a_drain_without_time_closes_all_connections_and_those_that_are_late() {
    let bench = Bench::new();
    let mut clients = vec![bench.join("ana"), bench.open("/watch"), bench.open("/echo")];
    bench.server.service().on_drain(Duration::ZERO);
    // The server refuses upgrades from here on; this one was decided before.
    clients.push(bench.open("/watch"));
    bench.advance(SECOND / 10);
    for client in &mut clients {
        assert_eq!(closed(client), end(1012, ""));
    }
}

#[test]
fn what_is_sent_during_a_drain_is_still_answered() {
    let bench = Bench::new();
    let _first = bench.join("ana");
    let mut second = bench.join("bob");
    let mut watcher = bench.open("/watch");
    bench.advance(SECOND);
    assert!(json(&mut watcher).is_some());
    bench.server.service().on_drain(9 * SECOND);
    bench.advance(SECOND);
    let message = bench.message("bob", SECOND * 60);
    second.send(&*message).expect("open");
    assert_eq!(second.recv_text(), Some(message));
    let diff = json(&mut watcher).expect("ana has gone");
    assert_eq!(diff["leave"], serde_json::json!(["ana"]));
}
