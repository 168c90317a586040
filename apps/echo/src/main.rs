//! An echo server over WebSocket: what it receives, it sends back.
//!
//! With --connect it is the other side: a client that echoes until the server
//! closes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use sockeye_echo::Echo;
use sockeye_handler::Accept;

/// An echo server over WebSocket: what it receives, it sends back.
///
/// Every path is served. Its page at / tries it out.
#[derive(Parser)]
#[command(name = "sockeye-echo", version)]
struct Args {
    /// Be a client instead: echo what this server sends, until it closes.
    #[arg(long, value_name = "URL")]
    connect: Option<String>,

    /// Text to put before the text of each message; binary messages stay as they are.
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,

    /// Subprotocol to accept, or to offer with --connect; may be repeated. A server
    /// chooses the first that its client offers and that is among these.
    #[arg(long = "subprotocol", value_name = "NAME", value_parser = subprotocol)]
    subprotocols: Vec<String>,

    #[command(flatten)]
    run: sockeye_runner::Args,
}

fn main() -> ExitCode {
    let args: Args = sockeye_runner::parse(&[("max_message", "16MiB")], &[]);
    let echo = Echo::new(&args.prefix, args.subprotocols.clone());
    match &args.connect {
        None => sockeye_runner::serve(&args.run, echo),
        Some(url) => sockeye_runner::connect(&args.run, url, &args.subprotocols, |message| {
            Some(echo.answer(message))
        }),
    }
}

/// A name that can stand in the handshake.
fn subprotocol(name: &str) -> Result<String, &'static str> {
    match Accept::new().subprotocol(name) {
        Ok(_) => Ok(name.into()),
        Err(_) => Err("not a token of letters, digits and signs such as . - _ +"),
    }
}
