//! Loads.

use serde_json::Value;

use crate::program::run;
use crate::server::Server;

fn bench(arguments: &[&str]) -> (i32, Value) {
    let ran = run(&[&["bench", "--json"], arguments].concat(), "");
    let report = serde_json::from_str(&ran.stdout);
    (
        ran.code,
        report.unwrap_or_else(|_| panic!("{}", ran.stderr)),
    )
}

#[test]
fn an_open_load_sends_what_is_due_and_counts_all_of_it() {
    let server = Server::start();
    let (code, report) = bench(&[
        "--connections",
        "4",
        "--rate",
        "1k",
        "--duration",
        "500ms",
        "--warm-up",
        "100ms",
        &server.url("/"),
    ]);
    assert_eq!((code, report["sent"].as_u64()), (0, Some(500)), "{report}");
    assert_eq!(report["unanswered"], 0);
    let latency = &report["latency_us"];
    let (p50, max) = (latency["p50"].as_f64(), latency["max"].as_f64());
    assert!(p50.expect("a time") > 0.0 && max >= p50, "{report}");
}

#[test]
fn a_closed_load_keeps_as_many_under_way_as_asked_for() {
    let server = Server::start();
    let (code, report) = bench(&[
        "--connections",
        "2",
        "--in-flight",
        "8",
        "--duration",
        "200ms",
        "--warm-up",
        "0s",
        "--message",
        "{}",
        "--expect",
        "=nothing",
        "-x",
        "login {}",
        "--binary",
        "--patience",
        "100ms",
        &server.url("/"),
    ]);
    // Nothing that comes is an answer: all stay under way.
    assert_eq!((code, report["sent"].as_u64()), (1, Some(16)), "{report}");
    assert_eq!(report["unanswered"], 16);
    // Of nothing there are no percentiles.
    assert!(report.get("latency_us").is_none(), "{report}");
    let (code, report) = bench(&["--duration", "200ms", "--warm-up", "0s", &server.url("/")]);
    assert_eq!((code, &report["unanswered"]), (0, &0.into()), "{report}");
    assert!(report["answers_per_second"].as_f64().expect("a rate") > 0.0);
}

#[test]
fn a_stall_is_charged_for_everything_that_was_due() {
    let server = Server::start();
    let (code, report) = bench(&[
        "--connections",
        "1",
        "--rate",
        "1k",
        "--in-flight",
        "10",
        "--duration",
        "300ms",
        "--warm-up",
        "0s",
        "--patience",
        "100ms",
        &server.url("/silent"),
    ]);
    assert_eq!(code, 1, "{report}");
    assert_eq!(
        (&report["sent"], &report["unanswered"]),
        (&10.into(), &10.into())
    );
    assert_eq!(report["unsent"], 290, "{report}");
}

#[test]
fn what_waits_for_a_stall_is_late_from_the_time_when_it_was_due() {
    let server = Server::start();
    let (code, report) = bench(&[
        "--connections",
        "1",
        "--rate",
        "100",
        "--in-flight",
        "1",
        "--duration",
        "400ms",
        "--warm-up",
        "0s",
        &server.url("/stall"),
    ]);
    assert_eq!((code, &report["sent"]), (0, &40.into()), "{report}");
    // Of 40 messages, 10 ms apart, 30 were due while the first took 300 ms; when they were
    // sent at last, they were answered at once.
    let p50 = report["latency_us"]["p50"].as_f64().expect("a time");
    assert!(p50 > 50_000.0, "{report}");
}

#[test]
fn connections_that_are_lost_are_counted_by_their_reason() {
    let server = Server::start();
    let (code, report) = bench(&[
        "--connections",
        "3",
        "--duration",
        "1s",
        &server.url("/4008"),
    ]);
    assert_eq!((code, &report["lost"]), (1, &3.into()), "{report}");
    let reason = "closed by the server with code 4008: slow consumer";
    assert_eq!(report["errors"][reason], 3, "{report}");
    let none = run(&["bench", &server.url("/forbidden")], "");
    assert_eq!((none.code, &*none.stdout), (2, ""), "{}", none.stderr);
    assert!(none.stderr.contains("403"), "{}", none.stderr);
}
