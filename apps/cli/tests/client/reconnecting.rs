//! Connections that are made again.

use std::io::Write;

use crate::program::{read_until, run, start, wait};
use crate::server::Server;

const PAUSES: [&str; 5] = ["--reconnect", "--retry-min", "1ms", "--retry-max", "5ms"];

#[test]
fn a_refusal_and_a_restart_are_survived() {
    let server = Server::start();
    let url = server.url("/flaky");
    let arguments = [&PAUSES[..], &["-x", "login", "--one", &url]].concat();
    let ran = run(&arguments, "");
    assert_eq!((ran.code, &*ran.stdout), (0, "login\n"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("503 Service Unavailable"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("closed by the server with code 1012: moving")
    );
    assert_eq!(
        ran.stderr.matches("connecting again in").count(),
        2,
        "{}",
        ran.stderr
    );
}

#[test]
fn what_is_entered_while_there_is_no_connection_is_sent_on_the_next() {
    let server = Server::start();
    let url = server.url("/flaky");
    let mut child = start(&["--reconnect", "--retry-min", "200ms", "--one", &url]);
    let stderr = child.stderr.as_mut().expect("a pipe");
    read_until(stderr, "moving\n");
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "hello").expect("a reader");
    let ran = wait(child);
    assert_eq!((ran.code, &*ran.stdout), (0, "hello\n"), "{}", ran.stderr);
}

#[test]
fn an_end_that_is_final_is_not_tried_again() {
    let server = Server::start();
    for (path, code) in [("/bye", 0), ("/forbidden", 2)] {
        let url = server.url(path);
        let arguments = [&PAUSES[..], &["--wait", "forever", &url]].concat();
        let ran = run(&arguments, "");
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(!ran.stderr.contains("again"), "{}", ran.stderr);
    }
}

#[test]
fn it_gives_up_after_so_many_attempts_and_in_time() {
    let server = Server::start();
    let url = server.url("/4008");
    let arguments = [&PAUSES[..], &["--retries", "3", "--wait", "forever", &url]].concat();
    let ran = run(&arguments, "");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("slow consumer").count(),
        4,
        "{}",
        ran.stderr
    );
    let arguments = [
        "--reconnect",
        "--retry-min",
        "1h",
        "--timeout",
        "100ms",
        "--wait",
        "forever",
    ];
    let ran = run(&[&arguments[..], &[&url]].concat(), "");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}
