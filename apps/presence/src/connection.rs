//! What the connections of both kinds have in common.

use alloc::sync::Arc;

use sockeye_handler::{Cause, CloseCode, Closed, Context, Initiator, Opening, Response, Timeout};
use sockeye_kit::caps::Admission;
use sockeye_kit::http::client_ip;
use sockeye_kit::metrics::OpenConnection;

use crate::App;
use crate::connections::Ticket;
use crate::directory::Departure;

/// The close code of a connection that sends too much.
pub(crate) const TOO_FAST: CloseCode = CloseCode::new(4029);

/// A connection as it is counted.
pub(crate) struct Connection {
    app: Arc<App>,
    ticket: Option<Ticket>,
    _open: OpenConnection,
    _admission: Admission,
}

impl Connection {
    /// Admits an upgrade, or says why not.
    pub(crate) fn new(app: &Arc<App>, cx: &Opening<'_>) -> Result<Self, Response> {
        Ok(Self {
            _admission: app.caps.admit(client_ip(cx))?,
            _open: app.metrics.connection(),
            ticket: None,
            app: Arc::clone(app),
        })
    }

    /// It is open.
    pub(crate) fn open(&mut self, cx: &mut Context<'_>) {
        self.ticket = Some(self.app.hub.enter(cx.peer()));
    }

    /// Closes if the node drains, and says whether it does.
    pub(crate) fn is_sent_away(&self, cx: &mut Context<'_>) -> bool {
        let has_to_go = self.ticket.as_ref().is_some_and(Ticket::has_to_go);
        if has_to_go {
            // If it is closing already, so much the better.
            let _ = cx.close(CloseCode::SERVICE_RESTART, "");
        }
        has_to_go
    }

    pub(crate) fn received(&self) {
        self.app.metrics.received(1);
    }

    pub(crate) fn sent(&self) {
        self.app.metrics.sent(1);
    }

    pub(crate) fn closed(&self, closed: &Closed) {
        self.app.metrics.closed(closed.code);
    }
}

/// How the user of a connection that has ended so has gone.
pub(crate) fn departure(closed: &Closed) -> Departure {
    let is_on_purpose = match (closed.initiator, closed.cause) {
        (Initiator::Peer, _) => matches!(closed.code, CloseCode::NORMAL | CloseCode::NO_STATUS),
        (Initiator::Local, Cause::Timeout(Timeout::Pong | Timeout::Write) | Cause::Aborted)
        | (Initiator::Transport, _) => false,
        // Whom this side sends away has left.
        (Initiator::Local, _) => true,
    };
    if is_on_purpose {
        Departure::Explicit
    } else {
        Departure::Lost
    }
}
