//! The service: what is served where.

use alloc::sync::Arc;
use core::time::Duration;

use sockeye_handler::{
    Accept, Address, BoxHandler, Decision, Opening, Request, Response, RouteError, Router, Service,
};
use sockeye_kit::caps::Caps;
use sockeye_kit::clock::Ticker;
use sockeye_kit::http::{Bearer, Pages, Site, client_ip};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::Publish;
use crate::connection::Connection;
use crate::hub::Hub;
use crate::protocol::{Dialect, V1};

/// The chat, to be served: pages, the socket, and what operators look at.
pub struct Chat {
    hub: Arc<Hub>,
    router: Router,
    ticker: Mutex<Option<Ticker>>,
}

/// What stands around the hub.
#[derive(Debug)]
pub struct Surroundings {
    /// Whom to answer at all.
    pub site: Site,
    /// What to show.
    pub pages: Pages,
    /// How many connections there may be of one address.
    pub caps: Caps,
    /// Who may publish by HTTP; nobody if not given.
    pub publish: Option<Bearer>,
}

impl Chat {
    /// Serves a hub.
    ///
    /// # Errors
    ///
    /// A page stands where something else is served.
    pub fn new(hub: Arc<Hub>, surroundings: Surroundings) -> Result<Self, RouteError> {
        let Surroundings {
            site,
            pages,
            caps,
            publish,
        } = surroundings;
        let talking = Talking {
            hub: Arc::clone(&hub),
            caps,
        };
        let mut router = pages
            .mount(Router::new())?
            .ws_service("/talking", talking)?;
        router = hub.metrics.mount(router)?;
        if let Some(bearer) = publish {
            let hub = Arc::clone(&hub);
            router = router.method("POST", "/api/publish", Publish { hub, bearer })?;
        }
        Ok(Self {
            hub,
            router: router.wrap(site),
            ticker: Mutex::default(),
        })
    }

    /// Starts the thread that ticks the hub until the service is told to stop. A test with a
    /// clock of its own ticks by hand instead.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub fn start(&self) -> io::Result<()> {
        let hub = Arc::clone(&self.hub);
        let tick = move |now| hub.tick(now);
        let ticker = Ticker::start("chat", self.hub.clock(), self.hub.alarm(), tick)?;
        *self.ticker() = Some(ticker);
        Ok(())
    }

    fn ticker(&self) -> MutexGuard<'_, Option<Ticker>> {
        self.ticker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the connections share.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Service for Chat {
    type Handler = BoxHandler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        self.router.on_request(request, cx)
    }

    fn on_drain(&self, within: Duration) {
        self.hub.drain(within);
    }

    fn on_stop(&self) {
        let ticker = self.ticker().take();
        // It waits for its thread: not under the lock.
        drop(ticker);
        self.hub.end();
    }

    fn on_refusal(&self, refusal: Response) -> Response {
        self.router.on_refusal(refusal)
    }

    fn on_panic(&self, address: &Address, message: &str) {
        tracing::error!(%address, message, "a connection has failed");
    }
}

/// `ws /talking`.
struct Talking {
    hub: Arc<Hub>,
    caps: Caps,
}

impl Service for Talking {
    type Handler = Connection;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<Connection> {
        let admission = match self.caps.admit(client_ip(cx)) {
            Ok(admission) => admission,
            Err(response) => return Decision::Respond(response),
        };
        let (dialect, accept) = if request.subprotocols().any(|offered| offered == V1) {
            // A token, which can be chosen.
            let accept = Accept::new().subprotocol(V1).unwrap_or_default();
            (Dialect::V1, accept)
        } else {
            (Dialect::Original, Accept::new())
        };
        Decision::Accept(accept, Connection::new(&self.hub, dialect, admission))
    }
}
