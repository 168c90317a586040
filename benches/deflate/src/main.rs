//! What compressed echoes cost a server, beside other servers.
#![forbid(unsafe_code)]

mod client;
#[path = "../../src/process.rs"]
mod process;
#[path = "../../src/report.rs"]
mod report;
mod servers;

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

use client::Client;

const USAGE: &str = "\
usage: cargo run --release -- [--rounds N] [--only TEXT] [--write] [--quick]

  --rounds N   measure N times, and print the medians (5)
  --only TEXT  only the servers whose name contains TEXT
  --write      put the table into docs/performance.md, too
  --quick      one short round: to see that all of it works";

/// Lengths, and how many messages of each.
const SIZES: [(usize, usize); 3] = [(64, 40_000), (1024, 20_000), (16 << 10, 3_000)];
const CONNECTIONS: usize = 4;
const DEPTH: usize = 8;
const IDLE: usize = 300;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// With the window that we have by default.
    Sockeye,
    /// With that of the others.
    SockeyeWide,
    Yawc,
    Sockudo,
    Soketto,
    /// On Node.
    Ws,
}

impl Server {
    const ALL: [Self; 6] = [
        Self::Sockeye,
        Self::SockeyeWide,
        Self::Yawc,
        Self::Sockudo,
        Self::Soketto,
        Self::Ws,
    ];

    /// soketto begins anew with each message, and yet lets its clients take over.
    fn knows(self, takeover: bool) -> bool {
        self != Self::Soketto || !takeover
    }

    fn start(self, soketto: &Path, takeover: bool) -> io::Result<process::Server> {
        let mut command = match self {
            Self::Ws => {
                let mut node = Command::new("node");
                node.arg(process::peers().join("deflate.mjs"));
                node
            }
            Self::Soketto => Command::new(soketto),
            _ => {
                let mut this = process::this("serve")?;
                this.arg(self.to_string());
                this
            }
        };
        command.arg(context(takeover));
        process::Server::start(&mut process::pinned(command, 0))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sockeye => "sockeye",
            Self::SockeyeWide => "sockeye, window of 15 bits",
            Self::Yawc => "yawc",
            Self::Sockudo => "sockudo-ws",
            Self::Soketto => "soketto",
            Self::Ws => "ws on Node",
        })
    }
}

fn context(takeover: bool) -> &'static str {
    if takeover { "takeover" } else { "no takeover" }
}

struct Options {
    rounds: usize,
    only: String,
    write: bool,
    quick: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name, with] = &args[..]
        && role == "serve"
    {
        let server = Server::ALL.into_iter().find(|it| it.to_string() == *name);
        return match server.map(|server| servers::serve(server, with == context(true))) {
            Some(Ok(())) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    let Some(options) = parse(args.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        rounds: 5,
        only: String::new(),
        write: false,
        quick: false,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--rounds" => options.rounds = args.next()?.parse().ok().filter(|n| *n > 0)?,
            "--only" => options.only = args.next()?,
            "--write" => options.write = true,
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
            }
            _ => return None,
        }
    }
    Some(options)
}

/// What was measured of one server, with or without takeover.
#[derive(Default)]
struct Row {
    /// Of each size: nanoseconds of CPU time for each message, and its bytes on the wire.
    costs: [Vec<(u64, usize)>; SIZES.len()],
    memory: Vec<u64>,
}

fn run(options: &Options) -> io::Result<()> {
    process::install_peers()?;
    let soketto = process::built(&["--manifest-path", "benches/deflate/soketto/Cargo.toml"])?;
    let mut text = Vec::new();
    for takeover in [false, true] {
        let servers: Vec<Server> = Server::ALL
            .into_iter()
            .filter(|server| server.knows(takeover))
            .filter(|server| server.to_string().contains(&options.only))
            .collect();
        let mut rows: Vec<Row> = servers.iter().map(|_| Row::default()).collect();
        // Each has its turn in every round.
        for round in 0..options.rounds {
            for at in 0..servers.len() {
                let at = (at + round) % servers.len();
                let start = || servers[at].start(&soketto, takeover);
                for (costs, (len, count)) in rows[at].costs.iter_mut().zip(SIZES) {
                    let count = if options.quick { count / 20 } else { count };
                    costs.push(cost(&start()?, takeover, len, count)?);
                }
                rows[at].memory.push(memory(&start()?, takeover)?);
            }
        }
        let table = table(takeover, &servers, &mut rows);
        println!("{table}\n");
        text.push(table);
    }
    if options.write {
        let text = text.join("\n\n");
        report::write(
            "deflate",
            &format!("{text}\n\n{}.", report::circumstances()),
        )?;
    }
    Ok(())
}

fn table(takeover: bool, servers: &[Server], rows: &mut [Row]) -> String {
    let mut lines = vec![
        format!(
            "| {}, echoes a second | 64 B | 1 KiB | 16 KiB | 1 KiB on the wire | bytes a connection |",
            context(takeover)
        ),
        "|---|--:|--:|--:|--:|--:|".to_owned(),
    ];
    let mut first = [0; SIZES.len()];
    for (server, row) in servers.iter().zip(rows) {
        let costs = row.costs.each_mut().map(|costs| median(costs));
        if first == [0; SIZES.len()] {
            first = costs.map(|(ns, _)| ns);
        }
        let cells = costs.iter().zip(first).map(|((ns, _), first)| {
            let ratio = *ns as f64 / first as f64;
            format!("{} ({ratio:.2}×)", 1_000_000_000 / ns)
        });
        let cells: Vec<String> = cells.collect();
        lines.push(format!(
            "| {server} | {} | {} | {} |",
            cells.join(" | "),
            costs[1].1,
            median(&mut row.memory)
        ));
    }
    lines.join("\n")
}

fn median<T: Copy + Ord>(figures: &mut [T]) -> T {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// Nanoseconds of the server's CPU time for each message, and bytes that come back for it.
fn cost(
    server: &process::Server,
    takeover: bool,
    len: usize,
    count: usize,
) -> io::Result<(u64, usize)> {
    let mut clients = (0..CONNECTIONS)
        .map(|_| Client::open(server.port, takeover))
        .collect::<io::Result<Vec<_>>>()?;
    let messages: Vec<String> = (0..64).map(|seed| json(seed, len)).collect();
    let mut rounds = |rounds: usize| -> io::Result<usize> {
        for round in 0..rounds {
            let due = || (0..DEPTH).map(|at| &*messages[(round * DEPTH + at) % 64]);
            for client in &mut clients {
                due().for_each(|message| client.send(message));
                client.flush()?;
            }
            for client in &mut clients {
                client.receive(due())?;
            }
        }
        Ok(clients.iter().map(|client| client.received).sum())
    };
    let wanted = count / (CONNECTIONS * DEPTH);
    let received = rounds(wanted / 10 + 10)?;
    let before = server.cpu_time()?;
    let received = rounds(wanted)? - received;
    let spent = server.cpu_time()? - before;
    let messages = wanted * CONNECTIONS * DEPTH;
    Ok((spent / messages as u64, received / messages))
}

/// Bytes for each connection that has had an echo and is idle.
fn memory(server: &process::Server, takeover: bool) -> io::Result<u64> {
    let message = json(1, 1024);
    let open = |count: usize| -> io::Result<Vec<Client>> {
        let one = || {
            let mut client = Client::open(server.port, takeover)?;
            client.send(&message);
            client.flush()?;
            client.receive([&*message])?;
            Ok(client)
        };
        (0..count).map(|_| one()).collect()
    };
    let _before_them = open(20)?;
    let before = server.resident()?;
    let _idle = open(IDLE)?;
    Ok(server.resident()?.saturating_sub(before) / IDLE as u64)
}

/// Records such as a service sends: alike, and never the same.
fn json(seed: u32, len: usize) -> String {
    let mut number = seed.wrapping_mul(2_654_435_761);
    let mut text = String::from("[");
    while text.len() < len {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (id, user, price) = (number >> 12, (number >> 12) % 997, number >> 8 & 0xfff);
        text += &format!("{{\"id\":{id},\"user\":\"user{user}\",\"price\":{price},\"ok\":true}},");
    }
    text.truncate(len - 1);
    text.push(']');
    text
}
