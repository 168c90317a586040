//! By which names a server is called, from which pages, and through which proxies.

use clap::Parser;
use sockeye_handler::Router;
use sockeye_handler::testing::TestServer;

use crate::bench::{Flags, ask, flags, get, server, site, upgrade};

#[test]
fn only_known_hosts_are_answered_on_every_path() {
    let server = server(
        flags(&["--allow-host", "chat.example"])
            .site
            .site("own.example:80")
            .expect("good flags"),
    );
    for host in [
        "localhost",
        "LOCALHOST:9001",
        "127.0.0.1",
        "192.168.7.1:80",
        "[::1]:9001",
        "[2001:db8::5]",
        "own.example",
        "own.example:1",
        "chat.example:443",
        "Chat.Example",
    ] {
        let field = format!("Host: {host}");
        for path in ["/page", "/page/"] {
            let answer = ask(&server, &[&format!("GET {path} HTTP/1.1"), &field]);
            assert_eq!(answer.status, 200, "{host}");
        }
        assert_eq!(upgrade(&server, "/ws", &[&field]).status, 101, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "chat.example.evil.example",
        "sub.chat.example",
        "own.example.",
    ] {
        let field = format!("Host: {host}");
        for path in ["/page", "/nowhere", "/ws", "/"] {
            let answer = ask(&server, &[&format!("GET {path} HTTP/1.1"), &field]);
            assert_eq!(answer.status, 421, "{host}");
            assert_eq!(answer.json()["error"], "wrong-host");
        }
        assert_eq!(upgrade(&server, "/ws", &[&field]).status, 421, "{host}");
    }
    // HTTP/1.0 may leave it out.
    assert_eq!(ask(&server, &["GET /page HTTP/1.0"]).status, 421);
}

#[test]
fn without_a_name_of_its_own_a_server_is_called_by_its_addresses() {
    for listen in ["127.0.0.1:0", "[::1]:9001", "0.0.0.0:80", ":9001"] {
        let site = flags(&[]).site.site(listen).expect("good flags");
        let server = server(site);
        assert_eq!(get(&server, "/page").status, 200, "{listen}");
    }
    let wrong = flags(&["--allow-host", "a:80"]).site.site("127.0.0.1:0");
    assert_eq!(
        wrong.expect_err("a port").to_string(),
        "\"a:80\" is not a host name without a port"
    );
}

#[test]
fn pages_of_elsewhere_may_not_connect() {
    let server = server(site(&[
        "--allow-host=good.example",
        "--allow-origin=https://app.example",
        "--allow-origin=https://shop.example:8443",
    ]));
    let connect = |host: &str, origins: &[&str]| {
        let mut fields = vec![format!("Host: {host}")];
        fields.extend(origins.iter().map(|origin| format!("Origin: {origin}")));
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        upgrade(&server, "/ws", &fields)
    };
    assert_eq!(connect("good.example", &[]).status, 101);
    for (host, origin) in [
        ("good.example", "http://good.example"),
        ("good.example", "https://good.example"),
        ("good.example:8080", "http://good.example:8080"),
        ("localhost:9001", "http://localhost:9001"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("good.example", "https://app.example"),
        ("good.example", "https://shop.example:8443"),
    ] {
        assert_eq!(connect(host, &[origin]).status, 101, "{host} {origin}");
    }
    for (host, origin) in [
        ("good.example", "https://good.example.evil.com"),
        ("good.example", "https://evilgood.example"),
        ("good.example", "http://good.example:8080"),
        ("good.example:8080", "http://good.example"),
        ("good.example", "null"),
        ("good.example", "file://"),
        ("good.example", ""),
        ("good.example", "*"),
        ("good.example", "good.example"),
        ("good.example", "http://app.example"),
        ("good.example", "https://app.example:444"),
        ("good.example", "https://shop.example"),
        ("localhost:9001", "http://127.0.0.1:9001"),
        ("localhost:9001", "http://localhost:9002"),
        ("localhost", "http://evil.example"),
    ] {
        let answer = connect(host, &[origin]);
        assert_eq!(answer.status, 403, "{host} {origin}");
        assert_eq!(answer.json()["error"], "forbidden");
    }
    let twice = ["http://good.example", "http://good.example"];
    assert_eq!(connect("good.example", &twice).status, 403);
    // A page may be linked to from anywhere; the browser lets no script read it.
    let fields = [
        "GET /page HTTP/1.1",
        "Host: localhost",
        "Origin: http://evil.example",
    ];
    let answer = ask(&server, &fields);
    assert_eq!(answer.status, 200);
    let wrong = flags(&["--allow-origin", "app.example"]).site.site("a:1");
    let sentence = wrong.expect_err("no scheme").to_string();
    assert_eq!(
        sentence,
        "\"app.example\" is not an origin such as https://app.example"
    );
}

#[test]
fn what_a_proxy_says_counts_only_if_it_is_trusted() {
    let forwarded = [
        "Host: localhost",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Host: chat.example",
        "X-Forwarded-Proto: https",
        "Origin: https://chat.example",
    ];
    let distrustful = server(site(&["--allow-host=chat.example"]));
    assert_eq!(upgrade(&distrustful, "/ws", &forwarded).status, 403);
    let who = |server: &TestServer<Router>, fields: &[&str]| {
        let answer = upgrade(server, "/who", &[&["Host: localhost"], fields].concat());
        answer.body
    };
    assert_eq!(who(&distrustful, &forwarded[1..2]), "127.0.0.1");

    // The tests' clients are at 127.0.0.1.
    let trusting = server(site(&[
        "--allow-host=chat.example",
        "--trust-proxy=127.0.0.0/8",
        "--trust-proxy=10.1.2.3",
    ]));
    assert_eq!(upgrade(&trusting, "/ws", &forwarded).status, 101);
    for (fields, client) in [
        (&["X-Forwarded-For: 203.0.113.9"][..], "203.0.113.9"),
        // Whatever the client has written itself comes first.
        (&["X-Forwarded-For: 1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (
            &["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 203.0.113.9"],
            "203.0.113.9",
        ),
        (
            &["X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.1.2.3"],
            "203.0.113.9",
        ),
        (&["X-Forwarded-For: 203.0.113.9, 10.1.2.4"], "10.1.2.4"),
        (&["X-Forwarded-For: 203.0.113.9:4711"], "203.0.113.9"),
        (&["X-Forwarded-For: [2001:db8::1]:4711"], "2001:db8::1"),
        (&["X-Forwarded-For: [2001:db8::1]"], "2001:db8::1"),
        (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
        (&["X-Forwarded-For: ::ffff:203.0.113.9"], "203.0.113.9"),
        (&["X-Forwarded-For: evil"], "127.0.0.1"),
        (&["X-Forwarded-For: evil, 10.1.2.3"], "10.1.2.3"),
        (&["X-Forwarded-For: "], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        assert_eq!(who(&trusting, fields), client, "{fields:?}");
    }
    // A proxy that passes a wrong name on does not make it a right one.
    let wrong = ["Host: localhost", "X-Forwarded-Host: evil.example"];
    assert_eq!(upgrade(&trusting, "/ws", &wrong).status, 421);
    let two = [
        "Host: localhost",
        "X-Forwarded-Host: chat.example, evil.example",
    ];
    assert_eq!(upgrade(&trusting, "/ws", &two).status, 421);

    let elsewhere = server(site(&[
        "--allow-host=chat.example",
        "--trust-proxy=10.0.0.0/8",
    ]));
    assert_eq!(upgrade(&elsewhere, "/ws", &forwarded).status, 403);
    assert!(Flags::try_parse_from(["test", "--trust-proxy", "everybody"]).is_err());
}
