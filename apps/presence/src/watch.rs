//! `/watch`: who comes and who goes.

use alloc::sync::Arc;

use sockeye_handler::{
    Accept, Closed, Context, Decision, Handler, Message, Opening, Request, Response,
};
use sockeye_kit::rate::Bucket;

use crate::App;
use crate::connection::{Connection, TOO_FAST};
use crate::hub;

/// One connection to `/watch`.
pub(crate) struct Watch {
    app: Arc<App>,
    connection: Connection,
    bucket: Bucket,
    watching: Option<hub::Watch>,
}

impl Watch {
    /// Decides about an upgrade.
    pub(crate) fn decide(
        app: &Arc<App>,
        request: &Request<'_>,
        cx: &Opening<'_>,
    ) -> Decision<Self> {
        let accept = match authorize(app, request) {
            Ok(accept) => accept,
            Err(response) => return Decision::Respond(response),
        };
        match Connection::new(app, cx) {
            Ok(connection) => Decision::Accept(
                accept,
                Self {
                    connection,
                    bucket: app.bucket(),
                    watching: None,
                    app: Arc::clone(app),
                },
            ),
            Err(response) => Decision::Respond(response),
        }
    }
}

/// Where reading is not public, browsers cannot say who they are by a field: a subprotocol
/// can say it, too.
fn authorize(app: &App, request: &Request<'_>) -> Result<Accept, Response> {
    let Some(bearer) = &app.read_token else {
        return Ok(Accept::new());
    };
    let is_ours = |name: &&str| {
        let token = name.strip_prefix("bearer.");
        token.is_some_and(|token| bearer.matches(token.as_bytes()))
    };
    match request.subprotocols().find(is_ours) {
        // A browser wants one of those that it has offered.
        Some(name) => Accept::new()
            .subprotocol(name)
            .map_err(|_| Response::new(500)),
        None => bearer.check(request).map(|()| Accept::new()),
    }
}

impl Handler for Watch {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.connection.open(cx);
        self.watching = Some(self.app.hub.watch(cx.peer()));
    }

    /// What watchers say means nothing.
    fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
        self.connection.received();
        if cx.is_open() && !self.bucket.take(cx.now()) {
            // It is open.
            let _ = cx.close(TOO_FAST, "too fast");
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if self.connection.is_sent_away(cx) {
            self.watching = None;
        }
    }

    fn on_close(&mut self, closed: &Closed) {
        self.watching = None;
        self.connection.closed(closed);
    }
}
