//! Servers as processes of their own.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::authority::Authority;
use crate::floor::Ground;
use crate::peers::Peer;
use crate::plot::Whose;
use crate::report;

/// A process that says on its standard output where it listens. It ends with this.
pub struct Server {
    process: Child,
    pub port: u16,
}

impl Server {
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.trim_end().rsplit(':').next();
        let Some(port) = port.and_then(|port| port.parse().ok()) else {
            let _ = process.kill();
            let said = format!("{command:?} said {line:?}");
            return Err(io::Error::other(said));
        };
        Ok(Self { process, port })
    }

    pub fn resident(&self) -> io::Result<u64> {
        resident(self.process.id())
    }

    /// The CPU time of all its threads so far, in nanoseconds.
    pub fn cpu_time(&self) -> io::Result<u64> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id()))?;
        let mut sum = 0;
        for thread in threads {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = text.split_whitespace().next();
            sum += first.and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }
}

/// Bytes of memory of a process that are resident and of no file: the code of a program, of which
/// more pages are touched now and then, is not of its connections.
pub fn resident(process: u32) -> io::Result<u64> {
    // Exact, as the figures of `statm` are not.
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other("the system does not say what is resident"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A process that does what it is told by lines, and says when it is done.
pub struct Worker {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Worker {
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            to: process.stdin.take().expect("a pipe"),
            from: BufReader::new(process.stdout.take().expect("a pipe")),
            process,
        })
    }

    /// What it answers to `what`.
    pub fn tell(&mut self, what: &str) -> io::Result<String> {
        writeln!(self.to, "{what}")?;
        self.hear(what)
    }

    /// What it says next, when it is at `what`.
    pub fn hear(&mut self, what: &str) -> io::Result<String> {
        let mut line = String::new();
        match self.from.read_line(&mut line)? {
            0 => Err(io::Error::other(format!("{what:?} was not done"))),
            _ => Ok(line.trim_end().into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program, to be started again as something else.
pub fn this(role: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role);
    Ok(command)
}

/// A command on one core, if there are two.
pub fn pinned(command: Command, core: usize) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return command;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]);
    pinned.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            pinned.env(name, value);
        }
    }
    pinned
}

/// A server to be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Floor(Ground),
    /// `sockeye-echo`, with the defaults it has.
    Ours(Ground),
    /// The same service on io_uring: the example.
    Uring,
    /// A plain loop over a crate, on tokio.
    Peer(Peer),
}

impl Program {
    /// Each of ours behind its floor, and then the peers.
    pub fn all() -> impl Iterator<Item = Self> {
        let pairs = Ground::ALL.into_iter();
        let pairs = pairs.flat_map(|ground| [Self::Floor(ground), Self::Ours(ground)]);
        let peers = Peer::ALL.into_iter().map(Self::Peer);
        pairs.chain([Self::Uring]).chain(peers)
    }

    /// For pictures.
    pub fn whose(self) -> Whose {
        match self {
            Self::Floor(_) => Whose::Floor,
            Self::Ours(_) | Self::Uring | Self::Peer(Peer::Sockeye) => Whose::Ours,
            Self::Peer(_) => Whose::Others,
        }
    }

    /// What starts it, with `threads` of them if it matters; `None` if it knows no TLS, or was
    /// not built.
    pub fn command(
        self,
        built: &Built,
        tls: Option<&Authority>,
        threads: Option<usize>,
    ) -> io::Result<Option<Command>> {
        let mut command = match self {
            Self::Floor(ground) => {
                let mut command = this("floor")?;
                command.arg(ground.name());
                command
            }
            Self::Ours(ground) => {
                let mut command = Command::new(&built.echo);
                command.args(["--listen", "127.0.0.1:0", "--adapter", ground.name()]);
                command
            }
            Self::Uring => match &built.uring {
                Some(path) if tls.is_none() => {
                    let mut command = Command::new(path);
                    command.arg("127.0.0.1:0");
                    // It has one thread.
                    return Ok(Some(command));
                }
                _ => return Ok(None),
            },
            Self::Peer(peer) => {
                if tls.is_some() {
                    return Ok(None);
                }
                let mut command = this("peer")?;
                command.arg(peer.name());
                command
            }
        };
        if let Some(authority) = tls {
            command.arg("--tls-cert").arg(authority.certificate());
            command.arg("--tls-key").arg(authority.key());
        }
        if let Some(threads) = threads {
            command.arg("--threads").arg(threads.to_string());
            // Which takes it from there.
            command.env("ASYNC_STD_THREAD_COUNT", threads.to_string());
        }
        Ok(Some(command))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor(ground) => write!(f, "bare {}", ground.name()),
            Self::Ours(ground) => write!(f, "sockeye on {}", ground.name()),
            Self::Uring => f.write_str("sockeye on io_uring (example)"),
            Self::Peer(Peer::Sockeye) => f.write_str("sockeye on tokio, plain loop"),
            Self::Peer(peer) => f.write_str(peer.name()),
        }
    }
}

/// Programs that are not this one.
pub struct Built {
    echo: PathBuf,
    uring: Option<PathBuf>,
}

impl Built {
    /// Builds what there is none of yet: the echo program as it ships, and, if it is `wanted`, the
    /// example on io_uring.
    pub fn new(echo: Option<&Path>, wanted: bool) -> io::Result<Self> {
        Ok(Self {
            echo: match echo {
                Some(path) => path.into(),
                None => built(&["--package", "sockeye-echo"])?,
            },
            uring: match wanted {
                true => Some(built(&["--manifest-path", "examples/io-uring/Cargo.toml"])?),
                false => None,
            },
        })
    }
}

/// The program that cargo builds from `what`, as it ships.
pub fn built(what: &[&str]) -> io::Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["build", "--release"])
        .args(what)
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(report::file(""))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let found = messages.lines().rev().find_map(|message| {
        let (_, path) = message.split_once("\"executable\":\"")?;
        Some(PathBuf::from(path.split('"').next()?))
    });
    match found {
        Some(path) if output.status.success() => Ok(path),
        _ => Err(io::Error::other(format!("cannot build {what:?}"))),
    }
}
