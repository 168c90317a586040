//! What is asked of a server, and what is said when that fails.

use std::fs;
use std::net::TcpListener;

use rcgen::generate_simple_self_signed;
use sockeye_async_std::smol::TlsServer;

use crate::program::run;
use crate::server::Server;

#[test]
fn the_flags_reach_the_server() {
    let server = Server::start();
    let fields = std::env::temp_dir().join(format!("sockeye-cli-fields-{}", std::process::id()));
    fs::write(&fields, "Cookie: a=b\n\nOrigin: https://page.example\n").expect("a file");
    let url = format!("ana:p%40ss@127.0.0.1:{}/request", server.port);
    let from_file = format!("@{}", fields.display());
    let ran = run(
        &[
            "-H",
            &from_file,
            "-H",
            "Host: chat.example",
            "-s",
            "x",
            "-s",
            "known",
            "--one",
            &url,
        ],
        "",
    );
    fs::remove_file(&fields).expect("a file");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        concat!(
            r#"{"host":"chat.example","origin":"https://page.example","cookie":"a=b","#,
            r#""authorization":"Basic YW5hOnBAc3M=","protocols":"x, known"}"#,
            "\n"
        )
    );
    assert!(ran.stderr.contains("speaking known"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("p%40ss"), "a password is shown");
}

#[test]
fn what_cannot_work_is_one_sentence_and_code_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let refusing = taken.local_addr().expect("an address").to_string();
    drop(taken);
    let server = Server::start();
    let forbidden = server.url("/forbidden");
    let cases: &[(&[&str], &str)] = &[
        (&[], "<URL>"),
        (&["--nothing", "ws://h/"], "--nothing"),
        (&["ftp://h/"], "ftp://h/"),
        (&["ws://u:secret@h:99999/"], "port"),
        (&["-H", "nothing", "ws://h/"], "nothing"),
        (
            &["-H", "Upgrade: h2c", "ws://h/"],
            "cannot make the request",
        ),
        (&["-s", "a b", "ws://h/"], "cannot make the request"),
        (&["--tls-roots", "/none", "wss://h/"], "/none"),
        (&["--timeout", "soon", "ws://h/"], "--timeout"),
        (&["--script", "/none", "ws://h/"], "/none"),
        (&["--retries", "1", "ws://h/"], "--reconnect"),
        (&[&refusing], &refusing),
        (&[&forbidden], "403 Forbidden: members only\\u{1b}[2J"),
    ];
    for (arguments, named) in cases {
        let ran = run(arguments, "");
        assert_eq!(
            (ran.code, &*ran.stdout),
            (2, ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert_eq!(
            ran.stderr.lines().count(),
            1,
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(named), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    }
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let directory = std::env::temp_dir().join(format!("sockeye-cli-tls-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let (certificate, key) = (directory.join("c.pem"), directory.join("k.pem"));
    let made = generate_simple_self_signed([String::from("localhost")]).expect("a certificate");
    fs::write(&certificate, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let tls = TlsServer::from_pem_files(&certificate, &key).expect("a pair");
    let server = Server::start_with(Some(tls));
    let url = format!("wss://localhost:{}/", server.port);
    let roots = certificate.display().to_string();

    let trusting = run(&["--tls-roots", &roots, &url], "hello\n");
    assert_eq!(
        (trusting.code, &*trusting.stdout),
        (0, "hello\n"),
        "{}",
        trusting.stderr
    );
    let insecure = run(&["--insecure", &url], "hello\n");
    assert_eq!(
        (insecure.code, &*insecure.stdout),
        (0, "hello\n"),
        "{}",
        insecure.stderr
    );
    assert!(
        insecure.stderr.contains("not checked"),
        "{}",
        insecure.stderr
    );
    let checking = run(&[&url], "hello\n");
    assert_eq!(
        (checking.code, &*checking.stdout),
        (2, ""),
        "{}",
        checking.stderr
    );
    fs::remove_dir_all(&directory).expect("a directory");
}
