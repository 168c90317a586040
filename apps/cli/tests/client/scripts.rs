//! Scripts: what they wait for, and how they fail.

use crate::program::{Ran, run};
use crate::server::Server;

fn script(server: &Server, path: &str, lines: &str) -> Ran {
    run(&["--script", "-", &server.url(path)], lines)
}

#[test]
fn a_script_sends_expects_and_keeps() {
    let server = Server::start();
    let ran = script(
        &server,
        "/",
        r#"# a comment, and an empty line

{"type":"login","resume":"s3\"cret","n":{"a":[1]}}
plain
/expect =plain
/expect {"n":{"a":[1]}}
/keep resume /resume
{"again":"${resume}"}
/next {"again":"s3\"cret"}
/binary 00
/silence 10ms {"none":1}
/close 3000 done
"#,
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(server.code(), 3000);
}

#[test]
fn an_expectation_that_is_not_met_has_its_line_and_its_code() {
    let server = Server::start();
    let too_late = script(&server, "/", "/timeout 50ms\n/expect hello\n");
    assert_eq!(too_late.code, 3, "{}", too_late.stderr);
    let said = "error: line 2 of the script: there was no message with \"hello\" in time\n";
    assert!(too_late.stderr.ends_with(said), "{}", too_late.stderr);

    let other = script(&server, "/", "a\n/next =b\nnever sent\n");
    assert_eq!((other.code, &*other.stdout), (4, "a\n"), "{}", other.stderr);
    let said = "error: line 2 of the script: a came instead of a message \"b\"\n";
    assert!(other.stderr.ends_with(said), "{}", other.stderr);

    let unknown = script(&server, "/", "/nothing\n");
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
}

#[test]
fn a_close_can_be_expected() {
    let server = Server::start();
    for lines in [
        "/closed\n",
        "/closed 4008\n",
        "/closed 4008 slow consumer\n",
    ] {
        let ran = script(&server, "/4008", lines);
        assert_eq!(ran.code, 0, "{lines}: {}", ran.stderr);
    }
    let other = script(&server, "/4008", "/closed 1000\n");
    assert_eq!(other.code, 4, "{}", other.stderr);
    assert!(
        other
            .stderr
            .contains("closed by the server with code 4008: slow consumer instead of")
    );
    let none = script(&server, "/", "/timeout 50ms\n/closed\n");
    assert_eq!(none.code, 3, "{}", none.stderr);
}

#[test]
fn what_came_in_one_read_with_the_end_still_counts() {
    let server = Server::start();
    let ran = script(
        &server,
        "/last-words",
        "x\n/expect =last\n/closed 4000 done\n",
    );
    assert_eq!((ran.code, &*ran.stdout), (0, "last\n"), "{}", ran.stderr);
    let early = script(&server, "/last-words", "x\n/expect =more\n");
    assert_eq!(early.code, 4, "{}", early.stderr);
    let unsent = script(&server, "/last-words", "x\n/pause 50ms\ny\n");
    assert_eq!(unsent.code, 4, "{}", unsent.stderr);
}
