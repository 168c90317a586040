//! A connection that plain threads drive, whichever of them has time.

use core::fmt;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sockeye_common::{Until, scratch};
use sockeye_core::{Connection, Deadline, Endpoint, Incoming, Messages, SendError, Sender, Time};

use crate::clock::now;
use crate::socket::Socket;
use crate::wire::Wire;

const SOCKET: Token = Token(0);
const OTHERS: Token = Token(1);

/// A connection, and the threads that wait for it.
///
/// All I/O is made under the lock, and never blocks. To wait, a thread gives the lock
/// up: the first one takes the [`Waiter`] with it and waits for the socket and for the
/// next deadline on behalf of all; others wait for the first to come back. So a thread
/// that receives and one that sends need no third, and the deadlines run while either
/// of them waits.
pub(crate) struct Link {
    state: Mutex<State>,
    /// Somebody has come back with the waiter.
    changed: Condvar,
    /// Wakes the thread that has the waiter.
    waker: mio::Waker,
}

struct State {
    endpoint: Messages,
    /// Gone once the endpoint is drained.
    wire: Option<Wire>,
    /// Read while only writing was asked for.
    stash: Option<Incoming>,
    waiter: Option<Waiter>,
    /// Who has taken the waiter.
    leader: Option<Leader>,
    followers: usize,
}

/// The thread that waits for the socket.
struct Leader {
    /// Or until this time.
    until: Option<Time>,
}

/// Nothing came in time; the connection is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was received in time")
    }
}

impl core::error::Error for TimedOut {}

/// What waits for one socket.
pub(crate) struct Waiter {
    poll: Poll,
    events: Events,
}

impl Waiter {
    pub(crate) fn new(stream: &mut TcpStream) -> io::Result<Self> {
        let poll = Poll::new()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(stream, SOCKET, interest)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(4),
        })
    }

    /// Waits for an edge or until a time has come.
    pub(crate) fn wait(&mut self, until: Option<Time>) -> io::Result<()> {
        let timeout = until.map(|at| at.saturating_since(now()));
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}

impl Link {
    pub(crate) fn new(
        connection: Connection,
        left_over: Vec<u8>,
        socket: Socket,
        waiter: Waiter,
    ) -> io::Result<Self> {
        let waker = mio::Waker::new(waiter.poll.registry(), OTHERS)?;
        let mut wire = Wire::new(socket);
        // The handshake has taken the edges that there were.
        wire.suspect_input();
        let state = State {
            endpoint: Messages::new(connection, left_over),
            wire: Some(wire),
            stash: None,
            waiter: Some(waiter),
            leader: None,
            followers: 0,
        };
        Ok(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            waker,
        })
    }

    /// The next thing that comes in; `None` once the connection has ended.
    ///
    /// What is queued is written before this waits, and between two reads.
    pub(crate) fn incoming(&self, until: Option<Time>) -> Result<Option<Incoming>, TimedOut> {
        let mut state = self.lock();
        let incoming = loop {
            let now = now();
            if let Some(item) = state.next(now) {
                break Ok(Some(item));
            }
            if state.is_drained() {
                break Ok(None);
            }
            state.write(now);
            if state.is_drained() || state.read(now) || state.handle_timeout(now) {
                continue;
            }
            if until.is_some_and(|until| until <= now) {
                break Err(TimedOut);
            }
            state = self.wait(state, until);
        };
        self.tell_others(state);
        incoming
    }

    /// Writes until enough has left. What is received meanwhile stays for
    /// [`incoming`](Self::incoming).
    pub(crate) fn write(&self, until: Until) -> Result<(), SendError> {
        let mut state = self.lock();
        let written = loop {
            let now = now();
            state.write(now);
            if state.is_drained() {
                break Err(SendError::Closed);
            }
            if state.has_written(until) {
                break Ok(());
            }
            if !state.handle_timeout(now) {
                state = self.wait(state, None);
            }
        };
        self.tell_others(state);
        written
    }

    /// Whether a message that was read already waits, and output may wait, too, for the
    /// answer to the last of them.
    pub(crate) fn may_hold_back(&self) -> bool {
        let state = self.lock();
        let holds_message = state.stash.is_some() || state.endpoint.holds_frame();
        holds_message && !state.endpoint.wants_flush()
    }

    /// Gives the sender something.
    pub(crate) fn queue<R>(&self, queue: impl FnOnce(&mut Sender) -> R) -> R {
        let mut state = self.lock();
        scratch::lend_output(&mut state.endpoint);
        queue(state.endpoint.sender())
    }

    /// The sender, for whoever has the link for himself.
    pub(crate) fn sender(&mut self) -> &mut Sender {
        let state = self.state.get_mut();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        scratch::lend_output(&mut state.endpoint);
        state.endpoint.sender()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to happen: on the socket, in time, or by another thread.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Option<Time>,
    ) -> MutexGuard<'a, State> {
        scratch::reclaim_output(&mut state.endpoint);
        let Some(mut waiter) = state.waiter.take() else {
            return self.follow(state, until);
        };
        let next = [until, state.endpoint.poll_timeout()];
        let next = next.into_iter().flatten().min();
        state.leader = Some(Leader { until: next });
        drop(state);
        let waited = waiter.wait(next);
        let mut state = self.lock();
        state.note(waited, &waiter.events);
        state.waiter = Some(waiter);
        state.leader = None;
        if state.followers > 0 {
            self.changed.notify_all();
        }
        state
    }

    /// Waits for the thread that has the waiter.
    fn follow<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Option<Time>,
    ) -> MutexGuard<'a, State> {
        if state.concerns_leader() {
            self.wake_leader();
        }
        state.followers += 1;
        let waited = match until {
            None => self.changed.wait(state),
            Some(until) => {
                let timeout = until.saturating_since(now());
                self.changed
                    .wait_timeout(state, timeout)
                    .map(|(state, _)| state)
                    .map_err(|poisoned| PoisonError::new(poisoned.into_inner().0))
            }
        };
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.followers -= 1;
        state
    }

    /// Lets the others know what was done, at the end of it.
    fn tell_others(&self, mut state: MutexGuard<'_, State>) {
        scratch::reclaim_output(&mut state.endpoint);
        let wakes_leader = state.concerns_leader();
        let has_followers = state.followers > 0;
        drop(state);
        if has_followers {
            self.changed.notify_all();
        }
        if wakes_leader {
            self.wake_leader();
        }
    }

    fn wake_leader(&self) {
        // It does not fail but for a counter that is full, and then it is awake.
        let _ = self.waker.wake();
    }
}

impl State {
    /// What is there without I/O.
    fn next(&mut self, now: Time) -> Option<Incoming> {
        self.stash.take().or_else(|| self.endpoint.poll_item(now))
    }

    fn write(&mut self, now: Time) {
        if let Some(wire) = &mut self.wire {
            wire.write(&mut self.endpoint, now);
            if self.endpoint.is_drained() {
                self.wire = None;
            }
        }
    }

    /// Whether nothing can be read or written any more.
    fn is_drained(&self) -> bool {
        self.wire.is_none()
    }

    fn has_written(&mut self, until: Until) -> bool {
        match until {
            Until::BelowMark => !self.endpoint.wants_flush(),
            Until::Empty => {
                let holds_output = self.wire.as_ref().is_some_and(Wire::holds_output);
                !self.endpoint.has_output() && !holds_output
            }
        }
    }

    /// Reads once, if there is anything to read and room to keep it. Returns whether
    /// it has.
    fn read(&mut self, now: Time) -> bool {
        if self.holds_input() || !self.endpoint.wants_input() {
            return false;
        }
        // The beginning of a frame would keep the buffer it was read to until there is more.
        let may_read = |wire: &&mut Wire| wire.is_readable() || self.endpoint.holds_cut();
        let Some(wire) = self.wire.as_mut().filter(may_read) else {
            return false;
        };
        self.stash = wire.read(&mut self.endpoint, now);
        // A peer that never stops sending does not stop the clock.
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        true
    }

    /// Handles a deadline that has come. Returns whether one has.
    fn handle_timeout(&mut self, now: Time) -> bool {
        if self.endpoint.poll_timeout().is_none_or(|at| at > now) {
            return false;
        }
        // What it waits for may have come, and nobody has looked.
        if let Some(wire) = &mut self.wire {
            wire.suspect_input();
        }
        if !self.read(now) {
            self.endpoint.handle_timeout(now);
        }
        true
    }

    fn holds_input(&self) -> bool {
        self.stash.is_some() || self.endpoint.holds_input()
    }

    /// Takes over what a wait has brought.
    fn note(&mut self, waited: io::Result<()>, events: &Events) {
        if waited.is_err() {
            return self.endpoint.handle_error(now());
        }
        let Some(wire) = &mut self.wire else { return };
        for event in events.iter().filter(|event| event.token() == SOCKET) {
            wire.note(event);
        }
    }

    /// Whether the thread that waits for the socket has to know of something that the
    /// socket will not tell.
    fn concerns_leader(&self) -> bool {
        let Some(Leader { until }) = &self.leader else {
            return false;
        };
        let deadline = self.endpoint.poll_timeout().map(Deadline::at);
        let is_late = deadline
            .is_some_and(|deadline| until.is_none_or(|until| deadline < Deadline::at(until)));
        is_late || self.is_drained()
    }
}

/// When a time-out that begins now has passed.
pub(crate) fn after(timeout: Duration) -> Time {
    now() + timeout
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use sockeye_core::SharedConfig;

    use super::*;

    /// A server's side, and its peer.
    fn link() -> (Link, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let stream = std::net::TcpStream::connect(address).expect("a listener");
        let (peer, _) = listener.accept().expect("a peer");
        stream.set_nonblocking(true).expect("a socket");
        let mut stream = TcpStream::from_std(stream);
        let waiter = Waiter::new(&mut stream).expect("a poll");
        let connection = Connection::server(&SharedConfig::default(), now());
        let socket = Socket::new(stream, None);
        let link = Link::new(connection, Vec::new(), socket, waiter).expect("a waker");
        (link, peer)
    }

    #[test]
    fn who_has_sent_everything_owns_no_buffer() {
        let (link, _peer) = link();
        link.queue(|sender| sender.send("hello")).expect("open");
        assert!(!link.lock().endpoint.wants_buffer(), "it is in use");
        link.write(Until::Empty).expect("open");
        assert!(link.lock().endpoint.wants_buffer());
        let spare = scratch::take_output().expect("the thread's");
        assert!(spare.capacity() > 0);
    }

    #[test]
    fn who_waits_for_the_rest_of_a_frame_owns_no_read_buffer() {
        let (link, mut peer) = link();
        let mut sent = [&[0x82, 0xfe, 3, 232, 0, 0, 0, 0][..], &[7; 1000]]
            .concat()
            .repeat(6);
        sent.push(0x82);
        peer.write_all(&sent).expect("room");
        for _ in 0..6 {
            let incoming = link.incoming(None).expect("no time-out");
            assert!(matches!(incoming, Some(Incoming::Message(_))));
        }
        assert_eq!(link.incoming(Some(now())), Err(TimedOut));
        let endpoint = &link.lock().endpoint;
        assert!(!endpoint.holds_input() && !endpoint.holds_cut());
    }
}
