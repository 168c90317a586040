//! `echo`: servers over loopback, under one load generator.

pub mod load;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::floor::Ground;
use crate::measure::Samples;
use crate::plot::{self, Bar};
use crate::program::{self, Built, Program, Server, Worker};
use crate::report;
use load::Load;

/// What to measure, and how often.
pub struct Options {
    pub rounds: usize,
    pub time: Duration,
    /// Only the loads whose name contains this.
    pub filter: String,
    /// Only the servers whose name contains this.
    pub only: String,
    /// The echo program; built if there is none.
    pub echo: Option<PathBuf>,
    /// Put the table into the documentation.
    pub write: bool,
    /// One short round of one load.
    pub quick: bool,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x ", self.connections)?;
        match self.len {
            len if len >= 1 << 20 => write!(f, "{} MiB", len >> 20)?,
            len if len >= 1 << 10 => write!(f, "{} KiB", len >> 10)?,
            len => write!(f, "{len} B")?,
        }
        match self.depth {
            1 => Ok(()),
            depth => write!(f, ", {depth} in flight"),
        }
    }
}

fn loads(time: Duration) -> Vec<Load> {
    let load = |connections, len, depth| Load {
        connections,
        len,
        depth,
        time,
    };
    vec![
        load(1, 16, 1),
        load(100, 16, 1),
        load(100, 1 << 10, 1),
        load(100, 16, 32),
        load(1_000, 16, 1),
        load(10, 16 << 10, 1),
        load(10, 1 << 20, 1),
    ]
}

/// One cell's samples.
#[derive(Clone, Default)]
struct Cell {
    /// The server's CPU time per message, in nanoseconds.
    cost: Samples,
    rate: Samples,
    median: Samples,
    slow: Samples,
    /// How busy they were, in parts of a core.
    server: Samples,
    generator: Samples,
}

/// Measures, and prints the table.
pub fn run(options: &Options) -> io::Result<()> {
    let programs: Vec<Program> = Program::all()
        .filter(|program| program.to_string().contains(&options.only))
        .collect();
    let built = Built::new(options.echo.as_deref(), programs.contains(&Program::Uring))?;
    let mut loads = loads(options.time);
    loads.retain(|load| load.to_string().contains(&options.filter));
    if options.quick {
        loads.truncate(2);
    }
    let mut text = Vec::new();
    for load in loads {
        eprintln!("{load}");
        let mut cells = vec![Cell::default(); programs.len()];
        for round in 0..options.rounds {
            for turn in 0..programs.len() {
                let row = (turn + round) % programs.len();
                measure(programs[row], &built, load, &mut cells[row])?;
            }
        }
        let table = render(load, &programs, &cells);
        println!("{table}\n");
        text.push(table);
        if options.write {
            let name = format!("echo-{}x{}x{}", load.connections, load.len, load.depth);
            let title = format!("echo over loopback, {load}: CPU time of the server per message");
            plot::bars(&name, &title, bars(&programs, &cells))?;
        }
    }
    if options.write {
        let text = text.join("\n\n");
        report::write("echo", &format!("{text}\n\n{}.", report::circumstances()))?;
    }
    Ok(())
}

fn measure(program: Program, built: &Built, load: Load, cell: &mut Cell) -> io::Result<()> {
    let Some(command) = program.command(built, None, Some(1))? else {
        return Ok(());
    };
    // Each has a core of its own, if there are two.
    let server = match Server::start(&mut pinned(command, 0)) {
        Err(error) if program == Program::Uring => {
            eprintln!("{program} is not measured: {error}");
            return Ok(());
        }
        started => started?,
    };
    let mut generator = program::this("load")?;
    let numbers = [
        usize::from(server.port),
        load.connections,
        load.len,
        load.depth,
        load.time.as_millis() as usize,
    ];
    generator.args(numbers.map(|number| number.to_string()));
    let mut generator = Worker::start(&mut pinned(generator, 1))?;
    generator.hear("warming up")?;
    let before = server.cpu_time()?;
    let said = generator.hear("the load")?;
    let spent = (server.cpu_time()? - before) as f64;
    let figures: Vec<f64> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [count, passed, median, slow, cpu] = figures[..] else {
        return Err(io::Error::other(said));
    };
    if count == 0.0 {
        // Somebody else had the machine all the time.
        return Ok(());
    }
    cell.cost.push(spent / count);
    cell.rate.push(count / passed * 1e9);
    cell.median.push(median / 1e3);
    cell.slow.push(slow / 1e3);
    cell.server.push(spent / passed);
    cell.generator.push(cpu / passed);
    Ok(())
}

fn pinned(command: Command, core: usize) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return command;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]);
    pinned.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            pinned.env(name, value);
        }
    }
    pinned
}

fn bars(programs: &[Program], cells: &[Cell]) -> Vec<Bar> {
    let measured = programs.iter().zip(cells);
    let bar = |(program, cell): (&Program, &Cell)| {
        let value = cell.cost.median()?;
        Some(Bar {
            name: program.to_string(),
            whose: program.whose(),
            value,
            label: nanoseconds(value),
        })
    };
    measured.filter_map(bar).collect()
}

fn nanoseconds(ns: f64) -> String {
    match ns {
        ns if ns >= 20e3 => format!("{:.1} µs", ns / 1e3),
        ns => format!("{ns:.0} ns"),
    }
}

/// A row for each server, with its ratio to the floor it stands on.
fn render(load: Load, programs: &[Program], cells: &[Cell]) -> String {
    let cost = |wanted: Program| {
        let at = programs.iter().position(|program| *program == wanted)?;
        cells[at].cost.median()
    };
    let mut lines = vec![
        format!(
            "| {load} | server CPU per message | to its floor | messages per second | p50 / p99 | server, generator busy |"
        ),
        "|---|--:|--:|--:|--:|--:|".into(),
    ];
    for (program, cell) in programs.iter().zip(cells) {
        if cell.cost.median().is_none() {
            continue;
        }
        let ground = match program {
            Program::Floor(ground) | Program::Ours(ground) => *ground,
            Program::Uring => Ground::Mio,
            Program::Peer(_) => Ground::Tokio,
        };
        let median = |samples: &Samples| samples.median().unwrap_or(0.0);
        let ns = median(&cell.cost);
        let ratio = cost(Program::Floor(ground))
            .map_or_else(|| "–".into(), |floor| format!("{:.2}x", ns / floor));
        let spread = cell.cost.spread().unwrap_or(0.0) * 100.0;
        let shown = nanoseconds(ns);
        let trips = match load.depth {
            1 => format!("{:.0} / {:.0} µs", median(&cell.median), median(&cell.slow)),
            _ => "–".into(),
        };
        lines.push(format!(
            "| {program} | {shown} ±{spread:.0} % | {ratio} | {:.0} | {trips} | {:.0} %, {:.0} % |",
            median(&cell.rate),
            median(&cell.server) * 100.0,
            median(&cell.generator) * 100.0,
        ));
    }
    lines.join("\n")
}
