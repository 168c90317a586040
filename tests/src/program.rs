//! The programs themselves, as processes.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use crate::process::{Signal, signal, wait};
use crate::wire::PATIENCE;

/// The program that connects; all others listen.
const CLIENT: &str = "sockeye";

/// A program that listens. Killed when it is dropped.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts a program of the workspace, such as `sockeye-chat`, on a free port, and waits
    /// until it listens.
    ///
    /// # Panics
    ///
    /// It ends before that; the message is what it wrote.
    #[must_use]
    pub fn start(name: &str, args: &[&str]) -> Self {
        let mut child = command(name, args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program");
        let log = Arc::new(Mutex::new(String::new()));
        keep(child.stderr.take().expect("a pipe"), Arc::clone(&log));
        let (sender, first_line) = mpsc::channel();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
            let _ = io::copy(&mut output, &mut io::sink());
        });
        let line = first_line.recv_timeout(PATIENCE).unwrap_or_default();
        let address = line
            .trim()
            .rsplit_once("://")
            .and_then(|(_, at)| at.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "{name} does not listen: {line:?}, {status:?}: {}",
                text(&log)
            );
        };
        Self {
            child,
            address,
            log,
        }
    }

    /// Runs a program that is expected to end by itself.
    #[must_use]
    pub fn run(name: &str, args: &[&str]) -> Output {
        let mut child = command(name, args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program");
        let (stdout, stderr) = (Arc::default(), Arc::default());
        keep(child.stdout.take().expect("a pipe"), Arc::clone(&stdout));
        keep(child.stderr.take().expect("a pipe"), Arc::clone(&stderr));
        let status = wait(&mut child, PATIENCE);
        let output = child.wait_with_output().expect("it has ended");
        drop(output);
        // The readers end with the pipes.
        while Arc::strong_count(&stdout) + Arc::strong_count(&stderr) > 2 {
            thread::yield_now();
        }
        Output {
            status,
            stdout: text(&stdout).into(),
            stderr: text(&stderr).into(),
        }
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// What it answers to a GET: the status, and the body.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("it answers");
        let (head, body) = response.split_once("\r\n\r\n").expect("a response");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Whether it says that it does without its store.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        let (status, body) = self.get("/readyz");
        assert_eq!(status, 200, "{body}");
        body.contains("\"degraded\":true")
    }

    /// Waits until it does, or does not.
    pub fn wait_degraded(&self, is_degraded: bool, patience: Duration) {
        let until = Instant::now() + patience;
        while self.is_degraded() != is_degraded {
            assert!(Instant::now() < until, "degraded stays {}", !is_degraded);
            // Nothing but this answer tells of it.
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// Ends it at once, without a word: `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// Sends it a signal.
    pub fn signal(&self, wanted: Signal) {
        signal(&self.child, wanted);
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        wait(&mut self.child, patience)
    }

    /// Keeps it from running.
    pub fn pause(&self) {
        signal(&self.child, Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal(&self.child, Signal::CONT);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let at = self.address;
            let text = format!("--- the program at {at} wrote:\n{}", self.log());
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

fn command(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(built(name));
    command.args(args).stdin(Stdio::null());
    if name != CLIENT && !args.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command
}

/// The path of a program, built from the sources as they are: once in each process.
fn built(name: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<BTreeSet<String>>> = OnceLock::new();
    let mut built = BUILT
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if built.insert(name.to_owned()) {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        let package = if name == CLIENT { "sockeye-cli" } else { name };
        build.args(["build", "--quiet", "--package", package, "--bin", name]);
        // What cargo has told this test about itself is no news for build scripts: some
        // would run again for it.
        for (variable, _) in env::vars_os() {
            if variable.to_string_lossy().starts_with("CARGO_PKG_")
                || variable.to_string_lossy().starts_with("CARGO_MANIFEST_")
            {
                build.env_remove(variable);
            }
        }
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success(), "{name} builds");
    }
    // This is `target/debug/deps/TEST`, and that stands in `target/debug`.
    let mut path = env::current_exe().expect("a test");
    path.pop();
    path.pop();
    path.join(name)
}

fn keep(mut pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
        }
    });
}

fn text(log: &Mutex<String>) -> String {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
