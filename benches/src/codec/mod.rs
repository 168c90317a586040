//! `codec`: the protocol in memory, without a socket, against its peers.

pub mod counts;
mod fastwebsockets;
mod job;
mod memcpy;
mod memory;
mod peers;
mod sans_io;
mod session;
mod sockeye;
mod tungstenite;

use std::io;

use crate::measure::{Samples, cpu_time};
use crate::peers::Peer;
use crate::plot::{self, Bar, Whose};
use crate::{report, wire};
use counts::Counts;
pub use job::{Content, Job, Role, Task};
use job::{Material, Tally};
use memory::{Memory, Window};
pub use session::Handled;
pub use sockeye::Sockeye;

/// One way to use one library.
pub trait Contender: Sync {
    fn name(&self) -> &'static str;

    /// Whether it only copies bytes, so that there is nothing to verify.
    fn is_floor(&self) -> bool {
        false
    }

    /// Whether it has a way to do this job.
    fn can(&self, job: &Job) -> bool {
        let _ = job;
        true
    }

    /// Does the job once, on a new connection over `memory`. `None` if it failed.
    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally>;
}

const CONTENDERS: &[&dyn Contender] = &[
    &Sockeye::Lent,
    &Sockeye::Target,
    &Sockeye::Owned,
    &Sockeye::Recv,
    &Handled::Plain,
    &Handled::Routed,
    &Handled::Linear,
    &Peer::Sockeye,
    &tungstenite::Tungstenite,
    &fastwebsockets::Fastwebsockets,
    &Peer::TokioTungstenite,
    &Peer::TokioWebsockets,
    &Peer::Sockudo,
    &Peer::Yawc,
    &Peer::WebSocket,
    &Peer::Soketto,
    &sans_io::SansIo,
    &memcpy::Memcpy,
];

/// What to measure, and how often.
pub struct Options {
    pub rounds: usize,
    /// Only the rows whose name contains this.
    pub filter: String,
    /// Only the contenders whose name contains this: for a profile of one of them.
    pub only: String,
    /// A fraction of the messages.
    pub quick: bool,
    /// Put the tables and a picture into the documentation.
    pub write: bool,
}

/// Measures every row and prints the tables. False: no row, or no contender, has such a name.
pub fn run(options: &Options) -> io::Result<bool> {
    let (jobs, contenders) = chosen(&options.filter, &options.only);
    if contenders.is_empty() || jobs.is_empty() {
        return Ok(false);
    }
    // A program of its own, which takes a while to build.
    let counts = match options.quick {
        true => None,
        false => Some(counts::ask(&options.filter, &options.only)?),
    };
    let mut results = Vec::new();
    for mut job in jobs {
        if options.quick {
            job.messages = job.messages.div_ceil(20);
        }
        eprintln!("{job}");
        results.push((job, measure(&job, &contenders, options.rounds)));
    }
    let tables = tables(results);
    let text: Vec<String> = tables
        .iter()
        .flat_map(|table| {
            let counts = counts.as_ref();
            let counts = counts.map(|counts| table.render_counts(&contenders, counts));
            [Some(table.render(&contenders)), counts]
        })
        .flatten()
        .collect();
    let text = text.join("\n\n");
    println!("{text}");
    if options.write {
        report::write("codec", &format!("{text}\n\n{}.", report::circumstances()))?;
        for (table, name) in tables.iter().zip(["codec-receive"]) {
            let title = format!("{}, in memory: CPU time per message", table.jobs[0]);
            plot::bars(name, &title, table.bars(&contenders))?;
        }
    }
    Ok(true)
}

/// The rows and the contenders whose names contain these.
fn chosen(filter: &str, only: &str) -> (Vec<Job>, Vec<&'static dyn Contender>) {
    let mut jobs = jobs();
    jobs.retain(|job| job.to_string().contains(filter));
    let contenders = CONTENDERS.iter().copied();
    let contenders = contenders.filter(|contender| contender.name().contains(only));
    (jobs, contenders.collect())
}

/// Does one job once, with one contender. `None` if it failed.
pub fn once(contender: &dyn Contender, job: Job) -> Option<()> {
    let material = Material::new(job, 0);
    let mut window = Window::fixed();
    let tally = contender.run(&material, &mut material.memory(&mut window))?;
    (tally.messages == job.messages || matches!(job.task, Task::Send { .. })).then_some(())
}

/// One set of samples per contender, in nanoseconds per message, from rounds in which each has its
/// turn.
fn measure(job: &Job, contenders: &[&dyn Contender], rounds: usize) -> Vec<Samples> {
    let mut samples = vec![Samples::default(); contenders.len()];
    check(job, contenders);
    let mut window = Window::fixed();
    for round in 0..rounds {
        let material = Material::new(*job, round);
        let expected = material.expected();
        for turn in 0..contenders.len() {
            let turn = (turn + round) % contenders.len();
            let contender = contenders[turn];
            if !contender.can(job) {
                continue;
            }
            let mut memory = material.memory(&mut window);
            let start = cpu_time();
            let tally = contender.run(&material, &mut memory);
            let passed = cpu_time() - start;
            if !contender.is_floor() {
                let name = contender.name();
                assert_eq!(tally, Some(expected), "{name}: {job}");
                assert_eq!(memory.written, material.written(), "{name}: {job}");
            }
            samples[turn].push(passed.as_nanos() as f64 / job.messages as f64);
        }
    }
    samples
}

/// Lets every contender do a little of the job, and looks at what it has written.
fn check(job: &Job, contenders: &[&dyn Contender]) {
    let job = Job {
        messages: job.messages.min(100),
        ..*job
    };
    let material = Material::new(job, 1);
    for contender in contenders {
        if contender.is_floor() || !contender.can(&job) {
            continue;
        }
        let mut window = Window::Record(Vec::new());
        let tally = contender.run(&material, &mut material.memory(&mut window));
        assert_eq!(
            tally,
            Some(material.expected()),
            "{}: {job}",
            contender.name()
        );
        let Window::Record(record) = window else {
            continue;
        };
        let answers = job.task != Task::Receive;
        let kind = job.content.kind();
        let sent = wire::decode(&record);
        let expected = material
            .all()
            .filter(|_| answers)
            .map(|payload| (kind, payload.to_vec()));
        assert!(sent.into_iter().eq(expected), "{}: {job}", contender.name());
    }
}

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut add = |task, content, lens: &[usize]| {
        for &len in lens {
            let messages = ((96 << 20) / (len + 200)).clamp(64, 200_000);
            jobs.push(Job {
                task,
                content,
                len,
                messages,
            });
        }
    };
    let all = [16, 125, 1 << 10, 16 << 10, 1 << 20];
    add(Task::Receive, Content::Binary, &all);
    add(Task::Receive, Content::Ascii, &all);
    add(Task::Receive, Content::Multibyte, &all);
    add(Task::Echo, Content::Binary, &all);
    for role in [Role::Server, Role::Client] {
        for per_flush in [1, 32] {
            add(Task::Send { role, per_flush }, Content::Binary, &all[..4]);
        }
    }
    jobs
}

/// One task with one kind of content: a row for each contender, a column for each length.
struct Table {
    jobs: Vec<Job>,
    samples: Vec<Vec<Samples>>,
}

/// Puts what differs in nothing but the length side by side.
fn tables(results: Vec<(Job, Vec<Samples>)>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (job, samples) in results {
        let fits = |table: &&mut Table| table.jobs[0].task() == job.task();
        if let Some(table) = tables.last_mut().filter(fits) {
            table.jobs.push(job);
            table.samples.push(samples);
        } else {
            tables.push(Table {
                jobs: vec![job],
                samples: vec![samples],
            });
        }
    }
    tables
}

impl Table {
    fn render(&self, contenders: &[&dyn Contender]) -> String {
        let cells = |at| {
            let jobs = self.jobs.iter().zip(&self.samples);
            jobs.map(|(job, samples)| cell(job, samples, at)).collect()
        };
        self.lay_out(", ns", contenders, cells)
    }

    fn render_counts(&self, contenders: &[&dyn Contender], counts: &Counts) -> String {
        let cells = |at: usize| {
            let name = contenders[at].name();
            let cell = |job: &Job| match counts.get(&(job.to_string(), name.into())) {
                Some(count) => count.to_string(),
                None => NOTHING.into(),
            };
            self.jobs.iter().map(cell).collect()
        };
        self.lay_out(
            ": allocations / reads / writes per message",
            contenders,
            cells,
        )
    }

    /// A row for each contender that has anything in its cells.
    fn lay_out(
        &self,
        what: &str,
        contenders: &[&dyn Contender],
        cells: impl Fn(usize) -> Vec<String>,
    ) -> String {
        let lengths: Vec<String> = self.jobs.iter().map(|job| job.length()).collect();
        let rules = vec!["--:"; lengths.len()].join("|");
        let (task, lengths) = (self.jobs[0].task(), lengths.join(" | "));
        let mut lines = vec![format!("| {task}{what} | {lengths} |\n|---|{rules}|")];
        for (at, contender) in contenders.iter().enumerate() {
            let cells = cells(at);
            if cells.iter().any(|cell| cell != NOTHING) {
                lines.push(format!("| {} | {} |", contender.name(), cells.join(" | ")));
            }
        }
        lines.join("\n")
    }

    /// The first column as a picture.
    fn bars(&self, contenders: &[&dyn Contender]) -> Vec<Bar> {
        let bar = |(contender, samples): (&&dyn Contender, &Samples)| {
            let value = samples.median()?;
            let name = contender.name();
            Some(Bar {
                name: name.into(),
                whose: match name {
                    _ if contender.is_floor() => Whose::Floor,
                    name if name.starts_with("sockeye") => Whose::Ours,
                    _ => Whose::Others,
                },
                value,
                label: format!("{value:.0} ns"),
            })
        };
        contenders
            .iter()
            .zip(&self.samples[0])
            .filter_map(bar)
            .collect()
    }
}

const NOTHING: &str = "–";

/// The median, its spread, how many times the first contender's it is, and how fast bytes go.
fn cell(job: &Job, samples: &[Samples], at: usize) -> String {
    let first = samples.first().and_then(Samples::median);
    let (median, spread) = (samples[at].median(), samples[at].spread());
    match (median, spread, first) {
        (Some(median), Some(spread), Some(first)) => {
            let shown = match median {
                ns if ns >= 20e3 => format!("{:.1} µs", ns / 1e3),
                ns if ns >= 100.0 => format!("{ns:.0}"),
                ns => format!("{ns:.1}"),
            };
            let (spread, ratio) = (spread * 100.0, median / first);
            let rate = match job.len {
                1_024.. => format!(", {:.1} GB/s", job.len as f64 / median),
                _ => String::new(),
            };
            format!("{shown} ±{spread:.0} % ({ratio:.2}x){rate}")
        }
        _ => NOTHING.into(),
    }
}
