//! `sockeye_kit::redis` and `sockeye_kit::cluster` against a real Redis.

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use sockeye_kit::cluster::{Cluster, Events, Lease};
use sockeye_kit::redis::{Command, Failed, Refused, Script, Settings, Value, from_value};
use sockeye_tests::redis::{Redis, free_port};
use sockeye_tests::wire::PATIENCE;

const PREFIX: &str = "sockeye:test:";

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Entered(Lease),
    Resumed(Lease),
    Degraded,
    Fenced,
    Down(Lease),
    Message(String, Vec<u8>),
}

/// Writes down what it hears.
struct Notes(Mutex<Sender<Heard>>);

impl Notes {
    fn write(&self, heard: Heard) {
        let _ = self.0.lock().expect("no panic").send(heard);
    }
}

impl Events for Notes {
    fn entered(&self, me: &Lease) {
        self.write(Heard::Entered(me.clone()));
    }

    fn resumed(&self, me: &Lease) {
        self.write(Heard::Resumed(me.clone()));
    }

    fn degraded(&self) {
        self.write(Heard::Degraded);
    }

    fn fenced(&self) {
        self.write(Heard::Fenced);
    }

    fn down(&self, dead: &Lease) {
        self.write(Heard::Down(dead.clone()));
    }

    fn message(&self, channel: &str, payload: &[u8]) {
        self.write(Heard::Message(channel.to_owned(), payload.to_vec()));
    }
}

/// A node in this process.
struct TestNode {
    cluster: Cluster,
    heard: Receiver<Heard>,
}

impl TestNode {
    fn start(settings: &Settings) -> Result<Self, String> {
        let (sender, heard) = channel();
        let notes = Arc::new(Notes(Mutex::new(sender)));
        let cluster = Cluster::start(settings, vec!["sockeye:test:news".into()], notes);
        let cluster = cluster.map_err(|error| error.to_string())?;
        Ok(Self { cluster, heard })
    }

    fn enter(redis: &Redis) -> Self {
        let node = Self::start(&settings(&redis.url())).expect("a store");
        assert_eq!(node.next(), Heard::Entered(node.cluster.me()));
        node
    }

    fn next(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("news")
    }

    fn echo(&self, text: &str) -> Result<String, Failed> {
        let command = Command::new("ECHO").arg(text);
        self.cluster.call(command).and_then(from_value)
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.cluster.leave();
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        prefix: PREFIX,
        optional: false,
        lease: Duration::from_secs(3),
    }
}

#[test]
fn a_start_without_a_usable_store_says_why() {
    let secret = Redis::with(&["--requirepass", "secret"]);
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let other_port = other.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in other.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 16]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("bound").port();
    let nobody = free_port();
    let secret_port = secret.port();
    let at = |rest: &str| format!("redis://{rest}");
    for (url, sentence) in [
        (
            at(&format!("127.0.0.1:{nobody}")),
            format!(
                "no connection to Redis at 127.0.0.1:{nobody}: Connection refused (os error 111)"
            ),
        ),
        (
            at(&format!("127.0.0.1:{secret_port}")),
            format!(
                "Redis at 127.0.0.1:{secret_port} wants another user name or password than --redis gives"
            ),
        ),
        (
            at(&format!(":hunter2@127.0.0.1:{secret_port}/3")),
            format!(
                "Redis at 127.0.0.1:{secret_port}/3 wants another user name or password than --redis gives"
            ),
        ),
        (
            at(&format!("127.0.0.1:{secret_port}/3")),
            format!(
                "Redis at 127.0.0.1:{secret_port}/3 wants another user name or password than --redis gives"
            ),
        ),
        (
            at(&format!(":secret@127.0.0.1:{secret_port}/99")),
            format!("Redis has no such database: 127.0.0.1:{secret_port}/99"),
        ),
        (
            at(&format!("127.0.0.1:{other_port}")),
            format!("what listens at 127.0.0.1:{other_port} is not a Redis"),
        ),
        (
            at(&format!("127.0.0.1:{silent_port}")),
            format!("no answer from Redis at 127.0.0.1:{silent_port}"),
        ),
    ] {
        let started = TestNode::start(&settings(&url));
        assert_eq!(started.map(|_| ()), Err(sentence), "{url}");
    }
}

#[test]
fn a_replica_is_no_store() {
    let first = Redis::start();
    let master = first.port().to_string();
    let replica = Redis::with(&["--replicaof", &format!("127.0.0.1 {master}")]);
    let error = TestNode::start(&settings(&replica.url())).map(|_| ());
    let error = error.expect_err("it takes no writes");
    let begin = format!("Redis at 127.0.0.1:{} cannot be used: ", replica.port());
    assert!(error.starts_with(&begin), "{error}");
}

#[test]
fn a_password_and_a_database_are_used() {
    let redis = Redis::with(&["--requirepass", "secret"]);
    let url = format!("redis://:secret@127.0.0.1:{}/7", redis.port());
    let node = TestNode::start(&settings(&url)).expect("a store");
    assert_eq!(node.echo("hello"), Ok("hello".into()));
    let list = node.cluster.call(Command::new("CLIENT").arg("LIST"));
    let list: String = from_value(list.expect("a reply")).expect("text");
    for line in list.lines() {
        assert!(line.contains(" db=7 "), "{line}");
    }
}

#[test]
fn an_optional_store_may_come_later() {
    let mut redis = Redis::start();
    redis.stop();
    let mut settings = settings(&redis.url());
    settings.optional = true;
    let node = TestNode::start(&settings).expect("it goes on without");
    assert_eq!(node.next(), Heard::Degraded);
    assert_eq!(node.cluster.lease(), None);
    let refused = node.cluster.send(Command::new("PING"), |_| ());
    assert_eq!(refused, Err(Refused::Away));
    redis.restart();
    assert_eq!(node.next(), Heard::Entered(node.cluster.me()));
    assert_eq!(node.cluster.lease(), Some(node.cluster.me()));
}

#[test]
fn answers_come_in_the_order_of_the_commands() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    let (sender, answers) = channel();
    for number in 0..10_000_u32 {
        let sender = sender.clone();
        let command = Command::new("ECHO").arg(number);
        let done = move |reply: Result<Value, Failed>| {
            let reply = reply.and_then(from_value::<u32>);
            sender.send(reply).expect("somebody listens");
        };
        node.cluster.send(command, done).expect("room");
    }
    for number in 0..10_000 {
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(Ok(number)));
    }
}

#[test]
fn an_error_is_the_answer_to_its_own_command() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    let wrong = node.cluster.call(Command::new("GET"));
    let Err(Failed::Server(code, text)) = wrong else {
        panic!("{wrong:?}");
    };
    assert_eq!(
        (&*code, &*text),
        ("ERR", "wrong number of arguments for 'get' command")
    );
    assert_eq!(node.echo("next"), Ok("next".into()));
}

#[test]
fn a_script_that_the_store_forgot_is_sent_again() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let mut connection = redis.connect();
    for total in [5, 10, 15] {
        let sum = node.cluster.call(script.call(&["sum"]).arg(5));
        assert_eq!(sum.and_then(from_value), Ok(total));
        let () = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query(&mut connection)
            .expect("flushed");
    }
}

#[test]
fn a_new_script_keeps_its_place_among_the_commands() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    let (sender, answers) = channel();
    let send = |command: Command| {
        let sender = sender.clone();
        let done = move |reply: Result<Value, Failed>| {
            sender
                .send(reply.and_then(from_value::<Option<String>>))
                .expect("somebody listens");
        };
        node.cluster.send(command, done).expect("room");
    };
    // Behind this one the others pile up, and go out together.
    send(Command::new("BLPOP").arg("nothing").arg(0.3));
    let set = Script::new("return redis.call('SET', KEYS[1], ARGV[1])");
    send(set.call(&["key"]).arg("first"));
    send(Command::new("GET").arg("key"));
    send(set.call(&["key"]).arg("second"));
    let ok = Some("OK".to_owned());
    for expected in [None, ok.clone(), Some("first".to_owned()), ok] {
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(Ok(expected)));
    }
}

#[test]
fn what_is_published_is_heard() {
    let redis = Redis::start();
    let (one, two) = (TestNode::enter(&redis), TestNode::enter(&redis));
    let own = two.cluster.own_channel().to_owned();
    assert_eq!(own, one.cluster.channel_of(&two.cluster.me()));
    for (channel, heard_by) in [("sockeye:test:news", vec![&one, &two]), (&own, vec![&two])] {
        let publish = Command::new("PUBLISH").arg(channel).arg(b"\xff\0");
        assert_eq!(
            one.cluster.call(publish).and_then(from_value),
            Ok(heard_by.len())
        );
        for node in heard_by {
            assert_eq!(
                node.next(),
                Heard::Message(channel.into(), b"\xff\0".into())
            );
        }
    }
}

#[test]
fn a_command_waits_for_a_connection_that_comes_back_soon() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    let me = node.cluster.me();
    let mut connection = redis.connect();
    for kind in ["normal", "pubsub"] {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg(kind)
            .arg("SKIPME")
            .arg("yes");
        let () = kill.query(&mut connection).expect("killed");
        assert_eq!(node.next(), Heard::Resumed(me.clone()), "{kind}");
        assert_eq!(node.echo(kind), Ok(kind.into()));
    }
}

#[test]
fn a_store_that_is_gone_is_noticed_and_found_again() {
    let mut redis = Redis::start();
    let node = TestNode::enter(&redis);
    let begun = Instant::now();
    redis.stop();
    assert_eq!(node.next(), Heard::Degraded);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert!(node.cluster.is_degraded());
    assert_eq!(node.echo("hello"), Err(Failed::Away));
    let begun = Instant::now();
    redis.restart();
    // It came back empty: the lease is gone.
    let Heard::Entered(me) = node.next() else {
        panic!("not entered");
    };
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(me.incarnation(), 2);
    assert_eq!(node.echo("hello"), Ok("hello".into()));
}

#[test]
fn a_store_that_hangs_is_noticed() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    let begun = Instant::now();
    redis.pause();
    assert_eq!(node.next(), Heard::Degraded);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    redis.resume();
    // Whether the lease has survived depends on how long that took.
    let back = node.next();
    assert!(
        matches!(back, Heard::Resumed(_) | Heard::Entered(_)),
        "{back:?}"
    );
    assert_eq!(node.echo("hello"), Ok("hello".into()));
}

#[test]
fn who_leaves_is_down_at_once() {
    let redis = Redis::start();
    let one = TestNode::enter(&redis);
    let two = TestNode::enter(&redis);
    let begun = Instant::now();
    two.cluster.leave();
    assert_eq!(one.next(), Heard::Down(two.cluster.me()));
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(two.cluster.lease(), None);
}

#[test]
fn a_node_without_its_lease_is_fenced_and_enters_anew() {
    let redis = Redis::start();
    let one = TestNode::enter(&redis);
    let two = TestNode::enter(&redis);
    let script = two
        .cluster
        .fenced("return {KEYS[1], ARGV[1], tostring(alive(ARGV[2]))}");
    let call = |lease: &Lease| {
        let command = two.cluster.command(&script, &["key"]).arg("argument");
        let reply = two.cluster.call(command.arg(lease.to_string()));
        reply.and_then(from_value::<Vec<String>>)
    };
    let words = |alive: &str| Ok(vec!["key".to_owned(), "argument".into(), alive.into()]);
    let old = two.cluster.me();
    assert_eq!(call(&one.cluster.me()), words("true"));
    assert_eq!(call(&old), words("true"));

    let mut connection = redis.connect();
    let key = format!("{PREFIX}node:{}", old.node());
    let _: i64 = redis::cmd("DEL")
        .arg(key)
        .query(&mut connection)
        .expect("deleted");
    assert_eq!(call(&old), Err(Failed::Fenced));
    assert_eq!(two.next(), Heard::Fenced);
    let Heard::Entered(new) = two.next() else {
        panic!("not entered");
    };
    assert_eq!((new.node(), new.incarnation()), (old.node(), 2));
    assert_eq!(one.next(), Heard::Down(old.clone()));
    assert_eq!(call(&old), words("false"));
    assert_eq!(call(&new), words("true"));
}

#[test]
fn a_lease_ends_by_the_nodes_own_clock() {
    let redis = Redis::start();
    let node = TestNode::enter(&redis);
    assert!(node.cluster.lease().is_some());
    let begun = Instant::now();
    redis.pause();
    while node.cluster.lease().is_some() {
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "it believes in its lease"
        );
        thread::sleep(Duration::from_millis(10));
    }
    redis.resume();
}

#[test]
fn two_databases_are_two_deployments() {
    let redis = Redis::start();
    let one = TestNode::start(&settings(&redis.database(0))).expect("a store");
    let two = TestNode::start(&settings(&redis.database(1))).expect("a store");
    let key = |cluster: &Cluster| {
        let get = Command::new("SMEMBERS").arg(format!("{PREFIX}nodes"));
        from_value::<Vec<String>>(cluster.call(get).expect("a reply")).expect("names")
    };
    assert_eq!(key(&one.cluster), [one.cluster.me().node()]);
    assert_eq!(key(&two.cluster), [two.cluster.me().node()]);
}
