//! A server, its clock, and somebody who makes tokens.

use core::time::Duration;

use serde_json::Value;
use sockeye_handler::testing::{TestClient, TestServer};
use sockeye_handler::{Closed, Config, Response};
use sockeye_kit::clock::Clock;
use sockeye_kit::http::SiteArgs;
use sockeye_kit::name::Name;
use sockeye_kit::token::{Signer, demo};
use sockeye_presence::{Options, Presence, page};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// How often the bench looks at the clock.
const STEP: Duration = Duration::from_millis(10);

pub(crate) type Client = TestClient<Presence>;

pub(crate) struct Bench {
    pub(crate) server: TestServer<Presence>,
    pub(crate) clock: Clock,
    pub(crate) signer: Signer,
}

/// What a test would have otherwise than it is shipped.
pub(crate) fn options() -> (Options, Signer) {
    let (verifier, signer) = demo().expect("randomness");
    let site = SiteArgs::default().site("127.0.0.1:0").expect("no flags");
    let mut options = Options::new(verifier, site);
    options.demo = Some(signer.clone());
    (options, signer)
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::with_config(change, |_| {})
    }

    pub(crate) fn with_config(
        change: impl FnOnce(&mut Options),
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let (mut options, signer) = options();
        change(&mut options);
        let clock = Clock::manual();
        let pages = SiteArgs::default().pages(page::assets()).expect("pages");
        let presence = Presence::new(options, pages, clock.clone()).expect("paths");
        let mut config = Config::default();
        config.max_message = 16 << 10;
        configure(&mut config);
        let config = config.share().expect("valid limits");
        Self {
            server: TestServer::with_config(presence, config),
            clock,
            signer,
        }
    }

    /// Moves all clocks, and does what is due on the way.
    pub(crate) fn advance(&self, duration: Duration) {
        let end = self.clock.now() + duration;
        loop {
            let step = end.saturating_since(self.clock.now()).min(STEP);
            self.clock.advance(step);
            self.server.advance(step);
            self.server.service().tick();
            self.server.run();
            if step < STEP {
                return;
            }
        }
    }

    pub(crate) fn token(&self, user: &str, ttl: Duration) -> String {
        let user = Name::parse(user).expect("a name");
        self.signer.sign(&user, ttl, self.clock.wall())
    }

    pub(crate) fn message(&self, user: &str, ttl: Duration) -> String {
        message(&self.token(user, ttl))
    }

    /// A connection to `/echo` that has said whose it is.
    pub(crate) fn join(&self, user: &str) -> Client {
        let mut client = self.open("/echo");
        let message = self.message(user, HOUR);
        client.send(&*message).expect("open");
        assert_eq!(client.recv_text(), Some(message));
        client
    }

    pub(crate) fn open(&self, path: &str) -> Client {
        self.server.connect(path).expect("accepted")
    }

    /// Asks for a page; the clock moves until there is an answer.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        // What is pending is answered at the end of its window.
        self.advance(Duration::from_millis(250));
        let response = self.server.ask("GET", path, fields, b"");
        response.expect("an answer")
    }

    /// Who is online, as `GET /presence` says.
    pub(crate) fn users(&self) -> Vec<String> {
        ids(&body(&self.get("/presence")))
    }

    /// Whether one is online at this very moment.
    pub(crate) fn is_connected(&self, user: &str) -> bool {
        let response = self.server.get(&format!("/presence/{user}"));
        body(&response.expect("an answer"))["connected"] == true
    }
}

pub(crate) fn message(token: &str) -> String {
    format!(r#"{{"jwt":"{token}"}}"#)
}

pub(crate) fn ids(state: &Value) -> Vec<String> {
    let users = state["users"].as_array().expect("a list");
    let id = |user: &Value| user["id"].as_str().expect("a name").into();
    users.iter().map(id).collect()
}

pub(crate) fn body(response: &Response) -> Value {
    assert_eq!(
        response.value("Content-Type"),
        Some(&b"application/json"[..])
    );
    assert_eq!(response.value("Cache-Control"), Some(&b"no-store"[..]));
    serde_json::from_slice(response.content()).expect("JSON")
}

pub(crate) fn json(client: &mut Client) -> Option<Value> {
    let text = client.recv_text()?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Code and reason of the Close frame, if there was one.
pub(crate) fn closed(client: &Client) -> Option<(u16, String)> {
    let Closed { code, reason, .. } = client.closed()?;
    Some((code.as_u16(), reason.into()))
}

pub(crate) fn end(code: u16, reason: &str) -> Option<(u16, String)> {
    Some((code, reason.into()))
}
