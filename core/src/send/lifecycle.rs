//! How a connection lives and ends: deadlines, closing, failing, half-closing.

use super::{
    DISCARDING, EOF, FAILED, FRAGMENTING, Gate, OutputBuffer, Rare, SENT, SHUT_DOWN, Sender,
    Transmit,
};
use crate::close::machine::{Action, Occurrence, State};
use crate::close::{Cause, CloseCode, ClosePayload, Closed, Initiator, Timeout, Violation};
use crate::connection::Role;
use crate::frame::Opcode;
use crate::time::Time;
use crate::timer::{Timer, Timers};

/// What the receiving half and the wiring need of it.
impl Sender {
    pub(crate) fn set_duplex(&mut self) {
        self.gate.set(Gate::DUPLEX, true);
        self.gate.set(Gate::FULL, false);
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// A Ping came. RFC 6455 §5.5.2: it MUST be answered, unless a Close came before.
    fn answer_ping(&mut self, payload: &[u8]) {
        if matches!(self.state, State::Open | State::Closing) {
            self.put_urgent(Opcode::Pong, payload);
        }
    }

    /// A control frame came. Whether it is an event: a Close only shows in how the
    /// connection ends.
    pub(crate) fn handle_control(&mut self, opcode: Opcode, payload: &[u8], now: Time) -> bool {
        match opcode {
            Opcode::Close => match ClosePayload::decode(payload) {
                Ok(payload) => self.handle_close(payload, now),
                Err(violation) => self.fail(violation, now),
            },
            Opcode::Ping => self.answer_ping(payload),
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
        }
        opcode != Opcode::Close
    }

    fn handle_close(&mut self, payload: ClosePayload<'_>, now: Time) {
        let initiator = match self.step(Occurrence::PeerClose) {
            Action::AnswerClose => {
                self.put_close(payload.code, "");
                Initiator::Peer
            }
            Action::Complete => Initiator::Local,
            _ => return,
        };
        self.timers
            .set_after(Timer::Peer, self.config.close_timeout, now);
        self.conclude(payload.code, payload.reason, initiator, Cause::Handshake);
    }

    /// The peer broke the protocol or a limit.
    pub(crate) fn fail(&mut self, violation: Violation, now: Time) {
        let cause = Cause::Violation(violation);
        self.fail_with(violation.close_code(), violation.reason(), cause, now);
    }

    fn fail_with(&mut self, code: CloseCode, reason: &'static str, cause: Cause, now: Time) {
        match self.step(Occurrence::Failure) {
            Action::FailWithClose => self.put_close(code, reason),
            Action::Fail => {}
            _ => return,
        }
        self.flags |= FAILED;
        self.timers.set_after(Timer::Peer, self.config.linger, now);
        self.conclude(code, reason, Initiator::Local, cause);
    }

    pub(crate) fn handle_eof(&mut self, now: Time) {
        self.flags |= EOF;
        if !matches!(self.state, State::Draining) {
            self.lose(Cause::Eof);
        }
        self.settle(now);
    }

    pub(crate) fn handle_error(&mut self) {
        self.lose(Cause::Transport);
    }

    fn lose(&mut self, cause: Cause) {
        if self.step(Occurrence::Lost) == Action::End {
            self.conclude(CloseCode::ABNORMAL, "", Initiator::Transport, cause);
        }
    }

    #[inline]
    pub(crate) fn handle_written(&mut self, n: usize, now: Time) {
        if self.gate.0 & Gate::CLOSING != 0 {
            return self.handle_last_written(n, now);
        }
        self.advance(n, now);
        if self.flags & SENT != 0 {
            self.flags &= !SENT;
            self.touch_idle(now);
        }
    }

    /// The same once no message can be sent any more.
    #[cold]
    fn handle_last_written(&mut self, n: usize, now: Time) {
        let before = self.queue.len();
        self.advance(n, now);
        // The peer cannot answer our Close before it has come, behind the data.
        if self.state == State::Closing && self.queue.len() < before {
            self.timers.clear(Timer::Peer);
        }
        self.settle(now);
    }

    #[inline]
    fn advance(&mut self, n: usize, now: Time) {
        if self.queue.advance(n) {
            // Not without need: what is read of them next would wait for this.
            if self.timers.is_set(Timer::Write) {
                self.timers.clear(Timer::Write);
            }
            self.gate.set(Gate::FULL, false);
        } else {
            self.wait_for_transport(n > 0, now);
        }
    }

    /// The transport took no more for now.
    #[cold]
    fn wait_for_transport(&mut self, has_moved: bool, now: Time) {
        if has_moved || !self.timers.is_set(Timer::Write) {
            self.timers
                .set_after(Timer::Write, self.config.write_timeout, now);
        }
        if !self.wants_flush() {
            self.gate.set(Gate::FULL, false);
        }
    }

    pub(crate) fn handle_shutdown(&mut self, now: Time) {
        self.flags |= SHUT_DOWN;
        self.settle(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Peer if self.state == State::Open => self.keep_alive(now),
                Timer::Peer => self.give_up(Occurrence::CloseTimer, Timeout::Close),
                Timer::Idle => self.fail_with(
                    CloseCode::GOING_AWAY,
                    "idle",
                    Cause::Timeout(Timeout::Idle),
                    now,
                ),
                Timer::Write => self.give_up(Occurrence::Abort, Timeout::Write),
            }
        }
        self.settle(now);
    }

    /// Nothing came for the ping interval, or for the pong timeout after a Ping.
    fn keep_alive(&mut self, now: Time) {
        let is_awaiting = self.gate.0 & Gate::AWAITING_PONG != 0;
        let is_forgiving = self.gate.0 & Gate::FORGIVING != 0;
        if !is_awaiting {
            self.put_urgent(Opcode::Ping, b"");
            self.gate.set(Gate::AWAITING_PONG, true);
            // A pause that was over before cannot have kept the answer.
            self.gate.set(Gate::FORGIVING, self.gate.is_paused());
        } else if self.gate.is_paused() {
            // The answer may lie in what was not read.
            self.gate.forgive();
        } else if is_forgiving {
            self.gate.set(Gate::FORGIVING, false);
        } else {
            let cause = Cause::Timeout(Timeout::Pong);
            return self.fail_with(CloseCode::INTERNAL_ERROR, "keepalive timeout", cause, now);
        }
        self.timers
            .set_after(Timer::Peer, self.config.pong_timeout, now);
    }

    fn give_up(&mut self, occurrence: Occurrence, timeout: Timeout) {
        if self.step(occurrence) == Action::End {
            self.conclude(
                CloseCode::ABNORMAL,
                "",
                Initiator::Local,
                Cause::Timeout(timeout),
            );
        }
    }

    /// Bytes came from the peer: it lives.
    #[inline]
    pub(crate) fn touch(&mut self, now: Time) {
        if self.state == State::Open
            && let Some(interval) = self.config.ping_interval
        {
            self.gate.set(Gate::AWAITING_PONG, false);
            self.timers.set_after(Timer::Peer, interval, now);
        }
    }

    /// A message went one way or the other.
    pub(crate) fn touch_idle(&mut self, now: Time) {
        if let (State::Open, Some(idle)) = (self.state, self.config.idle_timeout) {
            self.timers.set_after(Timer::Idle, idle, now);
        }
    }

    /// Whether received data goes to the application (RFC 6455 §1.4).
    pub(crate) fn delivers(&self) -> bool {
        self.state.on(Occurrence::Message).1 == Action::Deliver && self.flags & DISCARDING == 0
    }

    pub(crate) fn has_outcome(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.outcome.is_some())
    }

    pub(crate) fn take_outcome(&mut self) -> Option<Closed> {
        self.rare.take_if(|rare| rare.outcome.is_some())?.outcome
    }

    #[inline]
    pub(crate) fn has_output(&self) -> bool {
        !self.queue.is_empty() || self.wants_shutdown()
    }

    /// The order of the wire; half-close when the last byte is out.
    #[inline]
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.state == State::Drained {
            return None;
        }
        match self.queue.output() {
            Some(output) => Some(Transmit::Write(output)),
            None => self.wants_shutdown().then_some(Transmit::Shutdown),
        }
    }

    #[inline]
    pub(crate) fn wants_input(&self) -> bool {
        match self.state {
            State::Drained => false,
            State::Open | State::Closing | State::Draining => {
                !self.gate.is_paused() && self.flags & EOF == 0
            }
        }
    }

    pub(crate) fn lend(&mut self, buffer: OutputBuffer) {
        self.queue.lend(buffer);
    }

    #[inline]
    pub(crate) fn wants_buffer(&self) -> bool {
        self.queue.wants_buffer()
    }

    pub(crate) fn reclaim(&mut self) -> Option<OutputBuffer> {
        self.queue.reclaim()
    }

    /// RFC 6455 §7.1.1: the server ends the transport first; a client only when it
    /// has failed the connection, or the server has ended its side.
    #[inline]
    fn wants_shutdown(&self) -> bool {
        self.state == State::Draining
            && self.flags & SHUT_DOWN == 0
            && (self.role() == Role::Server || self.flags & (FAILED | EOF) != 0)
    }

    pub(super) fn step(&mut self, occurrence: Occurrence) -> Action {
        let (state, action) = self.state.on(occurrence);
        if state != self.state {
            self.state = state;
            self.enter(state);
        }
        action
    }

    fn enter(&mut self, state: State) {
        self.gate.set(Gate::CLOSING, state != State::Open);
        match state {
            State::Open => {}
            State::Closing => {
                self.flags &= !FRAGMENTING;
                #[cfg(feature = "deflate")]
                self.end_compression();
                self.timers.clear(Timer::Idle);
                self.timers.clear(Timer::Peer);
            }
            State::Draining => {
                self.gate.set(Gate::PAUSED | Gate::FULL, false);
                self.flags &= !FRAGMENTING;
                #[cfg(feature = "deflate")]
                self.end_compression();
                self.timers.clear(Timer::Idle);
                self.timers.clear(Timer::Peer);
            }
            State::Drained => {
                self.timers = Timers::default();
                self.queue.clear();
            }
        }
    }

    /// Moves on what waits for nothing but the clock or the transport.
    fn settle(&mut self, now: Time) {
        match self.state {
            // `close` has no clock: its deadline starts with the next step that has one.
            State::Closing if !self.timers.is_set(Timer::Peer) => {
                self.timers
                    .set_after(Timer::Peer, self.config.close_timeout, now);
            }
            State::Draining
                if self.queue.is_empty() && self.flags & EOF != 0 && !self.wants_shutdown() =>
            {
                self.step(Occurrence::Finished);
            }
            _ => {}
        }
    }

    pub(super) fn conclude(
        &mut self,
        code: CloseCode,
        reason: &str,
        initiator: Initiator,
        cause: Cause,
    ) {
        let outcome = Closed {
            code,
            reason: reason.into(),
            initiator,
            cause,
        };
        // Nothing is sent any more, so keys and a compressor go.
        **self.rare.get_or_insert_default() = Rare {
            outcome: Some(outcome),
            ..Rare::default()
        };
    }
}
