//! All nodes are replaced, one after the other, while people talk.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_tests::chat::Client;
use sockeye_tests::program::Program;
use sockeye_tests::wire::PATIENCE;

use crate::{Deployment, on_each_adapter};

const ROOMS: [&str; 2] = ["lobby", "attic"];
const TALKERS: [&str; 6] = ["ana", "ben", "cid", "dan", "eve", "fay"];

/// What all who talk have in common.
struct Stage {
    /// Where one may connect.
    nodes: Mutex<Vec<Program>>,
    all_in: Barrier,
    is_over: AtomicBool,
    /// The newest offset that was acknowledged, of each room.
    newest: [AtomicU64; 2],
    said: AtomicU64,
    still_talking: AtomicU64,
}

/// What one of them has seen of their room.
#[derive(Default)]
struct Seen {
    epoch: Option<String>,
    /// From and text, in the order in which they came.
    messages: Vec<(String, String)>,
    connections: u32,
}

#[test]
fn a_rolling_restart_loses_nothing_doubles_nothing_and_keeps_the_order() {
    on_each_adapter(|adapter| {
        let deployment = Deployment::on(adapter)
            .with("--rate", 1000)
            .with("--burst", 1000)
            .with("--drain-timeout", "1s");
        let stage = Stage {
            nodes: Mutex::new(vec![deployment.node(), deployment.node()]),
            all_in: Barrier::new(TALKERS.len()),
            is_over: AtomicBool::new(false),
            newest: Default::default(),
            said: AtomicU64::new(0),
            still_talking: AtomicU64::new(TALKERS.len() as u64),
        };
        let seen: Vec<Seen> = thread::scope(|scope| {
            let talking: Vec<_> = (0..TALKERS.len())
                .map(|number| {
                    let stage = &stage;
                    scope.spawn(move || Talker::new(stage, number).talk())
                })
                .collect();
            for _ in 0..2 {
                stage.wait_for_more(60);
                let next = deployment.node();
                let mut old = {
                    let mut nodes = stage.nodes.lock().expect("no panic");
                    nodes.push(next);
                    nodes.remove(0)
                };
                old.terminate();
                assert_eq!(old.wait(PATIENCE).code(), Some(0), "{}", old.log());
            }
            stage.wait_for_more(60);
            stage.is_over.store(true, Ordering::SeqCst);
            talking
                .into_iter()
                .map(|talker| talker.join().expect("all was well"))
                .collect()
        });
        for (room, newest) in stage.newest.iter().enumerate() {
            let newest = newest.load(Ordering::SeqCst);
            let inside: Vec<usize> = (0..TALKERS.len())
                .filter(|number| number % 2 == room)
                .collect();
            let first = &seen[inside[0]];
            assert_eq!(first.messages.len() as u64, newest);
            for &number in &inside {
                assert!(
                    first.messages == seen[number].messages,
                    "{adapter}: they saw different things"
                );
                assert_eq!(first.epoch, seen[number].epoch);
                assert!(seen[number].connections >= 2, "it never had to come back");
            }
            // What each said is there once, in the order in which it was said.
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for (from, text) in &first.messages {
                let count = counts.entry(from).or_default();
                assert_eq!(*text, count.to_string(), "{adapter}: {from}");
                *count += 1;
            }
        }
        let all: u64 = stage.newest.iter().map(|n| n.load(Ordering::SeqCst)).sum();
        assert_eq!(all, stage.said.load(Ordering::SeqCst));
    });
}

impl Stage {
    fn wait_for_more(&self, count: u64) {
        let until = self.said.load(Ordering::SeqCst) + count;
        let begun = Instant::now();
        while self.said.load(Ordering::SeqCst) < until {
            assert!(begun.elapsed() < PATIENCE, "they have fallen silent");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A connection to some node.
    fn connect(&self, attempt: u32) -> Option<Client> {
        let nodes = self.nodes.lock().expect("no panic");
        let node = &nodes[attempt as usize % nodes.len()];
        Client::try_connect(node)
    }
}

/// Somebody who talks, listens, and comes back when the connection ends.
struct Talker<'a> {
    stage: &'a Stage,
    name: &'static str,
    room: usize,
    /// What is to be said next; the same again until it is acknowledged.
    next: u64,
    seen: Seen,
    resume: String,
    is_done: bool,
}

impl<'a> Talker<'a> {
    fn new(stage: &'a Stage, number: usize) -> Self {
        Self {
            stage,
            name: TALKERS[number],
            room: number % 2,
            next: 0,
            seen: Seen::default(),
            resume: String::new(),
            is_done: false,
        }
    }

    fn talk(mut self) -> Seen {
        let begun = Instant::now();
        let mut attempt = self.room as u32;
        while !self.has_seen_all() {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "{} is stuck",
                self.name
            );
            attempt += 1;
            let Some(mut client) = self.stage.connect(attempt) else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            if self.come_in(&mut client).is_some() {
                self.seen.connections += 1;
                while self.step(&mut client).is_some() && !self.has_seen_all() {}
            }
        }
        self.seen
    }

    fn has_seen_all(&self) -> bool {
        self.is_done
            && self.stage.still_talking.load(Ordering::SeqCst) == 0
            && self.seen.messages.len() as u64
                == self.stage.newest[self.room].load(Ordering::SeqCst)
    }

    /// Logs in and joins; `None` if the connection ends meanwhile.
    fn come_in(&mut self, client: &mut Client) -> Option<()> {
        let mut login = json!({"type": "login", "nickname": self.name, "id": "login"});
        if !self.resume.is_empty() {
            login["resume"] = self.resume.clone().into();
        }
        let hello = self.ask(client, &login)?;
        assert_eq!(hello["type"], "hello", "{hello}");
        self.resume = hello["resume"].as_str()?.to_owned();
        let mut join = json!({"type": "join", "room": ROOMS[self.room], "id": "join"});
        if let Some(epoch) = &self.seen.epoch {
            join["since"] = json!({"epoch": epoch, "off": self.seen.messages.len()});
        }
        let ok = self.ask(client, &join)?;
        assert_eq!(ok["type"], "ok", "{ok}");
        if self.seen.epoch.is_none() {
            self.seen.epoch = Some(ok["epoch"].as_str()?.to_owned());
            // Nobody says anything before all have come.
            self.stage.all_in.wait();
        }
        Some(())
    }

    /// Says one thing, or only listens.
    fn step(&mut self, client: &mut Client) -> Option<()> {
        if self.stage.is_over.load(Ordering::SeqCst) {
            if !core::mem::replace(&mut self.is_done, true) {
                self.stage.still_talking.fetch_sub(1, Ordering::SeqCst);
            }
            if let Some(message) = client.next_within(Duration::from_millis(20)) {
                self.hear(&message);
            }
            return (!client.is_closed()).then_some(());
        }
        let id = format!("{}-{}", self.name, self.next);
        let text = self.next.to_string();
        let say = json!({"type": "msg", "room": ROOMS[self.room], "text": text, "id": id});
        let answer = self.ask(client, &say)?;
        match answer["type"].as_str()? {
            "ok" => {
                self.next += 1;
                self.stage.said.fetch_add(1, Ordering::SeqCst);
                let newest = &self.stage.newest[self.room];
                newest.fetch_max(answer["off"].as_u64()?, Ordering::SeqCst);
            }
            // To be tried again.
            _ => assert_eq!(answer["code"], "degraded", "{answer}"),
        }
        Some(())
    }

    /// Sends a request and listens until its answer comes; `None` if the connection ends.
    fn ask(&mut self, client: &mut Client, request: &Value) -> Option<Value> {
        if !client.try_send(request) {
            return None;
        }
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "no answer to {request}");
            let Some(message) = client.next_within(Duration::from_secs(1)) else {
                if client.is_closed() {
                    return None;
                }
                continue;
            };
            self.hear(&message);
            if message["re"] == request["id"] {
                return Some(message);
            }
        }
    }

    fn hear(&mut self, message: &Value) {
        match message["type"].as_str() {
            Some("msg") => {
                assert_eq!(message["epoch"].as_str(), self.seen.epoch.as_deref());
                let off = message["off"].as_u64().expect("a number");
                assert_eq!(
                    off,
                    self.seen.messages.len() as u64 + 1,
                    "{}: a gap",
                    self.name
                );
                let field = |name: &str| message[name].as_str().expect("text").to_owned();
                self.seen.messages.push((field("from"), field("text")));
            }
            Some("recovered") => assert_eq!(message["ok"], true, "{message}"),
            _ => {}
        }
    }
}
