//! A connection after its upgrade, with its handler.

use core::panic::AssertUnwindSafe;
use core::task::Poll;
use core::time::Duration;
use std::panic::catch_unwind;

use sockeye_core::{CloseCode, Closed, Connection, Event, Input, Time};

use super::guard::{guard, report};
use crate::context::Context;
use crate::handler::{Handler, Service};
use crate::own::Own;

/// How long a handler may go on after its connection has ended.
const FINISH: Duration = Duration::from_secs(5);

/// A connection and its handler.
pub(super) struct Open<H> {
    pub(super) connection: Connection,
    handler: Option<H>,
    stage: Stage,
}

/// What the handler may still be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Everything.
    Live,
    /// It has panicked: only `on_close`.
    Panicked,
    /// It was told of the end, and is not finished.
    Finishing,
    /// Nothing: it is gone.
    Over,
}

/// What every call of a handler needs beside it: who owns the session, and the time.
pub(super) struct Env<'a, S> {
    pub(super) service: &'a S,
    pub(super) own: &'a mut Own,
    pub(super) now: Time,
}

impl<H: Handler> Open<H> {
    pub(super) fn new(connection: Connection, handler: H) -> Self {
        Self {
            connection,
            handler: Some(handler),
            stage: Stage::Live,
        }
    }

    /// Gives the handler what `input` brings, until it is used up or receiving is paused.
    ///
    /// With an empty input it collects the end, if there is one.
    pub(super) fn receive<S: Service>(&mut self, input: &mut Input<'_>, env: &mut Env<'_, S>) {
        if let (Stage::Live, Some(handler)) = (self.stage, &mut self.handler) {
            let connection = &mut self.connection;
            // One for all that a read brought: per message it would cost more than the message.
            let run = || deliver(connection, handler, input, env.own, env.now);
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(None) => return,
                Ok(Some(closed)) => self.end(&closed, env),
                Err(panic) => self.fail(panic, env),
            }
        }
        // Nobody is interested any more, but what comes must be read.
        let mut end = None;
        while let Some((event, _)) = self.connection.poll_event(input, env.now) {
            if let Event::Closed(closed) = event {
                end = Some(closed.clone());
            }
        }
        if let Some(closed) = end {
            self.end(&closed, env);
        }
    }

    /// Calls the handler, and then collects the end, in case the call has brought it.
    pub(super) fn call<S: Service>(
        &mut self,
        env: &mut Env<'_, S>,
        call: impl FnOnce(&mut H, &mut Context<'_>),
    ) {
        if let (Stage::Live, Some(handler)) = (self.stage, &mut self.handler) {
            let cx = &mut Context::new(self.connection.sender(), env.own, env.now);
            match catch_unwind(AssertUnwindSafe(|| call(handler, cx))) {
                Ok(()) => {}
                Err(panic) => self.fail(panic, env),
            }
        }
        self.receive(&mut Input::empty(), env);
    }

    /// The connection is open from here on.
    pub(super) fn begin<S: Service>(&mut self, env: &mut Env<'_, S>) {
        self.call(env, Handler::on_open);
        self.handle_wake(env);
    }

    /// Work came from elsewhere.
    pub(super) fn handle_wake<S: Service>(&mut self, env: &mut Env<'_, S>) {
        let woken = self.take_work(env);
        match self.stage {
            Stage::Finishing if woken => self.finish(env),
            Stage::Live if woken => self.call(env, Handler::on_wake),
            _ => self.receive(&mut Input::empty(), env),
        }
    }

    pub(super) fn handle_timeout<S: Service>(&mut self, env: &mut Env<'_, S>) {
        self.connection.handle_timeout(env.now);
        match self.stage {
            Stage::Live => {
                // As many as are due now: a handler that sets one for the past again waits
                // until the next time.
                for _ in 0..env.own.due_timers(env.now) {
                    let Some(key) = env.own.pop_timer(env.now) else {
                        break;
                    };
                    self.call(env, |handler, cx| handler.on_timer(key, cx));
                }
                self.receive(&mut Input::empty(), env);
            }
            Stage::Panicked => self.receive(&mut Input::empty(), env),
            Stage::Finishing if env.own.must_finish(env.now) => self.let_go(env),
            Stage::Finishing => {
                let mut fired = false;
                while env.own.pop_timer(env.now).is_some() {
                    fired = true;
                }
                if fired {
                    self.finish(env);
                }
            }
            Stage::Over => {}
        }
    }

    #[inline]
    pub(super) fn handle_written<S: Service>(&mut self, n: usize, env: &mut Env<'_, S>) {
        let was_full = self.connection.wants_flush();
        self.connection.handle_written(n, env.now);
        if was_full && !self.connection.wants_flush() {
            self.make_use_of_room(env);
        }
    }

    /// There is room again.
    #[cold]
    fn make_use_of_room<S: Service>(&mut self, env: &mut Env<'_, S>) {
        // Others first: a handler that always has more would leave them no room, ever.
        self.handle_wake(env);
        if !self.connection.wants_flush() {
            self.call(env, Handler::on_writable);
        }
    }

    #[inline]
    pub(super) fn poll_timeout(&self, own: &Own) -> Option<Time> {
        let connection = self.connection.poll_timeout();
        match own.poll_timeout() {
            None => connection,
            own => connection.into_iter().chain(own).min(),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    pub(super) fn is_finished(&self) -> bool {
        self.stage == Stage::Over && self.connection.is_drained()
    }

    /// The session is dropped, whatever state it is in.
    pub(super) fn abandon<S: Service>(&mut self, env: &mut Env<'_, S>) {
        self.connection.sender().abort();
        self.receive(&mut Input::empty(), env);
        self.let_go(env);
    }

    /// Moves what the peer's queue holds to the output, as far as there is room, and says
    /// whether the handler is to be woken.
    fn take_work<S>(&mut self, env: &mut Env<'_, S>) -> bool {
        let Some(peer) = &env.own.peer else {
            return false;
        };
        peer.take_work(self.connection.sender())
    }

    /// The handler has panicked: the connection closes with 1011.
    #[cold]
    fn fail<S: Service>(&mut self, panic: Box<dyn core::any::Any + Send>, env: &mut Env<'_, S>) {
        self.stage = Stage::Panicked;
        report(env.service, &env.own.address, panic);
        env.own.clear_timers();
        // Refused only if it is closing already.
        let _ = self
            .connection
            .sender()
            .close(CloseCode::INTERNAL_ERROR, "");
    }

    /// The connection has ended. Happens once.
    #[cold]
    fn end<S: Service>(&mut self, closed: &Closed, env: &mut Env<'_, S>) {
        env.own.clear_timers();
        if let Some(peer) = &env.own.peer {
            peer.end();
        }
        let panicked = self.stage == Stage::Panicked;
        // Before the call: it is made once, even if it panics.
        self.stage = Stage::Finishing;
        let Some(handler) = &mut self.handler else {
            return;
        };
        let told = guard(env.service, &env.own.address, || handler.on_close(closed));
        if panicked || told.is_none() {
            self.let_go(env);
        } else {
            self.finish(env);
        }
    }

    /// Asks the handler whether it is finished.
    fn finish<S: Service>(&mut self, env: &mut Env<'_, S>) {
        let Some(handler) = &mut self.handler else {
            return;
        };
        let mut cx = Context::new(self.connection.sender(), env.own, env.now);
        match catch_unwind(AssertUnwindSafe(|| handler.poll_finished(&mut cx))) {
            Ok(Poll::Pending) => env.own.finish_by(env.now + FINISH),
            Ok(Poll::Ready(())) => self.let_go(env),
            Err(panic) => {
                report(env.service, &env.own.address, panic);
                self.let_go(env);
            }
        }
    }

    /// Drops the handler.
    fn let_go<S: Service>(&mut self, env: &mut Env<'_, S>) {
        self.stage = Stage::Over;
        env.own.clear_timers();
        if let Some(handler) = self.handler.take() {
            guard(env.service, &env.own.address, || drop(handler));
        }
        env.own.forget_peer();
    }
}

/// The hot loop: every event goes to the handler with the means to answer it.
#[inline]
fn deliver<H: Handler>(
    connection: &mut Connection,
    handler: &mut H,
    input: &mut Input<'_>,
    own: &mut Own,
    now: Time,
) -> Option<Closed> {
    while let Some((event, sender)) = connection.poll_event(input, now) {
        let cx = &mut Context::new(sender, own, now);
        match event {
            Event::Message(message) => handler.on_message(message, cx),
            Event::Chunk(chunk) => handler.on_chunk(chunk, cx),
            Event::Ping(payload) => handler.on_ping(payload, cx),
            Event::Pong(payload) => handler.on_pong(payload, cx),
            Event::Closed(closed) => return Some(closed.clone()),
            // Kinds that a later core adds mean nothing to a handler of today.
            _ => {}
        }
    }
    None
}
