//! One thread of a server: its event loop.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
#[cfg(feature = "tls")]
use sockeye_common::tls::{Tls, TlsServer};
use sockeye_common::{
    ACCEPTS, BACK_OFF, DeadlineHeap, Ending, Gate, Phase, ServerState, is_of_one_connection,
};
use sockeye_core::{Deadline, SharedConfig, Time};
use sockeye_handler::{Address, Service, Session};

use crate::clock::now;
use crate::connection::Connection;
use crate::mailbox::Mailbox;
use crate::places::Places;
use crate::socket::{Layer, Socket};
use crate::wire::Wire;

/// Events that are taken from the system at once.
const EVENTS: usize = 1024;

/// Connections have their place as token.
const LISTENER: Token = Token(usize::MAX - 1);
const MAILBOX: Token = Token(usize::MAX);

/// What the threads of a server share.
pub(crate) struct Shared<S: Service> {
    pub(crate) service: Arc<Gate<S>>,
    pub(crate) config: SharedConfig,
    pub(crate) state: Arc<ServerState>,
    /// One for each thread.
    pub(crate) mailboxes: Arc<[Arc<Mailbox>]>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsServer>,
}

impl<S: Service> Shared<S> {
    /// What a new connection speaks; `None` if it cannot.
    #[cfg(feature = "tls")]
    fn layer(&self) -> Option<Layer> {
        let layer = self.tls.as_ref().map(Tls::server).transpose();
        layer
            .inspect_err(|error| tracing::error!(%error, "cannot begin TLS"))
            .ok()
    }

    #[cfg(not(feature = "tls"))]
    fn layer(&self) -> Option<Layer> {
        Some(None)
    }
}

/// What a thread is made of before it has its server.
pub(crate) struct Bench {
    poll: Poll,
    listener: TcpListener,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Bench {
    pub(crate) fn new(mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = mio::Waker::new(registry, MAILBOX)?;
        Ok(Self {
            poll,
            listener,
            mailbox: Arc::new(Mailbox::new(waker)),
        })
    }
}

/// An event loop with its listener and its connections.
///
/// Each round it takes what has happened from the system, and then gives every
/// connection that has something to do one turn of bounded length. A connection that
/// could go on stays in the queue, and the next round does not wait.
pub(crate) struct Worker<S: Service> {
    poll: Poll,
    listener: Option<TcpListener>,
    /// There may be connections to accept: an edge has said so, and nothing since has
    /// said otherwise.
    acceptable: bool,
    back_off: Option<Time>,
    ending: Ending,
    /// The last phase in which the connections were told something.
    told: Phase,
    connections: Places<Connection<S>>,
    /// Who has something to do.
    queue: VecDeque<u32>,
    deadlines: DeadlineHeap,
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared<S>>,
}

impl<S: Service> Worker<S> {
    pub(crate) fn new(bench: Bench, shared: Arc<Shared<S>>) -> Self {
        Self {
            poll: bench.poll,
            listener: Some(bench.listener),
            acceptable: false,
            back_off: None,
            ending: Ending::default(),
            told: Phase::Serving,
            connections: Places::default(),
            queue: VecDeque::new(),
            deadlines: DeadlineHeap::default(),
            mailbox: bench.mailbox,
            shared,
        }
    }

    /// Runs until the server ends.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut woken = Vec::new();
        loop {
            if let Err(error) = self.wait(&mut events, &mut woken) {
                tracing::error!(%error, "an event loop cannot go on");
                return;
            }
            let now = now();
            self.note(&events);
            self.wake(&mut woken);
            self.ring(now);
            self.shared.service.tell_end();
            if self.ending.advance(&self.shared.state, now) {
                self.announce();
            }
            let phase = self.shared.state.phase();
            match phase {
                Phase::Serving => self.accept(now),
                Phase::Draining | Phase::Expelling => {
                    self.accept(now);
                    self.close(phase, now);
                }
                Phase::Closing => {
                    self.listener = None;
                    self.close(phase, now);
                }
                Phase::Aborting => return self.abort(now),
            }
            self.take_turns();
            if phase == Phase::Closing && self.is_empty() {
                return;
            }
        }
    }

    /// Waits for something to happen, unless there is something to do.
    fn wait(&mut self, events: &mut Events, woken: &mut Vec<u32>) -> io::Result<()> {
        let now = now();
        let is_idle = self.queue.is_empty() && !self.may_accept(now) && self.mailbox.begin_wait();
        let timeout = if is_idle {
            self.next_deadline(now).map(|at| at.saturating_since(now))
        } else {
            Some(Duration::ZERO)
        };
        let polled = self.poll.poll(events, timeout);
        self.mailbox.end_wait(woken);
        match polled {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn next_deadline(&self, now: Time) -> Option<Time> {
        let deadline = self.deadlines.next().and_then(Deadline::time);
        let back_off = self.back_off.filter(|until| *until > now);
        [deadline, back_off, self.ending.next(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes over what the system says.
    fn note(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                LISTENER => self.acceptable = true,
                MAILBOX => {}
                Token(place) => {
                    // An event may be late for a connection that has gone.
                    let place = place as u32;
                    if let Some(connection) = self.connections.get_mut(place)
                        && connection.note(event)
                    {
                        enqueue(&mut self.queue, connection, place);
                    }
                }
            }
        }
    }

    /// Takes over what other threads say.
    fn wake(&mut self, woken: &mut Vec<u32>) {
        for place in woken.drain(..) {
            if let Some(connection) = self.connections.get_mut(place) {
                connection.set_woken();
                enqueue(&mut self.queue, connection, place);
            }
        }
    }

    /// Takes over what the clock says.
    fn ring(&mut self, now: Time) {
        while let Some(place) = self.deadlines.pop_due(now) {
            if let Some(connection) = self.connections.get_mut(place) {
                connection.set_due();
                enqueue(&mut self.queue, connection, place);
            }
        }
    }

    fn may_accept(&self, now: Time) -> bool {
        self.acceptable
            && self.listener.is_some()
            && self.back_off.is_none_or(|until| until <= now)
            && !self.shared.state.is_full()
    }

    fn accept(&mut self, now: Time) {
        for _ in 0..ACCEPTS {
            if !self.may_accept(now) {
                return;
            }
            self.back_off = None;
            let Some(listener) = &self.listener else {
                return;
            };
            match listener.accept() {
                Ok((stream, address)) => self.add(stream, address, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.acceptable = false,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.shared.state.warn_of_accepting(&error, now);
                    self.back_off = Some(now + BACK_OFF);
                }
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream, address: SocketAddr, now: Time) {
        // Nagle's algorithm waits for more to come; what leaves here is a whole batch.
        // A failure means that the peer is gone, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let Some(layer) = self.shared.layer() else {
            return;
        };
        let place = self.connections.next_vacant();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        if let Err(error) = registry.register(&mut stream, Token(place as usize), interest) {
            tracing::warn!(%error, "cannot take a connection");
            return;
        }
        self.shared.state.enter();
        let service = Arc::clone(&self.shared.service);
        let config = self.shared.config.clone();
        let session = Session::new(service, config, Address::from(address), now);
        let connection = Connection::new(session, Wire::new(Socket::new(stream, layer)));
        arm(&mut self.deadlines, &connection, place);
        self.connections.fill(connection);
    }

    /// Gives everybody who has something to do one turn.
    fn take_turns(&mut self) {
        for _ in 0..self.queue.len() {
            let Some(place) = self.queue.pop_front() else {
                return;
            };
            let Some(connection) = self.connections.get_mut(place) else {
                continue;
            };
            connection.is_queued = false;
            let has_more = connection.take_turn(now());
            if connection.is_finished() {
                self.remove(place);
                continue;
            }
            connection.give_waker(|| self.mailbox.waker(place));
            arm(&mut self.deadlines, connection, place);
            if has_more {
                enqueue(&mut self.queue, connection, place);
            }
        }
    }

    /// Drops a connection.
    fn remove(&mut self, place: u32) {
        if let Some(connection) = self.connections.take(place) {
            drop(connection);
            self.deadlines.arm(place, Deadline::NEVER);
            self.leave();
        }
    }

    fn leave(&self) {
        if self.shared.state.leave() {
            self.announce();
        }
    }

    /// Has every thread look at what the server does.
    fn announce(&self) {
        for mailbox in self.shared.mailboxes.iter() {
            mailbox.announce();
        }
    }

    /// Closes the connections that this phase closes, when it begins.
    fn close(&mut self, phase: Phase, now: Time) {
        if self.told == phase {
            return;
        }
        self.told = phase;
        let shared = Arc::clone(&self.shared);
        let Some(shutdown) = shared.state.shutdown() else {
            return;
        };
        for (place, connection) in self.connections.iter_mut() {
            if phase == Phase::Closing || (phase == Phase::Expelling && connection.is_open()) {
                connection.close(shutdown, now);
                enqueue(&mut self.queue, connection, place);
            }
        }
    }

    /// Drops all connections.
    fn abort(&mut self, now: Time) {
        self.listener = None;
        for place in 0..self.connections.end() {
            if let Some(connection) = self.connections.get_mut(place) {
                self.shared.state.count_aborted();
                connection.abort(now);
                self.remove(place);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.connections.len() == 0
    }
}

/// However a thread ends, its connections do not count any more.
impl<S: Service> Drop for Worker<S> {
    fn drop(&mut self) {
        let connections = core::mem::take(&mut self.connections);
        let count = connections.len();
        drop(connections);
        for _ in 0..count {
            self.leave();
        }
    }
}

fn enqueue<S: Service>(queue: &mut VecDeque<u32>, connection: &mut Connection<S>, place: u32) {
    if !core::mem::replace(&mut connection.is_queued, true) {
        queue.push_back(place);
    }
}

/// A deadline that moves later is looked at when the old one has come.
fn arm<S: Service>(deadlines: &mut DeadlineHeap, connection: &Connection<S>, place: u32) {
    if let Some(at) = connection.poll_timeout() {
        let deadline = Deadline::at(at);
        if deadline < deadlines.armed(place) {
            deadlines.arm(place, deadline);
        }
    }
}
