//! What stands between a server and its service.

use alloc::sync::Arc;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;
use std::panic::catch_unwind;

use sockeye_core::{Chunk, Closed, Message};
use sockeye_handler::{Address, Context, Decision, Handler, Opening, Request, Response, Service};

use crate::ending::{Phase, ServerState, Upgraded};

/// The service, behind what the server itself refuses; and its life.
///
/// It starts when it is put behind the gate, and stops when the gate goes: with the last
/// connection, and whoever accepts them.
pub struct Gate<S: Service> {
    /// Shared with decisions that are still to be made.
    service: Arc<S>,
    state: Arc<ServerState>,
    is_told: AtomicBool,
}

impl<S: Service> Gate<S> {
    /// Puts `service` behind the cap of `state`, and starts it.
    pub fn new(service: S, state: Arc<ServerState>) -> Self {
        service.on_start();
        Self {
            service: Arc::new(service),
            state,
            is_told: AtomicBool::new(false),
        }
    }

    /// Tells the service that the server is to end, if it is, and the service does not know.
    pub fn tell_end(&self) {
        if let Some(shutdown) = self.state.shutdown()
            && !self.is_told.load(Ordering::Relaxed)
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            contain("on_drain", || self.service.on_drain(shutdown.drain));
        }
    }
}

impl<S: Service> Drop for Gate<S> {
    fn drop(&mut self) {
        contain("on_stop", || self.service.on_stop());
    }
}

/// The server ends whatever the service does.
fn contain(what: &str, call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!(what, "the service panicked");
    }
}

impl<S: Service> Service for Gate<S> {
    type Handler = Counted<S::Handler>;

    fn on_request(
        &self,
        request: &Request<'_>,
        cx: &mut Opening<'_>,
    ) -> Decision<Counted<S::Handler>> {
        if request.is_upgrade() {
            let refused = if is_ending(&self.state) {
                Some(ENDING)
            } else if self.state.is_over_cap() {
                Some("no room for another connection\n")
            } else {
                None
            };
            if let Some(reason) = refused {
                return Decision::Respond(self.service.on_refusal(unavailable(reason)));
            }
        }
        let decision = self.service.on_request(request, cx);
        admit(decision, &self.service, &self.state)
    }

    fn on_refusal(&self, refusal: Response) -> Response {
        self.service.on_refusal(refusal)
    }

    fn on_panic(&self, address: &Address, message: &str) {
        tracing::error!(%address, message, "a handler panicked");
        self.service.on_panic(address, message);
    }
}

const ENDING: &str = "the server is about to end\n";

fn is_ending(state: &ServerState) -> bool {
    state.phase() != Phase::Serving
}

fn unavailable(reason: &'static str) -> Response {
    let response = Response::text(503, reason);
    // A name without spaces and digits: it can be sent.
    response
        .clone()
        .field("Retry-After", "5")
        .unwrap_or(response)
}

/// Counts the connection, if there will be one.
fn admit<S: Service>(
    decision: Decision<S::Handler>,
    service: &Arc<S>,
    state: &Arc<ServerState>,
) -> Decision<Counted<S::Handler>> {
    match decision {
        Decision::Accept(accept, handler) => {
            let upgraded = Upgraded::new(state);
            Decision::Accept(accept, Counted { handler, upgraded })
        }
        Decision::Respond(response) => Decision::Respond(response),
        Decision::Later(decision) => {
            let (service, state) = (Arc::clone(service), Arc::clone(state));
            Decision::later(async move {
                match decision.await {
                    Decision::Accept(..) if is_ending(&state) => {
                        Decision::Respond(service.on_refusal(unavailable(ENDING)))
                    }
                    decided => admit(decided, &service, &state),
                }
            })
        }
    }
}

/// A handler whose connection counts as open.
pub struct Counted<H> {
    handler: H,
    #[expect(dead_code, reason = "it does its work when it is dropped")]
    upgraded: Upgraded,
}

impl<H: Handler> Handler for Counted<H> {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.handler.on_open(cx);
    }

    #[inline]
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        self.handler.on_message(message, cx);
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        self.handler.on_chunk(chunk, cx);
    }

    fn on_ping(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        self.handler.on_ping(payload, cx);
    }

    fn on_pong(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        self.handler.on_pong(payload, cx);
    }

    fn on_timer(&mut self, key: u64, cx: &mut Context<'_>) {
        self.handler.on_timer(key, cx);
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        self.handler.on_wake(cx);
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        self.handler.on_writable(cx);
    }

    fn on_close(&mut self, closed: &Closed) {
        self.handler.on_close(closed);
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.handler.poll_finished(cx)
    }
}

impl<S: Service> fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<H> fmt::Debug for Counted<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
