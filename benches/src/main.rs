//! The commands.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use sockeye_benches::echo::load::Load;
use sockeye_benches::fanout::Dialect;
use sockeye_benches::idle::clients::Wish;
use sockeye_benches::peers::Peer;
use sockeye_benches::{codec, echo, fanout, floor, idle, path, peers, sessions};

const USAGE: &str = "\
usage: cargo run --release -- codec [--rounds N] [--filter TEXT] [--only TEXT] [--write] [--quick]
       cargo run --release -- idle [--rounds N] [--connections N]... [--only TEXT] [--echo PATH] [--write] [--quick]
       cargo run --release -- echo [--rounds N] [--time MS] [--filter TEXT] [--only TEXT] [--echo PATH] [--write] [--quick]
       cargo run --release -- fanout [--rounds N] [--time MS] [--only TEXT] [--chat PATH] [--write] [--quick]
       cargo run --release -- sessions [--rounds N] [--sessions N] [--write] [--quick]
       cargo run --release -- path [NAME COUNT]

codec: the protocol in memory
  --rounds N       measure N times, and print the medians (15)
  --filter TEXT    only the rows whose name contains TEXT
  --only TEXT      only the contenders whose name contains TEXT
  --write          put the tables into docs/performance.md, too, and a picture beside it
  --quick          one short round: to see that all of it works

idle: resident memory of a server for each connection that does nothing
  --rounds N       measure N times, and print the medians (3)
  --connections N  hold so many at a time (1000 and 10000)
  --only TEXT      only the servers whose name contains TEXT
  --echo PATH      the echo program, instead of building it
  --write          put the table into docs/performance.md, too, and pictures beside it
  --quick          one round with 100

echo: servers over loopback, under one load generator
  --rounds N       measure N times, and print the medians (5)
  --time MS        milliseconds of each (1000)
  --filter TEXT    only the loads whose name contains TEXT
  --only TEXT      only the servers whose name contains TEXT
  --echo PATH      the echo program, instead of building it
  --write          put the tables into docs/performance.md, too
  --quick          one short round of two loads

fanout: chat servers on one core, with login, rooms, order and history
  --rounds N       measure N times, and print the medians (5)
  --time MS        milliseconds of each (2000)
  --only TEXT      only the servers whose name contains TEXT
  --chat PATH      the chat program, instead of building it
  --write          put the tables into docs/performance.md, too
  --quick          one short round of everything

sessions: a million connections in one thread, without sockets
  --rounds N       measure N times, and print the medians (3)
  --sessions N     so many (1000000)
  --write          put the table into docs/performance.md, too, and pictures beside it
  --quick          one round with 1000

path: one hot path COUNT times, to be profiled; without a name, which there are";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("codec") => codec(args),
        Some("idle") => idle(args),
        Some("echo") => echo(args),
        Some("fanout") => fanout(args),
        Some("sessions") => sessions(args),
        Some("path") => path(args),
        // What this program is started as by itself.
        Some("floor") => floor(args),
        Some("idle-clients") => idle_clients(args),
        Some("crowd") => crowd(args),
        Some("peer") => peer(args),
        Some("load") => load(args),
        Some("fanout-load") => fanout_load(args),
        Some("--help") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(Fault::Usage(format!("there is no benchmark {other:?}"))),
        None => Err(Fault::Usage("which benchmark?".into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault::Usage(fault)) => {
            eprintln!("{fault}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Fault::System(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Fault {
    Usage(String),
    System(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// The value behind an option.
fn value(arg: &str, args: &mut impl Iterator<Item = String>) -> Result<String, Fault> {
    args.next()
        .ok_or_else(|| Fault::Usage(format!("{arg} needs a value")))
}

fn number(arg: &str, args: &mut impl Iterator<Item = String>) -> Result<usize, Fault> {
    match value(arg, args)?.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Fault::Usage(format!("{arg} needs a number above 0"))),
    }
}

fn unknown(arg: &str) -> Fault {
    Fault::Usage(format!("there is no option {arg}"))
}

fn codec(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let mut options = codec::Options {
        rounds: 15,
        filter: String::new(),
        only: String::new(),
        quick: false,
        write: false,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--rounds" => options.rounds = number(&arg, &mut args)?,
            "--filter" => options.filter = value(&arg, &mut args)?,
            "--only" => options.only = value(&arg, &mut args)?,
            "--write" => options.write = true,
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
            }
            _ => return Err(unknown(&arg)),
        }
    }
    if codec::run(&options)? {
        return Ok(());
    }
    Err(Fault::Usage(
        "no row, or no contender, has such a name".into(),
    ))
}

fn idle(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let mut options = idle::Options {
        rounds: 3,
        connections: Vec::new(),
        only: String::new(),
        echo: None,
        write: false,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--rounds" => options.rounds = number(&arg, &mut args)?,
            "--connections" => options.connections.push(number(&arg, &mut args)?),
            "--only" => options.only = value(&arg, &mut args)?,
            "--write" => options.write = true,
            "--echo" => options.echo = Some(value(&arg, &mut args)?.into()),
            "--quick" => {
                options.rounds = 1;
                options.connections = vec![100];
            }
            _ => return Err(unknown(&arg)),
        }
    }
    if options.connections.is_empty() {
        options.connections = vec![1_000, 10_000];
    }
    Ok(idle::run(&options)?)
}

fn echo(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let mut options = echo::Options {
        rounds: 5,
        time: Duration::from_secs(1),
        filter: String::new(),
        only: String::new(),
        echo: None,
        write: false,
        quick: false,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--rounds" => options.rounds = number(&arg, &mut args)?,
            "--time" => options.time = Duration::from_millis(number(&arg, &mut args)? as u64),
            "--filter" => options.filter = value(&arg, &mut args)?,
            "--only" => options.only = value(&arg, &mut args)?,
            "--echo" => options.echo = Some(value(&arg, &mut args)?.into()),
            "--write" => options.write = true,
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
                options.time = Duration::from_millis(100);
            }
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(echo::run(&options)?)
}

fn fanout(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let mut options = fanout::Options {
        rounds: 5,
        time: Duration::from_secs(2),
        only: String::new(),
        chat: None,
        write: false,
        quick: false,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--rounds" => options.rounds = number(&arg, &mut args)?,
            "--time" => options.time = Duration::from_millis(number(&arg, &mut args)? as u64),
            "--only" => options.only = value(&arg, &mut args)?,
            "--chat" => options.chat = Some(value(&arg, &mut args)?.into()),
            "--write" => options.write = true,
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
                options.time = Duration::from_millis(200);
            }
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(fanout::run(&options)?)
}

fn fanout_load(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let port = number("the port", &mut args)?;
    let name = value("the dialect", &mut args)?;
    let dialect = Dialect::ALL
        .into_iter()
        .find(|dialect| dialect.name() == name)
        .ok_or_else(|| Fault::Usage(format!("there is no dialect {name:?}")))?;
    let prefix = value("the prefix of names", &mut args)?;
    Ok(fanout::run_load(port as u16, dialect, &prefix)?)
}

fn sessions(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let mut options = sessions::Options {
        rounds: 3,
        sessions: 1_000_000,
        write: false,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--rounds" => options.rounds = number(&arg, &mut args)?,
            "--sessions" => options.sessions = number(&arg, &mut args)?,
            "--write" => options.write = true,
            "--quick" => {
                options.rounds = 1;
                options.sessions = 1_000;
            }
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(sessions::run(&options)?)
}

fn crowd(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let count = number("crowd", &mut args)?;
    let with_peers = args.next().is_some_and(|what| what == "peers");
    Ok(sessions::measure(count, with_peers)?)
}

fn path(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let Some(name) = args.next() else {
        path::names().for_each(|name| println!("{name}"));
        return Ok(());
    };
    let count = number(&name, &mut args)?;
    path::run(&name, count).ok_or_else(|| Fault::Usage(format!("there is no path {name:?}")))
}

fn floor(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let name = value("floor", &mut args)?;
    let ground = floor::Ground::ALL
        .into_iter()
        .find(|ground| ground.name() == name)
        .ok_or_else(|| Fault::Usage(format!("there is no floor {name:?}")))?;
    let (mut certificate, mut key, mut threads) = (None, None, None);
    while let Some(arg) = args.next() {
        match &*arg {
            "--tls-cert" => certificate = Some(value(&arg, &mut args)?.into()),
            "--threads" => threads = Some(number(&arg, &mut args)?),
            "--tls-key" => key = Some(value(&arg, &mut args)?.into()),
            _ => return Err(unknown(&arg)),
        }
    }
    let options = floor::Options {
        ground,
        tls: certificate.zip(key),
        threads,
    };
    Ok(floor::run(&options)?)
}

fn peer(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let name = value("peer", &mut args)?;
    let peer = Peer::ALL
        .into_iter()
        .find(|peer| peer.name() == name)
        .ok_or_else(|| Fault::Usage(format!("there is no peer {name:?}")))?;
    let mut threads = None;
    while let Some(arg) = args.next() {
        match &*arg {
            "--threads" => threads = Some(number(&arg, &mut args)?),
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(peers::serve(peer, threads)?)
}

fn load(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let mut next = |what: &str| number(what, &mut args);
    let port = next("the port")?;
    let load = Load {
        connections: next("connections")?,
        len: next("the length")?,
        depth: next("the depth")?,
        time: Duration::from_millis(next("the time")? as u64),
    };
    Ok(echo::load::run(port as u16, load)?)
}

fn idle_clients(mut args: impl Iterator<Item = String>) -> Result<(), Fault> {
    let port = number("the port", &mut args)?;
    let (mut roots, mut wish) = (None, Wish::Nothing);
    while let Some(arg) = args.next() {
        match &*arg {
            "--roots" => roots = Some(value(&arg, &mut args)?.into()),
            "--deflate" => wish = Wish::Compression,
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(idle::clients::run(port as u16, roots, wish)?)
}
