//! Commands that wait to be sent.

use alloc::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::command::{Command, Refused, Reply};

/// How many commands wait at most: some of each of ten thousand connections.
const CAPACITY: usize = 1 << 16;
/// How many go out together.
const BATCH: usize = 512;

/// A command, and who wants the answer.
pub(super) struct Job {
    pub(super) command: Command,
    /// `None` for the beat, whose answer only has to come.
    done: Option<Box<dyn FnOnce(Reply) + Send>>,
}

pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    stopped: bool,
}

impl Job {
    pub(super) fn new(command: Command, done: impl FnOnce(Reply) + Send + 'static) -> Self {
        Self {
            command,
            done: Some(Box::new(done)),
        }
    }

    pub(super) fn beat(command: Command) -> Self {
        Self {
            command,
            done: None,
        }
    }

    pub(super) fn is_beat(&self) -> bool {
        self.done.is_none()
    }

    pub(super) fn finish(self, reply: Reply) {
        if let Some(done) = self.done {
            done(reply);
        }
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.jobs.len() >= CAPACITY {
            return Err(Refused::Full);
        }
        state.jobs.push_back(job);
        if state.jobs.len() == 1 {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Nothing more will be taken.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_one();
    }

    /// What has piled up; nothing if `until` is over, `None` after the end.
    pub(super) fn take(&self, until: Instant) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if !state.jobs.is_empty() {
                let count = state.jobs.len().min(BATCH);
                return Some(state.jobs.drain(..count).collect());
            }
            if state.stopped {
                return None;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Vec::new());
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All that waits.
    pub(super) fn take_all(&self) -> VecDeque<Job> {
        core::mem::take(&mut self.lock().jobs)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
