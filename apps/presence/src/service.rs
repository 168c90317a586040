//! The service as a whole.

use alloc::sync::Arc;
use core::num::NonZeroU32;
use core::time::Duration;
use std::io;

use sockeye_handler::{
    Address, BoxHandler, Decision, Opening, Request, Response, RouteError, Router, Service, Time,
};
use sockeye_kit::caps::Caps;
use sockeye_kit::clock::{Alarm, Clock, Ticker};
use sockeye_kit::http::{Bearer, Pages, Site};
use sockeye_kit::metrics::Metrics;
use sockeye_kit::redis::ConnectError;
use sockeye_kit::token::{Signer, Verifier};

use crate::App;
use crate::directory::Settings;
use crate::echo::Echo;
use crate::hub::Hub;
use crate::nodes::Deployment;
use crate::watch::Watch;

/// What a service is made of.
#[derive(Debug)]
pub struct Options {
    /// How long things take, and how many users are listed.
    pub directory: Settings,
    /// Says which tokens are valid.
    pub verifier: Verifier,
    /// Makes tokens for everybody who asks at `/demo-token`; `None` where a key was given.
    pub demo: Option<Signer>,
    /// Wanted from those who read; `None` for everybody.
    pub read_token: Option<Bearer>,
    /// Whom the server answers.
    pub site: Site,
    /// How many connections one address and one user may have.
    pub caps: Caps,
    /// Messages a second that a connection may send in the long run ...
    pub rate: NonZeroU32,
    /// ... and at once.
    pub burst: NonZeroU32,
}

impl Options {
    /// As the program is shipped, for those who have a token of `verifier`.
    #[must_use]
    pub fn new(verifier: Verifier, site: Site) -> Self {
        Self {
            directory: Settings::default(),
            verifier,
            demo: None,
            read_token: None,
            site,
            caps: Caps::new(256, 10),
            rate: const { NonZeroU32::new(20).expect("not zero") },
            burst: const { NonZeroU32::new(40).expect("not zero") },
        }
    }
}

/// The service: who is online, told by tokens.
pub struct Presence {
    router: Router,
    app: Arc<App>,
    clock: Clock,
    alarm: Alarm,
    ticker: Option<Ticker>,
}

impl Presence {
    /// A service that knows the time by `clock`, and serves `pages`.
    ///
    /// Deadlines are met by the thread of [`start`](Self::start), or by calls of
    /// [`tick`](Self::tick).
    ///
    /// # Errors
    ///
    /// A page has the path of something else.
    pub fn new(options: Options, pages: Pages, clock: Clock) -> Result<Self, RouteError> {
        let alarm = Alarm::new();
        let metrics = Metrics::new();
        let hub = Hub::new(
            options.directory,
            metrics.clone(),
            clock.clone(),
            alarm.clone(),
        );
        let app = Arc::new(App {
            hub,
            verifier: options.verifier,
            demo: options.demo,
            read_token: options.read_token,
            caps: options.caps,
            metrics,
            rate: options.rate,
            burst: options.burst,
        });
        let [echo, watch] = [(); 2].map(|()| Arc::clone(&app));
        let router = Router::new()
            .ws("/echo", move |_, cx| Echo::new(&echo, cx))?
            .ws("/watch", move |request, cx| {
                Watch::decide(&watch, request, cx)
            })?;
        let router = crate::http::mount(&app, router)?;
        let router = app.metrics.mount(router)?;
        let router = pages.mount(router)?.wrap(options.site);
        Ok(Self {
            router,
            app,
            clock,
            alarm,
            ticker: None,
        })
    }

    /// Starts the thread that meets the deadlines.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub fn start(&mut self) -> io::Result<()> {
        let hub = Arc::clone(&self.app.hub);
        let ticker = Ticker::start("presence", &self.clock, &self.alarm, move |now| {
            hub.tick(now)
        })?;
        self.ticker = Some(ticker);
        Ok(())
    }

    /// Enters a deployment of several nodes. Blocks for at most some seconds.
    ///
    /// # Errors
    ///
    /// The store cannot be reached, or is none.
    pub fn enter(&self, deployment: &Deployment) -> Result<(), ConnectError> {
        crate::nodes::enter(deployment, &self.app.hub)
    }

    /// Sends all connections away with 1012, spread over this time, and says that the node is
    /// not ready for more.
    pub fn drain(&self, within: Duration) {
        self.app.metrics.drain();
        self.app.hub.drain(within);
    }

    /// Says goodbye to the other nodes, so that they need not wait for the end of a lease.
    /// Blocks for at most some seconds.
    pub fn stop(&self) {
        self.app.hub.stop();
    }

    /// Meets the deadlines that have come: what the thread of [`start`](Self::start) does, for
    /// those who have none.
    pub fn tick(&self) {
        let now = self.clock.now();
        if self.alarm.take_due(now)
            && let Some(next) = self.app.hub.tick(now)
        {
            self.alarm.set(next);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.alarm.due()
    }
}

impl Service for Presence {
    type Handler = BoxHandler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        self.router.on_request(request, cx)
    }

    fn on_drain(&self, within: Duration) {
        self.drain(within);
    }

    fn on_stop(&self) {
        self.stop();
    }

    fn on_refusal(&self, refusal: Response) -> Response {
        self.router.on_refusal(refusal)
    }

    fn on_panic(&self, address: &Address, message: &str) {
        tracing::error!(%address, message, "a connection has panicked");
    }
}
