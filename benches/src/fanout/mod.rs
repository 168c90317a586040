//! `fanout`: chat servers on one core, with login, rooms, order and history.

mod dialect;
mod load;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::floor::Ground;
use crate::measure::Samples;
use crate::process::{self, peers};
use crate::program::{self, Server, Worker, pinned};
use crate::report;

pub use dialect::Dialect;
pub use load::run as run_load;

/// What to measure, and how often.
pub struct Options {
    pub rounds: usize,
    pub time: Duration,
    /// Only the servers whose name contains this.
    pub only: String,
    /// The chat program; built if there is none.
    pub chat: Option<PathBuf>,
    /// Put the tables into the documentation.
    pub write: bool,
    /// One short round of everything.
    pub quick: bool,
}

/// A chat server to be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chat {
    /// `sockeye-chat`, with the limits it has, but for those on one sender or one address.
    Ours(Ground),
    /// A server on Node's `ws`.
    Ws,
    /// A server on Socket.IO.
    SocketIo,
}

impl Chat {
    const ALL: [Self; 4] = [
        Self::Ours(Ground::Mio),
        Self::Ours(Ground::Tokio),
        Self::Ws,
        Self::SocketIo,
    ];

    fn command(self, chat: &Path) -> Command {
        let script = |name: &str| {
            let mut command = Command::new("node");
            command.arg(peers().join(name));
            command
        };
        match self {
            Self::Ours(ground) => {
                let mut command = Command::new(chat);
                command.args(["--listen", "127.0.0.1:0", "--log", "error"]);
                command.args(["--adapter", ground.name(), "--threads", "1"]);
                command.args(["--rate", "1000000", "--burst", "1000000"]);
                command.args(["--max-per-address", "100000", "--max-connections", "20000"]);
                command
            }
            Self::Ws => script("ws.mjs"),
            Self::SocketIo => script("socketio.mjs"),
        }
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::Ours(_) | Self::Ws => Dialect::Chat,
            Self::SocketIo => Dialect::SocketIo,
        }
    }
}

impl fmt::Display for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(ground) => write!(f, "sockeye-chat on {}", ground.name()),
            Self::Ws => f.write_str("Node, ws"),
            Self::SocketIo => f.write_str("Node, Socket.IO"),
        }
    }
}

/// Measures, and prints the tables.
pub fn run(options: &Options) -> io::Result<()> {
    let chat = match &options.chat {
        Some(path) => path.clone(),
        None => program::built(&["--package", "sockeye-chat"])?,
    };
    let servers: Vec<Chat> = Chat::ALL
        .into_iter()
        .filter(|server| server.to_string().contains(&options.only))
        .collect();
    process::install_peers()?;
    let mut text = Vec::new();
    let rooms: &[usize] = if options.quick { &[20] } else { &[100, 1_000] };
    for &members in rooms {
        let table = throughput(options, &servers, &chat, members)?;
        println!("{table}\n");
        text.push(table);
    }
    let members = if options.quick { 100 } else { 2_000 };
    let table = memory(options, &servers, &chat, members)?;
    println!("{table}\n");
    text.push(table);
    let ours: Vec<Chat> = servers
        .into_iter()
        .filter(|server| matches!(server, Chat::Ours(_)))
        .collect();
    let table = stalled(options, &ours, &chat)?;
    println!("{table}\n");
    text.push(table);
    let table = crowd(options, &ours, &chat)?;
    println!("{table}");
    text.push(table);
    if options.write {
        let text = text.join("\n\n");
        report::write("fanout", &format!("{text}\n\n{}.", report::circumstances()))?;
    }
    Ok(())
}

/// A server on its core, and the members on another.
fn start(server: Chat, chat: &Path) -> io::Result<(Server, Worker)> {
    let dialect = server.dialect();
    let server = Server::start(&mut pinned(server.command(chat), 0))?;
    let members = members(&server, dialect, "m")?;
    Ok((server, members))
}

/// Nobody yet; their names will begin with `prefix`.
fn members(server: &Server, dialect: Dialect, prefix: &str) -> io::Result<Worker> {
    let mut members = program::this("fanout-load")?;
    members.arg(server.port.to_string());
    members.args([dialect.name(), prefix]);
    Worker::start(&mut pinned(members, 1))
}

/// One server's samples.
#[derive(Clone, Default)]
struct Cell {
    /// The server's CPU time per delivery, in nanoseconds.
    cost: Samples,
    rate: Samples,
    median: Samples,
    slow: Samples,
    /// How busy they were, in parts of a core.
    server: Samples,
    generator: Samples,
}

impl Cell {
    fn take(&mut self, said: &str, spent: f64) -> io::Result<()> {
        let figures: Vec<f64> = said
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [count, passed, median, slow, cpu] = figures[..] else {
            return Err(io::Error::other(said));
        };
        self.cost.push(spent / count);
        self.rate.push(count / passed * 1e9);
        self.median.push(median / 1e6);
        self.slow.push(slow / 1e6);
        self.server.push(spent / passed);
        self.generator.push(cpu / passed);
        Ok(())
    }
}

fn throughput(
    options: &Options,
    servers: &[Chat],
    chat: &Path,
    members: usize,
) -> io::Result<String> {
    let senders = members.min(20);
    let mut cells = vec![Cell::default(); servers.len()];
    for round in 0..options.rounds {
        for turn in 0..servers.len() {
            let row = (turn + round) % servers.len();
            let (server, mut crowd) = start(servers[row], chat)?;
            crowd.tell(&format!("join {members}"))?;
            let time = options.time.as_millis();
            let said = crowd.tell(&format!("run {senders} 2 64 {time}"))?;
            debug_assert_eq!(said, "begin");
            let before = server.cpu_time()?;
            crowd.hear("the load")?;
            let spent = (server.cpu_time()? - before) as f64;
            cells[row].take(&crowd.hear("the last deliveries")?, spent)?;
        }
    }
    let median = |samples: &Samples| samples.median().unwrap_or(0.0);
    let ours = cells.first().map_or(0.0, |cell| median(&cell.cost));
    let mut lines = vec![
        format!(
            "| one room of {members}, {senders} of whom send | deliveries per second | server CPU per delivery | to the first | p50 / p99 | server, members busy |"
        ),
        "|---|--:|--:|--:|--:|--:|".into(),
    ];
    for (server, cell) in servers.iter().zip(&cells) {
        lines.push(format!(
            "| {server} | {:.0} | {:.0} ns ±{:.0} % | {:.1}x | {:.1} / {:.1} ms | {:.0} %, {:.0} % |",
            median(&cell.rate),
            median(&cell.cost),
            cell.cost.spread().unwrap_or(0.0) * 100.0,
            median(&cell.cost) / ours,
            median(&cell.median),
            median(&cell.slow),
            median(&cell.server) * 100.0,
            median(&cell.generator) * 100.0,
        ));
    }
    Ok(lines.join("\n"))
}

/// What each member costs who is logged in, in a room, and silent.
fn memory(options: &Options, servers: &[Chat], chat: &Path, members: usize) -> io::Result<String> {
    let mut cells = vec![Samples::default(); servers.len()];
    for _ in 0..options.rounds.min(3) {
        for (server, cell) in servers.iter().zip(&mut cells) {
            let (server, mut crowd) = start(*server, chat)?;
            // What the first ones cost is not what each costs.
            crowd.tell("join 100")?;
            crowd.tell("settle 1000")?;
            let before = server.resident()?;
            crowd.tell(&format!("join {members}"))?;
            crowd.tell("settle 1000")?;
            let after = server.resident()?;
            cell.push(after.saturating_sub(before) as f64 / members as f64);
        }
    }
    let mut lines = vec![
        format!(
            "| {members} members who are logged in, in one room, and silent | server memory for each |"
        ),
        "|---|--:|".into(),
    ];
    for (server, cell) in servers.iter().zip(&cells) {
        lines.push(format!(
            "| {server} | {:.0} B |",
            cell.median().unwrap_or(0.0)
        ));
    }
    Ok(lines.join("\n"))
}

/// What it does to the others that one in twenty does not read.
fn stalled(options: &Options, servers: &[Chat], chat: &Path) -> io::Result<String> {
    let members = if options.quick { 20 } else { 100 };
    let (stalled, senders, rate) = (members / 20, 10, 200);
    // Long enough for what waits to pass `--queue-bytes` and the system's buffers.
    let time = if options.quick { 200 } else { 8_000 };
    let mut lines = vec![
        format!(
            "| one room of {members}, {senders} of whom send {rate} messages of 4,000 bytes a second | p99, all read | p99, {stalled} do not read | told 4008 | memory: before, most, after |"
        ),
        "|---|--:|--:|--:|--:|".into(),
    ];
    let mut cells = vec![
        Stalled {
            slow: [Samples::default(), Samples::default()],
            told: stalled,
            memory: [0; 3],
        };
        servers.len()
    ];
    // The slowest hundredth of a run says less than a mean of it.
    for round in 0..3 * options.rounds {
        for turn in 0..servers.len() * 2 {
            let (row, stalls) = (turn / 2, (turn + round) % 2);
            let cell = &mut cells[row];
            let (server, mut crowd) = start(servers[row], chat)?;
            let reading = members - stalls * stalled;
            crowd.tell(&format!("join {reading}"))?;
            if stalls == 1 {
                crowd.tell(&format!("stall {stalled}"))?;
            }
            let before = server.resident()?;
            crowd.tell(&format!("pace {senders} {rate} 4000 {time}"))?;
            crowd.hear("the load")?;
            let mut figures = Cell::default();
            figures.take(&crowd.hear("the last deliveries")?, 0.0)?;
            cell.slow[stalls].push(figures.slow.median().unwrap_or(0.0));
            if stalls == 1 {
                let most = server.resident()?;
                let said = crowd.tell("judge")?;
                let told = said.split(' ').next().and_then(|word| word.parse().ok());
                cell.told = cell.told.min(told.unwrap_or(0));
                cell.memory = [before, most, server.resident()?];
            }
        }
    }
    for (server, cell) in servers.iter().zip(&cells) {
        let [read, stall] = cell
            .slow
            .each_ref()
            .map(|slow| slow.median().unwrap_or(0.0));
        let [spread, stall_spread] = cell
            .slow
            .each_ref()
            .map(|slow| slow.spread().unwrap_or(0.0) * 100.0);
        let mib = cell
            .memory
            .map(|bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)));
        lines.push(format!(
            "| {server} | {read:.2} ms ±{spread:.0} % | {stall:.2} ms ±{stall_spread:.0} % ({:+.0} %) | {} of {stalled} | {} MiB |",
            (stall / read - 1.0) * 100.0,
            cell.told,
            mib.join(", "),
        ));
    }
    Ok(lines.join("\n"))
}

/// What one server's members saw, and what it did.
#[derive(Clone)]
struct Stalled {
    /// The 99th of 100 latencies in milliseconds: when all read, and when some do not.
    slow: [Samples; 2],
    /// Who was told, in the round in which the fewest were.
    told: usize,
    /// Before, with the queues full, and afterwards.
    memory: [u64; 3],
}

/// How much those in a room are told while many come and go at once.
fn crowd(options: &Options, servers: &[Chat], chat: &Path) -> io::Result<String> {
    let watching = if options.quick { 5 } else { 50 };
    let coming = if options.quick { 50 } else { 1_000 };
    // Those whose connections are lost are missed after 5 s.
    let seconds = 12;
    // Changes are told once in 250 ms.
    let windows = seconds * 4;
    let mut lines = vec![
        format!(
            "| {coming} come to a room of {watching}, and go at once | frames to each of the {watching}, in {seconds} s | windows in that time | without coalescing |"
        ),
        "|---|--:|--:|--:|".into(),
    ];
    for kind in servers {
        let (server, mut watchers) = start(*kind, chat)?;
        watchers.tell(&format!("join {watching}"))?;
        watchers.tell("settle 1000")?;
        let said = thread::scope(|scope| {
            let watchers = scope.spawn(|| watchers.tell(&format!("settle {}", seconds * 1_000)));
            let mut others = members(&server, kind.dialect(), "o")?;
            others.tell(&format!("join {coming}"))?;
            drop(others);
            let said = watchers.join();
            said.unwrap_or_else(|_| Err(io::Error::other("the members are gone")))
        })?;
        let frames = said
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse::<f64>().ok());
        let frames = frames.ok_or_else(|| io::Error::other(said.clone()))?;
        lines.push(format!(
            "| {kind} | {:.1} | {windows} | {} |",
            frames / f64::from(watching),
            coming * 2
        ));
    }
    Ok(lines.join("\n"))
}
