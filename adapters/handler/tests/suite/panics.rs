//! A panic of the application ends one connection, and nothing else.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::sync::Mutex;

use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    Address, CloseCode, Closed, Context, Decision, Handler, Message, Opening, Request, Service,
};

use crate::probe::Notes;

/// Where a handler panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Request,
    Later,
    Open,
    Message,
    Ping,
    Timer,
    Wake,
    Close,
    MessageAndClose,
    Drop,
    MessageAndDrop,
}

const ALL: [Where; 11] = [
    Where::Request,
    Where::Later,
    Where::Open,
    Where::Message,
    Where::Ping,
    Where::Timer,
    Where::Wake,
    Where::Close,
    Where::MessageAndClose,
    Where::Drop,
    Where::MessageAndDrop,
];

#[derive(Default)]
struct Reports(Mutex<Vec<(String, String)>>);

struct Bomb {
    at: Option<Where>,
    notes: Notes,
    closes: Arc<AtomicUsize>,
}

impl Bomb {
    fn pass(&self, places: &[Where]) {
        if self.at.is_some_and(|at| places.contains(&at)) {
            // Not through the hook of the standard library: the test's output stays readable.
            std::panic::resume_unwind(Box::new(format!("at {:?}", self.at)));
        }
    }
}

impl Handler for Bomb {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.pass(&[Where::Open]);
        match self.at {
            Some(Where::Timer) => {
                let now = cx.now();
                cx.set_timer(1, now);
            }
            Some(Where::Wake) => cx.peer().wake(),
            _ => {}
        }
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let before = [
            Where::Message,
            Where::MessageAndClose,
            Where::MessageAndDrop,
        ];
        cx.send("queued before").expect("open");
        self.notes.push("message");
        self.pass(&before);
        cx.send(message).expect("open");
    }

    fn on_ping(&mut self, _: &[u8], _: &mut Context<'_>) {
        self.pass(&[Where::Ping]);
    }

    fn on_timer(&mut self, _: u64, _: &mut Context<'_>) {
        self.pass(&[Where::Timer]);
    }

    fn on_wake(&mut self, _: &mut Context<'_>) {
        self.pass(&[Where::Wake]);
    }

    fn poll_finished(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.notes.push("finished");
        Poll::Ready(())
    }

    fn on_close(&mut self, _: &Closed) {
        self.closes.fetch_add(1, Ordering::Relaxed);
        self.pass(&[Where::Close, Where::MessageAndClose]);
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.notes.push("drop");
        self.pass(&[Where::Drop, Where::MessageAndDrop]);
    }
}

/// `/` is a bomb, every other path a handler that works.
struct Minefield {
    at: Where,
    notes: Notes,
    closes: Arc<AtomicUsize>,
    reports: Reports,
}

impl Service for Minefield {
    type Handler = Bomb;

    fn on_request(&self, request: &Request<'_>, _: &mut Opening<'_>) -> Decision<Bomb> {
        let is_bomb = request.path() == "/";
        let bomb = Bomb {
            at: is_bomb.then_some(self.at),
            notes: self.notes.clone(),
            closes: Arc::clone(&self.closes),
        };
        bomb.pass(&[Where::Request]);
        if is_bomb && self.at == Where::Later {
            return Decision::later(async move {
                bomb.pass(&[Where::Later]);
                Decision::accept(bomb)
            });
        }
        Decision::accept(bomb)
    }

    fn on_panic(&self, address: &Address, message: &str) {
        let report = (address.to_string(), message.to_owned());
        self.reports.0.lock().expect("no panic here").push(report);
    }
}

#[test]
fn a_panic_anywhere_ends_its_connection_alone() {
    for at in ALL {
        let closes = Arc::new(AtomicUsize::new(0));
        let notes = Notes::default();
        let server = TestServer::new(Minefield {
            at,
            notes: notes.clone(),
            closes: Arc::clone(&closes),
            reports: Reports::default(),
        });
        let mut bystander = server.connect("/works").expect("accepted");

        match server.connect("/") {
            Err(error) => {
                assert!(matches!(at, Where::Request | Where::Later), "{at:?}");
                let sockeye_core::handshake::ConnectError::Rejected(response) = error else {
                    panic!("{at:?}: {error}");
                };
                assert_eq!(response.status(), 500, "{at:?}");
                assert_eq!(closes.load(Ordering::Relaxed), 0, "it was never opened");
            }
            Ok(mut client) => {
                let _ = client.ping(b"");
                let _ = client.send_all(["one", "two"]);
                server.advance(core::time::Duration::from_millis(1));
                client.close(CloseCode::NORMAL, "");
                let closed = client.closed().expect("closed");
                let code = match at {
                    // It panicked when all was over.
                    Where::Close | Where::Drop => CloseCode::NORMAL,
                    _ => CloseCode::INTERNAL_ERROR,
                };
                assert_eq!(closed.code, code, "{at:?}");
                assert_eq!(closes.load(Ordering::Relaxed), 1, "{at:?}");
                if at == Where::Message {
                    assert_eq!(client.recv_text().as_deref(), Some("queued before"));
                    assert_eq!(notes.count("message"), 1, "the second was not delivered");
                }
            }
        }
        assert_eq!(notes.count("drop"), 1, "{at:?}");
        // After a panic a handler hears of the end, and nothing else.
        let finished = usize::from(at == Where::Drop);
        assert_eq!(notes.count("finished"), finished, "{at:?}");

        let service = server.service();
        let reports = service.reports.0.lock().expect("no panic here").clone();
        let expected = match at {
            Where::MessageAndClose | Where::MessageAndDrop => 2,
            _ => 1,
        };
        assert_eq!(reports.len(), expected, "{at:?}: {reports:?}");
        for (address, message) in reports {
            assert!(address.starts_with("tcp4:127.0.0.1:"), "{address}");
            assert!(message.contains(&format!("{at:?}")), "{message}");
        }

        bystander.send("still there?").expect("open");
        assert_eq!(bystander.recv_text().as_deref(), Some("queued before"));
        assert_eq!(bystander.recv_text().as_deref(), Some("still there?"));
        assert_eq!(server.sessions(), 1, "{at:?}");
    }
}

#[test]
fn a_panic_ends_with_the_transport_too() {
    let closes = Arc::new(AtomicUsize::new(0));
    let notes = Notes::default();
    let server = TestServer::new(Minefield {
        at: Where::Message,
        notes: notes.clone(),
        closes: Arc::clone(&closes),
        reports: Reports::default(),
    });
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("now").expect("open");
    // It does not know yet.
    client.send("and again").expect("open");
    assert_eq!(notes.count("message"), 1);
    drop(client);
    assert_eq!(closes.load(Ordering::Relaxed), 1);
    assert_eq!(server.sessions(), 0);
}
