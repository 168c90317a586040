//! Signals to processes that a test has started.

use core::time::Duration;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// Sends a signal.
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a process of ours");
}

/// Waits for the end, or panics after `patience`.
pub fn wait(child: &mut Child, patience: Duration) -> ExitStatus {
    let until = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().expect("a process of ours") {
            return status;
        }
        assert!(Instant::now() < until, "the process does not end");
        // Nothing else tells of a child's end without a handler of signals.
        thread::sleep(Duration::from_millis(5));
    }
}
