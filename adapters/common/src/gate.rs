//! How many connections a server has room for, and how it ends.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::sync::OnceLock;

use sockeye_core::{CloseCode, Time};
use sockeye_handler::{Address, Decision, Opening, Request, Response, Service};

/// How a server ends.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// What every connection is closed with: 1001, or 1012 if the server will be
    /// back at once.
    pub code: CloseCode,
    /// The reason beside it.
    pub reason: Box<str>,
    /// After this, what is still open is dropped; 5 s.
    pub timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            code: CloseCode::GOING_AWAY,
            reason: Box::default(),
            timeout: Duration::from_secs(5),
        }
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
    aborted: AtomicUsize,
    shutdown: OnceLock<Shutdown>,
    abort: AtomicBool,
    /// In microseconds.
    next_warning: AtomicU64,
}

/// Failures to accept come ten times a second while they last; they are told less often.
const WARN_EVERY: Duration = Duration::from_secs(5);

/// What a server does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It serves them.
    Serving,
    /// It closes them, as its [`Shutdown`] says.
    Closing,
    /// It drops them.
    Aborting,
}

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
            aborted: AtomicUsize::new(0),
            shutdown: OnceLock::new(),
            abort: AtomicBool::new(false),
            next_warning: AtomicU64::new(0),
        }
    }

    /// Counts a connection.
    pub fn enter(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has ended. Returns whether whoever accepts has to know: there is
    /// room again, or this was the last.
    #[must_use]
    pub fn leave(&self) -> bool {
        let before = self.connections.fetch_sub(1, Ordering::Relaxed);
        before == 1 || before == self.hard_max()
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
        self.shutdown.set(shutdown).is_ok()
    }

    /// Has all connections dropped. The first call returns true, and every connection
    /// has to know.
    #[must_use]
    pub fn abort(&self) -> bool {
        !self.abort.swap(true, Ordering::Relaxed)
    }

    /// What is done with the connections.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.abort.load(Ordering::Relaxed) {
            Phase::Aborting
        } else if self.shutdown.get().is_some() {
            Phase::Closing
        } else {
            Phase::Serving
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

    /// Room to answer those for whom there is no room.
    fn hard_max(&self) -> usize {
        self.max_connections
            .saturating_add(self.max_connections / 16 + 16)
    }

    fn refuses_upgrades(&self) -> bool {
        self.shutdown.get().is_some() || self.connections() > self.max_connections
    }
}

/// The service, behind what the server itself refuses.
pub struct Gate<S> {
    service: S,
    state: Arc<ServerState>,
}

impl<S> Gate<S> {
    /// Puts `service` behind the cap of `state`.
    pub fn new(service: S, state: Arc<ServerState>) -> Self {
        Self { service, state }
    }
}

impl<S: Service> Service for Gate<S> {
    type Handler = S::Handler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<S::Handler> {
        if request.is_upgrade() && self.state.refuses_upgrades() {
            // A name without spaces and digits: it can be sent.
            let _ = cx.field("Retry-After", "5");
            return Decision::Respond(Response::text(503, "no room for another connection\n"));
        }
        self.service.on_request(request, cx)
    }

    fn on_panic(&self, address: &Address, message: &str) {
        tracing::error!(%address, message, "a handler panicked");
        self.service.on_panic(address, message);
    }
}

impl<S> fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
