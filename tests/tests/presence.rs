//! Nodes of presence that share a Redis: as processes, which are killed, paused and cut off.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use redis::Commands;
use serde_json::{Value, json};
use sockeye_core::CloseCode;
use sockeye_kit::clock::Clock;
use sockeye_kit::name::Name;
use sockeye_kit::token::{KeyArgs, Signer};
use sockeye_mio::ConnectOptions;
use sockeye_tests::program::Program;
use sockeye_tests::redis::Redis;
use sockeye_tests::wire::PATIENCE;
use tempfile::NamedTempFile;

const HOUR: Duration = Duration::from_secs(3600);
/// A dead node is forgotten within this time.
const NO_GHOST: Duration = Duration::from_secs(20);
/// All nodes agree within this time of Redis's return.
const AGREEMENT: Duration = Duration::from_secs(15);

/// The key of a deployment.
struct Key {
    file: NamedTempFile,
    signer: Signer,
}

impl Key {
    fn new() -> Self {
        let mut file = NamedTempFile::new().expect("a file");
        writeln!(file, "a secret of the tests, which nobody guesses").expect("written");
        let args = KeyArgs {
            jwt_key: Some(file.path().into()),
            ..KeyArgs::default()
        };
        let signer = args.signer().expect("a key").expect("given");
        Self { file, signer }
    }

    /// Starts a node.
    fn node(&self, redis: &str, more: &[&str]) -> Node {
        let file = self.file.path().to_str().expect("text");
        let mut args = vec!["--jwt-key", file, "--redis", redis];
        args.extend(more);
        Node(Program::start("sockeye-presence", &args))
    }

    fn message(&self, user: &str) -> String {
        let user = Name::parse(user).expect("a name");
        let token = self.signer.sign(&user, HOUR, Clock::system().wall());
        json!({ "jwt": token }).to_string()
    }

    /// A user who is there once this returns, until the end of what it returns.
    fn join(&self, node: &Node, user: &str) -> Member {
        let mut socket = node.open("/echo");
        let message = self.message(user);
        socket.send(&*message).expect("open");
        let answer = socket.recv().expect("an answer");
        assert_eq!(answer.as_text(), Some(&*message));
        let (orders, ordered) = channel();
        thread::spawn(move || live(socket, &ordered));
        Member(orders)
    }
}

/// A node of presence.
struct Node(Program);

impl Node {
    fn open(&self, path: &str) -> sockeye_mio::WebSocket {
        let options = ConnectOptions::default();
        sockeye_mio::connect(&self.0.url(path), &options).expect("accepted")
    }

    /// Somebody who follows, with what it knows from the first message.
    fn watch(&self) -> Watcher {
        let mut socket = self.open("/watch");
        let (told, changes) = channel();
        thread::spawn(move || {
            while let Some(message) = socket.recv() {
                let text = message.as_text().expect("text");
                let change = serde_json::from_str(text).expect("JSON");
                if told.send((Instant::now(), change)).is_err() {
                    break;
                }
            }
        });
        let mut watcher = Watcher {
            changes,
            users: Vec::new(),
        };
        watcher.next(PATIENCE);
        watcher
    }

    fn get(&self, path: &str) -> Value {
        get(self.0.address, path)
    }

    /// Who is online as this node knows it, and whether it knows less than it could.
    fn users(&self) -> (Vec<String>, bool) {
        let answer = self.get("/presence");
        (ids(&answer), answer["degraded"] == true)
    }
}

fn get(address: SocketAddr, path: &str) -> Value {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("JSON")
}

fn ids(state: &Value) -> Vec<String> {
    let users = state["users"].as_array().expect("a list").iter();
    users
        .map(|user| user["id"].as_str().expect("a name").to_owned())
        .collect()
}

/// A connection to `/echo`, on a thread that answers its pings. Dropping it does not end it.
struct Member(Sender<Order>);

enum Order {
    /// Closes with this code.
    Close(u16),
    /// Ends without a word.
    Vanish,
}

impl Member {
    fn leave(self) {
        self.0.send(Order::Close(1000)).expect("open");
    }

    fn vanish(self) {
        self.0.send(Order::Vanish).expect("open");
    }
}

fn live(mut socket: sockeye_mio::WebSocket, orders: &Receiver<Order>) {
    loop {
        if socket.recv_timeout(Duration::from_millis(20)) == Ok(None) {
            return;
        }
        match orders.try_recv() {
            Ok(Order::Close(code)) => {
                let _ = socket.close(CloseCode::new(code), "");
            }
            Ok(Order::Vanish) => return,
            Err(_) => {}
        }
    }
}

/// Follows a node.
struct Watcher {
    changes: Receiver<(Instant, Value)>,
    users: Vec<String>,
}

impl Watcher {
    /// The next change, which is applied; when it came.
    fn next(&mut self, patience: Duration) -> Option<Instant> {
        let (at, change) = self.changes.recv_timeout(patience).ok()?;
        let names = |key: &str| -> Vec<String> {
            serde_json::from_value(change[key].clone()).expect("names")
        };
        match change["type"].as_str() {
            Some("state") => self.users = ids(&change),
            Some("diff") => {
                let gone = names("leave");
                self.users.retain(|user| !gone.contains(user));
                self.users.extend(names("join"));
                self.users.sort();
            }
            _ => panic!("{change}"),
        }
        Some(at)
    }

    /// Waits until exactly these are online; when it heard so.
    fn wait_for(&mut self, users: &[&str], patience: Duration) -> Instant {
        let mut at = Instant::now();
        let until = at + patience;
        while self.users != users {
            let left = until.saturating_duration_since(Instant::now());
            match self.next(left) {
                Some(heard) => at = heard,
                None => panic!("{:?} instead of {users:?}", self.users),
            }
        }
        at
    }

    /// Whoever is there stays there for so long, whoever else comes or goes.
    fn expect_to_stay(&mut self, users: &[&str], time: Duration) {
        let until = Instant::now() + time;
        while self
            .next(until.saturating_duration_since(Instant::now()))
            .is_some()
        {
            for user in users {
                let is_there = self.users.iter().any(|known| known == user);
                assert!(is_there, "{user} is not among {:?}", self.users);
            }
        }
    }
}

/// Waits until something is so.
fn eventually(patience: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < patience, "not within {patience:?}");
        // It is asked, and does not tell.
        thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

fn connected(redis: &mut redis::Connection, key: &str) -> Option<String> {
    redis.hget(key, "connected").expect("a hash")
}

#[test]
fn other_services_read_who_is_connected() {
    let redis = Redis::start();
    let mut store = redis.connect();
    let key = Key::new();
    let node = key.node(&redis.url(), &["--offline-ttl", "1h"]);
    for _ in 0..20 {
        let ana = key.join(&node, "ana");
        // The answer came after it was stored.
        let stored = connected(&mut store, "presence:user:ana");
        assert_eq!(stored.as_deref(), Some("True"));
        let ttl: i64 = store.ttl("presence:user:ana").expect("a key");
        assert!((25..=30).contains(&ttl), "{ttl}");
        ana.leave();
        eventually(PATIENCE, || {
            connected(&mut store, "presence:user:ana").as_deref() == Some("False")
        });
        let ttl: i64 = store.ttl("presence:user:ana").expect("a key");
        assert!((3590..=3600).contains(&ttl), "{ttl}");
    }
}

#[test]
fn a_key_can_be_what_the_operator_wants() {
    let redis = Redis::start();
    let mut store = redis.connect();
    let key = Key::new();
    for (prefix, full) in [("", "é"), ("app/user ", "app/user é")] {
        let node = key.node(&redis.url(), &["--key-prefix", prefix]);
        let member = key.join(&node, "é");
        assert_eq!(connected(&mut store, full).as_deref(), Some("True"));
        member.leave();
        eventually(PATIENCE, || {
            connected(&mut store, full).as_deref() == Some("False")
        });
    }
}

#[test]
fn a_key_is_true_while_any_node_holds_its_user() {
    let redis = Redis::start();
    let mut store = redis.connect();
    let key = Key::new();
    let [one, other] = [(); 2].map(|()| key.node(&redis.url(), &[]));
    for _ in 0..20 {
        let here = key.join(&one, "ana");
        let there = key.join(&other, "ana");
        here.leave();
        // Whoever is asked, at whatever time.
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            let stored = connected(&mut store, "presence:user:ana");
            assert_eq!(stored.as_deref(), Some("True"));
        }
        assert_eq!(one.get("/presence/ana")["connected"], true);
        there.leave();
        eventually(PATIENCE, || {
            connected(&mut store, "presence:user:ana").as_deref() == Some("False")
        });
    }
}

#[test]
fn what_somebody_else_writes_over_a_key_is_put_right_within_a_second() {
    let redis = Redis::start();
    let mut store = redis.connect();
    let key = Key::new();
    let node = key.node(&redis.url(), &[]);
    let _members: Vec<Member> = (0..30)
        .map(|number| key.join(&node, &format!("user{number}")))
        .collect();
    for number in [0, 7, 29] {
        let name = format!("presence:user:user{number}");
        let _: () = store.hset(&name, "connected", "False").expect("written");
        eventually(Duration::from_secs(1), || {
            connected(&mut store, &name).as_deref() == Some("True")
        });
        let _: () = store.del(&name).expect("written");
        eventually(Duration::from_secs(1), || {
            connected(&mut store, &name).as_deref() == Some("True")
        });
        // Nor does it harm what belongs to somebody else.
        let _: () = store.set(&name, "a text").expect("written");
    }
    let watcher = node.watch();
    assert_eq!(watcher.users.len(), 30);
    let _another = key.join(&node, "ana");
    let stored = connected(&mut store, "presence:user:ana");
    assert_eq!(stored.as_deref(), Some("True"));
}

#[test]
fn nodes_know_of_each_others_users() {
    let redis = Redis::start();
    let key = Key::new();
    let nodes = ["tokio", "async-std", "smol", "mio"]
        .map(|adapter| key.node(&redis.url(), &["--adapter", adapter]));
    let mut watchers = nodes.each_ref().map(Node::watch);
    let users = ["ana", "bob", "cyd", "dan"];
    let members: Vec<Member> = users
        .iter()
        .zip(&nodes)
        .map(|(user, node)| key.join(node, user))
        .collect();
    for watcher in &mut watchers {
        watcher.wait_for(&users, PATIENCE);
    }
    let listings = nodes
        .each_ref()
        .map(|node| node.get("/presence")["users"].clone());
    assert!(
        listings.iter().all(|users| *users == listings[0]),
        "{listings:?}"
    );
    for member in members {
        member.leave();
    }
    for watcher in &mut watchers {
        watcher.wait_for(&[], PATIENCE);
    }
    // A late node knows it all.
    let _ana = key.join(&nodes[0], "ana");
    let late = key.node(&redis.url(), &[]);
    late.watch().wait_for(&["ana"], PATIENCE);
}

#[test]
fn a_reconnect_to_another_node_is_not_noticed() {
    let redis = Redis::start();
    let key = Key::new();
    let [one, other] = [(); 2].map(|()| key.node(&redis.url(), &[]));
    let mut watchers = [one.watch(), other.watch()];
    key.join(&one, "ana").vanish();
    for watcher in &mut watchers {
        watcher.wait_for(&["ana"], PATIENCE);
    }
    let ana = key.join(&other, "ana");
    for watcher in &mut watchers {
        watcher.expect_to_stay(&["ana"], Duration::from_secs(4));
    }
    let since = one.get("/presence/ana")["since"].clone();
    assert_eq!(other.get("/presence/ana")["since"], since);
    ana.leave();
    for watcher in &mut watchers {
        watcher.wait_for(&[], PATIENCE);
    }
}

/// Kills a node with a user, in each of `pairs` pairs of nodes at the same time; the longest
/// that another node took to notice.
fn kill_nodes(redis: &Redis, pairs: u32) -> Duration {
    let key = Key::new();
    thread::scope(|scope| {
        let trials: Vec<_> = (0..pairs)
            .map(|pair| {
                let key = &key;
                // Each in a deployment of its own.
                let url = redis.database(pair);
                scope.spawn(move || {
                    let mut dying = key.node(&url, &[]);
                    let other = key.node(&url, &[]);
                    let mut watcher = other.watch();
                    let _ana = key.join(&dying, "ana");
                    let _bob = key.join(&other, "bob");
                    watcher.wait_for(&["ana", "bob"], PATIENCE);
                    let killed = Instant::now();
                    dying.0.kill();
                    watcher.wait_for(&["bob"], NO_GHOST).duration_since(killed)
                })
            })
            .collect();
        let took = trials
            .into_iter()
            .map(|trial| trial.join().expect("a trial"));
        took.max().unwrap_or_default()
    })
}

#[test]
fn a_killed_node_leaves_no_ghost() {
    let redis = Redis::start();
    let longest = kill_nodes(&redis, 10);
    assert!(longest < NO_GHOST, "{longest:?}");
    let mut store = redis.connect();
    eventually(PATIENCE, || {
        connected(&mut store, "presence:user:ana").as_deref() == Some("False")
    });
}

/// Prints the longest: `cargo test … -- --ignored --nocapture a_hundred`.
#[test]
#[ignore = "takes three minutes"]
fn a_hundred_killed_nodes_leave_no_ghost() {
    let redis = Redis::with(&["--databases", "100"]);
    let longest = (0..10).map(|_| kill_nodes(&redis, 10)).max();
    let mut out = std::io::stdout();
    let _ = writeln!(out, "100 of 100, the longest after {longest:?}");
    assert!(longest < Some(NO_GHOST), "{longest:?}");
}

#[test]
fn a_node_that_ends_in_good_order_is_gone_at_once() {
    let redis = Redis::start();
    let key = Key::new();
    let flags = ["--drain-timeout", "1s", "--grace", "1m"];
    let [mut one, other] = [(); 2].map(|()| key.node(&redis.url(), &flags));
    let mut watcher = other.watch();
    let _ana = key.join(&one, "ana");
    // There is nobody to wait for this one any longer.
    key.join(&one, "bob").vanish();
    watcher.wait_for(&["ana", "bob"], PATIENCE);
    one.0.terminate();
    let told = Instant::now();
    let heard = watcher.wait_for(&[], PATIENCE);
    assert!(heard.duration_since(told) < Duration::from_secs(3));
    assert!(one.0.wait(PATIENCE).success());
}

#[test]
fn a_node_that_was_paused_is_fenced() {
    let redis = Redis::start();
    let key = Key::new();
    let [one, other] = [(); 2].map(|()| key.node(&redis.url(), &[]));
    let mut watcher = other.watch();
    let ana = key.join(&one, "ana");
    let _bob = key.join(&one, "bob");
    watcher.wait_for(&["ana", "bob"], PATIENCE);
    one.0.pause();
    watcher.wait_for(&[], NO_GHOST);
    // Ana goes while her node cannot notice, Bob stays.
    ana.vanish();
    let cyd = key.join(&other, "cyd");
    watcher.wait_for(&["cyd"], PATIENCE);
    thread::sleep(Duration::from_secs(1));
    one.0.resume();
    let until = Instant::now() + Duration::from_secs(8);
    while watcher
        .next(until.saturating_duration_since(Instant::now()))
        .is_some()
    {
        assert!(!watcher.users.contains(&"ana".into()), "a ghost");
    }
    watcher.wait_for(&["bob", "cyd"], PATIENCE);
    assert_eq!(one.users(), (vec!["bob".into(), "cyd".into()], false));
    cyd.leave();
    one.watch().wait_for(&["bob"], PATIENCE);
}

#[test]
fn redis_goes_for_30_s_and_comes_back() {
    let mut redis = Redis::start();
    let key = Key::new();
    let [one, other] = [(); 2].map(|()| key.node(&redis.url(), &[]));
    let nodes = [&one, &other];
    let mut watchers = nodes.map(Node::watch);
    let _ana = key.join(&one, "ana");
    let bob = key.join(&other, "bob");
    for watcher in &mut watchers {
        watcher.wait_for(&["ana", "bob"], PATIENCE);
    }
    redis.stop();
    let stopped = Instant::now();
    for node in nodes {
        eventually(Duration::from_secs(5), || node.users().1);
        // Each goes on with what it knows, and is as ready as all others.
        assert_eq!(node.users().0, ["ana", "bob"]);
        let readiness = node.get("/readyz");
        assert_eq!(readiness["degraded"], true, "{readiness}");
    }
    let _cyd = key.join(&one, "cyd");
    bob.leave();
    watchers[0].wait_for(&["ana", "bob", "cyd"], PATIENCE);
    watchers[1].wait_for(&["ana"], PATIENCE);
    for (watcher, user) in watchers.iter_mut().zip(["cyd", "ana"]) {
        let left = Duration::from_secs(30).saturating_sub(stopped.elapsed()) / 2;
        watcher.expect_to_stay(&["ana", user], left);
    }
    thread::sleep(Duration::from_secs(30).saturating_sub(stopped.elapsed()));
    redis.restart();
    let back = Instant::now();
    for (node, watcher) in nodes.into_iter().zip(&mut watchers) {
        eventually(AGREEMENT.saturating_sub(back.elapsed()), || {
            node.users() == (vec!["ana".into(), "cyd".into()], false)
        });
        watcher.expect_to_stay(&["ana"], Duration::from_millis(500));
        watcher.wait_for(&["ana", "cyd"], PATIENCE);
        assert_eq!(node.get("/readyz").get("degraded"), None);
    }
    let mut store = redis.connect();
    for user in ["ana", "cyd"] {
        let stored = connected(&mut store, &format!("presence:user:{user}"));
        assert_eq!(stored.as_deref(), Some("True"), "{user}");
    }
}

#[test]
fn a_node_that_comes_back_later_than_redis_is_waited_for() {
    let mut redis = Redis::start();
    let key = Key::new();
    let [one, other] = [(); 2].map(|()| key.node(&redis.url(), &[]));
    let mut watcher = one.watch();
    let _ana = key.join(&other, "ana");
    watcher.wait_for(&["ana"], PATIENCE);
    redis.stop();
    eventually(Duration::from_secs(5), || one.users().1);
    other.0.pause();
    redis.restart();
    eventually(AGREEMENT, || !one.users().1);
    // Its lease went with the store, but not its users.
    watcher.expect_to_stay(&["ana"], Duration::from_secs(2));
    other.0.resume();
    watcher.expect_to_stay(&["ana"], Duration::from_secs(6));
    assert_eq!(one.users(), (vec!["ana".into()], false));
}

#[test]
fn redis_hangs_and_nobody_waits_for_it() {
    let redis = Redis::start();
    let key = Key::new();
    let node = key.node(&redis.url(), &[]);
    let _ana = key.join(&node, "ana");
    redis.pause();
    // Answered once the node knows that it is alone.
    let start = Instant::now();
    let _bob = key.join(&node, "bob");
    assert!(start.elapsed() < Duration::from_secs(5));
    let start = Instant::now();
    let _cyd = key.join(&node, "cyd");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(
        node.users(),
        (["ana", "bob", "cyd"].map(String::from).into(), true)
    );
    redis.resume();
    eventually(AGREEMENT, || !node.users().1);
    let mut store = redis.connect();
    for user in ["ana", "bob", "cyd"] {
        eventually(AGREEMENT, || {
            connected(&mut store, &format!("presence:user:{user}")).as_deref() == Some("True")
        });
    }
}

#[test]
fn two_deployments_use_two_databases() {
    let redis = Redis::start();
    let key = Key::new();
    let here = key.node(&redis.database(1), &[]);
    let there = key.node(&redis.database(2), &[]);
    let also_here = key.node(&redis.database(1), &[]);
    let _ana = key.join(&here, "ana");
    let bob = key.join(&there, "bob");
    also_here.watch().wait_for(&["ana"], PATIENCE);
    there.watch().wait_for(&["bob"], PATIENCE);
    bob.leave();
    there.watch().wait_for(&[], PATIENCE);
    for node in [&here, &also_here] {
        assert_eq!(node.users(), (vec!["ana".into()], false));
    }
}

#[test]
fn a_redis_that_is_not_there_is_told_in_one_sentence_or_waited_for() {
    let mut redis = Redis::start();
    redis.stop();
    let key = Key::new();
    let file = key.file.path().to_str().expect("text");
    let url = redis.url().replace("redis://", "redis://:sesame@");
    let ended = Program::run("sockeye-presence", &["--jwt-key", file, "--redis", &url]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stdout.is_empty());
    let sentence = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    assert!(sentence.contains(&redis.port().to_string()), "{sentence}");
    assert!(!sentence.contains("sesame"), "{sentence}");

    let node = key.node(&redis.url(), &["--redis-optional"]);
    let _ana = key.join(&node, "ana");
    assert_eq!(node.users(), (vec!["ana".into()], true));
    redis.restart();
    eventually(AGREEMENT, || !node.users().1);
    let other = key.node(&redis.url(), &[]);
    other.watch().wait_for(&["ana"], PATIENCE);
    let stored = connected(&mut redis.connect(), "presence:user:ana");
    assert_eq!(stored.as_deref(), Some("True"));
}
