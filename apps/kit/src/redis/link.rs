//! Whether the store is there.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Listener, PATIENCE};

/// One of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Commands,
    Subscription,
}

/// Both connections, and what their state comes to.
pub(super) struct Link {
    state: Mutex<State>,
    changed: Condvar,
    degraded: AtomicBool,
    listener: Arc<dyn Listener>,
}

struct State {
    up: [bool; 2],
    stage: Stage,
    stopped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connected,
    /// A connection is being made, since then; commands wait.
    Waiting(Instant),
    Degraded,
}

impl Link {
    pub(super) fn new(listener: Arc<dyn Listener>) -> Self {
        Self {
            state: Mutex::new(State {
                up: [false; 2],
                stage: Stage::Waiting(Instant::now()),
                stopped: false,
            }),
            changed: Condvar::new(),
            degraded: AtomicBool::new(false),
            listener,
        }
    }

    pub(super) fn listener(&self) -> &dyn Listener {
        &*self.listener
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Acquire)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// A connection works.
    pub(super) fn up(&self, line: Line) {
        let mut state = self.lock();
        state.up[line as usize] = true;
        if state.up == [true; 2] && state.stage != Stage::Connected {
            state.stage = Stage::Connected;
            self.degraded.store(false, Ordering::Release);
            // Under the lock, so that the listener hears things in their order.
            self.listener.connected();
        }
    }

    /// A connection was lost, or has not answered, `since` then.
    pub(super) fn down(&self, line: Line, since: Instant) {
        let mut state = self.lock();
        state.up[line as usize] = false;
        if state.stage == Stage::Connected {
            state.stage = Stage::Waiting(since);
        }
        self.judge(&mut state);
    }

    /// Looks whether what is down has been down for too long.
    pub(super) fn check(&self) {
        self.judge(&mut self.lock());
    }

    /// It is away from the start.
    pub(super) fn give_up(&self) {
        self.degrade(&mut self.lock());
    }

    /// Ends both threads.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits, or returns `false` because of the end.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, time, |state| !state.stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    fn judge(&self, state: &mut State) {
        if let Stage::Waiting(since) = state.stage
            && since.elapsed() >= PATIENCE
        {
            self.degrade(state);
        }
    }

    fn degrade(&self, state: &mut State) {
        if state.stopped {
            return;
        }
        state.stage = Stage::Degraded;
        self.degraded.store(true, Ordering::Release);
        self.listener.degraded();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A listener that panicked has left a state that is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
