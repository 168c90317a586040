//! A chat server over WebSocket.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use sockeye_chat::{Args, DEFAULTS, UNUSED};

fn main() -> ExitCode {
    let args: Args = sockeye_runner::parse(DEFAULTS, UNUSED);
    sockeye_runner::start_logging(&args.run);
    match args.service() {
        Ok(chat) => sockeye_runner::serve_and_drain(&args.run(), chat),
        Err(refusal) => sockeye_runner::refuse(refusal),
    }
}
