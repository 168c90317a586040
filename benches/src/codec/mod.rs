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
use job::{Content, Job, Material, Role, Tally, Task};
use memory::{Memory, Window};

/// One way to use one library.
pub trait Contender {
    fn name(&self) -> &'static str;

    /// Whether it only copies bytes, so that there is nothing to verify.
    fn is_floor(&self) -> bool {
        false
    }

    /// Does the job once, on a new connection over `memory`. `None` if it cannot do it, or failed.
    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally>;
}

const CONTENDERS: &[&dyn Contender] = &[
    &sockeye::Sockeye::Lent,
    &sockeye::Sockeye::Target,
    &sockeye::Sockeye::Owned,
    &sockeye::Sockeye::Recv,
    &session::Handled::Plain,
    &session::Handled::Routed,
    &session::Handled::Linear,
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

/// Measures every row and prints it.
pub fn run(options: &Options) {
    let contenders: Vec<&dyn Contender> = CONTENDERS
        .iter()
        .copied()
        .filter(|contender| contender.name().contains(&options.only))
        .collect();
    println!("{}", header(&contenders));
    for job in jobs() {
        if job.to_string().contains(&options.filter) {
            let job = if options.quick {
                Job {
                    messages: job.messages.div_ceil(20),
                    ..job
                }
            } else {
                job
            };
            println!("{}", row(&job, &measure(&job, &contenders, options.rounds)));
        }
    }
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
            let mut memory = material.memory(&mut window);
            let start = cpu_time();
            let tally = contender.run(&material, &mut memory);
            let passed = cpu_time() - start;
            let Some(tally) = tally else { continue };
            if !contender.is_floor() {
                assert_eq!(tally, expected, "{}: {job}", contender.name());
                assert_eq!(
                    memory.written,
                    material.written(),
                    "{}: {job}",
                    contender.name()
                );
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
    for contender in contenders.iter().filter(|contender| !contender.is_floor()) {
        let mut window = Window::Record(Vec::new());
        let mut memory = material.memory(&mut window);
        if contender.run(&material, &mut memory).is_none() || job.task == Task::Receive {
            continue;
        }
        let Window::Record(record) = window else {
            continue;
        };
        let kind = job.content.kind();
        let sent = wire::decode(&record);
        let expected = material.all().map(|payload| (kind, payload.to_vec()));
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
