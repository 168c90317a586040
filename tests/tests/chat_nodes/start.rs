//! What a node says that cannot start.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use sockeye_tests::program::Program;
use sockeye_tests::redis::{Redis, free_port};

/// What a refused start writes, without the end of the line.
fn refusal(args: &[&str]) -> String {
    let output = Program::run("sockeye-chat", args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

#[test]
fn a_redis_that_cannot_be_used_refuses_the_start_with_one_sentence() {
    let nobody = free_port();
    let secret = Redis::with(&["--requirepass", "hunter2"]);
    let port = secret.port();
    for (url, reason) in [
        (
            format!("redis://127.0.0.1:{nobody}"),
            format!(
                "no connection to Redis at 127.0.0.1:{nobody}: Connection refused (os error 111)"
            ),
        ),
        (
            format!("redis://:wrong@127.0.0.1:{port}"),
            format!(
                "Redis at 127.0.0.1:{port} wants another user name or password than --redis gives"
            ),
        ),
        (
            format!("redis://:hunter2@127.0.0.1:{port}/99"),
            format!("Redis has no such database: 127.0.0.1:{port}/99"),
        ),
        (
            "redis://:hunter2@host:port".into(),
            "--redis is not a URL such as redis://USER:PASSWORD@HOST:6379/0 or redis://HOST".into(),
        ),
    ] {
        let said = refusal(&["--redis", &url]);
        assert_eq!(said, format!("error: {reason}"), "{url}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_is_no_redis_is_told_from_one_that_is_away() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in other.incoming().flatten() {
            let _ = stream.read(&mut [0; 16]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let url = format!("redis://{address}");
    let said = refusal(&["--redis", &url]);
    assert_eq!(
        said,
        format!("error: what listens at {address} is not a Redis")
    );
    // That does not pass by itself: optional or not, it is refused.
    assert_eq!(refusal(&["--redis", &url, "--redis-optional"]), said);
    // A server that waits for the end of an HTTP head says nothing at all.
    let chat = Program::start("sockeye-chat", &[]);
    let said = refusal(&["--redis", &format!("redis://{}", chat.address)]);
    assert_eq!(
        said,
        format!("error: no answer from Redis at {}", chat.address)
    );
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let said = refusal(&["--redis-optional"]);
    assert!(said.contains("--redis <URL>"), "{said}");
    for lease in ["0s", "999ms", "2h", "soon"] {
        let said = refusal(&["--lease", lease]);
        assert!(said.contains("1s to 1h"), "{said}");
    }
}

#[test]
fn the_url_may_come_from_the_environment_and_is_not_shown() {
    let help = Program::run("sockeye-chat", &["--help"]);
    let text = String::from_utf8(help.stdout).expect("text");
    assert!(text.contains("[env: SOCKEYE_REDIS]"), "{text}");
}
