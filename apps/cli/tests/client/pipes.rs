//! Input and output that are no terminals, and the exit codes.

use crate::program::{read_until, run, start, wait};
use crate::server::Server;

#[test]
fn each_line_is_a_message_and_each_message_a_line() {
    let server = Server::start();
    let ran = run(&[&server.url("/")], "a\n\nä\r\nno end");
    assert_eq!((ran.code, &*ran.stdout), (0, "a\n\nä\nno end\n"));
    assert!(ran.stderr.contains("connected to ws://"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("closed with code 1000"),
        "{}",
        ran.stderr
    );
    assert_eq!(server.code(), 1000);
    let quiet = run(&["-q", &server.url("/")], "a\n");
    assert_eq!(quiet.stderr, "");
}

#[test]
fn more_than_fits_any_buffer_goes_through() {
    let server = Server::start();
    let input = "0123456789abcdef".repeat(64) + "\n";
    let input = input.repeat(20_000);
    let ran = run(&["-q", &server.url("/")], &input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout == input,
        "{} of {} bytes",
        ran.stdout.len(),
        input.len()
    );
}

#[test]
fn binary_input_is_shown_as_hex_or_as_it_is() {
    let server = Server::start();
    let ran = run(&["-b", &server.url("/")], b"\x00\xff\nA");
    assert_eq!(ran.stdout, "binary, 2 bytes: 00 ff\nbinary, 1 byte: 41\n");
    let ran = run(&["-b", "--whole", "--raw", &server.url("/")], "a\nb\n");
    assert_eq!(ran.stdout, "a\nb\n");
    let ran = run(&[&server.url("/")], b"\xff\n");
    assert_eq!(ran.code, 2);
    let said = "error: line 1 of the input is not UTF-8; --binary sends it as it is\n";
    assert!(ran.stderr.ends_with(said), "{}", ran.stderr);
}

#[test]
fn what_is_printed_as_json_can_be_sent_as_json() {
    let server = Server::start();
    let input = concat!(
        r#"{"type":"text","text":"a\nb"}"#,
        "\n",
        r#"{"type":"binary","base64":"AP8="}"#,
        "\n",
        r#"{"type":"ping","text":"p"}"#,
        "\n",
        r#"{"type":"close","code":3000,"reason":"bye"}"#,
        "\nnever read\n",
    );
    let ran = run(&["--json", "--json-input", &server.url("/")], input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let events: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let mut kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    // A Pong overtakes messages.
    kinds[1..4].sort_unstable();
    assert_eq!(kinds, ["open", "binary", "pong", "text", "close"]);
    let find = |kind: &str| {
        events
            .iter()
            .find(|event| event["type"] == kind)
            .expect(kind)
    };
    assert_eq!(find("text")["text"], "a\nb");
    assert_eq!(
        (&find("binary")["base64"], &find("binary")["size"]),
        (&"AP8=".into(), &2.into())
    );
    assert!(find("pong")["rtt_ms"].as_f64().expect("a time") > 0.0);
    let close = find("close");
    assert_eq!(
        (&close["code"], &close["clean"], &close["by"]),
        (&3000.into(), &true.into(), &"client".into())
    );
    assert!(
        events
            .iter()
            .all(|event| event["time"].as_str().expect("a time").ends_with('Z'))
    );
    let wrong = run(&["--json-input", &server.url("/")], "{}\n");
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(
        wrong
            .stderr
            .contains("line 1 of the input is not an event in JSON")
    );
}

#[test]
fn it_ends_after_as_many_messages_as_were_asked_for() {
    let server = Server::start();
    let url = server.url("/");
    let ran = run(&["-x", "1", "-x", "2", "-x", "3", "--count", "2", &url], "");
    assert_eq!((ran.code, &*ran.stdout), (0, "1\n2\n"));
    let one = run(&["--one", &url], "hello\n");
    assert_eq!((one.code, &*one.stdout), (0, "hello\n"));
    let too_few = run(&["--count", "2", &server.url("/bye")], "");
    assert_eq!(too_few.code, 4, "{}", too_few.stderr);
    assert!(
        too_few
            .stderr
            .contains("error: it ended after 0 of 2 messages")
    );
}

#[test]
fn a_time_that_is_over_has_its_own_code() {
    let server = Server::start();
    let url = server.url("/silent");
    for arguments in [["--wait", "forever"], ["--count", "1"]] {
        let arguments = [&arguments[..], &["--timeout", "200ms", &url]].concat();
        let ran = run(&arguments, "x\n");
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(ran.stderr.contains("--timeout"), "{}", ran.stderr);
        assert_eq!(server.code(), 1000);
    }
}

#[test]
fn a_servers_close_is_shown_and_its_code_decides() {
    let server = Server::start();
    let ran = run(&["--wait", "forever", &server.url("/4008")], "");
    assert_eq!(ran.code, 1);
    let said = "closed by the server with code 4008: slow consumer\n";
    assert!(ran.stderr.ends_with(said), "{}", ran.stderr);
    let quiet = run(&["-q", "--wait", "forever", &server.url("/4008")], "");
    assert!(quiet.stderr.contains("slow consumer"), "{}", quiet.stderr);
    assert_eq!(run(&["--wait", "forever", &server.url("/bye")], "").code, 0);
}

#[test]
fn an_interrupt_closes_with_1000_and_is_no_error() {
    let server = Server::start();
    let mut child = start(&["--wait", "forever", "-x", "hello", &server.url("/")]);
    read_until(child.stdout.as_mut().expect("a pipe"), "hello\n");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a child");
    let ran = wait(child);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(server.code(), 1000);
}

#[test]
fn an_interrupt_before_there_is_a_connection_is_2() {
    // It takes connections, and says nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", deaf.local_addr().expect("bound"));
    let child = start(&[&url]);
    let (_stream, _) = deaf.accept().expect("it connects");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a child");
    let ran = wait(child);
    assert_eq!((ran.code, &*ran.stdout), (2, ""), "{}", ran.stderr);
}

#[test]
fn nobody_who_reads_is_the_end() {
    let server = Server::start();
    let mut child = start(&["-q", "--wait", "forever", &server.url("/")]);
    let mut stdin = child.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        // Until the program has closed its end.
        while writeln!(stdin, "hello").is_ok() {}
    });
    let mut stdout = child.stdout.take().expect("a pipe");
    read_until(&mut stdout, "hello\n");
    drop(stdout);
    let ran = wait(child);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    writing.join().expect("no panic");
    assert_eq!(server.code(), 1000);
}

#[test]
fn pings_are_timed() {
    let server = Server::start();
    let ran = run(
        &[
            "--ping",
            "--count",
            "3",
            "--ping-interval",
            "1ms",
            &server.url("/"),
        ],
        "",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
    assert!(lines[2].starts_with("pong 3 after ") && lines[2].ends_with(" ms"));
}
