//! Presence and chat as programs, on each adapter: how they start, or do not, and how they end.

use core::time::Duration;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Instant;

use sockeye_tests::program::Program;
use sockeye_tests::wire::{CLOSE, FIN, PATIENCE, RSV1, Raw, TEXT, UPGRADE};
use tempfile::TempDir;

const PROGRAMS: [&str; 2] = ["sockeye-presence", "sockeye-chat"];
const ADAPTERS: [&str; 4] = ["tokio", "async-std", "smol", "mio"];

/// Each program on each adapter.
fn everywhere() -> impl Iterator<Item = (&'static str, &'static str)> {
    let on_each = |program| ADAPTERS.into_iter().map(move |adapter| (program, adapter));
    PROGRAMS.into_iter().flat_map(on_each)
}

/// The path of a WebSocket.
fn socket(program: &str) -> &'static str {
    match program {
        "sockeye-presence" => "/watch",
        _ => "/talking",
    }
}

/// Answers a request in plain HTTP.
fn ask(program: &Program, request: &str) -> (u16, String) {
    let mut raw = Raw::silent(program.address);
    raw.write(request.as_bytes());
    let mut answer = String::new();
    raw.0.read_to_string(&mut answer).expect("the end");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.expect("a status"), answer)
}

fn ready(program: &Program) -> u16 {
    ask(program, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").0
}

/// Reads until its Close, and answers that.
fn leave(mut raw: Raw) -> (u16, Instant) {
    loop {
        let frame = raw.read();
        if frame.first == FIN | TEXT {
            continue;
        }
        let at = Instant::now();
        let code = frame.payload.get(..2).expect("a code");
        let code = u16::from_be_bytes([code[0], code[1]]);
        raw.close(code);
        return (code, at);
    }
}

#[test]
fn told_to_end_a_program_closes_one_after_the_other_with_1012_and_answers_meanwhile() {
    const CONNECTIONS: u32 = 20;
    for (name, adapter) in everywhere() {
        let flags = ["--adapter", adapter, "--drain-timeout", "1250ms"];
        let mut program = Program::start(name, &flags);
        assert_eq!(ready(&program), 200, "{name} {adapter}");
        let connect = |_| Raw::open_path(program.address, socket(name));
        let connections: Vec<Raw> = (0..CONNECTIONS).map(connect).collect();
        program.terminate();
        while ready(&program) != 503 {}
        // Nobody new comes, and whoever asks still hears why.
        let request = UPGRADE.replace("/path", socket(name));
        let (status, answer) = ask(&program, &request.replace("test", "localhost"));
        assert_eq!(status, 503, "{name} {adapter}");
        assert!(answer.contains("Retry-After: "), "{answer}");
        assert!(
            answer.contains(r#"{"error":"unavailable","reason":"#),
            "{answer}"
        );
        let threads = connections
            .into_iter()
            .map(|raw| std::thread::spawn(|| leave(raw)));
        let threads: Vec<_> = threads.collect();
        let closed = threads
            .into_iter()
            .map(|thread| thread.join().expect("a Close"));
        let (codes, mut times): (Vec<u16>, Vec<Instant>) = closed.unzip();
        assert!(
            codes.iter().all(|code| *code == 1012),
            "{name} {adapter} {codes:?}"
        );
        times.sort();
        let spread = times[times.len() - 1] - times[0];
        assert!(
            spread > Duration::from_millis(300),
            "{name} {adapter} {spread:?}"
        );
        assert_eq!(program.wait(PATIENCE).code(), Some(0), "{name} {adapter}");
        let refused = TcpStream::connect(program.address).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn beyond_its_cap_a_program_says_when_to_come_back() {
    for (name, adapter) in everywhere() {
        let program = Program::start(name, &["--adapter", adapter, "--max-connections", "1"]);
        let _connection = Raw::open_path(program.address, socket(name));
        let request = UPGRADE.replace("/path", socket(name));
        let (status, answer) = ask(&program, &request.replace("test", "localhost"));
        assert_eq!(status, 503, "{name} {adapter}");
        assert!(answer.contains("Retry-After: "), "{answer}");
        assert!(
            answer.contains(r#"{"error":"unavailable","reason":"#),
            "{answer}"
        );
        // Plain HTTP is answered all the same.
        assert_eq!(ready(&program), 200, "{name} {adapter}");
    }
}

#[test]
fn who_does_not_answer_its_close_does_not_hold_a_program_up() {
    for (name, adapter) in everywhere() {
        let flags = ["--adapter", adapter, "--drain-timeout", "500ms"];
        let mut program = Program::start(name, &flags);
        let _deaf = Raw::open_path(program.address, socket(name));
        program.terminate();
        let began = Instant::now();
        assert_eq!(program.wait(PATIENCE).code(), Some(0), "{name} {adapter}");
        assert!(began.elapsed() < Duration::from_secs(5), "{name} {adapter}");
    }
}

#[test]
fn without_connections_the_end_comes_at_once() {
    for (name, adapter) in everywhere() {
        let flags = ["--adapter", adapter, "--drain-timeout", "1h"];
        let mut program = Program::start(name, &flags);
        program.terminate();
        assert_eq!(program.wait(PATIENCE).code(), Some(0), "{name} {adapter}");
    }
}

#[test]
fn a_second_signal_ends_a_program_at_once_with_1() {
    for (name, adapter) in everywhere() {
        let flags = ["--adapter", adapter, "--drain-timeout", "1h"];
        let mut program = Program::start(name, &flags);
        let _connection = Raw::open_path(program.address, socket(name));
        program.terminate();
        while ready(&program) != 503 {}
        program.terminate();
        assert_eq!(program.wait(PATIENCE).code(), Some(1), "{name} {adapter}");
    }
}

/// Files for flags to name.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, content).expect("a file");
        path.display().to_string()
    }
}

#[test]
fn a_refused_start_is_one_sentence_on_standard_error_and_2() {
    let files = Files::new();
    let short = files.write("short", "a secret");
    let empty = files.write("empty", "\n");
    let secret = files.write("secret", "0123456789abcdef0123456789abcdef");
    // Where nobody listens any more.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!(
        "redis://127.0.0.1:{}/",
        closed.local_addr().expect("bound").port()
    );
    drop(closed);
    let mut refused: Vec<(&str, Vec<&str>, &str)> = Vec::new();
    for name in PROGRAMS {
        refused.extend([
            (name, vec!["--nonsense"], "--nonsense"),
            (name, vec!["--rate", "0"], "--rate"),
            (name, vec!["--max-message", "16XiB"], "--max-message"),
            (name, vec!["--adapter", "steam"], "steam"),
            (name, vec!["--listen", "nonsense"], "nonsense"),
            (
                name,
                vec!["--jwt-key", "/nowhere/at/all"],
                "/nowhere/at/all",
            ),
            (name, vec!["--jwt-key", &short], "at least 32"),
            (
                name,
                vec!["--jwt-key", &secret, "--jwt-alg", "RS256"],
                "RS256",
            ),
            (
                name,
                vec!["--jwt-key", &secret, "--jwt-alg", "none"],
                "none",
            ),
            (name, vec!["--jwt-aud", "chat"], "--jwt-key"),
            (name, vec!["--allow-origin", "app.example"], "app.example"),
            (name, vec!["--allow-host", "a:80"], "a:80"),
            (name, vec!["--trust-proxy", "everybody"], "everybody"),
            (
                name,
                vec!["--static-dir", "/nowhere/at/all"],
                "/nowhere/at/all",
            ),
            (name, vec!["--redis", &nobody], "127.0.0.1"),
            (name, vec!["--tls-roots", &short], "--tls-roots"),
        ]);
    }
    refused.extend([
        (
            "sockeye-presence",
            vec!["--listen", "0.0.0.0:0"],
            "loopback",
        ),
        ("sockeye-presence", vec!["--read-token", &empty], &empty),
        ("sockeye-chat", vec!["--publish-token", &empty], &empty),
        // That is `--queue-bytes`.
        ("sockeye-chat", vec!["--hard-mark", "2MiB"], "--hard-mark"),
    ]);
    for (name, flags, says) in refused {
        let output = Program::run(name, &flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name} {flags:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{name} {flags:?}");
        assert_eq!(stderr.lines().count(), 1, "{name} {flags:?}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains(says),
            "{name} {flags:?}: {stderr}"
        );
    }
}

#[test]
fn a_start_without_its_optional_redis_is_in_the_log() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = closed.local_addr().expect("bound").to_string();
    drop(closed);
    for name in PROGRAMS {
        let url = format!("redis://{nobody}/");
        let mut program = Program::start(name, &["--redis", &url, "--redis-optional"]);
        assert!(program.is_degraded(), "{name}");
        program.terminate();
        assert_eq!(program.wait(PATIENCE).code(), Some(0), "{name}");
        let log = program.log();
        let warning = log.lines().find(|line| line.contains(" WARN "));
        assert!(
            warning.is_some_and(|line| line.contains(&nobody)),
            "{name}: {log}"
        );
    }
}

#[test]
fn what_the_pages_say_of_flags_is_what_the_help_says() {
    const PAGES: [&str; 2] = [
        include_str!("../../docs/operating.md"),
        include_str!("../../docs/protocol.md"),
    ];
    let help = |name: &str, args: &[&str]| {
        let output = Program::run(name, args);
        let text = String::from_utf8(output.stdout).expect("text");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let servers =
        ["sockeye-chat", "sockeye-presence", "sockeye-echo"].map(|n| help(n, &["--help"]));
    let mut known = servers.concat();
    known += &help("sockeye-presence", &["token", "--help"]);
    known += &help("sockeye", &["--help"]);
    known += &help("sockeye", &["bench", "--help"]);
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    for flag in PAGES.iter().flat_map(|page| page.split(" --").skip(1)) {
        let flag = flag.split(|c| !is_flag(c)).next().unwrap_or_default();
        // cargo's, curl's and a table's rule.
        if !["", "release", "help", "-"].contains(&flag) && !flag.starts_with('-') {
            assert!(known.contains(&format!(" --{flag} ")), "--{flag}");
        }
    }
    // The table of limits: flags, and as many defaults.
    let (_, limits) = PAGES[0].split_once("\n## Limits\n").expect("the limits");
    let rows = limits.lines().filter(|line| line.starts_with("| `--"));
    let mut checked = 0;
    for row in rows.take_while(|row| !row.starts_with("## ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let mut flags: Vec<String> = Vec::new();
        for flag in cells[0].split('`').skip(1).step_by(2) {
            let group = flags.first().and_then(|first| first.rsplit_once('-'));
            // `--history-count`, `-age`: the rest of a group is cut.
            flags.push(match group {
                Some((group, _)) if !flag.starts_with("--") => format!("{group}{flag}"),
                _ => flag.to_owned(),
            });
        }
        let defaults = cells[1].replace(" a second", "").replace(", ", ";");
        let defaults = defaults.split(';').map(str::trim);
        for (flag, default) in flags.iter().zip(defaults) {
            let default = default.replace([',', ' '], "");
            let says = |help: &String| {
                let (_, entry) = help.split_once(&format!(" {flag} "))?;
                let (_, value) = entry.split_once("[default: ")?;
                Some(value.starts_with(&format!("{default}]")))
            };
            let found: Vec<bool> = servers[..2].iter().filter_map(says).collect();
            assert!(
                found.contains(&true) && !found.contains(&false),
                "{flag} {default}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 15, "{checked}");
}

#[test]
fn tokens_are_in_no_log() {
    let files = Files::new();
    let read_token = "reader-0123456789";
    let read_file = files.write("read", read_token);
    let flags = ["--log", "trace", "--read-token", &read_file];
    let mut program = Program::start("sockeye-presence", &flags);
    let page = "GET /demo-token?id=ana HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (_, answer) = ask(&program, page);
    let (_, token) = answer.split_once("\r\n\r\n").expect("a body");
    for (jwt, first) in [(token, TEXT), ("an.expired.token", CLOSE)] {
        let mut raw = Raw::open_path(program.address, "/echo");
        raw.send(FIN | TEXT, format!(r#"{{"jwt":"{jwt}"}}"#).as_bytes());
        assert_eq!(raw.read().first, FIN | first);
    }
    for credentials in [read_token, "another-0123456789"] {
        let field = format!("Authorization: Bearer {credentials}");
        let request = format!("GET /presence HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
        ask(&program, &request);
        let offer = format!("Sec-WebSocket-Protocol: bearer.{credentials}\r\n\r\n");
        let upgrade = UPGRADE
            .replace("/path", "/watch")
            .replace("test", "localhost");
        let mut raw = Raw::silent(program.address);
        raw.write(upgrade.trim_end().as_bytes());
        raw.write(format!("\r\n{offer}").as_bytes());
        let expected = if credentials == read_token {
            "101"
        } else {
            "401"
        };
        let head = raw.read_head();
        assert_eq!(head.split(' ').nth(1), Some(expected), "{head}");
    }
    program.terminate();
    program.wait(PATIENCE);
    let log = program.log();
    assert!(log.contains("closing"), "it logs: {log}");
    for secret in [token, "an.expired.token", read_token, "another-0123456789"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// What is compressed together with a secret tells by its length what is in it (RFC 7692 §8).
#[test]
fn a_frame_that_carries_a_token_is_never_compressed() {
    for (name, adapter) in everywhere() {
        let program = Program::start(name, &["--adapter", adapter, "--deflate=min=1"]);
        if name == "sockeye-presence" {
            let mut raw = Raw::open_path_deflated(program.address, "/echo", "none");
            let (_, token) = program.get("/demo-token?id=ana");
            // Longer than a frame that is compressed would be.
            let message = format!("{{{}\"jwt\":\"{token}\"}}", " ".repeat(500));
            raw.send(FIN | TEXT, message.as_bytes());
            let echo = raw.read();
            assert_eq!(echo.payload, message.as_bytes(), "{adapter}");
            assert_eq!(echo.first, FIN | TEXT, "{adapter}");
            continue;
        }
        let mut raw = Raw::open_path_deflated(program.address, "/talking", "chat.v1.json");
        let mut ask = |request: String| {
            raw.send(FIN | TEXT, request.as_bytes());
            raw.read()
        };
        // The answer repeats it, and would be shorter.
        let id = "a".repeat(64);
        let hello = ask(format!(
            r#"{{"type":"login","nickname":"ana","id":"{id}"}}"#
        ));
        assert_eq!(hello.first, FIN | TEXT, "{adapter}");
        let hello = String::from_utf8(hello.payload).expect("text");
        assert!(
            hello.contains(r#""resume":""#) && hello.contains(&id),
            "{hello}"
        );
        // What holds no secret is.
        let pong = ask(format!(r#"{{"type":"ping","id":"{id}"}}"#));
        assert_eq!(pong.first, FIN | RSV1 | TEXT, "{adapter}");
    }
}

#[test]
fn a_port_in_use_is_refused_on_each_adapter() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    for (name, adapter) in everywhere() {
        let output = Program::run(name, &["--adapter", adapter, "--listen", &address]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name} {adapter}: {stderr}");
        assert!(output.stdout.is_empty(), "{name} {adapter}");
        assert!(stderr.contains(&address), "{name} {adapter}: {stderr}");
    }
}
