//! One server connection from its first byte to its last.

mod answer;
mod decide;
mod guard;
mod head;
mod open;
mod phase;

use alloc::sync::Arc;
use core::convert::Infallible;
use core::task::{Context as TaskContext, Poll, Waker};

use sockeye_core::handshake::{Accepted, Response};
use sockeye_core::{
    CloseCode, Connection, Endpoint, Input, OutputBuffer, SharedConfig, Time, Transmit,
};

use self::answer::{Answer, Content};
use self::decide::{Asked, Deciding, decide, refusal, unavailable};
use self::guard::guard;
use self::head::Waiting;
use self::open::{Env, Open};
use self::phase::Phase;
use crate::address::Address;
use crate::handler::{Decision, Service};
use crate::own::Own;
use crate::peer::Peer;
use crate::request::Opening;

/// One server connection from its first byte to its last: HTTP head, answer or upgrade,
/// connection, handler.
///
/// It does no I/O. Whoever has the transport drives it through [`Endpoint`], which says what
/// to call when; see the crate's documentation for a whole driver. It is the whole cost of a
/// connection: at most 112 bytes with a handler of no size, and no buffer while nothing is
/// under way.
///
/// There is one request on a connection. If it is not an upgrade, it is answered with
/// `Connection: close`, and whatever follows it is discarded.
///
/// Panics of the application are contained here, unless the program is built with
/// `panic = "abort"`. After a panic a handler is told of the end and dropped, the connection
/// closes with 1011, and no other connection notices.
///
/// If it is dropped early, the handler is told so: [`on_close`](crate::Handler::on_close) is
/// always called.
pub struct Session<S: Service> {
    phase: Phase<S::Handler>,
    own: Own,
    service: Arc<S>,
}

impl<S: Service> Session<S> {
    /// A connection from `address`, accepted at `now`.
    ///
    /// The handshake deadline counts from there and covers everything before the connection is
    /// open, so with TLS it is the time before TLS.
    #[must_use]
    pub fn new(service: Arc<S>, config: SharedConfig, address: Address, now: Time) -> Self {
        Self {
            phase: Phase::Head(Waiting::new(config, now)),
            own: Own::new(address),
            service,
        }
    }

    /// Ends the session in good order, as a server that shuts down does.
    ///
    /// An open connection closes with `code` and `reason`, behind what is queued. A request that
    /// has not come whole or is not decided is answered with 503, an answer under way is
    /// finished. Calling it again changes nothing.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Time) {
        match &mut self.phase {
            Phase::Head(waiting) => match waiting.handle_eof() {
                Ok(()) => {
                    let answer = Answer::silence(&waiting.config, now);
                    self.phase = Phase::Answering(Box::new(answer));
                }
                Err(_) => self.refuse(unavailable(), now),
            },
            Phase::Deciding(_) => self.refuse(unavailable(), now),
            Phase::Open(open) => {
                // Refused only if it is closing already.
                let _ = open.connection.sender().close(code, reason);
            }
            Phase::Answering(_) | Phase::Over => {}
        }
    }

    /// Whether the connection has been upgraded and has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.is_live(),
            _ => false,
        }
    }

    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.own.address
    }

    /// The bytes of a read that cannot go straight to the handler.
    #[cold]
    fn take_unready(&mut self, input: &mut Input<'_>, now: Time) {
        match &self.phase {
            Phase::Head(_) => return self.handle_head(input, now),
            Phase::Deciding(_) => self.own.hold(input.remaining()),
            Phase::Open(_) => {
                self.own.hold(input.remaining());
                self.receive_held(now);
            }
            // RFC 9112 §9.6: nothing that follows the last request is looked at.
            Phase::Answering(_) | Phase::Over => {}
        }
        input.discard();
    }

    /// The bytes of a read, before the connection is open.
    fn handle_head(&mut self, input: &mut Input<'_>, now: Time) {
        let Phase::Head(waiting) = &mut self.phase else {
            return;
        };
        let (config, deadline) = (waiting.config.clone(), waiting.deadline);
        let mut begun = waiting.begun();
        let decided = match begun.handle_input(input.remaining()) {
            Ok(None) => None,
            Ok(Some(received)) => {
                let opening = Opening::new(&mut self.own, config.hard_mark, now);
                let (decision, asked) = decide(&received.request, &*self.service, opening);
                Some((decision, asked, received.consumed))
            }
            Err(error) => {
                self.refuse(error.response(), now);
                return input.discard();
            }
        };
        let Some((decision, asked, consumed)) = decided else {
            waiting.go_on(begun);
            return input.discard();
        };
        input.skip(consumed);
        if let Decision::Later(decision) = decision {
            self.own.hold(input.remaining());
            input.discard();
            self.phase = Phase::Deciding(Box::new(Deciding {
                decision,
                asked,
                config,
                deadline,
            }));
            self.poll_decision(now);
        } else {
            self.resolve(decision, asked, &config, now);
            self.take_input(input, now);
        }
    }

    fn poll_decision(&mut self, now: Time) {
        let Phase::Deciding(deciding) = &mut self.phase else {
            return;
        };
        let waker = self.own.peer(deciding.config.hard_mark).waker();
        let polled = guard(&*self.service, &self.own.address, || {
            let mut cx = TaskContext::from_waker(&waker);
            loop {
                match deciding.decision.as_mut().poll(&mut cx) {
                    Poll::Ready(Decision::Later(next)) => deciding.decision = next,
                    done => break done,
                }
            }
        });
        let decision = match polled {
            Some(Poll::Pending) => return,
            Some(Poll::Ready(decision)) => decision,
            None => Decision::Respond(Response::new(500)),
        };
        let Phase::Deciding(deciding) = core::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        let Deciding {
            decision: future,
            asked,
            config,
            ..
        } = *deciding;
        guard(&*self.service, &self.own.address, || drop(future));
        self.resolve(decision, asked, &config, now);
        self.receive_held(now);
    }

    /// Does what was decided.
    fn resolve(
        &mut self,
        decision: Decision<S::Handler>,
        asked: Asked,
        config: &SharedConfig,
        now: Time,
    ) {
        match decision {
            Decision::Accept(accept, handler) => match asked.accept(accept, config) {
                Ok(accepted) => self.open(&accepted, handler, config, now),
                Err(response) => {
                    guard(&*self.service, &self.own.address, || drop(handler));
                    self.answer(response, asked.content, config, now);
                }
            },
            Decision::Respond(response) => {
                let content = asked.content;
                self.answer(asked.respond(response), content, config, now);
            }
            // `poll_decision` has gone on to what it decides in turn.
            Decision::Later(_) => self.answer(Response::new(500), asked.content, config, now),
        }
    }

    fn open(&mut self, accepted: &Accepted, handler: S::Handler, config: &SharedConfig, now: Time) {
        let mut bytes = Vec::new();
        accepted.response.encode(&mut bytes);
        self.own.set_preface(bytes);
        let connection = Connection::server(config, now).with_extensions(accepted.extensions);
        self.phase = Phase::Open(Open::new(connection, handler));
        self.with_open(now, Open::begin);
    }

    /// Answers what the application is not asked about, or not any longer.
    fn refuse(&mut self, response: Response, now: Time) {
        let (config, content) = match &self.phase {
            Phase::Head(waiting) => (waiting.config.clone(), Content::Sent),
            Phase::Deciding(deciding) => (deciding.config.clone(), deciding.asked.content),
            Phase::Answering(_) | Phase::Open(_) | Phase::Over => return,
        };
        let response = refusal(&*self.service, &self.own.address, response);
        self.answer(response, content, &config, now);
    }

    fn answer(&mut self, response: Response, content: Content, config: &SharedConfig, now: Time) {
        self.own.take_held();
        let answer = Answer::new(response, content, config, now);
        let answering = Phase::Answering(Box::new(answer));
        let before = core::mem::replace(&mut self.phase, answering);
        // A decision that is not waited for any longer may panic when it is dropped.
        guard(&*self.service, &self.own.address, || drop(before));
        self.own.forget_peer();
    }

    /// Nothing is left to do, and nobody to do it for.
    fn give_up(&mut self) {
        self.own.take_held();
        let before = core::mem::replace(&mut self.phase, Phase::Over);
        guard(&*self.service, &self.own.address, || drop(before));
        self.own.forget_peer();
    }

    /// Some of what opens the connection was written.
    #[cold]
    fn handle_preface(&mut self, written: usize, now: Time) {
        if let Some(preface) = self.own.preface() {
            preface.done += written;
            if preface.rest().is_empty() {
                return self.own.drop_preface();
            }
        }
        // What waits behind it is not taken either.
        if let Phase::Open(open) = &mut self.phase {
            open.connection.handle_written(0, now);
        }
    }

    /// Takes over what came from elsewhere.
    fn take_work(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Open(_) => {
                self.with_open(now, Open::handle_wake);
                self.receive_held(now);
            }
            Phase::Deciding(_) => {
                // Messages wait until the connection is open.
                let peer = self.own.peer.as_ref();
                if peer.is_some_and(Peer::take_wake) {
                    self.poll_decision(now);
                }
            }
            Phase::Head(_) | Phase::Answering(_) | Phase::Over => {}
        }
    }

    #[inline]
    fn with_open(&mut self, now: Time, run: impl FnOnce(&mut Open<S::Handler>, &mut Env<'_, S>)) {
        if let Phase::Open(open) = &mut self.phase {
            let mut env = Env {
                service: &*self.service,
                own: &mut self.own,
                now,
            };
            run(open, &mut env);
        }
    }

    #[inline]
    fn receive(&mut self, input: &mut Input<'_>, now: Time) {
        self.with_open(now, |open, env| open.receive(input, env));
    }

    /// Goes on with what is held, if receiving is possible again.
    fn receive_held(&mut self, now: Time) {
        while let Phase::Open(open) = &mut self.phase
            && open.connection.wants_input()
            && let Some(mut held) = self.own.take_held()
        {
            let mut input = Input::held(held.rest());
            self.receive(&mut input, now);
            let (is_used_up, consumed) = (input.is_empty(), input.consumed());
            if is_used_up {
                return;
            }
            held.done += consumed;
            self.own.put_held(held);
        }
    }
}

impl<S: Service> Endpoint for Session<S> {
    type Item = Infallible;

    #[inline]
    fn take_input(&mut self, input: &mut Input<'_>, now: Time) -> Option<Infallible> {
        match &mut self.phase {
            Phase::Open(_) if !self.own.holds_input() => {
                self.receive(input, now);
                if input.cut().is_some() {
                    return None;
                }
                self.own.hold(input.remaining());
                input.discard();
            }
            _ => self.take_unready(input, now),
        }
        None
    }

    fn poll_item(&mut self, _now: Time) -> Option<Infallible> {
        None
    }

    /// Never: the session goes on with what it holds by itself.
    fn holds_input(&self) -> bool {
        false
    }

    #[inline]
    fn read_target(&mut self) -> Option<&mut [u8]> {
        match &mut self.phase {
            Phase::Open(open) if !self.own.holds_input() => open.connection.read_target(),
            _ => None,
        }
    }

    fn handle_read(&mut self, n: usize, now: Time) {
        self.with_open(now, |open, env| {
            open.connection.handle_read(n, now);
            open.receive(&mut Input::empty(), env);
        });
    }

    #[cold]
    fn handle_eof(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Head(waiting) => match waiting.handle_eof() {
                Ok(()) => self.give_up(),
                Err(error) => {
                    self.refuse(error.response(), now);
                    self.handle_eof(now);
                }
            },
            Phase::Deciding(_) => self.give_up(),
            Phase::Answering(answer) => answer.handle_eof(),
            Phase::Open(_) => self.with_open(now, |open, env| {
                open.connection.handle_eof(now);
                open.receive(&mut Input::empty(), env);
            }),
            Phase::Over => {}
        }
    }

    #[cold]
    fn handle_error(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Head(_) | Phase::Deciding(_) => self.give_up(),
            Phase::Answering(answer) => answer.handle_error(),
            Phase::Open(_) => {
                self.own.drop_preface();
                self.with_open(now, |open, env| {
                    open.connection.handle_error(now);
                    open.receive(&mut Input::empty(), env);
                });
            }
            Phase::Over => {}
        }
    }

    #[cold]
    fn handle_timeout(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Head(waiting) => {
                if let Err(error) = waiting.handle_timeout(now) {
                    self.refuse(error.response(), now);
                }
            }
            Phase::Deciding(deciding) if now >= deciding.deadline => {
                self.refuse(unavailable(), now);
            }
            Phase::Answering(answer) => answer.handle_timeout(now),
            Phase::Open(_) => {
                self.with_open(now, Open::handle_timeout);
                self.receive_held(now);
            }
            Phase::Deciding(_) | Phase::Over => {}
        }
    }

    #[inline]
    fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Open(open) => open.poll_timeout(&self.own),
            other => other.poll_timeout(),
        }
    }

    #[inline]
    fn has_output(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => {
                let has_preface = self.own.has_preface() && !open.connection.is_drained();
                has_preface || open.connection.has_output()
            }
            other => other.has_output(),
        }
    }

    #[inline]
    fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        match &mut self.phase {
            Phase::Open(open) => {
                // Unless there is nobody left to read it.
                if self.own.has_preface() && !open.connection.is_drained() {
                    let preface = self.own.preface()?;
                    return Some(Transmit::Write((&*preface.rest()).into()));
                }
                open.connection.poll_transmit()
            }
            other => other.poll_transmit(),
        }
    }

    #[inline]
    fn handle_written(&mut self, n: usize, now: Time) {
        match &mut self.phase {
            Phase::Open(_) => {
                if self.own.has_preface() {
                    return self.handle_preface(n, now);
                }
                self.with_open(now, |open, env| open.handle_written(n, env));
                if self.own.holds_input() {
                    self.receive_held(now);
                }
            }
            other => other.handle_written(n, now),
        }
    }

    #[cold]
    fn handle_shutdown(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Answering(answer) => answer.handle_shutdown(now),
            Phase::Open(open) => open.connection.handle_shutdown(now),
            Phase::Head(_) | Phase::Deciding(_) | Phase::Over => {}
        }
    }

    fn wants_flush(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.connection.wants_flush(),
            _ => false,
        }
    }

    #[inline]
    fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => !self.own.holds_input() && open.connection.wants_input(),
            other => other.wants_input(),
        }
    }

    #[inline]
    fn is_drained(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.connection.is_drained(),
            other => other.is_drained(),
        }
    }

    fn is_finished(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.is_finished(),
            _ => self.is_drained(),
        }
    }

    fn lend(&mut self, buffer: OutputBuffer) {
        if let Phase::Open(open) = &mut self.phase {
            open.connection.lend(buffer);
        }
    }

    fn wants_buffer(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.connection.wants_buffer(),
            _ => false,
        }
    }

    fn reclaim(&mut self) -> Option<OutputBuffer> {
        match &mut self.phase {
            Phase::Open(open) => open.connection.reclaim(),
            _ => None,
        }
    }

    #[inline]
    fn wants_waker(&self) -> bool {
        self.own.peer.is_some()
    }

    #[inline]
    fn set_waker(&mut self, waker: &Waker) {
        if let Some(peer) = &self.own.peer {
            peer.set_waker(waker);
        }
    }

    #[inline]
    fn handle_wake(&mut self, now: Time) {
        if self.own.peer.is_some() {
            self.take_work(now);
        }
    }
}

impl<S: Service> Drop for Session<S> {
    fn drop(&mut self) {
        // There is no time to be had here, and none is needed: all that remains is the end.
        let now = Time::ZERO;
        self.with_open(now, Open::abandon);
        self.give_up();
    }
}
