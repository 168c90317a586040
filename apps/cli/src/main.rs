//! A terminal client for WebSocket servers: interactive, in scripts, and as a load.
//!
//! It stands on the adapter for smol. A client needs one thread for its connection and
//! timers that keep a schedule: those of tokio are a millisecond apart, which is more
//! than most answers take, and a blocking client would need a thread for each of the
//! thousands of connections of a load.

#![forbid(unsafe_code)]

extern crate alloc;

mod args;
mod bench;
mod client;
mod command;
mod failure;
mod input;
mod insecure;
mod output;
mod pattern;
mod request;
mod retry;
mod script;
mod session;
mod stop;
mod terminal;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    let args: Args = sockeye_runner::parse(&[], &[]);
    match &args.command {
        Some(Command::Bench(args)) => bench::run(args),
        None => client::run(&args.client),
    }
}
