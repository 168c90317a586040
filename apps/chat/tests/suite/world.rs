//! A chat with a clock that is set by hand, and its clients.

use alloc::sync::Arc;
use core::time::Duration;

use serde_json::{Value, json};
use sockeye_chat::{Chat, Hub, Settings, Surroundings, assets};
use sockeye_handler::testing::{TestClient, TestServer};
use sockeye_handler::{CloseCode, Closed, Config, Response};
use sockeye_kit::caps::Caps;
use sockeye_kit::clock::Clock;
use sockeye_kit::http::{Bearer, Pages, SiteArgs};
use sockeye_kit::token::Verifier;

/// A server, its hub and its clock.
pub(crate) struct World {
    pub(crate) server: TestServer<Chat>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Clock,
}

/// What a test may change.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) publish: Option<Bearer>,
    pub(crate) per_address: Option<u32>,
    pub(crate) write_timeout: Option<Duration>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with_settings(set: impl FnOnce(&mut Settings)) -> Self {
        let mut setup = Setup::default();
        set(&mut setup.settings);
        Self::with(setup)
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let clock = Clock::manual();
        let mut config = Config::default();
        config.max_message = 16 << 10;
        config.idle_timeout = Some(Duration::from_secs(600));
        config.write_timeout = setup.write_timeout.unwrap_or(config.write_timeout);
        config.hard_mark = setup.settings.queue_bytes;
        config.soft_mark = config.soft_mark.min(config.hard_mark);
        let hub = Hub::new(setup.settings, setup.verifier, clock.clone());
        let surroundings = Surroundings {
            site: SiteArgs::default().site("localhost:0").expect("a site"),
            pages: Pages::new(assets()),
            caps: Caps::new(setup.per_address.unwrap_or(10_000), 10),
            publish: setup.publish,
        };
        let chat = Chat::new(Arc::clone(&hub), surroundings).expect("routes");
        let config = config.share().expect("a configuration");
        Self {
            server: TestServer::with_config(chat, config),
            hub,
            clock,
        }
    }

    /// A client of `chat.v1.json`.
    pub(crate) fn v1(&self) -> Client {
        let request = self.server.request("/talking");
        let request = request.subprotocol("chat.v1.json").expect("a token");
        Client(self.server.connect_with(&request).expect("accepted"))
    }

    /// A client of the original dialect.
    pub(crate) fn original(&self) -> Client {
        Client(self.server.connect("/talking").expect("accepted"))
    }

    /// A client of `chat.v1.json` that has logged in.
    pub(crate) fn login(&self, nickname: &str) -> Client {
        let mut client = self.v1();
        client.send(json!({"type": "login", "nickname": nickname}));
        assert_eq!(client.recv()["type"], "hello");
        client
    }

    /// The same, in a room, and with nothing unread.
    pub(crate) fn join(&self, nickname: &str, room: &str) -> Client {
        let mut client = self.login(nickname);
        client.send(json!({"type": "join", "room": room}));
        assert_eq!(client.recv()["type"], "ok");
        assert_eq!(client.recv()["type"], "state");
        client
    }

    /// A client of the original dialect in a room.
    pub(crate) fn join_original(&self, nickname: &str, room: &str) -> Client {
        let mut client = self.original();
        client.send(json!({"type": "login", "nickname": nickname, "room": room}));
        client.nothing();
        client
    }

    /// Lets time pass, for the connections and for the hub.
    pub(crate) fn advance(&self, time: Duration) {
        let end = self.clock.now() + time;
        loop {
            let left = end.saturating_since(self.clock.now());
            // Both clocks go together, in steps that are short beside whatever is waited for.
            let step = left.min(Duration::from_millis(50));
            self.clock.advance(step);
            if self.hub.alarm().take_due(self.clock.now())
                && let Some(next) = self.hub.tick(self.clock.now())
            {
                self.hub.alarm().set(next);
            }
            self.server.advance(step);
            if step == left {
                break;
            }
        }
    }

    /// So much that the members of all rooms have been told of each other.
    pub(crate) fn settle(&self) {
        self.advance(Duration::from_millis(300));
    }

    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)], body: &str) -> Response {
        let answer = self.server.ask("POST", path, fields, body.as_bytes());
        answer.expect("an answer")
    }
}

/// A client that speaks JSON.
pub(crate) struct Client(pub(crate) TestClient<Chat>);

impl Client {
    pub(crate) fn send(&mut self, message: Value) {
        self.send_text(&message.to_string());
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.0.send(text).expect("open");
    }

    /// Messages that come in one read.
    pub(crate) fn send_all(&mut self, messages: &[Value]) {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        self.0
            .send_all(texts.iter().map(String::as_str))
            .expect("open");
    }

    /// A message is there.
    pub(crate) fn recv(&mut self) -> Value {
        let text = self.0.recv_text();
        let text = text.unwrap_or_else(|| panic!("no message; closed: {:?}", self.0.closed()));
        serde_json::from_str(&text).expect("JSON")
    }

    /// Exactly this is there.
    pub(crate) fn expect(&mut self, message: Value) {
        assert_eq!(self.recv(), message);
    }

    /// Everything that is there.
    pub(crate) fn recv_all(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(text) = self.0.recv_text() {
            all.push(serde_json::from_str(&text).expect("JSON"));
        }
        all
    }

    /// The messages of this type that are there; others are dropped.
    pub(crate) fn recv_type(&mut self, kind: &str) -> Vec<Value> {
        let mut all = self.recv_all();
        all.retain(|message| message["type"] == kind);
        all
    }

    /// Nothing is there.
    pub(crate) fn nothing(&mut self) {
        assert_eq!(self.recv_all(), Vec::<Value>::new());
        assert_eq!(self.0.closed(), None);
    }

    /// Asks, and has the one answer.
    pub(crate) fn ask(&mut self, request: Value) -> Value {
        self.send(request);
        self.recv()
    }

    /// Asks, and is refused with this code.
    pub(crate) fn refused(&mut self, request: Value, code: &str) -> Value {
        let answer = self.ask(request);
        assert_eq!(answer["type"], "err", "{answer}");
        assert_eq!(answer["code"], code, "{answer}");
        assert!(
            answer["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty())
        );
        answer
    }

    /// Says something in a room; the offset.
    pub(crate) fn say(&mut self, room: &str, text: &str) -> u64 {
        self.send(json!({"type": "msg", "room": room, "text": text}));
        let answers = self.recv_all();
        let ok = answers.iter().find(|answer| answer["type"] == "ok");
        ok.expect("accepted")["off"].as_u64().expect("an offset")
    }

    /// It was closed by the server, with this code and reason.
    pub(crate) fn closed(&mut self, code: u16, reason: &str) {
        let closed = self.0.closed().expect("closed");
        assert_eq!((closed.code.as_u16(), &*closed.reason), (code, reason));
    }

    pub(crate) fn end(&mut self) -> Option<Closed> {
        self.0.closed()
    }

    pub(crate) fn close(&mut self, code: u16) {
        self.0.close(CloseCode::new(code), "");
    }
}
