//! How a server ends, step by step.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::sync::OnceLock;

use sockeye_core::{CloseCode, Time};

/// How a server ends.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// What every connection is closed with: 1001, or 1012 if the server will be
    /// back at once.
    pub code: CloseCode,
    /// The reason beside it.
    pub reason: Box<str>,
    /// Time for the service to close its connections itself, at its own pace; none.
    ///
    /// Meanwhile the server listens and answers plain HTTP, so that a balancer learns of
    /// it; upgrades are answered with 503. It begins with [`on_drain`] and ends with the
    /// last connection; those that are left are closed all at once.
    ///
    /// [`on_drain`]: sockeye_handler::Service::on_drain
    pub drain: Duration,
    /// How long after that the connections may take to close; what is still open is
    /// dropped; 5 s.
    pub timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            code: CloseCode::GOING_AWAY,
            reason: Box::default(),
            drain: Duration::ZERO,
            timeout: Duration::from_secs(5),
        }
    }
}

/// What a server does with its connections. It only moves on, from one to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// It serves them.
    Serving,
    /// It lets the service close them, and still takes plain HTTP.
    Draining,
    /// It closes those that were upgraded, as its [`Shutdown`] says, and still takes plain
    /// HTTP.
    Expelling,
    /// It takes no more, and closes all.
    Closing,
    /// It drops them.
    Aborting,
}

impl Phase {
    /// Whether connections are accepted.
    #[must_use]
    pub fn listens(self) -> bool {
        self < Self::Closing
    }
}

/// What all connections of a server have in common.
///
/// It wakes nobody: where a method says that somebody has to know, the adapter tells
/// them.
#[derive(Debug)]
pub struct ServerState {
    max_connections: usize,
    connections: AtomicUsize,
    /// Those of them that were upgraded.
    open: AtomicUsize,
    aborted: AtomicUsize,
    shutdown: OnceLock<Shutdown>,
    phase: AtomicU8,
    /// In microseconds.
    next_warning: AtomicU64,
}

/// Failures to accept come ten times a second while they last; they are told less often.
const WARN_EVERY: Duration = Duration::from_secs(5);

impl ServerState {
    /// For a server with at most `max_connections` connections.
    ///
    /// An upgrade beyond that is answered with 503. Some more connections than
    /// that are accepted, so that they can be told.
    #[must_use]
    pub fn new(max_connections: usize) -> Self {
        Self {
            max_connections,
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            aborted: AtomicUsize::new(0),
            shutdown: OnceLock::new(),
            phase: AtomicU8::new(Phase::Serving as u8),
            next_warning: AtomicU64::new(0),
        }
    }

    /// Counts a connection.
    pub fn enter(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has ended. Returns whether whoever accepts has to know: there is
    /// room again, or this was the last of those that are waited for.
    #[must_use]
    pub fn leave(&self) -> bool {
        let before = self.connections.fetch_sub(1, Ordering::Relaxed);
        let was_awaited = match self.phase() {
            Phase::Draining | Phase::Expelling => self.open() == 0,
            Phase::Serving | Phase::Closing | Phase::Aborting => false,
        };
        before == 1 || before == self.hard_max() || was_awaited
    }

    /// Logs that no connection can be accepted for now, unless that was said lately.
    pub fn warn_of_accepting(&self, error: &io::Error, now: Time) {
        let next = self.next_warning.load(Ordering::Relaxed);
        let after = (now + WARN_EVERY).as_micros();
        let is_first = now.as_micros() >= next
            && self
                .next_warning
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_first {
            tracing::warn!(%error, "cannot accept connections for now");
        }
    }

    /// Counts a connection that was dropped before its end.
    pub fn count_aborted(&self) {
        self.aborted.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins to end the server. The first call counts: it returns true, and every
    /// connection has to know.
    #[must_use]
    pub fn shut_down(&self, shutdown: Shutdown) -> bool {
        let phase = if shutdown.drain.is_zero() {
            Phase::Closing
        } else {
            Phase::Draining
        };
        self.shutdown.set(shutdown).is_ok() && self.move_on(phase)
    }

    /// Has all connections dropped. The first call returns true, and every connection
    /// has to know.
    #[must_use]
    pub fn abort(&self) -> bool {
        self.move_on(Phase::Aborting)
    }

    /// What is done with the connections.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            2 => Phase::Expelling,
            3 => Phase::Closing,
            _ => Phase::Aborting,
        }
    }

    /// How the server is ending, if it is.
    #[must_use]
    pub fn shutdown(&self) -> Option<&Shutdown> {
        self.shutdown.get()
    }

    /// Connections that have not ended yet.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that were dropped before their end.
    #[must_use]
    pub fn aborted(&self) -> usize {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Whether no more connections should be accepted for now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.connections() >= self.hard_max()
    }

    /// Whether there is no room for another upgraded connection.
    pub(crate) fn is_over_cap(&self) -> bool {
        self.connections() > self.max_connections
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Room to answer those for whom there is no room.
    fn hard_max(&self) -> usize {
        self.max_connections
            .saturating_add(self.max_connections / 16 + 16)
    }

    /// Returns whether this was later than where it was.
    fn move_on(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8
    }
}

/// One upgraded connection, counted for as long as this lives.
pub(crate) struct Upgraded(Arc<ServerState>);

impl Upgraded {
    pub(crate) fn new(state: &Arc<ServerState>) -> Self {
        state.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

/// When a server that ends takes its next step: for whoever accepts, each its own.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// The service has had its time.
    expel_at: Option<Time>,
    /// The connections have had theirs.
    drop_at: Option<Time>,
}

impl Ending {
    /// Takes the steps that are due. Returns whether one was taken: then every connection,
    /// and everybody else who accepts, has to know.
    #[must_use]
    pub fn advance(&mut self, state: &ServerState, now: Time) -> bool {
        let mut has_moved = false;
        while let Some(phase) = self.step(state, now) {
            has_moved |= state.move_on(phase);
        }
        has_moved
    }

    /// When to come again at the latest.
    #[must_use]
    pub fn next(&self, now: Time) -> Option<Time> {
        [self.expel_at, self.drop_at]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    fn step(&mut self, state: &ServerState, now: Time) -> Option<Phase> {
        let shutdown = state.shutdown()?;
        match state.phase() {
            Phase::Draining | Phase::Expelling if state.open() == 0 => Some(Phase::Closing),
            Phase::Draining => {
                let at = *self.expel_at.get_or_insert(now + shutdown.drain);
                (at <= now).then_some(Phase::Expelling)
            }
            Phase::Expelling | Phase::Closing => {
                let at = *self.drop_at.get_or_insert(now + shutdown.timeout);
                (at <= now).then_some(Phase::Aborting)
            }
            Phase::Serving | Phase::Aborting => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Time {
        Time::ZERO + SECOND * seconds
    }

    fn state(drain: u32, timeout: u32) -> Arc<ServerState> {
        let state = Arc::new(ServerState::new(10));
        assert!(state.shut_down(Shutdown {
            drain: SECOND * drain,
            timeout: SECOND * timeout,
            ..Shutdown::default()
        }));
        state
    }

    /// The phases that a server goes through, and when.
    fn phases(state: &ServerState, until: u32) -> Vec<(u32, Phase)> {
        let mut ending = Ending::default();
        let mut phases = vec![(0, state.phase())];
        for second in 0..=until {
            let moved = ending.advance(state, at(second));
            if moved {
                phases.push((second, state.phase()));
            }
            let next = ending.next(at(second));
            assert!(next.is_none_or(|next| next > at(second)));
        }
        phases
    }

    #[test]
    fn without_a_drain_everything_closes_at_once_and_is_dropped_in_time() {
        let state = state(0, 5);
        let _open = Upgraded::new(&state);
        let expected = [(0, Phase::Closing), (5, Phase::Aborting)];
        assert_eq!(phases(&state, 10), expected);
    }

    #[test]
    fn a_drain_is_followed_by_what_is_left() {
        let state = state(4, 1);
        let _open = Upgraded::new(&state);
        let expected = [
            (0, Phase::Draining),
            (4, Phase::Expelling),
            (5, Phase::Aborting),
        ];
        assert_eq!(phases(&state, 10), expected);
    }

    #[test]
    fn a_drain_ends_with_the_last_upgraded_connection() {
        for (last, before) in [(2, Phase::Draining), (5, Phase::Expelling)] {
            let state = state(4, 3);
            let mut ending = Ending::default();
            state.enter();
            let open = Upgraded::new(&state);
            for second in 0..=last {
                let _ = ending.advance(&state, at(second));
            }
            assert_eq!(state.phase(), before);
            assert!(before.listens());
            drop(open);
            assert!(state.leave(), "whoever accepts is told");
            assert!(ending.advance(&state, at(last)));
            assert_eq!(state.phase(), Phase::Closing);
            assert!(!state.phase().listens());
        }
    }

    #[test]
    fn a_server_that_is_dropped_does_not_go_back_to_closing() {
        let state = state(4, 3);
        assert!(state.abort());
        assert!(!state.abort());
        assert!(!Ending::default().advance(&state, at(1)));
        assert_eq!(state.phase(), Phase::Aborting);
    }

    #[test]
    fn of_several_the_first_shutdown_counts() {
        let state = state(4, 3);
        assert!(!state.shut_down(Shutdown::default()));
        assert_eq!(state.phase(), Phase::Draining);
    }
}
