//! What the protocol costs, beside its peers.
#![forbid(unsafe_code)]

mod codec;
mod measure;
mod wire;

use std::process::ExitCode;

const USAGE: &str = "\
usage: codec [--rounds N] [--filter TEXT] [--quick]";

fn main() -> ExitCode {
    let mut options = codec::Options {
        rounds: 15,
        filter: String::new(),
        quick: false,
    };
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("codec") {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => options.rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(15),
            "--filter" => options.filter = args.next().unwrap_or_default(),
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
            }
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    codec::run(&options);
    ExitCode::SUCCESS
}
