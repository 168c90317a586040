//! `idle`: what a connection costs that does nothing.

pub mod clients;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::authority::Authority;
use crate::measure::Samples;
use crate::peers::Peer;
use crate::plot::{self, Bar};
use crate::program::{self, Built, Program, Server, Worker};
use crate::report;

/// What to measure, and how often.
pub struct Options {
    pub rounds: usize,
    /// Connections at a time.
    pub connections: Vec<usize>,
    /// Only the servers whose name contains this.
    pub only: String,
    /// The echo program; built if there is none.
    pub echo: Option<PathBuf>,
    /// Put the table into the documentation.
    pub write: bool,
}

/// How the connections are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Plain,
    Tls,
    /// With compression agreed on; the echo is long enough for it.
    Deflate,
}

impl Manner {
    const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::Deflate];
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Tls => "TLS",
            Self::Deflate => "compressed",
        })
    }
}

/// Bytes for each connection.
struct Cost {
    fresh: f64,
    used: f64,
}

/// The samples of one cell.
#[derive(Clone, Default)]
struct Cell {
    fresh: Samples,
    used: Samples,
}

/// Measures, and prints the table.
pub fn run(options: &Options) -> io::Result<()> {
    let built = Built::new(options.echo.as_deref(), false)?;
    let authority = Authority::make()?;
    let programs: Vec<Program> = Program::all()
        // They hold what the other one on tokio does, and what io_uring does for one.
        .filter(|program| !matches!(program, Program::Uring | Program::Peer(Peer::Sockeye)))
        .filter(|program| program.to_string().contains(&options.only))
        .collect();
    let columns: Vec<(Manner, usize)> = Manner::ALL
        .into_iter()
        .flat_map(|manner| {
            options
                .connections
                .iter()
                .map(move |count| (manner, *count))
        })
        .collect();
    let mut table = vec![vec![Cell::default(); columns.len()]; programs.len()];
    for round in 0..options.rounds {
        for (column, (manner, count)) in columns.iter().enumerate() {
            for turn in 0..programs.len() {
                let row = (turn + round) % programs.len();
                let tls = (*manner == Manner::Tls).then_some(&authority);
                let Some(mut command) = programs[row].command(&built, tls, None)? else {
                    continue;
                };
                if *manner == Manner::Deflate {
                    if !matches!(programs[row], Program::Ours(_)) {
                        continue;
                    }
                    command.arg("--deflate");
                }
                let cost = measure(&mut command, *manner, tls, *count)?;
                table[row][column].fresh.push(cost.fresh);
                table[row][column].used.push(cost.used);
            }
        }
    }
    let text = render(&programs, &columns, &table);
    println!("{text}");
    if options.write {
        let text = format!("{text}\n\n{}.", report::circumstances());
        report::write("idle", &text)?;
        // The last of the plain ones.
        let last = options.connections.len() - 1;
        let bar = |(program, cells): (&Program, &Vec<Cell>)| {
            let value = cells[last].used.median()?;
            Some(Bar {
                name: program.to_string(),
                whose: program.whose(),
                value,
                label: format!("{value:.0} bytes"),
            })
        };
        let bars = programs.iter().zip(&table).filter_map(bar).collect();
        let title = format!("memory of an idle connection, of {}", columns[last].1);
        plot::bars("idle", &title, bars)?;
    }
    Ok(())
}

/// What each of `count` connections costs a server, before and after its first echo.
fn measure(
    command: &mut Command,
    manner: Manner,
    tls: Option<&Authority>,
    count: usize,
) -> io::Result<Cost> {
    let server = Server::start(command)?;
    let mut clients = program::this("idle-clients")?;
    clients.arg(server.port.to_string());
    if let Some(authority) = tls {
        clients.arg("--roots").arg(authority.roots());
    }
    if manner == Manner::Deflate {
        clients.arg("--deflate");
    }
    let mut clients = Worker::start(&mut clients)?;
    // Once around, so that all threads have their buffers.
    clients.tell("open 50")?;
    clients.tell("echo")?;
    clients.tell("close")?;
    let before = server.resident()?;
    clients.tell(&format!("open {count}"))?;
    let fresh = server.resident()?;
    clients.tell("echo")?;
    let used = server.resident()?;
    let each = |now: u64| (now as f64 - before as f64) / count as f64;
    Ok(Cost {
        fresh: each(fresh),
        used: each(used),
    })
}

fn render(programs: &[Program], columns: &[(Manner, usize)], table: &[Vec<Cell>]) -> String {
    let names = columns
        .iter()
        .map(|(manner, count)| format!(" {manner}, {count} |"));
    let mut lines = vec![format!(
        "| bytes per idle connection |{}",
        names.collect::<String>()
    )];
    lines.push(format!("|---|{}", "--:|".repeat(columns.len())));
    for (program, cells) in programs.iter().zip(table) {
        let cells = cells
            .iter()
            .map(|cell| match (cell.fresh.median(), cell.used.median()) {
                (Some(fresh), Some(used)) => format!(" {fresh:.0} / {used:.0} |"),
                _ => " – |".into(),
            });
        lines.push(format!("| {program} |{}", cells.collect::<String>()));
    }
    lines.join("\n")
}
