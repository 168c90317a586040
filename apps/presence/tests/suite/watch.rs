//! `/watch`: what those are told who want to know.

use core::time::Duration;

use serde_json::{Value, json};
use sockeye_handler::CloseCode;

use crate::bench::{Bench, Client, SECOND, body, closed, end, ids, json as received};

const WINDOW: Duration = Duration::from_millis(250);
const MOMENT: Duration = Duration::from_millis(10);

fn diff(rev: u64, join: &[&str], leave: &[&str]) -> Value {
    json!({"type": "diff", "rev": rev, "join": join, "leave": leave})
}

#[test]
fn a_watcher_gets_the_state_first_and_then_what_changes() {
    let bench = Bench::new();
    let ana = bench.join("ana");
    bench.advance(WINDOW);
    let mut watcher = bench.open("/watch");
    let state = received(&mut watcher).expect("at once");
    assert_eq!(
        state,
        json!({"type": "state", "rev": 1, "users": [
            {"id": "ana", "connected": true, "since": "2026-11-21T09:00:00.000Z"},
        ]})
    );
    let mut bob = bench.join("bob");
    bench.advance(WINDOW - 2 * MOMENT);
    assert_eq!(received(&mut watcher), None);
    bench.advance(2 * MOMENT);
    assert_eq!(received(&mut watcher), Some(diff(2, &["bob"], &[])));
    bob.close(CloseCode::NORMAL, "");
    bench.advance(WINDOW);
    assert_eq!(received(&mut watcher), Some(diff(3, &[], &["bob"])));
    drop(ana);
    bench.advance(SECOND * 5 + WINDOW + MOMENT);
    assert_eq!(received(&mut watcher), Some(diff(4, &[], &["ana"])));
    bench.advance(SECOND * 3600);
    assert_eq!(received(&mut watcher), None);
    assert_eq!(closed(&watcher), None, "there is no idle limit");
}

#[test]
fn who_comes_within_a_window_gets_the_state_when_it_ends() {
    let bench = Bench::new();
    let mut early = bench.open("/watch");
    assert_eq!(received(&mut early).expect("at once")["rev"], 0);
    let _ana = bench.join("ana");
    let mut late = bench.open("/watch");
    assert_eq!(received(&mut late), None);
    bench.advance(WINDOW);
    assert_eq!(received(&mut early), Some(diff(1, &["ana"], &[])));
    let state = received(&mut late).expect("a state");
    assert_eq!(ids(&state), ["ana"]);
    assert_eq!(state["rev"], 1);
    let _bob = bench.join("bob");
    bench.advance(WINDOW);
    for watcher in [&mut early, &mut late] {
        assert_eq!(received(watcher), Some(diff(2, &["bob"], &[])));
        assert_eq!(received(watcher), None);
    }
}

#[test]
fn the_end_of_a_grace_period_is_not_the_end_of_a_window() {
    let bench = Bench::new();
    drop(bench.join("ana"));
    bench.advance(SECOND * 5 - MOMENT * 5);
    let _bob = bench.join("bob");
    let mut late = bench.open("/watch");
    bench.advance(MOMENT * 10);
    assert!(!bench.is_connected("ana"));
    assert_eq!(received(&mut late), None);
    bench.advance(WINDOW);
    let state = received(&mut late).expect("a state");
    assert_eq!(
        (ids(&state), &state["rev"]),
        (vec!["bob".into()], &json!(2))
    );
    assert_eq!(received(&mut late), None);
}

#[test]
fn the_revision_is_that_of_the_list() {
    let bench = Bench::new();
    let mut watcher = bench.open("/watch");
    assert_eq!(received(&mut watcher).expect("a state")["rev"], 0);
    let _clients: Vec<Client> = (0..5)
        .map(|number| {
            let client = bench.join(&format!("user{number}"));
            bench.advance(WINDOW);
            client
        })
        .collect();
    for rev in 1..=5 {
        assert_eq!(received(&mut watcher).expect("a diff")["rev"], rev);
    }
    assert_eq!(body(&bench.get("/presence"))["rev"], 5);
}

#[test]
fn who_comes_and_goes_within_a_window_is_not_mentioned() {
    let bench = Bench::new();
    let mut watcher = bench.open("/watch");
    received(&mut watcher);
    let mut client = bench.join("ana");
    bench.advance(MOMENT);
    client.close(CloseCode::NORMAL, "");
    bench.advance(WINDOW * 2);
    assert_eq!(received(&mut watcher), None);
    assert_eq!(body(&bench.get("/presence"))["rev"], 0);
}

#[test]
fn a_large_group_is_counted() {
    let bench = Bench::with(|options| options.directory.max_listed = 10);
    let mut watcher = bench.open("/watch");
    received(&mut watcher);
    let mut clients: Vec<Client> = (0..11)
        .map(|number| bench.join(&format!("user{number:02}")))
        .collect();
    bench.advance(WINDOW);
    let count = |rev, users: u64| json!({"type": "count", "rev": rev, "users": users});
    assert_eq!(received(&mut watcher), Some(count(1, 11)));
    let mut late = bench.open("/watch");
    assert_eq!(received(&mut late), Some(count(1, 11)));
    for _ in 0..2 {
        let mut client = clients.pop().expect("eleven");
        client.close(CloseCode::NORMAL, "");
    }
    bench.advance(WINDOW);
    for watcher in [&mut watcher, &mut late] {
        assert_eq!(received(watcher), Some(count(2, 9)));
        let state = received(watcher).expect("a state");
        assert_eq!(
            (&state["type"], &state["rev"]),
            (&json!("state"), &json!(2))
        );
        assert_eq!(ids(&state).len(), 9);
    }
    drop(bench.join("zoe"));
    bench.advance(WINDOW);
    assert_eq!(received(&mut watcher), Some(diff(3, &["zoe"], &[])));
}

#[test]
fn a_thousand_who_come_and_go_at_once_cost_a_frame_each_window() {
    let bench = Bench::with(|options| options.caps = sockeye_kit::caps::Caps::new(2000, 10));
    let mut watcher = bench.open("/watch");
    received(&mut watcher);
    let start = bench.clock.now();
    let clients: Vec<Client> = (0..1000)
        .map(|number| {
            if number % 100 == 0 {
                bench.advance(SECOND / 10);
            }
            bench.join(&format!("user{number}"))
        })
        .collect();
    for mut client in clients {
        client.close(CloseCode::NORMAL, "");
    }
    bench.advance(WINDOW);
    let windows = bench.clock.now().saturating_since(start).as_millis() / WINDOW.as_millis() + 1;
    let mut frames = 0;
    while received(&mut watcher).is_some() {
        frames += 1;
    }
    assert!((1..=windows).contains(&frames), "{frames} in {windows}");
}

#[test]
fn what_a_watcher_says_means_nothing_up_to_the_rate_limit() {
    let bench = Bench::new();
    let mut watcher = bench.open("/watch");
    received(&mut watcher);
    for number in 0..40 {
        match number % 2 {
            0 => watcher.send("hello"),
            _ => watcher.send(&b"\xff"[..]),
        }
        .expect("open");
    }
    assert_eq!(closed(&watcher), None);
    bench.advance(SECOND);
    for _ in 0..20 {
        watcher.send("hello").expect("open");
    }
    assert_eq!(closed(&watcher), None);
    watcher.send("hello").expect("open");
    assert_eq!(closed(&watcher), end(4029, "too fast"));
    let _ana = bench.join("ana");
    bench.advance(WINDOW);
    assert_eq!(received(&mut watcher), None);
}

#[test]
fn a_watcher_that_does_not_read_is_closed_with_4008_and_delays_nobody() {
    let bench = Bench::with_config(
        |_| {},
        |config| {
            // What nobody takes is not what ends the connection here.
            config.write_timeout = SECOND * 3600;
            config.ping_interval = None;
            (config.soft_mark, config.hard_mark) = (1 << 10, 4 << 10);
        },
    );
    let mut slow = bench.open("/watch");
    let mut quick = bench.open("/watch");
    received(&mut slow);
    received(&mut quick);
    slow.stall();
    let long = "x".repeat(60);
    for rev in 1..=200 {
        let mut client = bench.join(&long);
        bench.advance(WINDOW);
        assert_eq!(received(&mut quick), Some(diff(2 * rev - 1, &[&long], &[])));
        client.close(CloseCode::NORMAL, "");
        bench.advance(WINDOW);
        assert_eq!(received(&mut quick), Some(diff(2 * rev, &[], &[&long])));
    }
    slow.unstall();
    let mut read = 0;
    while slow.recv().is_some() {
        read += 1;
    }
    // What was on its way, but not what waited behind the soft mark.
    assert!(read < 20, "{read} were kept for it");
    assert_eq!(closed(&slow), end(4008, "slow consumer"));
    assert_eq!(closed(&quick), None);
}
