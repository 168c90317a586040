//! A server on a free port that does what it is told.

use alloc::sync::Arc;
use core::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use sockeye_async::{ServeOptions, Shutdown};
use sockeye_core::{CloseCode, Closed, Config};
use sockeye_handler::{
    Accept, Context, Decision, Handler, Message, Opening, Peer, Request, Response, Service,
};

use crate::adapter::{Adapter, Running};

/// A server under test: echoes, and obeys a few words.
pub struct TestServer<A: Adapter> {
    server: A::Server,
    /// Where it listens.
    pub address: SocketAddr,
    ended: Receiver<Closed>,
    peers: Receiver<Peer>,
}

impl<A: Adapter> TestServer<A> {
    /// With limits that differ from the defaults.
    pub fn start(configure: impl FnOnce(&mut Config, &mut ServeOptions)) -> Self {
        let mut config = Config::default();
        let mut options = ServeOptions::default();
        configure(&mut config, &mut options);
        options.config = config.share().expect("valid limits");
        let (ended_sender, ended) = channel();
        let (peers_sender, peers) = channel();
        let service = Obedient(Arc::new(Reports {
            ended: ended_sender,
            peers: peers_sender,
        }));
        let server = A::serve(service, &options);
        Self {
            address: server.address(),
            server,
            ended,
            peers,
        }
    }

    /// How the next connection that ends has ended, as its handler was told.
    pub fn next_end(&self) -> Closed {
        let patience = crate::wire::PATIENCE;
        self.ended.recv_timeout(patience).expect("an end")
    }

    /// The handle of the next connection that opens.
    pub fn next_peer(&self) -> Peer {
        let patience = crate::wire::PATIENCE;
        self.peers.recv_timeout(patience).expect("a connection")
    }

    /// Drops what was reported and not asked for.
    pub fn forget_reports(&self) {
        while self.ended.try_recv().is_ok() || self.peers.try_recv().is_ok() {}
    }

    /// Connections that have not ended yet.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Ends the server; how many connections had to be dropped.
    pub fn shut_down(&mut self, shutdown: Shutdown) -> usize {
        self.server.shut_down(shutdown)
    }

    /// Ends the server while `meanwhile` goes on elsewhere.
    pub fn shut_down_while<T: Send>(
        &mut self,
        shutdown: Shutdown,
        meanwhile: impl FnOnce() -> T + Send,
    ) -> (usize, T) {
        std::thread::scope(|scope| {
            let meanwhile = scope.spawn(meanwhile);
            let dropped = self.shut_down(shutdown);
            (dropped, meanwhile.join().expect("the other side"))
        })
    }
}

/// Echoes. `close CODE` makes it close, `panic` panic, `abort` give up.
struct Obedient(Arc<Reports>);

struct Reports {
    ended: Sender<Closed>,
    peers: Sender<Peer>,
}

struct Connection(Arc<Reports>);

impl Service for Obedient {
    type Handler = Connection;

    fn on_request(&self, request: &Request<'_>, _: &mut Opening<'_>) -> Decision<Connection> {
        if !request.is_upgrade() {
            return Decision::Respond(Response::text(200, "a page\n"));
        }
        if request.path() == "/forbidden" {
            let response = Response::text(403, "members only\nsorry\n");
            let response = response.field("X-Reason", "no ticket").expect("a field");
            return Decision::Respond(response);
        }
        let first = request.subprotocols().next();
        let accept = first.map_or_else(Accept::new, |name| {
            Accept::new().subprotocol(name).expect("a token")
        });
        Decision::Accept(accept, Connection(Arc::clone(&self.0)))
    }
}

impl Handler for Connection {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        // The test may not be interested any more; so below.
        let _ = self.0.peers.send(cx.peer());
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        if let Message::Text(text) = &message {
            if let Some(code) = text.strip_prefix("close ") {
                let code = CloseCode::new(code.parse().expect("a number"));
                return cx.close(code, "as you wish").expect("open");
            }
            match text.as_str() {
                "panic" => panic!("as you wish"),
                "abort" => return cx.abort(),
                _ => {}
            }
        }
        let _ = cx.send(message);
    }

    fn on_close(&mut self, closed: &Closed) {
        let _ = self.0.ended.send(closed.clone());
    }
}
