//! `codec`: the protocol in memory, without a socket, against its peers.

mod fastwebsockets;
mod job;
mod memcpy;
mod memory;
mod session;
mod sockeye;
mod tungstenite;

use crate::measure::{Samples, cpu_time};
use crate::wire;
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
    &tungstenite::Tungstenite,
    &fastwebsockets::Fastwebsockets,
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
}

/// Measures every row and prints it. False: no row, or no contender, has such a name.
pub fn run(options: &Options) -> bool {
    let contenders: Vec<&dyn Contender> = CONTENDERS
        .iter()
        .copied()
        .filter(|contender| contender.name().contains(&options.only))
        .collect();
    let mut jobs = jobs();
    jobs.retain(|job| job.to_string().contains(&options.filter));
    if contenders.is_empty() || jobs.is_empty() {
        return false;
    }
    println!("{}", header(&contenders));
    for mut job in jobs {
        if options.quick {
            job.messages = job.messages.div_ceil(20);
        }
        println!("{}", row(&job, &measure(&job, &contenders, options.rounds)));
    }
    true
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

fn header(contenders: &[&dyn Contender]) -> String {
    let names: Vec<&str> = contenders
        .iter()
        .map(|contender| contender.name())
        .collect();
    let rules = vec!["--:"; names.len()].join("|");
    format!("| ns per message | {} |\n|---|{rules}|", names.join(" | "))
}

fn row(job: &Job, samples: &[Samples]) -> String {
    let first = samples.first().and_then(Samples::median);
    let cells: Vec<String> = samples
        .iter()
        .map(
            |samples| match (samples.median(), samples.spread(), first) {
                (Some(median), Some(spread), Some(first)) => {
                    format!(
                        "{median:.1} ±{:.0} % ({:.2}x)",
                        spread * 100.0,
                        median / first
                    )
                }
                _ => "–".into(),
            },
        )
        .collect();
    format!("| {job} | {} |", cells.join(" | "))
}
