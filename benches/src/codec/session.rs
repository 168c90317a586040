//! Ours, as applications use it: a whole server connection with its handler.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use sockeye_core::{Closed, Config, Endpoint, Message, ReadBuffer, Time, Transmit};
use sockeye_handler::{
    Address, Context, Decision, Handler, Linear, Router, Service, Session, Ws, linear, service_fn,
};

use super::Contender;
use super::job::{Job, Material, Tally, Task};
use super::memory::Memory;

/// How the handler is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// A handler of its own type.
    Plain,
    /// A boxed one, behind a route.
    Routed,
    /// An asynchronous function over owned messages.
    Linear,
}

/// Where a handler leaves what it has counted.
type Outbox = Arc<Mutex<Tally>>;

struct Counting {
    answers: bool,
    tally: Tally,
    outbox: Outbox,
}

impl Handler for Counting {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        self.tally.add(message.as_bytes());
        if self.answers {
            let _ = cx.send(message);
        }
    }

    fn on_close(&mut self, _: &Closed) {
        if let Ok(mut outbox) = self.outbox.lock() {
            *outbox = self.tally;
        }
    }
}

impl Contender for Handled {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain => "sockeye, handler",
            Self::Routed => "sockeye, routed handler",
            Self::Linear => "sockeye, `linear`",
        }
    }

    fn can(&self, job: &Job) -> bool {
        !matches!(job.task, Task::Send { .. })
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        let answers = match material.job.task {
            Task::Receive => false,
            Task::Echo => true,
            Task::Send { .. } => return None,
        };
        let outbox = Outbox::default();
        let count = {
            let outbox = Arc::clone(&outbox);
            move || Counting {
                answers,
                tally: Tally::default(),
                outbox: Arc::clone(&outbox),
            }
        };
        match self {
            Self::Plain => {
                let service = service_fn(move |_, _| Decision::accept(count()));
                drive(service, memory)?;
            }
            Self::Routed => {
                let router = Router::new().ws("/", move |_, _| Decision::accept(count()));
                drive(router.ok()?, memory)?;
            }
            Self::Linear => drive(function(answers, Arc::clone(&outbox)), memory)?,
        }
        let tally = *outbox.lock().ok()?;
        Some(tally)
    }
}

fn function(
    answers: bool,
    outbox: Outbox,
) -> Linear<impl Fn(Ws) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync> {
    linear(move |mut ws: Ws| {
        let outbox = Arc::clone(&outbox);
        let run = async move {
            let mut tally = Tally::default();
            while let Some(message) = ws.recv().await {
                tally.add(message.as_bytes());
                if answers && ws.send(message).await.is_err() {
                    break;
                }
            }
            if let Ok(mut outbox) = outbox.lock() {
                *outbox = tally;
            }
        };
        Box::pin(run) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    })
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn drive<S: Service>(service: S, memory: &mut Memory<'_>) -> Option<()> {
    let config = Config::default().share().ok()?;
    let mut now = Time::ZERO;
    let mut session = Session::new(Arc::new(service), config, Address::other("memory"), now);
    let mut request = REQUEST.to_vec();
    none(session.handle_input(&mut request, now));
    // The answer to the upgrade is nobody's message.
    if let Some(Transmit::Write(output)) = session.poll_transmit() {
        let len = output.first().len();
        session.handle_written(len, now);
    }
    let mut buffer = ReadBuffer::default();
    loop {
        now = now + Duration::from_micros(10);
        session.handle_wake(now);
        if session.wants_input() {
            if let Some(target) = session.read_target() {
                let n = memory.fetch(target);
                session.handle_read(n, now);
            } else {
                match memory.fetch(buffer.target_for(&mut session)) {
                    0 => break,
                    n => none(buffer.give(n, &mut session, now)),
                }
            }
        }
        // Once for all that the read brought.
        while let Some(Transmit::Write(output)) = session.poll_transmit() {
            let before = memory.written;
            memory.store_all(output.slices());
            session.handle_written(memory.written - before, now);
        }
        session.set_waker(Waker::noop());
    }
    session.handle_eof(now);
    Some(())
}

/// A session hands out nothing: its handler takes it all.
fn none(item: Option<Infallible>) {
    match item {
        None => {}
        Some(never) => match never {},
    }
}
