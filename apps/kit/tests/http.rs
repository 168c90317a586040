//! What the programs answer in plain HTTP, and whom they refuse.

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use sockeye_handler::testing::TestServer;
use sockeye_handler::{CloseCode, Context, Handler, Message, Response, Router};
use sockeye_kit::caps::{Admission, Caps, CapsArgs};
use sockeye_kit::http::{self, Asset, Bearer, Pages, Site, SiteArgs, client_ip};
use sockeye_kit::metrics::Metrics;
use sockeye_kit::name::Name;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    caps: CapsArgs,
}

fn flags(flags: &[&str]) -> Flags {
    Flags::parse_from([&["test"], flags].concat())
}

fn site(given: &[&str]) -> Site {
    flags(given)
        .site
        .site("127.0.0.1:9001")
        .expect("good flags")
}

struct Idle {
    #[expect(dead_code, reason = "kept, and dropped with the handler")]
    admission: Option<Admission>,
}

impl Handler for Idle {
    fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.close(CloseCode::NORMAL, "");
    }
}

/// A page at `/page`, WebSocket at `/ws`, who asks at `/who`.
fn server(site: Site) -> TestServer<Router> {
    let router = Router::new()
        .get("/page", |_| Response::text(200, "well\n"))
        .and_then(|router| router.post("/page", |_| Response::text(200, "posted\n")))
        .and_then(|router| router.ws("/ws", |_, _| Idle { admission: None }))
        .and_then(|router| {
            router.ws("/who", |_, cx| {
                let who = client_ip(cx).map(|ip| ip.to_string());
                Err::<Idle, _>(Response::html(403, who.unwrap_or_default()))
            })
        });
    TestServer::new(router.expect("good routes").wrap(site))
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Asks with exactly these lines.
fn ask(server: &TestServer<Router>, lines: &[&str]) -> Answer {
    let mut client = server.raw();
    client.write(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes());
    let answer = String::from_utf8(client.read()).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.into(),
        body: body.into(),
    }
}

fn get(server: &TestServer<Router>, path: &str) -> Answer {
    ask(
        server,
        &[&format!("GET {path} HTTP/1.1"), "Host: localhost"],
    )
}

fn upgrade(server: &TestServer<Router>, path: &str, fields: &[&str]) -> Answer {
    let line = format!("GET {path} HTTP/1.1");
    let fixed = [
        &line,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    ask(server, &[&fixed, fields].concat())
}

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

#[test]
fn errors_are_json_and_nothing_is_for_other_origins() {
    let server = server(site(&[]));
    let answer = get(&server, "/nowhere");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({"error": "not-found", "reason": "not found"})
    );
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    assert_eq!(answer.field("Cache-Control"), Some("no-store"));

    let answer = ask(&server, &["DELETE /page HTTP/1.1", "Host: localhost"]);
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["error"], "method-not-allowed");
    assert_eq!(answer.field("Allow"), Some("GET, POST, HEAD"));

    assert_eq!(
        upgrade(&server, "/nowhere", &["Host: localhost"]).status,
        404
    );
    let answer = get(&server, "/ws");
    assert_eq!(answer.status, 426);
    assert_eq!(answer.json()["error"], "upgrade-required");
    assert_eq!(answer.field("Upgrade"), Some("websocket"));

    for answer in [
        get(&server, "/page"),
        get(&server, "/nowhere"),
        ask(
            &server,
            &[
                "OPTIONS /page HTTP/1.1",
                "Host: localhost",
                "Origin: http://a.example",
            ],
        ),
    ] {
        assert!(
            !answer.head.to_lowercase().contains("access-control"),
            "{}",
            answer.head
        );
    }
}

#[test]
fn what_the_server_refuses_by_itself_is_json_too() {
    let server = server(site(&[]));
    let long = "x".repeat(5000);
    for (lines, status, code) in [
        (vec!["nonsense"], 400, "bad-request"),
        (vec!["GET /page HTTP/1.1"], 400, "bad-request"),
        (vec!["GET /page HTTP/1.1", "Host: a b"], 400, "bad-request"),
        (vec!["GET /page HTTP/2.0", "Host: localhost"], 505, "error"),
        (vec![&*format!("GET /{long} HTTP/1.1")], 414, "too-large"),
        (
            vec![
                "POST /page HTTP/1.1",
                "Host: localhost",
                "Content-Length: 65537",
            ],
            413,
            "too-large",
        ),
    ] {
        let answer = ask(&server, &lines);
        assert_eq!(answer.status, status, "{lines:?}");
        assert_eq!(answer.json()["error"], code, "{lines:?}");
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    }
    let old = ["Host: localhost", "Sec-WebSocket-Version: 8"];
    assert_eq!(upgrade(&server, "/ws", &old).json()["error"], "bad-request");
    let fields = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Host: localhost",
    ];
    let version = [
        &["GET /ws HTTP/1.1", "Sec-WebSocket-Version: 8"],
        &fields[..],
    ]
    .concat();
    let answer = ask(&server, &version);
    assert_eq!(answer.status, 426);
    assert_eq!(answer.field("Sec-WebSocket-Version"), Some("13"));
    assert_eq!(answer.json()["error"], "upgrade-required");

    let mut slow = server.raw();
    slow.write(b"GET /page");
    server.advance(core::time::Duration::from_secs(11));
    let answer = String::from_utf8(slow.read()).expect("text");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("{\"error\":\"too-slow\""), "{answer}");
}

#[test]
fn head_works_where_get_does_and_a_slash_at_the_end_means_nothing() {
    let server = server(site(&[]));
    let answer = ask(&server, &["HEAD /page HTTP/1.1", "Host: localhost"]);
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(answer.field("Content-Length"), Some("5"));
    let answer = get(&server, "/page/");
    assert_eq!((answer.status, &*answer.body), (200, "well\n"));
}

fn pages(pages: Pages) -> TestServer<Router> {
    TestServer::new(
        pages
            .mount(Router::new())
            .expect("good routes")
            .wrap(site(&[])),
    )
}

#[test]
fn pages_carry_their_policy_and_are_not_kept() {
    let server = pages(Pages::new([
        Asset::new("index.html", "<!doctype html>login"),
        Asset::new("chat.html", "<!doctype html>chat"),
        Asset::new("js/chat.js", "\"use strict\";"),
    ]));
    for (path, content_type, body) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>login"),
        ("/chat", "text/html; charset=utf-8", "<!doctype html>chat"),
        (
            "/chat?nick=a&room=b",
            "text/html; charset=utf-8",
            "<!doctype html>chat",
        ),
        (
            "/js/chat.js",
            "text/javascript; charset=utf-8",
            "\"use strict\";",
        ),
    ] {
        let answer = get(&server, path);
        assert_eq!((answer.status, &*answer.body), (200, body), "{path}");
        assert_eq!(answer.field("Content-Type"), Some(content_type));
        let policy = answer.field("Content-Security-Policy").expect("a policy");
        assert!(policy.contains("default-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.field("Referrer-Policy"), Some("no-referrer"));
        let is_page = content_type.starts_with("text/html");
        let caching = if is_page { "no-store" } else { "no-cache" };
        assert_eq!(answer.field("Cache-Control"), Some(caching));
    }
    assert_eq!(get(&server, "/chat.html").status, 404);
}

#[test]
fn what_the_browser_has_already_is_not_sent_again() {
    let server = pages(Pages::new([
        Asset::new("a.js", "1"),
        Asset::new("b.js", "2"),
        Asset::new("index.html", "3"),
    ]));
    let tag = |path| String::from(get(&server, path).field("ETag").expect("a tag"));
    let [a, b, page] = ["/a.js", "/b.js", "/"].map(tag);
    assert_ne!(a, b);
    let again = |path: &str, known: &str| {
        let line = format!("GET {path} HTTP/1.1");
        ask(
            &server,
            &[&line, "Host: localhost", &format!("If-None-Match: {known}")],
        )
    };
    for known in [&a, &format!("W/{a}"), &format!("{b}, {a}"), "*"] {
        let answer = again("/a.js", known);
        assert_eq!((answer.status, &*answer.body), (304, ""), "{known}");
        assert_eq!(answer.field("ETag"), Some(&*a));
    }
    assert_eq!(again("/a.js", &b).status, 200);
    assert_eq!(again("/", &page).status, 200);
}

struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        let folder = path.parent().expect("below the directory");
        fs::create_dir_all(folder).expect("a directory");
        fs::write(&path, content).expect("a file");
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_directory_takes_the_place_of_pages_and_adds_others() {
    let dir = TempDir::new("static");
    dir.write("index.html", "mine");
    dir.write("css/mine.css", "p {}");
    dir.write("about/index.html", "about");
    dir.write(".hidden", "secret");
    let built_in = || {
        [
            Asset::new("index.html", "built in"),
            Asset::new("chat.js", "1"),
        ]
    };
    let path = dir.0.display().to_string();
    let args = flags(&["--static-dir", &path]).site;
    let server = pages(args.pages(built_in()).expect("readable"));
    assert_eq!(get(&server, "/").body, "mine");
    assert_eq!(get(&server, "/chat.js").body, "1");
    assert_eq!(
        get(&server, "/css/mine.css").field("Content-Type"),
        Some("text/css; charset=utf-8")
    );
    assert_eq!(get(&server, "/about").body, "about");
    for path in ["/.hidden", "/../etc/passwd", "/%2e%2e/", "/css/../.hidden"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }

    dir.write("a b.html", "");
    let error = args.pages(built_in()).expect_err("a space");
    assert!(error.to_string().contains("a b.html"), "{error}");
    let missing = flags(&["--static-dir", "/nowhere/at/all"])
        .site
        .pages(built_in());
    let sentence = missing.expect_err("no such directory").to_string();
    assert!(
        sentence.starts_with("cannot read /nowhere/at/all: "),
        "{sentence}"
    );
}

#[test]
fn a_bearer_token_opens_and_nothing_like_it_does() {
    let dir = TempDir::new("bearer");
    dir.write("token", "0123456789abcdef\n");
    dir.write("empty", "\n");
    dir.write("spaced", "0123456789 abcdef");
    let bearer = Bearer::read(&dir.0.join("token")).expect("a token");
    let door = bearer.clone();
    let router = Router::new().post("/api", move |request| match door.check(request) {
        Ok(()) => Response::new(204),
        Err(refusal) => refusal,
    });
    let server = TestServer::new(router.expect("a good route"));
    let check = |values: &[&str]| {
        let fields: Vec<_> = values
            .iter()
            .map(|value| format!("Authorization: {value}"))
            .collect();
        let fields = fields.iter().map(String::as_str);
        let lines: Vec<_> = ["POST /api HTTP/1.1", "Host: localhost"]
            .into_iter()
            .chain(fields)
            .collect();
        let answer = ask(&server, &lines);
        if answer.status == 204 {
            return true;
        }
        assert_eq!(answer.status, 401);
        assert_eq!(answer.field("WWW-Authenticate"), Some("Bearer"));
        false
    };
    for value in [
        "Bearer 0123456789abcdef",
        "bearer 0123456789abcdef",
        "BEARER  0123456789abcdef",
    ] {
        assert!(check(&[value]), "{value}");
    }
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdeg",
        "Bearer 0123456789abcdef0",
        "Bearer 0123456789ABCDEF",
        "Basic 0123456789abcdef",
        "0123456789abcdef",
    ] {
        assert!(!check(&[value]), "{value}");
    }
    let good = "Bearer 0123456789abcdef";
    assert!(!check(&[good, good]));
    assert!(!check(&[]));
    for name in ["empty", "spaced", "missing"] {
        let sentence = Bearer::read(&dir.0.join(name)).expect_err(name).to_string();
        assert!(
            sentence.contains(name) && !sentence.contains("0123"),
            "{sentence}"
        );
    }
    let empty = Bearer::read(&dir.0.join("empty")).expect_err("nothing");
    assert!(empty.to_string().starts_with("there is no token in "));
    assert!(!format!("{bearer:?}").contains("0123"));
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let caps = flags(&["--max-per-address=3"]).caps.caps();
    let router = Router::new().ws("/ws", move |_, cx| {
        let admission = Some(caps.admit(client_ip(cx))?);
        Ok::<_, Response>(Idle { admission })
    });
    let site = site(&["--trust-proxy=127.0.0.1"]);
    let server = TestServer::new(router.expect("good routes").wrap(site));
    let mut clients: Vec<_> = (0..3)
        .map(|_| server.connect("/ws").expect("room"))
        .collect();
    let refused = upgrade(&server, "/ws", &["Host: localhost"]);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"], "too-many");
    assert!(refused.field("Retry-After").is_some());
    // Others, and those behind the same proxy, have their own.
    let other = ["Host: localhost", "X-Forwarded-For: 203.0.113.9"];
    assert_eq!(upgrade(&server, "/ws", &other).status, 101);

    clients.pop();
    server.connect("/ws").expect("room again");
    // The one that has just been dropped without a Close has made room, too.
    let mut last = server.connect("/ws").expect("room again");
    last.close(CloseCode::NORMAL, "");
    server.advance(core::time::Duration::from_secs(10));
    assert_eq!(upgrade(&server, "/ws", &["Host: localhost"]).status, 101);
}

#[test]
fn the_caps_are_256_for_an_address_and_10_for_a_user() {
    let caps = flags(&[]).caps.caps();
    let ip = Some([203, 0, 113, 9].into());
    let admitted: Vec<_> = (0..256).map(|_| caps.admit(ip).expect("room")).collect();
    assert_eq!(caps.admit(ip).expect_err("full").status(), 429);
    drop(admitted);
    assert!(caps.admit(ip).is_ok());

    let [ana, bob] = ["ana", "bob"].map(|name| Name::parse(name).expect("a name"));
    let mut admitted: Vec<_> = (0..10).map_while(|_| caps.admit_user(&ana)).collect();
    assert_eq!(admitted.len(), 10);
    assert!(caps.admit_user(&ana).is_none());
    assert!(caps.admit_user(&bob).is_some());
    // One goes, and one may come.
    admitted.pop();
    let _one = caps.admit_user(&ana).expect("room again");
    assert!(caps.admit_user(&ana).is_none());
}

#[test]
fn an_ipv6_network_is_one_address_and_no_address_is_not_counted() {
    let caps = Caps::new(1, 1);
    let ip = |text: &str| Some(text.parse().expect("an address"));
    let _one = caps.admit(ip("2001:db8::1")).expect("room");
    assert!(caps.admit(ip("2001:db8::ffff:1")).is_err());
    let _other = caps.admit(ip("2001:db8:0:1::1")).expect("another network");
    let admitted: Vec<_> = (0..5).map_while(|_| caps.admit(None).ok()).collect();
    assert_eq!(admitted.len(), 5);
    assert!(Caps::new(0, 0).admit(ip("::1")).is_err());
}

#[test]
fn health_and_readiness_follow_the_server() {
    let metrics = Metrics::new();
    let router = metrics.mount(Router::new()).expect("good routes");
    let server = TestServer::new(router.wrap(site(&[])));
    let well = |path| {
        let answer = get(&server, path);
        assert_eq!(answer.field("Cache-Control"), Some("no-store"), "{path}");
        (answer.status, answer.json())
    };
    assert_eq!(well("/healthz").0, 200);
    assert_eq!(well("/readyz"), (200, json!({"ready": true})));
    metrics.set_degraded(true);
    assert_eq!(
        well("/readyz"),
        (200, json!({"ready": true, "degraded": true}))
    );
    metrics.set_degraded(false);
    assert_eq!(well("/readyz"), (200, json!({"ready": true})));
    metrics.drain();
    assert_eq!(well("/readyz").0, 503);
    assert_eq!(well("/healthz").0, 200);
}

#[test]
fn metrics_have_the_names_that_are_promised() {
    let metrics = Metrics::new();
    let router = metrics.mount(Router::new()).expect("good routes");
    let server = TestServer::new(router);
    let page = || get(&server, "/metrics").body;
    let has = |line: &str| {
        let page = page();
        assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
    };
    has("sockeye_connections 0");
    has("sockeye_degraded 0");
    has("sockeye_messages_total{direction=\"received\"} 0");
    let [first, second] = [(); 2].map(|()| metrics.connection());
    has("sockeye_connections 2");
    drop((first, second));
    has("sockeye_connections 0");
    metrics.received(2);
    metrics.sent(5);
    has("sockeye_messages_total{direction=\"received\"} 2");
    has("sockeye_messages_total{direction=\"sent\"} 5");
    metrics.set_degraded(true);
    has("sockeye_degraded 1");
    for code in [1000, 1000, 4008] {
        metrics.closed(CloseCode::new(code));
    }
    has("sockeye_closes_total{code=\"1000\"} 2");
    has("sockeye_closes_total{code=\"4008\"} 1");
    metrics.register(|registry| {
        let rooms = Gauge::<i64>::default();
        rooms.set(7);
        registry.register("rooms", "Rooms with members", rooms);
    });
    has("sockeye_rooms 7");
    assert!(page().ends_with("# EOF\n"));
}

#[test]
fn a_peer_cannot_make_a_label_of_every_code() {
    let metrics = Metrics::new();
    (0..=u16::MAX).for_each(|code| metrics.closed(CloseCode::new(code)));
    let server = TestServer::new(metrics.mount(Router::new()).expect("good routes"));
    let page = get(&server, "/metrics").body;
    let labels = page
        .lines()
        .filter(|line| line.starts_with("sockeye_closes_total{"));
    assert!(labels.count() < 150);
}

#[test]
fn an_answer_in_json_is_not_kept() {
    let response = http::json(202, &json!({"off": 1}));
    assert_eq!(response.status(), 202);
    assert_eq!(
        response.value("Content-Type"),
        Some(&b"application/json"[..])
    );
    assert_eq!(response.value("Cache-Control"), Some(&b"no-store"[..]));
    assert_eq!(&response.content()[..], br#"{"off":1}"#);
    let error = http::error(400, "bad-request", "it is <b>\"wrong\"</b>");
    assert_eq!(
        &error.content()[..],
        br#"{"error":"bad-request","reason":"it is <b>\"wrong\"</b>"}"#
    );
}
