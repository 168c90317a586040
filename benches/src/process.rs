//! Servers as processes of their own; also for the package that measures compression.

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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

/// Where the peers are that run on Node.
pub fn peers() -> PathBuf {
    report::file("benches/peers")
}

/// The packages of the peers, as their lock file says.
pub fn install_peers() -> io::Result<()> {
    if peers().join("node_modules").is_dir() {
        return Ok(());
    }
    let installed = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(peers())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if installed.success() {
        return Ok(());
    }
    Err(io::Error::other("npm could not install the peers"))
}
