//! What the protocol costs, beside its peers.
#![forbid(unsafe_code)]

mod codec;
mod measure;
mod wire;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo run --release -- codec [--rounds N] [--filter TEXT] [--only TEXT] [--quick]

  --rounds N     measure N times, and print the medians (15)
  --filter TEXT  only the rows whose name contains TEXT
  --only TEXT    only the contenders whose name contains TEXT
  --quick        one short round: to see that all of it works";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("codec") => {}
        Some("--help") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(other) => return misuse(&format!("there is no benchmark {other:?}")),
        None => return misuse("which benchmark?"),
    }
    match options(args) {
        Ok(options) if codec::run(&options) => ExitCode::SUCCESS,
        Ok(_) => misuse("no row, or no contender, has such a name"),
        Err(fault) => misuse(&fault),
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<codec::Options, String> {
    let mut options = codec::Options {
        rounds: 15,
        filter: String::new(),
        only: String::new(),
        quick: false,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--rounds" => match value()?.parse() {
                Ok(rounds) if rounds > 0 => options.rounds = rounds,
                _ => return Err("--rounds needs a number above 0".into()),
            },
            "--filter" => options.filter = value()?,
            "--only" => options.only = value()?,
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
            }
            _ => return Err(format!("there is no option {arg}")),
        }
    }
    Ok(options)
}

fn misuse(fault: &str) -> ExitCode {
    eprintln!("{fault}\n\n{USAGE}");
    ExitCode::from(2)
}
