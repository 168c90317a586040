//! A load, and its latencies.

mod load;
mod report;

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use async_executor::Executor;
use async_io::{Timer, block_on};
use futures_lite::future::or;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sockeye_core::OwnedMessage;
use sockeye_runner::{Bytes, duration};

use crate::args::Request;
use crate::failure::Failure;
use crate::pattern::Pattern;
use crate::request::Target;
use crate::stop::Stop;

use self::load::{Crew, Load, Schedule};
use self::report::Report;

/// Put a load on a server that answers each message, and measure the latencies.
///
/// With --rate the load is open: every message has its time, whether or not the
/// server keeps up, and its latency counts from that time, so a server that stalls is
/// charged for all that it kept waiting. Without it each connection sends its next
/// message when an answer comes, which shows the most that a server can do, but not
/// what its users would feel.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) request: Request,

    /// Connections at a time.
    #[arg(
        short,
        long,
        value_name = "N",
        default_value = "10",
        help_heading = "Load"
    )]
    connections: NonZeroUsize,

    /// Messages per second, of all connections together: 500, 10k or 2.5M.
    #[arg(short, long, value_name = "N", help_heading = "Load", value_parser = rate)]
    rate: Option<f64>,

    /// How long to send.
    #[arg(short, long, value_name = "TIME", default_value = "10s", help_heading = "Load", value_parser = duration)]
    duration: Duration,

    /// How long to send before that without counting.
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Load", value_parser = duration)]
    warm_up: Duration,

    /// Messages that a connection may have under way: 1 without --rate, 1024 with it.
    #[arg(short, long, value_name = "N", help_heading = "Load")]
    in_flight: Option<NonZeroUsize>,

    /// Size of each message.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "64",
        help_heading = "Load"
    )]
    size: Bytes,

    /// Text to send instead of --size letters.
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Load",
        conflicts_with = "size"
    )]
    message: Option<String>,

    /// Send binary messages.
    #[arg(short, long, help_heading = "Load")]
    binary: bool,

    /// Message to send first on each connection, a login for example; `{}` in it is
    /// the number of the connection. May be repeated.
    #[arg(short = 'x', long, value_name = "TEXT", help_heading = "Load")]
    send: Vec<String>,

    /// What an answer is like, as in /expect of a script; what is not is passed over.
    #[arg(long, value_name = "PATTERN", help_heading = "Load", value_parser = Pattern::parse)]
    expect: Option<Pattern>,

    /// How long to wait for the last answers.
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = "Load", value_parser = duration)]
    patience: Duration,

    /// Threads; as many as there are processors if not given.
    #[arg(long, value_name = "N", help_heading = "Load")]
    threads: Option<NonZeroUsize>,

    /// Print the result as one line of JSON, times in microseconds.
    #[arg(short, long, help_heading = "Output")]
    json: bool,

    /// No bar while it runs.
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  sockeye bench --connections 100 --rate 20k ws://127.0.0.1:9001/
  sockeye bench --connections 100 --in-flight 32 --duration 5s ws://127.0.0.1:9001/
  sockeye bench --connections 50 --rate 500 -s chat.v1.json \\
      -x '{\"type\":\"login\",\"nickname\":\"u{}\"}' --message '{\"type\":\"ping\"}' \\
      --expect '{\"type\":\"pong\"}' ws://127.0.0.1:9003/talking

Exit codes:
  0  every message was answered on every connection
  1  connections were refused or lost, or messages not answered: the report says which
  2  there was no connection at all, or a flag is wrong";

/// A number, perhaps of thousands or millions.
fn rate(text: &str) -> Result<f64, &'static str> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1e6),
            None => (text, 1.0),
        },
    };
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number * unit),
        _ => Err("not a number such as 500, 10k or 2.5M"),
    }
}

/// Puts the load on, and says what came of it.
pub(crate) fn run(args: &Args) -> ExitCode {
    match run_with(args) {
        Ok(report) => {
            let shown = if args.json {
                report.to_json()
            } else {
                report.to_string()
            };
            // Nobody may be reading it.
            let _ = writeln!(io::stdout(), "{shown}");
            ExitCode::from(u8::from(!report.is_flawless()))
        }
        Err(failure) => {
            // There is nobody to tell that this failed.
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run_with(args: &Args) -> Result<Report, Failure> {
    let target = Target::new(&args.request, |config| {
        // What is under way may be large, and a load does not need to be told to slow down.
        config.hard_mark = sockeye_core::Config::UNLIMITED;
    })?;
    allow_descriptors();
    let stop = Stop::on_signal()?;
    let load = Arc::new(Load {
        target,
        connections: args.connections.get(),
        schedule: args.rate.map(|rate| Schedule { rate }),
        in_flight: match (args.in_flight, args.rate) {
            (Some(given), _) => given.get(),
            (None, Some(_)) => 1024,
            (None, None) => 1,
        },
        message: message(args),
        first: args.send.clone(),
        expect: args.expect.clone(),
        warm_up: args.warm_up,
        duration: args.duration,
        patience: args.patience,
    });
    let executor = Arc::new(Executor::new());
    start_threads(args, &executor)?;
    let bar = bar(args);
    let crew = Crew::new(Arc::clone(&load));
    block_on(executor.run(conduct(&crew, &executor, &stop, &bar)))?;
    bar.finish_and_clear();
    Ok(Report::new(&load, &crew))
}

/// Connects, sends, waits for the last answers.
async fn conduct(
    crew: &Arc<Crew>,
    executor: &Executor<'static>,
    stop: &Stop,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let tasks = crew.enlist(executor);
    let connected = async {
        while crew.is_connecting() {
            bar.set_message(format!("connecting, {} there", crew.connected()));
            Timer::after(TICK).await;
        }
        true
    };
    let stopped = async {
        stop.wait().await;
        false
    };
    if !or(connected, stopped).await {
        return Err(Failure::Interrupted);
    }
    if let Some(refusal) = crew.refusal() {
        return Err(refusal);
    }
    let load = crew.load();
    let began = Instant::now();
    crew.start(began);
    let whole = load.warm_up + load.duration;
    let sending = async {
        let mut before = (began, 0);
        while began.elapsed() < whole && crew.connected() > 0 {
            Timer::after(TICK).await;
            let now = (Instant::now(), crew.answered());
            let rate = (now.1 - before.1) as f64 / (now.0 - before.0).as_secs_f64();
            bar.set_position(began.elapsed().min(whole).as_millis() as u64);
            bar.set_message(format!(
                "{rate:.0} messages/s, {} under way",
                crew.under_way()
            ));
            before = now;
        }
        true
    };
    let stopped = async {
        stop.wait().await;
        false
    };
    if !or(sending, stopped).await {
        crew.stop();
    }
    bar.set_message("waiting for the last answers");
    for task in tasks {
        task.await;
    }
    Ok(())
}

const TICK: Duration = Duration::from_millis(100);

fn bar(args: &Args) -> ProgressBar {
    if args.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let whole = args.warm_up + args.duration;
    let bar = ProgressBar::new(whole.as_millis() as u64);
    // The template is right.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn message(args: &Args) -> OwnedMessage {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let text = match &args.message {
        Some(text) => text.clone(),
        None => {
            let letters = LETTERS.iter().cycle().take(args.size.0);
            letters.map(|letter| char::from(*letter)).collect()
        }
    };
    if args.binary {
        text.into_bytes().into()
    } else {
        text.into()
    }
}

/// The threads besides this one. They end with the process.
fn start_threads(args: &Args, executor: &Arc<Executor<'static>>) -> Result<(), Failure> {
    let failed = |error| Failure::System {
        what: "start a thread",
        error,
    };
    let count = match args.threads {
        Some(count) => count,
        None => thread::available_parallelism().map_err(failed)?,
    };
    for number in 1..count.get() {
        let executor = Arc::clone(executor);
        thread::Builder::new()
            .name(format!("load-{number}"))
            .spawn(move || block_on(executor.run(core::future::pending::<()>())))
            .map_err(failed)?;
    }
    Ok(())
}

/// As many descriptors as the system lets us have: one for each connection.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If not, connecting will say what it lacks.
    let _ = setrlimit(Resource::Nofile, raised);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_people_write_them() {
        for (text, number) in [("500", 500.0), ("10k", 1e4), ("2.5M", 2.5e6)] {
            assert_eq!(rate(text), Ok(number), "{text}");
        }
        for text in ["", "0", "-1", "k", "inf", "NaN"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
