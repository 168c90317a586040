//! One connection of a server.

use core::task::Waker;

use mio::event::Event;
use sockeye_common::{Gate, Shutdown, scratch};
use sockeye_core::{Endpoint, Time};
use sockeye_handler::{Service, Session};

use crate::wire::Wire;

/// Reads in one turn; then the other connections of the thread have theirs.
const READS: usize = 16;

/// A session, its socket and what the event loop has to know of it.
pub(crate) struct Connection<S: Service> {
    session: Session<Gate<S>>,
    /// Gone once the session is drained.
    wire: Option<Wire>,
    /// Whether it has its turn soon.
    pub(crate) is_queued: bool,
    has_waker: bool,
    /// Somebody has work for it.
    is_woken: bool,
}

impl<S: Service> Connection<S> {
    pub(crate) fn new(session: Session<Gate<S>>, wire: Wire) -> Self {
        Self {
            session,
            wire: Some(wire),
            is_queued: false,
            has_waker: false,
            is_woken: false,
        }
    }

    /// Takes over an edge. Returns whether there is something to do.
    pub(crate) fn note(&mut self, event: &Event) -> bool {
        self.wire.as_mut().is_some_and(|wire| wire.note(event))
    }

    pub(crate) fn set_woken(&mut self) {
        self.is_woken = true;
    }

    /// A deadline has come. What it waits for may have come, too, and not been told yet.
    pub(crate) fn set_due(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.suspect_input();
        }
    }

    /// Does what there is to do. Returns whether there is more.
    pub(crate) fn take_turn(&mut self, now: Time) -> bool {
        scratch::lend_output(&mut self.session);
        if core::mem::take(&mut self.is_woken) {
            self.session.handle_wake(now);
        }
        let has_more = self.drive(now);
        scratch::reclaim_output(&mut self.session);
        has_more
    }

    /// All that one read brought is answered with one write, before the next.
    fn drive(&mut self, now: Time) -> bool {
        for _ in 0..READS {
            let mut has_read = false;
            if let Some(wire) = &mut self.wire {
                wire.write(&mut self.session, now);
                if self.session.is_drained() {
                    self.wire = None;
                } else if wire.is_readable() && self.session.wants_input() {
                    has_read = true;
                    match wire.read(&mut self.session, now) {
                        None => {}
                        Some(never) => match never {},
                    }
                }
            }
            // After reading: what was not read may be what a deadline waits for. But a
            // peer that never stops sending does not stop the clock.
            if self.session.poll_timeout().is_some_and(|at| at <= now) {
                self.session.handle_timeout(now);
            } else if !has_read {
                return false;
            }
        }
        true
    }

    /// Gives it a waker if somebody could wake it who has none: most connections never
    /// need one.
    pub(crate) fn give_waker(&mut self, waker: impl FnOnce() -> Waker) {
        if !self.has_waker && self.session.wants_waker() {
            self.has_waker = true;
            self.session.set_waker(&waker());
        }
    }

    /// Whether it has been upgraded and has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.session.is_open()
    }

    pub(crate) fn close(&mut self, shutdown: &Shutdown, now: Time) {
        self.session.close(shutdown.code, &shutdown.reason, now);
    }

    /// It is about to be dropped.
    pub(crate) fn abort(&mut self, now: Time) {
        self.session.handle_error(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.session.poll_timeout()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.session.is_finished()
    }
}

#[cfg(test)]
mod tests {
    use sockeye_handler::{Context, Decision, Handler, Message, Opening, Request};

    use super::*;
    use crate::socket::Ready;

    struct Nothing;

    impl Service for Nothing {
        type Handler = Self;

        fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Self> {
            Decision::accept(Self)
        }
    }

    impl Handler for Nothing {
        fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
    }

    #[test]
    fn a_connection_is_little_more_than_its_session() {
        // A debug build of mio remembers where a socket is registered.
        let socket = (size_of::<mio::net::TcpStream>() + size_of::<Ready>()).next_multiple_of(8);
        let tls = if cfg!(feature = "tls") { 8 } else { 0 };
        let flags = 8;
        let more = size_of::<Connection<Nothing>>() - size_of::<Session<Gate<Nothing>>>();
        assert!(more <= socket + tls + flags, "{more}");
    }
}
