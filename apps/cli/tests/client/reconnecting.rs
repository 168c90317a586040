//! Connections that are made again.

use crate::program::run;
use crate::server::Server;

const PAUSES: [&str; 5] = ["--reconnect", "--retry-min", "1ms", "--retry-max", "5ms"];

#[test]
fn a_refusal_and_a_restart_are_survived_and_nothing_unsent_is_lost() {
    let server = Server::start();
    let url = server.url("/flaky");
    let arguments = [&PAUSES[..], &["-x", "login", "--count", "2", &url]].concat();
    let ran = run(&arguments, "hello\n");
    // What was sent on the second connection is lost, if anything was.
    assert!(ran.stdout.starts_with("login\n"), "{}", ran.stdout);
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
