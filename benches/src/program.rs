//! The servers that are measured.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::authority::Authority;
use crate::floor::Ground;
use crate::peers::Peer;
use crate::plot::Whose;
pub use crate::process::{Server, built, pinned, resident, this};

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
