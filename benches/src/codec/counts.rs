//! What a message takes beside time: allocations, and calls of the transport.
//!
//! They are counted by a program of its own, `codec-counts`: an allocator that counts would be part
//! of what is timed.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::process::{Command, Stdio};

use super::job::Material;
use super::memory::Window;
use super::{Contender, Job, chosen};
use crate::program;

/// What one message takes, once a connection is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Blocks of memory that are asked for, or grow.
    allocations: f64,
    reads: f64,
    writes: f64,
}

/// By the names of the row and the contender.
pub type Counts = HashMap<(String, String), Count>;

/// Runs something, and says how often memory was asked for meanwhile.
type Allocations = fn(&mut dyn FnMut()) -> u64;

/// Lets the program that counts do so.
pub fn ask(filter: &str, only: &str) -> io::Result<Counts> {
    let program = program::built(&[
        "--manifest-path=benches/Cargo.toml",
        "--features=counts",
        "--bin=codec-counts",
    ])?;
    let output = Command::new(program)
        .args([filter, only])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counts: Option<Counts> = text.lines().map(parse).collect();
    match counts {
        Some(counts) if output.status.success() => Ok(counts),
        _ => Err(io::Error::other("the program that counts has failed")),
    }
}

/// Counts, and prints what [`ask`] reads.
pub fn tell(filter: &str, only: &str, allocations: Allocations) {
    let (jobs, contenders) = chosen(filter, only);
    for job in &jobs {
        for contender in contenders.iter().filter(|contender| contender.can(job)) {
            let Count {
                allocations,
                reads,
                writes,
            } = Count::of(*contender, job, allocations);
            let name = contender.name();
            println!("{job}\t{name}\t{allocations}\t{reads}\t{writes}");
        }
    }
}

fn parse(line: &str) -> Option<((String, String), Count)> {
    let mut fields = line.split('\t');
    let names = (fields.next()?.into(), fields.next()?.into());
    let mut number = || fields.next()?.parse().ok();
    let count = Count {
        allocations: number()?,
        reads: number()?,
        writes: number()?,
    };
    Some((names, count))
}

impl Count {
    /// The difference between many messages and half as many, so that nothing of it belongs to the
    /// beginning of a connection.
    fn of(contender: &dyn Contender, job: &Job, allocations: Allocations) -> Self {
        let half = ((16 << 20) / (job.len + 200)).clamp(32, 20_000) / 32 * 32;
        let totals = |messages| {
            let material = Material::new(Job { messages, ..*job }, 0);
            let mut window = Window::fixed();
            let mut memory = material.memory(&mut window);
            let mut tally = None;
            let allocations = allocations(&mut || tally = contender.run(&material, &mut memory));
            let done = contender.is_floor() || tally == Some(material.expected());
            assert!(done, "{}: {job}", contender.name());
            [allocations, memory.calls.reads, memory.calls.writes].map(|total| total as f64)
        };
        // What a thread or the process does once.
        totals(half);
        let (few, many) = (totals(half), totals(2 * half));
        let per_message = |at: usize| (many[at] - few[at]) / half as f64;
        Self {
            allocations: per_message(0),
            reads: per_message(1),
            writes: per_message(2),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |count: f64| match count {
            count if count == count.round() => format!("{count:.0}"),
            count if count >= 0.1 => format!("{count:.2}"),
            count => format!("{count:.4}"),
        };
        let (allocations, reads) = (shown(self.allocations), shown(self.reads));
        write!(f, "{allocations} / {reads} / {}", shown(self.writes))
    }
}
