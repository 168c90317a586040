//! `sessions`: very many server connections in one thread, without a socket: what the state of
//! each weighs, and what a message to all of them costs.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use sockeye_core::{Config, Endpoint, Frame, Message, OutputBuffer, SharedConfig, Time, Transmit};
use sockeye_handler::{
    Address, Context, Decision, Handler, Opening, Peer, Request, Service, Session,
};

use crate::measure::{Samples, cpu_time};
use crate::wire::{self, Kind};
use crate::{program, report};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What to measure, and how often.
pub struct Options {
    pub rounds: usize,
    pub sessions: usize,
    /// Put the table into the documentation.
    pub write: bool,
}

/// Echoes, and can be spoken to if `peers` is where that is noted.
struct Echo {
    peers: Option<Arc<Mutex<Vec<Peer>>>>,
}

struct Connection(Option<Arc<Mutex<Vec<Peer>>>>);

impl Service for Echo {
    type Handler = Connection;

    fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Connection> {
        Decision::accept(Connection(self.peers.clone()))
    }
}

impl Handler for Connection {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        if let Some(peers) = self.0.take() {
            lock(&peers).push(cx.peer());
        }
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes who was woken, as an event loop does.
struct Bell {
    place: usize,
    rung: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.rung).push(self.place);
    }
}

/// All sessions of a server, and what drives them.
pub struct Crowd {
    sessions: Vec<Session<Echo>>,
    service: Arc<Echo>,
    config: SharedConfig,
    rung: Arc<Mutex<Vec<usize>>>,
    woken: Vec<usize>,
    now: Time,
    /// Of the thread; lent to whoever is driven.
    spare: Option<OutputBuffer>,
    /// Bytes that have left.
    pub written: usize,
}

impl Crowd {
    /// Room for `count` sessions; with peers, they can be spoken to from elsewhere.
    pub fn new(count: usize, with_peers: bool) -> Self {
        let peers = with_peers.then(|| Arc::new(Mutex::new(Vec::with_capacity(count))));
        Self {
            sessions: Vec::with_capacity(count),
            service: Arc::new(Echo { peers }),
            config: Config::default().share().unwrap_or_default(),
            rung: Arc::new(Mutex::new(Vec::with_capacity(count))),
            woken: Vec::with_capacity(count),
            now: Time::ZERO,
            spare: None,
            written: 0,
        }
    }

    /// Opens one more: request, answer, handler.
    pub fn open(&mut self) {
        let (service, config) = (Arc::clone(&self.service), self.config.clone());
        let address = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 9)));
        let place = self.sessions.len();
        self.sessions
            .push(Session::new(service, config, address, self.now));
        self.receive(place, &mut REQUEST.to_vec());
        if self.sessions[place].wants_waker() {
            let rung = Arc::clone(&self.rung);
            let waker = Waker::from(Arc::new(Bell { place, rung }));
            self.sessions[place].set_waker(&waker);
        }
    }

    /// Gives one what a read has brought, and lets the answer leave.
    fn receive(&mut self, place: usize, bytes: &mut [u8]) {
        self.now = self.now + Duration::from_micros(1);
        let now = self.now;
        self.drive(place, |session| none(session.handle_input(bytes, now)));
    }

    fn drive(&mut self, place: usize, run: impl FnOnce(&mut Session<Echo>)) {
        let session = &mut self.sessions[place];
        if let Some(spare) = self.spare.take() {
            session.lend(spare);
        }
        run(session);
        while let Some(Transmit::Write(output)) = session.poll_transmit() {
            let len = output.slices().map(<[u8]>::len).sum();
            session.handle_written(len, self.now);
            self.written += len;
        }
        self.spare = session.reclaim();
    }

    /// Lets each echo a message of 16 bytes.
    pub fn echo(&mut self) {
        let mut frame = Vec::new();
        wire::encode(Kind::Binary, Some([1, 2, 3, 4]), &[7; 16], &mut frame);
        let mut bytes = frame.clone();
        for place in 0..self.sessions.len() {
            bytes.copy_from_slice(&frame);
            self.receive(place, &mut bytes);
        }
    }

    /// Sends one message to all, through their peers, and lets it leave.
    pub fn broadcast(&mut self, frame: &Frame) {
        let service = Arc::clone(&self.service);
        for peer in service.peers.iter().flat_map(|peers| lock(peers).clone()) {
            // Their queues are empty.
            let _ = peer.send_frame(frame);
        }
        let mut woken = std::mem::take(&mut self.woken);
        std::mem::swap(&mut woken, &mut lock(&self.rung));
        let now = self.now;
        for place in woken.drain(..) {
            self.drive(place, |session| session.handle_wake(now));
        }
        self.woken = woken;
    }
}

fn none(item: Option<Infallible>) {
    match item {
        None => {}
        Some(never) => match never {},
    }
}

/// Figures of one crowd.
#[derive(Default)]
struct Row {
    bytes: Samples,
    open: Samples,
    echo: Samples,
    broadcast: Samples,
}

/// Measures, and prints the table.
pub fn run(options: &Options) -> io::Result<()> {
    let mut rows = [Row::default(), Row::default()];
    for _ in 0..options.rounds {
        for (row, peers) in rows.iter_mut().zip(["silent", "peers"]) {
            // In a process of its own: memory that was freed stays with the process.
            let mut command = program::this("crowd")?;
            command.args([&options.sessions.to_string(), peers]);
            let said = String::from_utf8_lossy(&command.output()?.stdout).into_owned();
            let figures: Vec<f64> = said
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect();
            let [bytes, open, echo, broadcast] = figures[..] else {
                return Err(io::Error::other(format!("{command:?} said {said:?}")));
            };
            row.bytes.push(bytes);
            row.open.push(open);
            row.echo.push(echo);
            row.broadcast.push(broadcast);
        }
    }
    let head = "bytes each, idle | ns to open one | ns to echo 16 B | ns to deliver 64 B to each";
    let mut lines = vec![format!("| {} sessions | {head} |", options.sessions)];
    lines.push("|---|--:|--:|--:|--:|".into());
    for (name, row) in ["without a `Peer`", "with one each"].into_iter().zip(&rows) {
        let cell = |samples: &Samples| match samples.median() {
            Some(median) if median > 0.0 => format!("{median:.0}"),
            _ => "–".into(),
        };
        let cells = [&row.bytes, &row.open, &row.echo, &row.broadcast].map(cell);
        lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    let text = lines.join("\n");
    println!("{text}");
    if options.write {
        report::write(
            "sessions",
            &format!("{text}\n\n{}.", report::circumstances()),
        )?;
    }
    Ok(())
}

/// Makes one crowd, and prints its figures: bytes, and nanoseconds to open, echo and broadcast.
pub fn measure(count: usize, with_peers: bool) -> io::Result<()> {
    let each = |amount: f64| amount / count as f64;
    let timed = |run: &mut dyn FnMut()| {
        let start = cpu_time();
        run();
        each((cpu_time() - start).as_nanos() as f64)
    };
    let before = program::resident(std::process::id())?;
    let mut crowd = Crowd::new(count, with_peers);
    let open = timed(&mut || (0..count).for_each(|_| crowd.open()));
    let greeted = crowd.written;
    let echo = timed(&mut || crowd.echo());
    assert_eq!(crowd.written - greeted, count * 18, "every echo has left");
    let held = program::resident(std::process::id())? - before;
    let mut broadcast = 0.0;
    if with_peers {
        let frame = Frame::new(&[7_u8; 64][..]);
        // The first time each queue gets its memory, and gives it back.
        crowd.broadcast(&frame);
        let delivered = crowd.written;
        broadcast = timed(&mut || crowd.broadcast(&frame));
        assert_eq!(crowd.written - delivered, count * 66, "everybody has it");
    }
    println!("{} {open} {echo} {broadcast}", each(held as f64));
    Ok(())
}
