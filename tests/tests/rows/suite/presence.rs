//! Features of YAWF's presence example: a token in each message says who is online. What runs
//! is the program's own service.

use core::time::Duration;
use std::io::Write;
use std::sync::mpsc::channel;
use std::thread;
use std::time::SystemTime;

use clap::Parser;
use serde_json::{Value, json};
use sockeye_handler::{
    CloseCode, Closed, Config, Context, Handler, Message, Opening, OwnedMessage, Request,
    service_fn,
};
use sockeye_kit::name::Name;
use sockeye_kit::token::{KeyArgs, Signer};
use sockeye_presence::{Args, Command};
use sockeye_tests::adapter::{Running, Socket};
use sockeye_tests::wire::{FIN, PATIENCE, PING, Raw, TEXT};
use tempfile::NamedTempFile;

use super::bench::{
    Client, Server, ask, connect, end_code, get, json as received, recv, serve, serve_with,
    try_connect,
};

const HOUR: Duration = Duration::from_secs(3600);

/// The program, with a key that this test has, too.
struct Presence {
    server: Server,
    signer: Signer,
    key: NamedTempFile,
}

impl Presence {
    fn start(flags: &[&str]) -> Self {
        Self::with_config(flags, |_| {})
    }

    fn with_config(flags: &[&str], configure: impl FnOnce(&mut Config)) -> Self {
        let mut key = NamedTempFile::new().expect("a file");
        key.write_all(b"0123456789abcdef0123456789abcdef")
            .expect("a file");
        let path = key.path().display().to_string();
        let signer = KeyArgs {
            jwt_key: Some(key.path().into()),
            ..KeyArgs::default()
        };
        let flags = [&["--jwt-key", &path], flags].concat();
        Self {
            server: serve_with(service(&flags), configure),
            signer: signer.signer().expect("a good key").expect("a key"),
            key,
        }
    }

    fn message(&self, user: &str, ttl: Duration) -> String {
        let user = Name::parse(user).expect("a name");
        message(&self.signer.sign(&user, ttl, SystemTime::now()))
    }

    /// A connection of this user.
    fn join(&self, user: &str) -> Client {
        let mut client = connect(&self.server, "/echo");
        let message = self.message(user, HOUR);
        assert_eq!(ask(&mut client, &message), message);
        client
    }

    /// Follows what changes. The state has come.
    fn watch(&self) -> Client {
        let mut watcher = connect(&self.server, "/watch");
        assert_eq!(received(&mut watcher)["type"], "state");
        watcher
    }

    /// Who is online, as plain HTTP says.
    fn users(&self) -> Vec<String> {
        let answer = get(self.server.address(), "/presence");
        let listing: Value = serde_json::from_str(&answer.body).expect("JSON");
        let users = listing["users"].as_array().expect("a list").iter();
        users
            .map(|user| user["id"].as_str().expect("a name").into())
            .collect()
    }

    /// How a new connection ends that begins with this message.
    fn refuses(&self, message: impl Into<OwnedMessage>) -> (u16, String) {
        let mut client = connect(&self.server, "/echo");
        client.send(message).expect("open");
        end_code(&mut client)
    }
}

fn service(flags: &[&str]) -> sockeye_presence::Presence {
    let args = ["sockeye-presence", "--listen", "127.0.0.1:0"];
    let args = Args::try_parse_from([&args, flags].concat()).expect("good flags");
    args.service().expect("it starts")
}

fn message(token: &str) -> String {
    format!(r#"{{"jwt":"{token}"}}"#)
}

/// Waits until somebody has come or gone.
fn wait_for(watcher: &mut Client, what: &str, user: &str) {
    while !received(watcher)[what]
        .as_array()
        .is_some_and(|users| users.contains(&json!(user)))
    {}
}

fn invalid() -> (u16, String) {
    (1007, "Invalid Message".into())
}

fn expired() -> (u16, String) {
    (1007, "Expired Token".into())
}

#[test]
fn row_08_a_message_is_checked_before_anything_is_done_with_it() {
    let presence = Presence::start(&[]);
    let good = presence.message("ana", HOUR);
    let more = good.replace('}', ",\"more\":1}");
    assert_eq!(presence.refuses(more), invalid());
    assert!(presence.users().is_empty());
    // This one has the right shape, so that its token is looked at.
    assert_eq!(presence.refuses(message("x")), expired());
}

#[test]
fn row_09_messages_have_a_schema_with_typed_and_bounded_fields() {
    let schema = sockeye_presence::Message::schema();
    let jwt = &schema["properties"]["jwt"];
    assert_eq!(jwt["type"], "string");
    assert_eq!(
        (&jwt["minLength"], &jwt["maxLength"]),
        (&json!(1), &json!(8192))
    );
    assert_eq!(schema["required"], json!(["jwt"]));
    assert_eq!(schema["additionalProperties"], json!(false));

    let presence = Presence::start(&[]);
    let longest = message(&"x".repeat(8192));
    assert_eq!(presence.refuses(longest), expired());
    for wrong in [
        message(&"x".repeat(8193)),
        message(""),
        r#"{"jwt":5}"#.into(),
        r#"{"jwt":null}"#.into(),
        "{}".into(),
        r#"{"JWT":"x"}"#.into(),
        r#"{"jwt":"x","id":1}"#.into(),
    ] {
        assert_eq!(presence.refuses(wrong.clone()), invalid(), "{wrong}");
    }
}

#[test]
fn row_10_what_is_no_message_closes_with_1007_invalid_message() {
    let presence = Presence::start(&[]);
    let good = presence.message("ana", HOUR);
    for wrong in ["", "hello", "{", "[]", "null", &format!("{good}{good}")] {
        assert_eq!(presence.refuses(wrong), invalid(), "{wrong}");
    }
    assert_eq!(presence.refuses(good.into_bytes()), invalid(), "binary");
}

#[test]
fn row_11_each_message_carries_a_token_and_its_user_is_there() {
    let presence = Presence::start(&[]);
    let mut client = connect(&presence.server, "/echo");
    for _ in 0..3 {
        let message = presence.message("ana", HOUR);
        assert_eq!(ask(&mut client, &message), message);
        assert_eq!(presence.users(), ["ana"]);
    }
    // Another's token is not this connection's.
    client.send(presence.message("bob", HOUR)).expect("open");
    assert_eq!(end_code(&mut client), (1008, "other user".into()));
}

#[test]
fn row_12_a_token_that_is_expired_or_wrong_closes_with_1007_expired_token() {
    let presence = Presence::start(&[]);
    let (_, stranger) = sockeye_kit::token::demo().expect("randomness");
    let ana = Name::parse("ana").expect("a name");
    let forged = stranger.sign(&ana, HOUR, SystemTime::now());
    let old = presence
        .signer
        .sign(&ana, HOUR, SystemTime::now() - 2 * HOUR);
    for token in ["x", "a.b.c", &forged, &old] {
        assert_eq!(presence.refuses(message(token)), expired(), "{token}");
    }
    assert!(presence.users().is_empty());
    // One that expires meanwhile ends its connection, at most a second later.
    let mut client = connect(&presence.server, "/echo");
    let short = presence.message("ana", Duration::from_millis(300));
    assert_eq!(ask(&mut client, &short), short);
    assert_eq!(end_code(&mut client), expired());
    assert!(presence.users().is_empty());
}

#[test]
fn row_13_tokens_are_made_by_the_program_and_refreshed_on_the_connection() {
    let presence = Presence::start(&[]);
    let path = presence.key.path().display().to_string();
    let flags = [
        "sockeye-presence",
        "token",
        "--id",
        "cyd",
        "--jwt-key",
        &path,
    ];
    let args = Args::try_parse_from(flags).expect("good flags");
    let Some(Command::Token(args)) = args.command else {
        panic!("another command");
    };
    let made = message(&args.token().expect("a token"));
    assert_eq!(ask(&mut connect(&presence.server, "/echo"), &made), made);

    // Both expire at once, and one is refreshed in time.
    let short = Duration::from_millis(700);
    let [mut refreshed, mut other] = ["ana", "bob"].map(|user| {
        let mut client = connect(&presence.server, "/echo");
        let message = presence.message(user, short);
        assert_eq!(ask(&mut client, &message), message);
        client
    });
    let newer = presence.message("ana", HOUR);
    assert_eq!(ask(&mut refreshed, &newer), newer);
    assert_eq!(end_code(&mut other), expired());
    assert_eq!(ask(&mut refreshed, &newer), newer);
}

#[cfg(feature = "redis")]
#[test]
fn row_14_a_redis_hash_says_who_is_connected() {
    use redis::Commands;

    let redis = sockeye_tests::redis::Redis::start();
    let mut store = redis.connect();
    // The original's layout: the name alone is the key.
    let url = redis.url();
    let presence = Presence::start(&["--redis", &url, "--key-prefix", ""]);
    let mut connected = |expected: &str| {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let found: Option<String> = store.hget("ana", "connected").expect("a hash");
            if found.as_deref() == Some(expected) {
                return store.ttl("ana").expect("a time");
            }
            assert!(std::time::Instant::now() < until, "{found:?}");
            thread::yield_now();
        }
    };
    let mut client = presence.join("ana");
    let ttl: i64 = connected("True");
    assert!((1..=30).contains(&ttl), "{ttl}");
    client.close(CloseCode::NORMAL, "").expect("a code");
    let ttl = connected("False");
    assert!((23 * 3600..=24 * 3600).contains(&ttl), "{ttl}");
}

/// Reports its end.
struct Fragile(std::sync::mpsc::Sender<CloseCode>);

impl Handler for Fragile {
    fn on_message(&mut self, message: Message<'_>, _: &mut Context<'_>) {
        assert_ne!(message.as_bytes(), b"panic", "as you wish");
    }

    fn on_close(&mut self, closed: &Closed) {
        let _ = self.0.send(closed.code);
    }
}

#[test]
fn row_15_a_handler_is_told_of_the_end_whatever_has_brought_it() {
    let (ends, ended) = channel();
    let server = serve(service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| {
        Fragile(ends.clone())
    }));
    let hear = || ended.recv_timeout(PATIENCE).expect("an end");
    let mut client = connect(&server, "/");
    client.send("panic").expect("open");
    assert_eq!(end_code(&mut client).0, 1011);
    assert_eq!(hear(), CloseCode::INTERNAL_ERROR);
    drop(connect(&server, "/"));
    assert_eq!(hear(), CloseCode::ABNORMAL);
    let mut client = connect(&server, "/");
    client.close(CloseCode::NORMAL, "").expect("a code");
    assert_eq!(hear(), CloseCode::NORMAL);
}

#[test]
fn row_15_who_leaves_is_gone_at_once_and_who_is_lost_after_the_grace_period() {
    let presence = Presence::start(&["--grace", "1h", "--coalesce", "10ms"]);
    let mut watcher = presence.watch();
    let mut client = presence.join("ana");
    wait_for(&mut watcher, "join", "ana");
    client.close(CloseCode::NORMAL, "").expect("a code");
    wait_for(&mut watcher, "leave", "ana");
    let presence = Presence::start(&["--grace", "100ms", "--coalesce", "10ms"]);
    let mut watcher = presence.watch();
    drop(presence.join("bob"));
    wait_for(&mut watcher, "leave", "bob");
    assert!(presence.users().is_empty());
}

#[test]
fn row_16_ping_and_pong_watch_over_who_is_there() {
    let interval = Duration::from_secs(1);
    let presence = Presence::with_config(&["--grace", "50ms"], |config| {
        (config.ping_interval, config.pong_timeout) = (Some(interval), interval);
    });
    let mut watcher = presence.watch();
    let (told, changes) = channel();
    // Receiving is what answers Pings.
    thread::spawn(move || {
        while let Some(message) = watcher.recv() {
            let change = message.as_text().map(serde_json::from_str::<Value>);
            let _ = told.send(change.expect("text").expect("JSON"));
        }
    });
    // A loop of the application, which answers the Pings below it, too ...
    let mut alive = presence.join("ana");
    let again = presence.message("ana", HOUR);
    // ... and a peer that answers nothing any more.
    let mut dead = Raw::open_path(presence.server.address(), "/echo");
    dead.send(FIN | TEXT, presence.message("bob", HOUR).as_bytes());
    assert_eq!(dead.read().first, FIN | TEXT);
    let mut left = false;
    while !left {
        let change = changes.recv_timeout(interval / 10);
        left = change.is_ok_and(|change| change["leave"] == json!(["bob"]));
        assert_eq!(ask(&mut alive, &again), again);
    }
    assert_eq!(dead.read().first, FIN | PING);
    assert_eq!(presence.users(), ["ana"]);
}

#[test]
fn row_18_the_page_keeps_its_token_and_plays_ping_pong() {
    let server = serve(service(&[]));
    let address = server.address();
    let page = get(address, "/").body;
    let scripts: String = ["/assets/presence.js", "/assets/me.js", "/assets/link.js"]
        .map(|path| get(address, path).body)
        .concat();
    assert!(page.contains("/assets/presence.js"), "{page}");
    for part in [
        "localStorage",
        "/demo-token",
        "new WebSocket(",
        "wss:",
        "\"/echo\"",
    ] {
        assert!(scripts.contains(part), "{part}");
    }
    // What the page does.
    let token = get(address, "/demo-token?id=ana");
    assert_eq!(token.status, 200);
    let client = try_connect(&server, "/echo", |options| {
        options.origin = Some(format!("http://{address}"));
    });
    let mut client = client.expect("the page may connect");
    let ping = message(&token.body);
    for _ in 0..3 {
        client.send(ping.as_str()).expect("open");
        assert_eq!(recv(&mut client), Some(ping.clone().into()));
    }
}
