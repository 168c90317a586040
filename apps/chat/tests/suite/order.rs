//! Whatever members do and suffer: everybody sees every message once, in one order.

use core::time::Duration;
use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Client, World};

const USERS: usize = 4;
const ROOMS: usize = 2;

/// What one user does, or what happens to them.
#[derive(Clone, Debug)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Say(usize, usize),
    /// Several at once, without waiting for answers.
    Burst(usize, usize),
    Lose(usize),
    Resume(usize),
    Close(usize),
    Stall(usize),
    Read(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (user, room) = (0..USERS, 0..ROOMS);
    let both = (user.clone(), room);
    prop_oneof![
        4 => both.clone().prop_map(|(u, r)| Step::Join(u, r)),
        1 => both.clone().prop_map(|(u, r)| Step::Leave(u, r)),
        6 => both.clone().prop_map(|(u, r)| Step::Say(u, r)),
        2 => both.prop_map(|(u, r)| Step::Burst(u, r)),
        2 => user.clone().prop_map(Step::Lose),
        1 => user.clone().prop_map(Step::Resume),
        1 => user.clone().prop_map(Step::Close),
        1 => user.clone().prop_map(Step::Stall),
        2 => user.prop_map(Step::Read),
        2 => (1_u64..7000).prop_map(Step::Wait),
    ]
}

/// A user, who comes back after each loss, with what they have seen.
struct User {
    name: String,
    client: Option<Client>,
    resume: Value,
    /// What this connection has seen of each room that it is in.
    rooms: HashMap<String, Seen>,
    /// The same of earlier ones.
    earlier: HashMap<String, Seen>,
    is_stalled: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    epoch: String,
    off: u64,
}

/// Everything that was said, by room, epoch and offset: the same for everybody.
type Log = HashMap<(String, String, u64), String>;

impl User {
    fn new(number: usize) -> Self {
        Self {
            name: format!("u{number}"),
            client: None,
            resume: Value::Null,
            rooms: HashMap::new(),
            earlier: HashMap::new(),
            is_stalled: false,
        }
    }

    fn connect(&mut self, world: &World) -> &mut Client {
        self.client.get_or_insert_with(|| {
            let mut client = world.v1();
            let mut login = json!({"type": "login", "nickname": self.name});
            if self.resume.is_string() {
                login["resume"] = self.resume.clone();
            }
            let hello = client.ask(login);
            self.resume = hello["resume"].clone();
            client
        })
    }

    /// What comes is what has to come next.
    fn read(&mut self, log: &mut Log) {
        let Some(client) = &mut self.client else {
            return;
        };
        for message in client.recv_all() {
            let room = message["room"].as_str().unwrap_or_default().to_owned();
            let number = |field: &str| message[field].as_u64().unwrap_or_default();
            let epoch = message["epoch"].as_str().unwrap_or_default().to_owned();
            match message["type"].as_str().unwrap_or_default() {
                // Where the room stands, unless this is the answer to a message.
                "ok" if message["re"] == "join" => {
                    self.rooms.entry(room).or_insert(Seen {
                        epoch,
                        off: number("off"),
                    });
                }
                "recovered" => {
                    let seen = self.rooms.get_mut(&room).expect("a member");
                    assert_eq!(number("to"), seen.off, "{message}");
                    if message["ok"] == true {
                        let before = &self.earlier[&room];
                        assert_eq!(number("from"), before.off + 1, "{message}");
                        seen.off = before.off;
                    }
                }
                "msg" => {
                    let seen = self.rooms.get_mut(&room).expect("a member");
                    assert_eq!(
                        (&epoch, number("off")),
                        (&seen.epoch, seen.off + 1),
                        "{message}"
                    );
                    seen.off += 1;
                    let text = message["text"].as_str().expect("a text").to_owned();
                    let said = log.entry((room, epoch, seen.off)).or_insert(text.clone());
                    assert_eq!(*said, text);
                }
                "err" => {
                    let code = message["code"].as_str().unwrap_or_default();
                    assert!(matches!(code, "not-a-member" | "too-fast"), "{message}");
                }
                _ => {}
            }
        }
        if client.end().is_some() {
            self.end();
        }
    }

    fn end(&mut self) {
        self.earlier.extend(self.rooms.drain());
        self.client = None;
        self.is_stalled = false;
    }
}

fn room(number: usize) -> String {
    format!("r{number}")
}

fn run(steps: Vec<Step>) {
    let world = World::with_settings(|settings| {
        settings.history_count = 12;
        settings.queue_bytes = 16 << 10;
        settings.burst = 1000.try_into().expect("not zero");
        settings.rate = 1000.try_into().expect("not zero");
    });
    let mut log = Log::new();
    let mut users: Vec<User> = (0..USERS).map(User::new).collect();
    let mut said = 0;
    let mut say = |user: &mut User, room: usize, length: usize, log: &mut Log| {
        said += 1;
        let text = format!("{said}{}", "x".repeat(length));
        let message = json!({"type": "msg", "room": self::room(room), "text": text, "id": said});
        if let Some(client) = &mut user.client {
            // It may be closing.
            let _ = client.0.send(message.to_string().as_str());
        }
        if !user.is_stalled {
            user.read(log);
        }
    };
    for step in steps {
        match step {
            Step::Join(user, number) => {
                let user = &mut users[user];
                let since = user.earlier.get(&room(number)).cloned();
                let mut join = json!({"type": "join", "room": room(number), "id": "join"});
                if let Some(seen) = since.filter(|_| !user.rooms.contains_key(&room(number))) {
                    join["since"] = json!({"epoch": seen.epoch, "off": seen.off});
                }
                let client = user.connect(&world);
                let _ = client.0.send(join.to_string().as_str());
                if !user.is_stalled {
                    user.read(&mut log);
                }
            }
            Step::Leave(user, number) if !users[user].is_stalled => {
                let user = &mut users[user];
                if let Some(client) = &mut user.client {
                    client.send(json!({"type": "leave", "room": room(number)}));
                    user.read(&mut log);
                    if let Some(seen) = user.rooms.remove(&room(number)) {
                        user.earlier.insert(room(number), seen);
                    }
                }
            }
            Step::Say(user, number) => say(&mut users[user], number, 0, &mut log),
            Step::Burst(user, number) => {
                for _ in 0..8 {
                    say(&mut users[user], number, 1000, &mut log);
                }
            }
            Step::Lose(user) => users[user].end(),
            Step::Resume(user) if !users[user].is_stalled => {
                let user = &mut users[user];
                if let Some(mut older) = user.client.take() {
                    user.client = None;
                    user.connect(&world);
                    core::mem::swap(user.client.as_mut().expect("connected"), &mut older);
                    user.read(&mut log);
                    let newer = older;
                    user.end();
                    user.client = Some(newer);
                }
            }
            Step::Close(user) => {
                if let Some(client) = &mut users[user].client {
                    client.close(1000);
                }
                users[user].end();
            }
            Step::Stall(user) => {
                if let Some(client) = &mut users[user].client {
                    client.0.stall();
                    users[user].is_stalled = true;
                }
            }
            Step::Read(user) => {
                if let Some(client) = &mut users[user].client {
                    client.0.unstall();
                    users[user].is_stalled = false;
                    users[user].read(&mut log);
                }
            }
            Step::Wait(millis) => world.advance(Duration::from_millis(millis)),
            Step::Leave(..) | Step::Resume(_) => {}
        }
    }
    // In the end everybody who is in a room knows all of it that there is.
    // Who reads again may have requests that were held back till then, so that comes first.
    for client in users.iter_mut().filter_map(|user| user.client.as_mut()) {
        client.0.unstall();
    }
    for user in &mut users {
        user.read(&mut log);
    }
    for user in &mut users {
        let Some(client) = &mut user.client else {
            continue;
        };
        for (room, seen) in &user.rooms {
            let ok = client.ask(json!({"type": "join", "room": room}));
            assert_eq!((&ok["type"], &ok["off"]), (&json!("ok"), &json!(seen.off)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_see_every_message_once_and_in_one_order(steps in prop::collection::vec(step(), 1..120)) {
        run(steps);
    }
}
