//! The presence service, over real sockets; its rules are tested without them.

use core::time::Duration;
use std::io::Read;
use std::sync::mpsc::channel;
use std::thread;

use serde_json::{Value, json};
use sockeye_async::{ConnectOptions, ServeOptions};
use sockeye_core::{CloseCode, Config, OwnedMessage};
use sockeye_kit::clock::Clock;
use sockeye_kit::http::SiteArgs;
use sockeye_kit::name::Name;
use sockeye_kit::token::{Signer, demo};
use sockeye_presence::{Options, Presence, page};
use sockeye_tests::adapter::{Adapter as _, Running, Socket};
use sockeye_tests::wire::{CLOSE, FIN, PATIENCE, Raw, TEXT, UPGRADE};

use super::Adapter;

type Server = <Adapter as sockeye_tests::adapter::Adapter>::Server;
type WebSocket = <Adapter as sockeye_tests::adapter::Adapter>::WebSocket;

const HOUR: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_millis(300);

struct Deployment {
    server: Server,
    signer: Signer,
}

impl Deployment {
    fn start() -> Self {
        Self::with(|_| {})
    }

    /// As it is shipped, but for times that a test would have to wait for.
    fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let (verifier, signer) = demo().expect("randomness");
        let site = SiteArgs::default();
        let mut options = Options::new(verifier, site.site("127.0.0.1:0").expect("no flags"));
        options.directory.grace = GRACE;
        options.directory.coalesce = Duration::from_millis(50);
        options.demo = Some(signer.clone());
        let pages = site.pages(page::assets()).expect("pages");
        let mut presence = Presence::new(options, pages, Clock::system()).expect("paths");
        presence.start().expect("a thread");
        let mut config = Config::default();
        config.max_message = 16 << 10;
        configure(&mut config);
        let mut serving = ServeOptions::default();
        serving.config = config.share().expect("valid limits");
        Self {
            server: Adapter::serve(presence, &serving),
            signer,
        }
    }

    fn open(&self, path: &str) -> WebSocket {
        let url = format!("ws://{}{path}", self.server.address());
        Adapter::connect(&url, &ConnectOptions::default()).expect("accepted")
    }

    fn message(&self, user: &str, ttl: Duration) -> String {
        let user = Name::parse(user).expect("a name");
        message(&self.signer.sign(&user, ttl, Clock::system().wall()))
    }

    /// A connection to `/echo` that has said whose it is.
    fn join(&self, user: &str) -> WebSocket {
        let mut ws = self.open("/echo");
        let message = self.message(user, HOUR);
        ws.send(&*message).expect("open");
        assert_eq!(ws.recv(), Some(OwnedMessage::from(message)));
        ws
    }

    /// A watcher, behind its first message.
    fn watch(&self) -> WebSocket {
        let mut ws = self.open("/watch");
        assert_eq!(received(&mut ws)["type"], "state");
        ws
    }

    /// Head and body of a page.
    fn get(&self, path: &str) -> (String, String) {
        let mut raw = Raw::silent(self.server.address());
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        let mut answer = String::new();
        raw.0.read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.into(), body.into())
    }

    fn is_connected(&self, user: &str) -> bool {
        let (_, body) = self.get(&format!("/presence/{user}"));
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["connected"] == true
    }
}

fn message(token: &str) -> String {
    json!({ "jwt": token }).to_string()
}

fn received(ws: &mut WebSocket) -> Value {
    let message = ws.recv().expect("a message");
    serde_json::from_str(message.as_text().expect("text")).expect("JSON")
}

/// Who has come and who has gone, in the next message.
fn diff(ws: &mut WebSocket) -> (Value, Value) {
    let mut diff = received(ws);
    assert_eq!(diff["type"], "diff");
    (diff["join"].take(), diff["leave"].take())
}

/// Waits for the end; its code and reason.
fn end(ws: &mut WebSocket) -> (u16, String) {
    while ws.recv().is_some() {}
    let closed = ws.closed().expect("an end");
    (closed.code.as_u16(), closed.reason.to_string())
}

#[test]
fn row_09_a_message_is_checked_before_anything_else() {
    let deployment = Deployment::start();
    let mut ws = deployment.open("/echo");
    ws.send(r#"{"jwt":"x","more":1}"#).expect("open");
    assert_eq!(end(&mut ws), (1007, "Invalid Message".into()));
}

#[test]
fn row_10_what_is_no_message_closes_with_1007_invalid_message() {
    let deployment = Deployment::start();
    let good = deployment.message("ana", HOUR);
    for bad in [
        OwnedMessage::from("no JSON"),
        OwnedMessage::from(format!("{good}{good}")),
        OwnedMessage::from(good.as_bytes()),
    ] {
        let mut ws = deployment.open("/echo");
        ws.send(bad).expect("open");
        assert_eq!(end(&mut ws), (1007, "Invalid Message".into()));
    }
    assert!(!deployment.is_connected("ana"));
}

#[test]
fn row_11_each_message_says_who_it_is_and_is_answered() {
    let deployment = Deployment::start();
    let mut ws = deployment.open("/echo");
    for _ in 0..20 {
        let message = deployment.message("ana", HOUR);
        ws.send(&*message).expect("open");
        assert_eq!(ws.recv(), Some(OwnedMessage::from(message)));
        assert!(deployment.is_connected("ana"));
    }
    ws.send(deployment.message("bob", HOUR)).expect("open");
    assert_eq!(end(&mut ws), (1008, "other user".into()));
}

#[test]
fn row_12_a_token_that_has_expired_closes_with_1007_expired_token() {
    let deployment = Deployment::start();
    let mut ws = deployment.open("/echo");
    ws.send(message("not.a.token")).expect("open");
    assert_eq!(end(&mut ws), (1007, "Expired Token".into()));
    // And one that does so while the connection is open.
    let mut ws = deployment.open("/echo");
    let message = deployment.message("ana", Duration::from_millis(700));
    ws.send(&*message).expect("open");
    assert_eq!(ws.recv(), Some(OwnedMessage::from(message)));
    let start = std::time::Instant::now();
    assert_eq!(end(&mut ws), (1007, "Expired Token".into()));
    assert!(start.elapsed() < Duration::from_millis(1700));
    assert!(!deployment.is_connected("ana"));
}

#[test]
fn row_13_a_refresh_keeps_the_connection() {
    let deployment = Deployment::start();
    let mut ws = deployment.open("/echo");
    for ttl in [Duration::from_millis(600), HOUR] {
        let message = deployment.message("ana", ttl);
        ws.send(&*message).expect("open");
        assert_eq!(ws.recv(), Some(OwnedMessage::from(message)));
    }
    assert!(ws.recv_within(Duration::from_millis(1200)).is_none());
    assert!(deployment.is_connected("ana"));
}

#[test]
fn row_15_whoever_breaks_the_loop_is_offline() {
    let deployment = Deployment::start();
    let mut watcher = deployment.watch();
    let came = |watcher: &mut WebSocket| {
        assert_eq!(diff(watcher), (json!(["ana"]), json!([])));
    };
    let went = |watcher: &mut WebSocket| {
        assert_eq!(diff(watcher), (json!([]), json!(["ana"])));
        assert!(!deployment.is_connected("ana"));
    };
    // By a Close frame: at once.
    let mut ws = deployment.join("ana");
    came(&mut watcher);
    ws.close(CloseCode::NORMAL, "").expect("open");
    assert!(!deployment.is_connected("ana"));
    went(&mut watcher);
    // By a message that is wrong.
    let mut ws = deployment.join("ana");
    came(&mut watcher);
    ws.send("{}").expect("open");
    went(&mut watcher);
    // By nothing at all: after the grace period.
    drop(deployment.join("ana"));
    came(&mut watcher);
    assert!(deployment.is_connected("ana"));
    went(&mut watcher);
}

#[test]
fn row_16_ping_and_pong_tell_who_is_online() {
    let deployment = Deployment::with(|config| {
        config.ping_interval = Some(Duration::from_millis(300));
        config.pong_timeout = Duration::from_millis(300);
    });
    let mut watcher = deployment.watch();
    let (told, diffs) = channel();
    // Its pings are answered while it waits.
    thread::spawn(move || while told.send(diff(&mut watcher)).is_ok() {});
    let next = || diffs.recv_timeout(PATIENCE).expect("a diff");
    // One that goes on stays ...
    let mut lively = deployment.join("ana");
    assert_eq!(next(), (json!(["ana"]), json!([])));
    // ... and one whose machine has been unplugged does not.
    let mut silent = Raw::silent(deployment.server.address());
    silent.write(
        UPGRADE
            .replace("/path", "/echo")
            .replace("test", "localhost")
            .as_bytes(),
    );
    silent.read_head();
    let message = deployment.message("bob", HOUR);
    silent.send(FIN | TEXT, message.as_bytes());
    assert_eq!(silent.read().payload, message.as_bytes());
    assert_eq!(next(), (json!(["bob"]), json!([])));
    let gone = loop {
        let message = deployment.message("ana", HOUR);
        lively.send(&*message).expect("open");
        assert_eq!(lively.recv(), Some(OwnedMessage::from(message)));
        assert!(lively.recv_within(Duration::from_millis(100)).is_none());
        if let Ok(diff) = diffs.try_recv() {
            break diff;
        }
    };
    assert_eq!(gone, (json!([]), json!(["bob"])));
    while silent.read().first != FIN | CLOSE {}
    assert!(deployment.is_connected("ana"));
}

#[test]
fn row_18_the_page_shows_the_ping_pong_flow() {
    let deployment = Deployment::start();
    let (head, page) = deployment.get("/");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("Content-Security-Policy: default-src 'self'"),
        "{head}"
    );
    for part in page
        .split(['"', '\''])
        .filter(|part| part.starts_with("/assets/"))
    {
        let (head, _) = deployment.get(part);
        assert!(head.starts_with("HTTP/1.1 200 "), "{part}: {head}");
    }
    assert!(page.contains("/assets/"), "{page}");
    // What its script does: a token, a message, the answer, and again.
    let (_, token) = deployment.get("/demo-token?id=ana");
    let mut ws = deployment.open("/echo");
    for _ in 0..3 {
        ws.send(message(&token)).expect("open");
        assert_eq!(ws.recv(), Some(message(&token).into()));
    }
    assert!(deployment.is_connected("ana"));
}

#[test]
fn watchers_on_all_threads_hear_of_everybody() {
    let deployment = Deployment::start();
    let mut watchers: Vec<WebSocket> = (0..20).map(|_| deployment.watch()).collect();
    let users: Vec<String> = (0..50).map(|number| format!("user{number:02}")).collect();
    let sockets: Vec<WebSocket> = users.iter().map(|user| deployment.join(user)).collect();
    let (_, listing) = deployment.get("/presence");
    let listing: Value = serde_json::from_str(&listing).expect("JSON");
    for watcher in &mut watchers {
        let mut known = Vec::new();
        let mut rev = Value::Null;
        while known.len() < users.len() {
            let diff = received(watcher);
            let join = diff["join"].as_array().expect("names");
            known.extend(
                join.iter()
                    .map(|id| id.as_str().expect("a name").to_owned()),
            );
            rev = diff["rev"].clone();
        }
        known.sort();
        assert_eq!(known, users);
        assert_eq!(rev, listing["rev"]);
    }
    drop(sockets);
}
