//! The presence service with many connections, over real sockets.

use core::time::Duration;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_async::{ConnectOptions, ServeOptions, Shutdown};
use sockeye_core::OwnedMessage;
use sockeye_kit::clock::Clock;
use sockeye_kit::http::SiteArgs;
use sockeye_kit::name::Name;
use sockeye_kit::token::{Signer, demo};
use sockeye_presence::{Options, Presence, page};
use sockeye_tests::adapter::{Adapter as _, Running, Socket};
use sockeye_tests::wire::PATIENCE;

use super::Adapter;

type WebSocket = <Adapter as sockeye_tests::adapter::Adapter>::WebSocket;

const HOUR: Duration = Duration::from_secs(3600);

struct Node {
    server: <Adapter as sockeye_tests::adapter::Adapter>::Server,
    signer: Signer,
}

impl Node {
    fn start() -> Self {
        let (verifier, signer) = demo().expect("randomness");
        let site = SiteArgs::default();
        let mut options = Options::new(verifier, site.site("127.0.0.1:0").expect("no flags"));
        options.directory.coalesce = Duration::from_millis(50);
        let pages = site.pages(page::assets()).expect("pages");
        let mut presence = Presence::new(options, pages, Clock::system()).expect("paths");
        presence.start().expect("a thread");
        Self {
            server: Adapter::serve(presence, &ServeOptions::default()),
            signer,
        }
    }

    fn open(&self, path: &str) -> WebSocket {
        let url = format!("ws://{}{path}", self.server.address());
        Adapter::connect(&url, &ConnectOptions::default()).expect("accepted")
    }

    /// A connection to `/echo` that has said whose it is.
    fn join(&self, user: &str) -> WebSocket {
        let mut ws = self.open("/echo");
        let user = Name::parse(user).expect("a name");
        let token = self.signer.sign(&user, HOUR, Clock::system().wall());
        let message = json!({ "jwt": token }).to_string();
        ws.send(&*message).expect("open");
        assert_eq!(ws.recv(), Some(OwnedMessage::from(message)));
        ws
    }

    /// A watcher, behind its first message.
    fn watch(&self) -> WebSocket {
        let mut ws = self.open("/watch");
        assert_eq!(received(&mut ws).expect("a message")["type"], "state");
        ws
    }
}

fn received(ws: &mut WebSocket) -> Option<Value> {
    let message = ws.recv_within(PATIENCE).expect("in time")?;
    Some(serde_json::from_str(message.as_text().expect("text")).expect("JSON"))
}

fn names(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).expect("names")
}

#[test]
fn watchers_on_all_threads_hear_of_everybody_in_the_same_steps() {
    let node = Node::start();
    let mut watchers: Vec<WebSocket> = (0..20).map(|_| node.watch()).collect();
    let users: Vec<String> = (0..50).map(|number| format!("user{number:02}")).collect();
    let _members: Vec<WebSocket> = users.iter().map(|user| node.join(user)).collect();
    let heard = watchers.iter_mut().map(|watcher| {
        let mut diffs = Vec::new();
        let mut known = Vec::new();
        while known.len() < users.len() {
            let diff = received(watcher).expect("a diff");
            known.extend(names(&diff["join"]));
            diffs.push(diff);
        }
        known.sort();
        assert_eq!(known, users);
        diffs
    });
    let heard: Vec<Vec<Value>> = heard.collect();
    for diffs in &heard {
        assert_eq!(diffs, &heard[0]);
        let revs = diffs.iter().map(|diff| diff["rev"].as_u64());
        assert!(revs.eq((1..=diffs.len() as u64).map(Some)));
    }
}

#[test]
fn a_drain_sends_everybody_away_one_after_the_other() {
    let mut node = Node::start();
    let mut sockets: Vec<WebSocket> = (0..10)
        .map(|number| node.join(&format!("user{number}")))
        .collect();
    sockets.push(node.watch());
    let (told, ends) = channel();
    for mut socket in sockets {
        let told = told.clone();
        thread::spawn(move || {
            while socket.recv().is_some() {}
            let closed = socket.closed().expect("an end").clone();
            let _ = told.send((Instant::now(), closed));
        });
    }
    drop(told);
    let shutdown = Shutdown {
        drain: Duration::from_secs(1),
        ..Shutdown::default()
    };
    assert_eq!(node.server.shut_down(shutdown), 0);
    let mut ends: Vec<_> = ends.iter().collect();
    ends.sort_by_key(|(at, _)| *at);
    assert_eq!(ends.len(), 11);
    for (_, closed) in &ends {
        assert_eq!(closed.code.as_u16(), 1012, "{closed}");
    }
    let took = ends[10].0.duration_since(ends[0].0);
    let spread = Duration::from_millis(500)..Duration::from_millis(1500);
    assert!(spread.contains(&took), "{took:?}");
}
