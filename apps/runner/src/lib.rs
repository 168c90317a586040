//! What the programs of Sockeye share: flags, adapters, signals, logs.
//!
//! A program is a [`Service`] and a `main` of about ten
//! lines:
//!
//! ```no_run
//! use clap::Parser;
//! # use sockeye_handler::{Context, Decision, Handler, Message, Opening, Request, Service};
//! # struct Program; struct Nothing;
//! # impl Service for Program {
//! #     type Handler = Nothing;
//! #     fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Nothing> {
//! #         Decision::accept(Nothing)
//! #     }
//! # }
//! # impl Handler for Nothing {
//! #     fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
//! # }
//!
//! #[derive(Parser)]
//! struct Args {
//!     #[command(flatten)]
//!     run: sockeye_runner::Args,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let args: Args = sockeye_runner::parse(&[("max_message", "16KiB")], &["tls_roots"]);
//!     sockeye_runner::serve(&args.run, Program)
//! }
//! ```
//!
//! This is the one place that names every runtime.
//!
//! # Exit codes
//!
//! 0 after an end in good order; 1 if a connection did not end cleanly, and after a
//! second signal; 2 if the program could not start. Every failure is one sentence
//! on standard error; below it stands the answer of a server that refused.

#![forbid(unsafe_code)]

#[cfg(feature = "async")]
extern crate alloc;

mod args;
#[cfg(feature = "async-std")]
mod async_std;
#[cfg(feature = "async")]
mod asynchronous;
#[cfg(feature = "deflate")]
mod deflate;
mod escape;
mod failure;
mod log;
#[cfg(feature = "mio")]
mod mio;
mod signals;
#[cfg(feature = "smol")]
mod smol;
#[cfg(feature = "tokio")]
mod tokio;
mod value;

use core::fmt;
use core::net::SocketAddr;
use std::io::{self, Write};
use std::process::ExitCode;

use sockeye_common::Shutdown;
use sockeye_handler::{CloseCode, OwnedMessage, Service};

pub use args::{Adapter, Args, parse};
#[cfg(feature = "deflate")]
pub use deflate::Compression;
pub use escape::Escaped;
pub use signals::on_stop;
pub use value::{Bytes, Interval, duration};

use failure::Failure;

#[cfg(not(any(feature = "async", feature = "mio")))]
compile_error!("a program needs an adapter: enable `tokio`, `async-std`, `smol` or `mio`");

/// Writes what is logged from here on: for programs that do something before they
/// [`serve`].
pub fn start_logging(args: &Args) {
    log::start(args);
}

/// Runs a server until it is told to end, and then closes its connections with 1001, all
/// at once.
pub fn serve<S: Service>(args: &Args, service: S) -> ExitCode {
    run(args, service, Ending::AtOnce)
}

/// Runs a server until it is told to end, and then lets the service close its connections
/// one after the other: [`Service::on_drain`].
///
/// That takes at most four fifths of `--drain-timeout`. Until the last of them has gone the
/// server listens, and answers plain HTTP. Those that are left are closed with 1012, and have
/// the rest of the time.
pub fn serve_and_drain<S: Service>(args: &Args, service: S) -> ExitCode {
    run(args, service, Ending::Drain)
}

fn run<S: Service>(args: &Args, service: S, ending: Ending) -> ExitCode {
    log::start(args);
    finish(match args.adapter {
        #[cfg(feature = "tokio")]
        Adapter::Tokio => tokio::serve(args, service, ending),
        #[cfg(feature = "async-std")]
        Adapter::AsyncStd => async_std::serve(args, service, ending),
        #[cfg(feature = "smol")]
        Adapter::Smol => smol::serve(args, service, ending),
        #[cfg(feature = "mio")]
        Adapter::Mio => mio::serve(args, service, ending),
    })
}

/// What a signal does to the connections.
#[derive(Clone, Copy)]
enum Ending {
    AtOnce,
    Drain,
}

impl Ending {
    fn shutdown(self, args: &Args) -> Shutdown {
        let all = args.drain_timeout;
        match self {
            Self::AtOnce => Shutdown {
                timeout: all,
                ..Shutdown::default()
            },
            Self::Drain => Shutdown {
                code: CloseCode::SERVICE_RESTART,
                drain: all / 5 * 4,
                timeout: all / 5,
                ..Shutdown::default()
            },
        }
    }
}

/// Refuses to start: says why, in one sentence on standard error, and gives the exit code.
pub fn refuse(reason: impl fmt::Display) -> ExitCode {
    finish(Err(Failure::Refused {
        reason: reason.to_string(),
    }))
}

/// Runs a client, which offers `subprotocols` and answers each message until the
/// server closes.
pub fn connect(
    args: &Args,
    url: &str,
    subprotocols: &[String],
    answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> ExitCode {
    log::start(args);
    finish(match args.adapter {
        #[cfg(feature = "tokio")]
        Adapter::Tokio => tokio::connect(args, url, subprotocols, answer),
        #[cfg(feature = "async-std")]
        Adapter::AsyncStd => async_std::connect(args, url, subprotocols, answer),
        #[cfg(feature = "smol")]
        Adapter::Smol => smol::connect(args, url, subprotocols, answer),
        #[cfg(feature = "mio")]
        Adapter::Mio => mio::connect(args, url, subprotocols, answer),
    })
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut err = io::stderr().lock();
            let _ = writeln!(err, "error: {failure}");
            for line in failure.details() {
                let _ = writeln!(err, "  {line}");
            }
            failure.exit_code()
        }
    }
}

/// The one line on standard output: it says that connections are taken, and where.
fn announce(args: &Args, address: SocketAddr) {
    // Nobody may be reading it.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {}://{address}", args.scheme()).and_then(|()| out.flush());
}
