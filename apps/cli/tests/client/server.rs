//! A server that does what its paths say, and tells how its connections ended.

use alloc::sync::Arc;
use core::future::pending;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use async_executor::Executor;
use async_io::block_on;
use sockeye_async_std::smol::{ServeOptions, TlsServer, listen, serve};
use sockeye_handler::{
    Accept, CloseCode, Closed, Context, Decision, Handler, Message, Opening, Request, Response,
    Service,
};

/// After this a program that should have answered counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long `/stall` takes for the first message.
const STALL: Duration = Duration::from_millis(300);

/// Runs until the test ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    ends: Receiver<Closed>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    pub(crate) fn start_with(tls: Option<TlsServer>) -> Self {
        let (tell_port, port) = channel();
        let (end, ends) = channel();
        thread::spawn(move || {
            let executor = Arc::new(Executor::new());
            block_on(executor.run(async {
                let listener = listen("127.0.0.1:0").await.expect("a port");
                let mut options = ServeOptions::default();
                options.tls = tls;
                let service = Paths {
                    ends: Mutex::new(end),
                    opened: AtomicUsize::new(0),
                };
                let server = serve(listener, service, &options, Arc::clone(&executor));
                let server = server.expect("an address");
                tell_port.send(server.local_addr().port()).expect("a test");
                pending::<()>().await;
            }));
        });
        let port = port.recv_timeout(PATIENCE).expect("a server");
        Self { port, ends }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// The code with which the next connection ended.
    pub(crate) fn code(&self) -> u16 {
        let closed = self.ends.recv_timeout(PATIENCE).expect("an end");
        closed.code.as_u16()
    }
}

struct Paths {
    ends: Mutex<Sender<Closed>>,
    opened: AtomicUsize,
}

impl Service for Paths {
    type Handler = Connection;

    fn on_request(&self, request: &Request<'_>, _: &mut Opening<'_>) -> Decision<Connection> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let acts = match request.path() {
            "/forbidden" => {
                return Decision::Respond(Response::text(403, "members only\x1b[2J"));
            }
            // The first finds it busy, the second is sent away, the third is served.
            "/flaky" if number == 0 => return Decision::Respond(Response::new(503)),
            "/flaky" if number == 1 => Acts::Close(CloseCode::SERVICE_RESTART, "moving"),
            "/4008" => Acts::Close(CloseCode::new(4008), "slow consumer"),
            "/bye" => Acts::Close(CloseCode::NORMAL, ""),
            "/last-words" => Acts::LastWords,
            "/request" => Acts::Say(about(request)),
            "/control" => Acts::Say("a\x1b[2Jb\nc".into()),
            "/silent" => Acts::Nothing,
            "/stall" => Acts::Stall,
            _ => Acts::Echo,
        };
        let chosen = request.subprotocols().find(|name| *name == "known");
        let accept = match chosen {
            Some(name) => Accept::new().subprotocol(name).expect("a token"),
            None => Accept::new(),
        };
        let end = self.ends.lock().expect("no panic").clone();
        Decision::Accept(accept, Connection { acts, end })
    }
}

/// What a test may want to know of the request, as JSON.
fn about(request: &Request<'_>) -> String {
    let value = |name: &str| {
        let value = request.values(name).next().map(String::from_utf8_lossy);
        value.unwrap_or_default().into_owned()
    };
    let known = [
        ("host", value("Host")),
        ("origin", value("Origin")),
        ("cookie", value("Cookie")),
        ("authorization", value("Authorization")),
        ("protocols", value("Sec-WebSocket-Protocol")),
    ];
    let members = known.map(|(name, value)| format!("\"{name}\":\"{value}\""));
    format!("{{{}}}", members.join(","))
}

struct Connection {
    acts: Acts,
    end: Sender<Closed>,
}

enum Acts {
    Echo,
    Nothing,
    Say(String),
    Close(CloseCode, &'static str),
    /// An answer and the end in one write.
    LastWords,
    /// A long time for the first message, none for the others.
    Stall,
}

impl Handler for Connection {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        match &self.acts {
            Acts::Say(text) => cx.send(text).expect("room"),
            Acts::Close(code, reason) => cx.close(*code, reason).expect("a code"),
            Acts::Echo | Acts::Nothing | Acts::LastWords | Acts::Stall => {}
        }
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        match self.acts {
            Acts::Echo => cx.send(message).expect("room"),
            Acts::Stall => {
                thread::sleep(STALL);
                cx.send(message).expect("room");
                self.acts = Acts::Echo;
            }
            Acts::LastWords => {
                cx.send("last").expect("room");
                cx.close(CloseCode::new(4000), "done").expect("a code");
            }
            Acts::Nothing | Acts::Say(_) | Acts::Close(..) => {}
        }
    }

    fn on_close(&mut self, closed: &Closed) {
        // The test may be over.
        let _ = self.end.send(closed.clone());
    }
}
