//! A server's connections and what they share.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use sockeye_common::{Ending, Gate, Phase, ServerState, Shutdown};
use sockeye_core::{Deadline, Endpoint, SharedConfig, Time};
use sockeye_handler::{Address, Service, Session};

use crate::deadlines::{Deadlines, NOWHERE};
use crate::driver::Driver;
use crate::timer::{Clock, Timer};
use crate::transport::Transport;

/// Makes the connections of one server.
///
/// Besides it an adapter's `serve` is a task that accepts, spawns a
/// [`Connection`] for each transport, and polls the [`Control`].
pub struct Acceptor<S: Service> {
    service: Arc<Gate<S>>,
    config: SharedConfig,
    shared: Arc<Shared>,
}

/// What can be done to all connections of a server.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    state: Arc<ServerState>,
    deadlines: Deadlines,
}

impl<S: Service> Acceptor<S> {
    /// For a server of `service` with at most `max_connections` connections.
    ///
    /// An upgrade beyond that is answered with 503. Some more connections than
    /// that are accepted, so that they can be told.
    pub fn new(service: S, config: SharedConfig, max_connections: usize) -> Self {
        let state = Arc::new(ServerState::new(max_connections));
        let shared = Arc::new(Shared {
            state: Arc::clone(&state),
            deadlines: Deadlines::default(),
        });
        Self {
            service: Arc::new(Gate::new(service, state)),
            config,
            shared,
        }
    }

    /// The future that is one connection, from its first byte to its last.
    pub fn connection<T: Transport, K: Clock>(
        &self,
        transport: T,
        address: Address,
    ) -> Connection<S, T, K> {
        self.shared.state.enter();
        let ticket = Ticket {
            shared: Arc::clone(&self.shared),
            place: NOWHERE,
            armed: Deadline::NEVER,
            clock: PhantomData,
        };
        let service = Arc::clone(&self.service);
        let session = Session::new(service, self.config.clone(), address, K::now());
        Connection(Driver::new(session, transport, ticket))
    }

    /// Tells the service, once, if the server is to end.
    pub fn tell_end(&self) {
        self.service.tell_end();
    }

    /// What can be done to all of them.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.shared))
    }
}

impl Control {
    /// Begins to end the server. The first call counts.
    pub fn shut_down(&self, shutdown: Shutdown) {
        if self.0.state.shut_down(shutdown) {
            self.0.deadlines.wake_all();
        }
    }

    /// How the server is ending, if it is.
    pub fn shutdown(&self) -> Option<&Shutdown> {
        self.0.state.shutdown()
    }

    /// What is done with the connections, after the steps that are due now.
    pub fn advance(&self, ending: &mut Ending, now: Time) -> Phase {
        if ending.advance(&self.0.state, now) {
            self.0.deadlines.wake_all();
        }
        self.0.state.phase()
    }

    /// Drops all connections.
    pub fn abort(&self) {
        if self.0.state.abort() {
            self.0.deadlines.wake_all();
        }
    }

    /// Connections that have not ended yet.
    pub fn connections(&self) -> usize {
        self.0.state.connections()
    }

    /// Connections that were dropped.
    pub fn aborted(&self) -> usize {
        self.0.state.aborted()
    }

    /// Whether no more connections should be accepted for now.
    pub fn is_full(&self) -> bool {
        self.0.state.is_full()
    }

    /// Logs that no connection can be accepted for now, unless that was said lately.
    pub(crate) fn warn_of_accepting(&self, error: &io::Error, now: Time) {
        self.0.state.warn_of_accepting(error, now);
    }

    /// Wakes the connections that have something to do now, and says when to poll
    /// again at the latest.
    ///
    /// The task of `cx` is woken when that becomes earlier, when the server begins
    /// to end, and when there is room for a connection again or the last has ended.
    pub fn poll_deadlines(&self, now: Time, cx: &mut Context<'_>) -> Option<Time> {
        self.0.deadlines.poll(now, cx)
    }
}

impl Shared {
    fn leave(&self, place: u32) {
        self.deadlines.leave(place);
        if self.state.leave() {
            self.deadlines.wake_driver();
        }
    }
}

/// One connection of a server, to be spawned as a task of its own.
///
/// A plain future rather than an `async fn`, and without a timer of the runtime:
/// its size is most of what an idle connection costs.
pub struct Connection<S: Service, T, K>(Driver<T, Session<Gate<S>>, Ticket<K>>);

impl<S: Service, T: Transport, K: Clock> Future for Connection<S, T, K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut self.get_mut().0;
        let phase = driver.timer().phase();
        match phase {
            Phase::Serving | Phase::Draining => {}
            Phase::Expelling if !driver.endpoint().is_open() => {}
            Phase::Expelling | Phase::Closing => close(driver),
            Phase::Aborting => {
                let now = driver.timer().now();
                driver.timer().shared.state.count_aborted();
                driver.endpoint().handle_error(now);
                return Poll::Ready(());
            }
        }
        let polled = driver.poll_item(cx).map(|_| ());
        if polled.is_pending() {
            driver.timer_mut().enter(cx);
        }
        if polled.is_pending() && driver.timer().phase() != phase {
            // It may have been too early to be woken with the others.
            cx.waker().wake_by_ref();
        }
        polled
    }
}

/// Nothing in it is pinned: a handler has no address to rely on.
impl<S: Service, T, K> Unpin for Connection<S, T, K> {}

fn close<S: Service, T: Transport, K: Clock>(driver: &mut Driver<T, Session<Gate<S>>, Ticket<K>>) {
    let shared = Arc::clone(&driver.timer().shared);
    let now = driver.timer().now();
    if let Some(shutdown) = shared.state.shutdown() {
        driver
            .endpoint()
            .close(shutdown.code, &shutdown.reason, now);
    }
}

/// A connection's place in its server, and its timer.
struct Ticket<K> {
    shared: Arc<Shared>,
    place: u32,
    /// When it will be woken as things are.
    armed: Deadline,
    clock: PhantomData<fn() -> K>,
}

impl<K> Ticket<K> {
    /// Takes a place even if no deadline has needed one: who has none is not woken
    /// when the server ends.
    #[inline]
    fn enter(&mut self, cx: &Context<'_>) {
        if self.place == NOWHERE {
            self.arm(Deadline::NEVER, cx);
        }
    }

    #[cold]
    fn arm(&mut self, deadline: Deadline, cx: &Context<'_>) {
        self.armed = deadline;
        let deadlines = &self.shared.deadlines;
        deadlines.arm(&mut self.place, deadline, cx.waker());
    }

    fn phase(&self) -> Phase {
        self.shared.state.phase()
    }
}

impl<K: Clock> Timer for Ticket<K> {
    fn now(&self) -> Time {
        K::now()
    }

    fn poll_until(&mut self, deadline: Time, now: Time, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = Deadline::at(deadline);
        if deadline < self.armed || self.armed.is_due(now) {
            self.arm(deadline, cx);
        }
        Poll::Pending
    }
}

impl<K> Drop for Ticket<K> {
    fn drop(&mut self) {
        self.shared.leave(self.place);
    }
}

impl<S: Service> fmt::Debug for Acceptor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("connections", &self.connections())
            .field("shutdown", &self.shutdown())
            .finish_non_exhaustive()
    }
}

impl<S: Service, T, K> fmt::Debug for Connection<S, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
