//! A server and its clients in one thread, without sockets, with a clock that only the test
//! moves.
//!
//! Everything happens in the order in which the test asks for it, and nothing happens while it
//! does not ask, so a test needs no sleeping and gives the same result each time. What runs is
//! the [`Session`] that adapters drive, and the client of the core.
//!
//! ```
//! use core::time::Duration;
//! use sockeye_handler::testing::TestServer;
//! use sockeye_handler::{CloseCode, linear};
//!
//! let patient = linear(|mut ws| async move {
//!     ws.sleep(Duration::from_secs(3600)).await;
//!     let _ = ws.send("here you are").await;
//!     ws.recv().await;
//! });
//! let server = TestServer::new(patient);
//! let mut client = server.connect("/").expect("every path is served");
//! assert_eq!(client.recv(), None);
//! server.advance(Duration::from_secs(3601));
//! assert_eq!(client.recv_text().as_deref(), Some("here you are"));
//! client.close(CloseCode::NORMAL, "");
//! assert!(client.closed().is_some_and(|closed| closed.is_clean()));
//! ```

mod link;

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::cell::{RefCell, RefMut};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use sockeye_core::handshake::{
    ClientHandshake, ClientRequest, ConnectError, HttpLimits, Response, Url,
};
use sockeye_core::{
    CloseCode, Closed, Incoming, Outgoing, OwnedMessage, SendError, SharedConfig, Time,
};

use self::link::{End, Link};
use crate::address::Address;
use crate::handler::Service;
use crate::session::Session;

/// A server without a listener; see the [module](self). Cheap to clone.
pub struct TestServer<S: Service>(Rc<RefCell<World<S>>>);

struct World<S: Service> {
    /// Stopped when the world goes.
    service: Arc<S>,
    config: SharedConfig,
    now: Time,
    read_size: usize,
    /// By number; `None` once both sides are done with it.
    links: Vec<Option<Link<S>>>,
}

impl<S: Service> TestServer<S> {
    /// A server with the default settings.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self::with_config(service, SharedConfig::default())
    }

    /// A server with these settings.
    #[must_use]
    pub fn with_config(service: S, config: SharedConfig) -> Self {
        service.on_start();
        Self(Rc::new(RefCell::new(World {
            service: Arc::new(service),
            config,
            now: Time::ZERO,
            read_size: 16 << 10,
            links: Vec::new(),
        })))
    }

    /// Opens a connection. If the service decides later, the clock moves until it has.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Rejected`] has the response if the service does not accept.
    pub fn connect(&self, path: &str) -> Result<TestClient<S>, ConnectError> {
        self.connect_with(&self.request(path))
    }

    /// Opens a connection with a request that says more than a path.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_with(&self, request: &ClientRequest) -> Result<TestClient<S>, ConnectError> {
        let client = self.begin(request);
        while !client.is_decided() {
            let step = Duration::from_millis(100);
            self.advance(step);
        }
        match self.world().link(client.number).take_failure() {
            Some(error) => Err(error),
            None => Ok(client),
        }
    }

    /// Sends the request for a connection, and leaves it at that.
    #[must_use]
    pub fn begin(&self, request: &ClientRequest) -> TestClient<S> {
        let end = End::opening(self.world().handshake(request));
        TestClient {
            number: self.add(end),
            server: self.clone(),
        }
    }

    /// A request for [`connect_with`](Self::connect_with), to add to.
    ///
    /// # Panics
    ///
    /// If `path` cannot stand in a URL.
    #[must_use]
    pub fn request(&self, path: &str) -> ClientRequest {
        let url = format!("ws://localhost{path}");
        let url = Url::parse(&url).expect("a path that can stand in a URL");
        ClientRequest::new(&url)
    }

    /// Asks for a page. `None` if there was no answer.
    pub fn get(&self, path: &str) -> Option<Response> {
        self.ask("GET", path, &[], b"")
    }

    /// Asks in plain HTTP, with these fields and this body. `None` if there was no answer.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Response> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut raw = self.raw();
        raw.write(&[request.as_bytes(), body].concat());
        // The client's handshake reads any answer that is not an upgrade.
        let mut reader = self.world().handshake(&self.request("/"));
        let error = match reader.handle_input(&raw.read()) {
            Ok(_) => reader.handle_eof(),
            Err(error) => error,
        };
        match error {
            ConnectError::Rejected(response) => Some(response),
            _ => None,
        }
    }

    /// Connects a client that only moves bytes.
    #[must_use]
    pub fn raw(&self) -> RawClient<S> {
        RawClient {
            number: self.add(End::raw()),
            server: self.clone(),
        }
    }

    /// Ends all sessions in good order, as a server that shuts down does.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut world = self.world();
        let now = world.now;
        for link in world.links.iter_mut().flatten() {
            link.with_session(|session| session.close(code, reason, now));
        }
        world.run();
    }

    /// Tells the service that the server is to end, as a server that drains does. Nothing else
    /// happens: what the service closes it closes by itself, and upgrades are still accepted.
    pub fn drain(&self, within: Duration) {
        let service = self.service();
        service.on_drain(within);
        self.run();
    }

    /// Moves the clock, step by step over everything that is due on the way.
    pub fn advance(&self, duration: Duration) {
        self.world().advance(duration);
    }

    /// Lets what has come from other threads take effect. Everything else does this by itself.
    pub fn run(&self) {
        self.world().run();
    }

    /// Has sessions read at most this much at once: 16 KiB if not set, at least one byte.
    pub fn set_read_size(&self, bytes: usize) {
        self.world().read_size = bytes.max(1);
    }

    /// What the clock says. It begins at zero.
    #[must_use]
    pub fn now(&self) -> Time {
        self.world().now
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> Arc<S> {
        Arc::clone(&self.world().service)
    }

    /// How many sessions are not finished.
    #[must_use]
    pub fn sessions(&self) -> usize {
        let world = self.world();
        let links = world.links.iter().flatten();
        links.filter(|link| link.has_session()).count()
    }

    fn world(&self) -> RefMut<'_, World<S>> {
        self.0.borrow_mut()
    }

    fn add(&self, end: End) -> usize {
        let mut world = self.world();
        let number = world.links.len();
        // Each client has an address of its own, as in life.
        let port = 40_000 + (number % 20_000) as u16;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let session = Session::new(
            Arc::clone(&world.service),
            world.config.clone(),
            Address::from(core::net::SocketAddr::V4(address)),
            world.now,
        );
        world.links.push(Some(Link::new(session, end)));
        world.run();
        number
    }
}

impl<S: Service> Clone for TestServer<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: Service> fmt::Debug for TestServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer").finish_non_exhaustive()
    }
}

impl<S: Service> Drop for World<S> {
    fn drop(&mut self) {
        self.links.clear();
        self.service.on_stop();
    }
}

impl<S: Service> World<S> {
    fn handshake(&self, request: &ClientRequest) -> ClientHandshake {
        let deadline = self.now + Duration::from_secs(3600);
        // What a test is about are the server's limits.
        let limits = HttpLimits {
            body: usize::MAX,
            ..HttpLimits::default()
        };
        ClientHandshake::new(request, [7; 16], limits, deadline)
    }

    /// Moves bytes and wake-ups until nothing is left to move.
    fn run(&mut self) {
        while self.run_once() {}
    }

    fn run_once(&mut self) -> bool {
        let mut has_moved = false;
        for link in self.links.iter_mut().flatten() {
            has_moved |= link.run(self.read_size, self.now);
        }
        has_moved
    }

    fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run();
        let mut earliest = self.now;
        loop {
            let timeouts = self.links.iter().flatten().filter_map(Link::poll_timeout);
            let Some(next) = timeouts.min().filter(|next| *next <= end) else {
                break;
            };
            // A handler that asks for the past again must not stop the clock.
            self.now = next.max(earliest);
            earliest = self.now + Duration::from_micros(1);
            if self.now > end {
                break;
            }
            for link in self.links.iter_mut().flatten() {
                link.handle_timeout(self.now);
            }
            self.run();
        }
        self.now = end;
    }

    fn link(&mut self, number: usize) -> &mut Link<S> {
        let link = self.links.get_mut(number).and_then(Option::as_mut);
        link.expect("a link is there as long as its client")
    }
}

/// A client of a [`TestServer`]. Dropping it loses the connection without a Close.
pub struct TestClient<S: Service> {
    server: TestServer<S>,
    number: usize,
}

impl<S: Service> TestClient<S> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`](sockeye_core::Sender::send).
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.sender(|sender| sender.send(message))
    }

    /// Sends several messages, which reach the server in one read if they are short.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_all<'m, M: Into<Outgoing<'m>>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), SendError> {
        self.sender(|sender| {
            messages
                .into_iter()
                .try_for_each(|message| sender.send(message))
        })
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// As [`Sender::ping`](sockeye_core::Sender::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender(|sender| sender.ping(payload))
    }

    /// Begins to close. That it is closing already is no error here.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        let _ = self.sender(|sender| sender.close(code, reason));
    }

    /// The next message that has come. `None` if there is none now: the clock does not move.
    ///
    /// Pings and Pongs before it are dropped.
    pub fn recv(&mut self) -> Option<OwnedMessage> {
        loop {
            if let Incoming::Message(message) = self.event()? {
                return Some(message);
            }
        }
    }

    /// The next message that has come, if it is text.
    pub fn recv_text(&mut self) -> Option<String> {
        match self.recv()? {
            OwnedMessage::Text(text) => Some(text.into()),
            OwnedMessage::Binary(_) => None,
        }
    }

    /// What has come next: a message, a Ping, a Pong. The end stays for [`closed`](Self::closed).
    pub fn event(&mut self) -> Option<Incoming> {
        self.server.world().link(self.number).take_event()
    }

    /// Stops reading, as a stalled peer does.
    pub fn stall(&mut self) {
        self.server.world().link(self.number).is_stalled = true;
    }

    /// Reads again.
    pub fn unstall(&mut self) {
        let mut world = self.server.world();
        world.link(self.number).is_stalled = false;
        world.run();
    }

    /// Sends bytes as they are, between frames.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut world = self.server.world();
        world.link(self.number).write(bytes);
        world.run();
    }

    /// Whether the server has answered the handshake.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.server.world().link(self.number).is_decided()
    }

    /// How the connection has ended, if it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.server.world().link(self.number).closed()
    }

    /// The server's answer to the handshake.
    #[must_use]
    pub fn response(&self) -> Option<Response> {
        self.server.world().link(self.number).response()
    }

    /// Where the server sees it.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.server.world().link(self.number).address()
    }

    fn sender<R>(
        &mut self,
        act: impl FnOnce(&mut sockeye_core::Sender) -> Result<R, SendError>,
    ) -> Result<R, SendError> {
        let mut world = self.server.world();
        let result = match world.link(self.number).sender() {
            Some(sender) => act(sender),
            None => Err(SendError::Closed),
        };
        world.run();
        result
    }
}

impl<S: Service> Drop for TestClient<S> {
    fn drop(&mut self) {
        lose(&self.server, self.number);
    }
}

impl<S: Service> fmt::Debug for TestClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A client of a [`TestServer`] that only moves bytes.
pub struct RawClient<S: Service> {
    server: TestServer<S>,
    number: usize,
}

impl<S: Service> RawClient<S> {
    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut world = self.server.world();
        world.link(self.number).write(bytes);
        world.run();
    }

    /// What has come since the last time.
    pub fn read(&mut self) -> Vec<u8> {
        self.server.world().link(self.number).take_bytes()
    }

    /// Stops reading, as a stalled peer does.
    pub fn stall(&mut self) {
        self.server.world().link(self.number).is_stalled = true;
    }

    /// Ends its own direction.
    pub fn end(&mut self) {
        let mut world = self.server.world();
        world.link(self.number).end();
        world.run();
    }

    /// Whether the server has ended its direction.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.server.world().link(self.number).is_ended()
    }
}

impl<S: Service> Drop for RawClient<S> {
    fn drop(&mut self) {
        lose(&self.server, self.number);
    }
}

impl<S: Service> fmt::Debug for RawClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// The transport of a client is lost.
fn lose<S: Service>(server: &TestServer<S>, number: usize) {
    // Not while a handler of this very world panics.
    if let Ok(mut world) = server.0.try_borrow_mut() {
        let now = world.now;
        world.link(number).lose(now);
        world.run();
    }
}
