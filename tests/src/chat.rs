//! A client of the chat that speaks `chat.v1.json`, one step after the other.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_core::CloseCode;
use sockeye_mio::{ConnectOptions, WebSocket, connect};

use crate::program::Program;
use crate::wire::PATIENCE;

/// A connection to a node.
pub struct Client {
    ws: WebSocket,
    /// What came while something else was waited for.
    kept: VecDeque<Value>,
    requests: u64,
    /// Who is in which room, by all that was told.
    views: BTreeMap<String, BTreeSet<String>>,
    /// What the connection can be taken over by.
    pub resume: String,
}

/// How a connection has ended, by its code and reason.
pub type End = (u16, String);

impl Client {
    /// Connects, without a login.
    #[must_use]
    pub fn connect(node: &Program) -> Self {
        Self::try_connect(node).expect("a chat")
    }

    /// Connects, if the node is there.
    #[must_use]
    pub fn try_connect(node: &Program) -> Option<Self> {
        let mut options = ConnectOptions::default();
        options.subprotocols = vec!["chat.v1.json".into()];
        Some(Self {
            ws: connect(&node.url("/talking"), &options).ok()?,
            kept: VecDeque::new(),
            requests: 0,
            views: BTreeMap::new(),
            resume: String::new(),
        })
    }

    /// Connects and logs in.
    #[must_use]
    pub fn login(node: &Program, nickname: &str) -> Self {
        let mut client = Self::connect(node);
        let hello = client.request(json!({"type": "login", "nickname": nickname}));
        client.greet(&hello);
        client
    }

    /// Connects, logs in and joins.
    #[must_use]
    pub fn join(node: &Program, nickname: &str, room: &str) -> Self {
        let mut client = Self::login(node, nickname);
        client.ok(json!({"type": "join", "room": room}));
        client
    }

    /// Remembers what `hello` says.
    pub fn greet(&mut self, hello: &Value) {
        assert_eq!(hello["type"], "hello", "{hello}");
        self.resume = hello["resume"].as_str().expect("a secret").into();
    }

    /// Sends as it is.
    pub fn send(&mut self, request: &Value) {
        assert!(self.try_send(request), "closed: {:?}", self.ws.closed());
    }

    /// Sends as it is, unless the connection is closing.
    pub fn try_send(&mut self, request: &Value) -> bool {
        let sent = self.ws.send(request.to_string().as_str());
        // Others may be waited for before this connection is read again.
        sent.and_then(|()| self.ws.flush()).is_ok()
    }

    /// Sends a request with an `id` of its own, and waits for its answer.
    pub fn request(&mut self, mut request: Value) -> Value {
        if request.get("id").is_none() {
            self.requests += 1;
            // Nobody else's: it is the retry key too.
            let tag = &self.resume[..self.resume.len().min(8)];
            request["id"] = format!("{tag}-{}", self.requests).into();
        }
        let id = request["id"].clone();
        self.send(&request);
        self.find(|message| message["re"] == id)
    }

    /// A request that is answered by `ok`.
    pub fn ok(&mut self, request: Value) -> Value {
        let shown = request.to_string();
        let answer = self.request(request);
        assert_eq!(answer["type"], "ok", "{shown}: {answer}");
        answer
    }

    /// Says something in a room; the answer.
    pub fn say(&mut self, room: &str, text: &str) -> Value {
        self.ok(json!({"type": "msg", "room": room, "text": text}))
    }

    /// Waits for the first message that is meant; those before it are kept for later.
    pub fn find(&mut self, is_meant: impl Fn(&Value) -> bool) -> Value {
        self.find_within(PATIENCE, is_meant)
            .expect("the message came")
    }

    /// The same, for at most `time`.
    pub fn find_within(
        &mut self,
        time: Duration,
        is_meant: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        if let Some(at) = self.kept.iter().position(&is_meant) {
            return self.kept.remove(at);
        }
        let until = Instant::now() + time;
        loop {
            let message = self.receive(until)?;
            if is_meant(&message) {
                return Some(message);
            }
            self.kept.push_back(message);
        }
    }

    /// Waits for a message of this type.
    pub fn find_type(&mut self, kind: &str) -> Value {
        self.find(|message| message["type"] == kind)
    }

    /// The texts of the next `count` messages in a room, in the order in which they came.
    pub fn texts(&mut self, room: &str, count: usize) -> Vec<String> {
        (0..count).map(|_| self.text(room)).collect()
    }

    /// The text of the next message in a room.
    pub fn text(&mut self, room: &str) -> String {
        let message = self.find(|m| m["type"] == "msg" && m["room"] == room);
        message["text"].as_str().expect("a text").into()
    }

    /// The next message, whatever it is: what was kept first.
    pub fn next_within(&mut self, time: Duration) -> Option<Value> {
        self.find_within(time, |_| true)
    }

    /// Who is in a room, as the node knows it.
    pub fn members(&mut self, room: &str) -> Vec<String> {
        let state = self.request(json!({"type": "members", "room": room}));
        let members = state["members"].as_array().expect("names").iter();
        members
            .map(|name| name.as_str().expect("a name").into())
            .collect()
    }

    /// Waits until these are in a room, by what was told without being asked for.
    pub fn wait_for_view(&mut self, room: &str, members: &[&str]) {
        let is_so = |client: &Self| {
            let view = client.views.get(room).into_iter().flatten();
            view.map(String::as_str).eq(members.iter().copied())
        };
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            let message = self.receive(until);
            let message = message.unwrap_or_else(|| panic!("told of {:?}", self.views.get(room)));
            self.kept.push_back(message);
        }
    }

    /// Leaves in good order.
    pub fn leave(mut self) {
        let _ = self.ws.close(CloseCode::NORMAL, "");
        while self.ws.recv().is_some() {}
    }

    /// Waits for the end; messages before it are kept.
    pub fn end(&mut self) -> End {
        while let Ok(Some(message)) = self.ws.recv_timeout(PATIENCE) {
            let text = message.as_text().expect("text");
            self.kept
                .push_back(serde_json::from_str(text).expect("JSON"));
        }
        let closed = self.ws.closed().expect("the end");
        (closed.code.as_u16(), closed.reason.to_string())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ws.closed().is_some()
    }

    fn receive(&mut self, until: Instant) -> Option<Value> {
        let left = until.saturating_duration_since(Instant::now());
        let message = self.ws.recv_timeout(left).ok()??;
        let text = message.as_text().expect("text");
        let message = serde_json::from_str(text).expect("JSON");
        self.look(&message);
        Some(message)
    }

    /// Keeps the view of a room as any client would.
    fn look(&mut self, message: &Value) {
        let names = |field: &str| {
            let names = message[field].as_array().into_iter().flatten();
            names.map(|name| name.as_str().expect("a name").to_owned())
        };
        let Some(room) = message["room"].as_str() else {
            return;
        };
        let view = self.views.entry(room.to_owned()).or_default();
        match message["type"].as_str() {
            Some("state") => *view = names("members").collect(),
            Some("diff") => {
                view.extend(names("join"));
                names("leave").for_each(|name| assert!(view.remove(&name), "{message}"));
            }
            _ => {}
        }
    }
}
