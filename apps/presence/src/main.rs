//! A presence server: who is online, told by tokens.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use sockeye_presence::{Args, Command, Message, Refusal};

fn main() -> ExitCode {
    let args: Args = sockeye_runner::parse(&[("max_message", "16KiB")], &["tls_roots"]);
    match run(&args) {
        Ok(code) => code,
        Err(refusal) => {
            // Nobody may be reading it.
            let _ = writeln!(io::stderr(), "error: {refusal}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Refusal> {
    match &args.command {
        None => {
            sockeye_runner::start_logging(&args.run);
            Ok(sockeye_runner::serve_and_drain(&args.run, args.service()?))
        }
        Some(Command::Token(token)) => Ok(print(&token.token()?)),
        Some(Command::Schema) => Ok(print(&format!("{:#}", Message::schema()))),
    }
}

fn print(line: &str) -> ExitCode {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
