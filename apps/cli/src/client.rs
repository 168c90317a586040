//! The program but for `bench`: connections, one after the other.

use core::cell::Cell;
use core::future::pending;
use core::time::Duration;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Instant;

use async_io::{Timer, block_on};
use futures_lite::future::or;
use sockeye_async_std::smol::connect;
use sockeye_core::{CloseCode, Closed};

use crate::args::Client;
use crate::failure::Failure;
use crate::input::{self, Input, Source};
use crate::output::Output;
use crate::request::Target;
use crate::retry::Retry;
use crate::session::{Ended, Plan, Syntax, Why, talk};
use crate::stop::Stop;
use crate::terminal::{Terminal, is_interactive};

/// Runs it to its end, and says what went wrong.
pub(crate) fn run(args: &Client) -> ExitCode {
    let output = Output::new(args);
    match run_with(args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run_with(args: &Client, output: &Output) -> Result<(), Failure> {
    let deadline = args.timeout.map(|time| Instant::now() + time);
    let target = Target::new(&args.request, |config| {
        if let Some(interval) = args.ping_interval {
            config.ping_interval = interval.0;
        }
        if args.ping {
            // Its own Pings are enough.
            config.ping_interval = None;
        }
        config.pong_timeout = args.pong_timeout;
    })?;
    let stop = Stop::on_signal()?;
    if args.request.insecure {
        output.notice("the server's certificate is not checked: --insecure");
    }
    let is_typed = reads_terminal(args) && is_interactive();
    let received = Cell::new(0);
    let plan = Plan {
        args,
        syntax: syntax(args, is_typed),
        output,
        stop: &stop,
        deadline,
        received: &received,
    };
    if !is_typed {
        let mut input = Input::start(source(args))?;
        return block_on(connections(&plan, &target, &mut input));
    }
    let (entered, mut input) = input::channel();
    let (terminal, printer) = Terminal::start(entered, stop.trigger())?;
    output.set_printer(printer);
    let ended = block_on(connections(&plan, &target, &mut input));
    // The thread must not wait for somebody to take a line.
    drop(input);
    if let Some(printer) = output.take_printer() {
        terminal.leave(printer);
    }
    ended
}

/// Whether input would be read from a terminal if standard input is one.
fn reads_terminal(args: &Client) -> bool {
    !(args.no_input || args.ping || args.whole || args.json_input)
        && args.script.is_none()
        && args.count().is_none()
}

fn source(args: &Client) -> Source {
    match &args.script {
        Some(file) if file.as_os_str() == "-" => Source::Lines,
        Some(file) => Source::File(file.clone()),
        None if args.no_input || args.ping => Source::Nothing,
        None if args.count().is_some() && io::stdin().is_terminal() => Source::Nothing,
        None if args.whole => Source::Whole,
        None => Source::Lines,
    }
}

fn syntax(args: &Client, is_typed: bool) -> Syntax {
    if args.script.is_some() {
        Syntax::Script
    } else if args.json_input {
        Syntax::Json
    } else if is_typed {
        Syntax::Typed
    } else if args.binary {
        Syntax::Binary
    } else {
        Syntax::Text
    }
}

async fn connections(plan: &Plan<'_>, target: &Target, input: &mut Input) -> Result<(), Failure> {
    let mut retry = Retry::new(plan.args);
    loop {
        let connecting = async { Ok(connect(&target.url, &target.options).await) };
        let connected = or(connecting, async { Err(over(plan).await) }).await?;
        let pause = match connected {
            Err(error) => match retry.after_refusal(&error) {
                Some(pause) => {
                    plan.output.notice(&error.to_string());
                    pause
                }
                None => return Err(Failure::Connect(error)),
            },
            Ok(ws) => {
                let (subprotocol, response) = (ws.subprotocol(), ws.response());
                plan.output.opened(&target.url, subprotocol, response);
                let began = Instant::now();
                let ended = talk(ws, plan, input).await;
                match again(&ended, &mut retry, began.elapsed()) {
                    Some(pause) => pause,
                    None => return judge(ended, plan),
                }
            }
        };
        let said = humantime::format_duration(Duration::from_millis(pause.as_millis() as u64));
        plan.output.notice(&format!("connecting again in {said}"));
        let rested = async {
            Timer::after(pause).await;
            Ok(())
        };
        or(rested, async { Err(over(plan).await) }).await?;
    }
}

/// The time for all of it is over, or somebody wants it to end.
async fn over(plan: &Plan<'_>) -> Failure {
    let late = async {
        match plan.deadline {
            Some(deadline) => Timer::at(deadline).await,
            None => pending().await,
        };
        Failure::TimedOut
    };
    let stopped = async {
        plan.stop.wait().await;
        Failure::Interrupted
    };
    or(stopped, late).await
}

/// The pause before another connection, if there is to be one.
fn again(ended: &Ended, retry: &mut Retry, lasted: Duration) -> Option<Duration> {
    match (&ended.why, &ended.closed) {
        (None, Some(closed)) => retry.after_end(closed, lasted),
        _ => None,
    }
}

/// Whether it ended as it should.
fn judge(ended: Ended, plan: &Plan<'_>) -> Result<(), Failure> {
    match (ended.why, ended.closed) {
        (Some(Why::Failed(failure)), _) => Err(failure),
        (Some(Why::AsExpected), _) => Ok(()),
        // A second Ctrl-C: the server's answer was not waited for.
        (_, None) => Err(Failure::Interrupted),
        (_, Some(closed)) if !is_good(&closed) => Err(Failure::Ended(closed)),
        (None, Some(_)) => match plan.args.count() {
            Some(asked_for) => Err(Failure::TooFew {
                asked_for,
                received: plan.received.get(),
            }),
            None => Ok(()),
        },
        (Some(_), Some(_)) => Ok(()),
    }
}

/// Done, going away, or no code: an end that is nobody's fault.
fn is_good(closed: &Closed) -> bool {
    let code = closed.code;
    closed.is_clean()
        && (closed.initiator == sockeye_core::Initiator::Local
            || matches!(
                code,
                CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS
            ))
}
