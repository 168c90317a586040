//! The program as a child process.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use crate::server::PATIENCE;

/// The program with these arguments, and nothing of this process's surroundings.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(arguments).env_remove("SOCKEYE_AUTH");
    command
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let ran = Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }
}

/// Starts it with pipes.
pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Child {
    command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program")
}

/// Waits for its end, and kills it if that does not come.
pub(crate) fn wait(child: Child) -> Ran {
    let pid = child.id();
    let (tell, told) = channel();
    let waiting = thread::spawn(move || {
        let output = child.wait_with_output().expect("an end");
        let _ = tell.send(());
        output
    });
    if told.recv_timeout(PATIENCE).is_err() {
        let pid = rustix::process::Pid::from_raw(pid as i32).expect("a child");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("the program is stuck");
    }
    waiting.join().expect("no panic").into()
}

/// Runs it over this input.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S], input: impl AsRef<[u8]>) -> Ran {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.as_ref().to_vec();
    // It may end before it has read everything.
    let writing = thread::spawn(move || drop(stdin.write_all(&input)));
    let ran = wait(child);
    writing.join().expect("no panic");
    ran
}

/// Reads until `needle` has come, one byte at a time.
pub(crate) fn read_until(stream: &mut impl Read, needle: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(needle.as_bytes()) {
        let n = stream.read(&mut byte).expect("a pipe");
        assert!(n > 0, "the end after {:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}
